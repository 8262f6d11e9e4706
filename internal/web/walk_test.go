package web_test

import (
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestWalks takes a real browser from sign-in to the end of a worker's task,
// with axe on every page.
func TestWalks(t *testing.T) {
	walks(t)
}

// TestScreenshots is the same walk, for its pictures (make screenshots).
func TestScreenshots(t *testing.T) {
	if os.Getenv("KITH_SCREENSHOTS") != "" {
		walks(t)
		writeWalks(t)
	}
}

func walks(t *testing.T) {
	h := newHub(t)
	browser := startChromium(t)
	t.Run("social worker reads a family before the meeting", func(t *testing.T) {
		w := h.window(t, browser)
		w.signIn("social-worker")
		w.check("my-families")
		w.narrow("my-families")
		story := h.stories["three-ways"]
		w.do(chromedp.Click(chromedp.CSS(`form[action="/families/`+story.ID.String()+`/purpose"] button`)), chromedp.WaitVisible(chromedp.CSS("#stories")))
		w.check("family")
		w.narrow("family")
		if text := w.text(); !strings.Contains(text, "Told 3 ways.") || !strings.Contains(text, "This may not be all that is known.") {
			t.Errorf("the family page lacks the three accounts or the notice:\n%.2000s", text)
		}
		w.click("Child and universal health")
		w.check("part")
		w.click("Back to")
		w.click("Print for the meeting")
		w.check("choose-print")
		w.click("Make the sheets")
		w.check("print")
		if n := strings.Count(string(w.pdf()), "/Type /Page\n"); n == 0 {
			t.Log("the PDF's pages could not be counted")
		}
		w.goTo("/me/accesses")
		w.check("accesses")
		w.narrow("accesses")
		if !strings.Contains(w.text(), "Printed") {
			t.Error("the print is not among the accesses")
		}
		w.goTo("/help")
		w.check("help")
		w.goTo("/accessibility")
		w.check("accessibility")
		w.goTo("/families/" + story.ID.String() + "/purpose")
		w.check("purpose")
		w.narrow("purpose")
		w.goTo("/families/00000000-0000-4000-8000-000000000000/parts/identity")
		w.check("purpose-unknown")
		w.goTo("/nowhere")
		w.check("error")
		w.click("Sign out")
		w.do(chromedp.WaitVisible(chromedp.Search(`//h1[contains(., "You are signed out")]`)))
		w.check("signed-out")
		w.do(chromedp.NavigateBack(), chromedp.WaitReady(chromedp.CSS("body")))
		if strings.Contains(w.text(), "Capstick") {
			t.Error("the back button brings the record back after sign-out")
		}
	})
	for _, name := range []string{"team-manager", "emergency-duty", "mh-practitioner", "sm-practitioner", "idva", "perpetrator-practitioner", "detective",
		"mash-officer", "health-visitor", "safeguarding-lead", "probation-officer", "housing-officer", "auditor"} {
		t.Run(name, func(t *testing.T) {
			w := h.window(t, browser)
			w.signIn(name)
			w.check(name + "-my-families")
			if ask(w, chromedp.Evaluate[int](`document.querySelectorAll("main form").length`)) == 0 {
				return
			}
			w.do(chromedp.Click(chromedp.CSS(`main form button`)), chromedp.WaitVisible(chromedp.CSS(".k-bar")))
			w.check(name + "-family")
		})
	}
}
