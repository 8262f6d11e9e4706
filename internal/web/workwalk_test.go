package web_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestWriteWalks takes a real browser through the worker's and the manager's
// tasks from sign-in to the end, with axe on every page.
func TestWriteWalks(t *testing.T) {
	writeWalks(t)
}

func writeWalks(t *testing.T) {
	h := newHub(t)
	browser := startChromium(t)
	story := h.stories["three-ways"]
	family := "/families/" + story.ID.String()
	fill := func(w *window, id, text string) {
		w.t.Helper()
		w.do(chromedp.SendKeys(chromedp.CSS("#"+id), text))
	}
	tick := func(w *window, label string) { w.t.Helper(); w.tick(label) }

	t.Run("social worker searches, writes, corrects and questions", func(t *testing.T) {
		w := h.window(t, browser)
		w.signIn("social-worker")
		w.click("Search")
		w.check("search")
		w.narrow("search")
		fill(w, "family-name", "Capstik")
		tick(w, "Family Safeguarding team")
		w.click("Search for people")
		if text := w.text(); !strings.Contains(text, "Ellie Capstick") {
			t.Errorf("a misspelt name finds nobody:\n%.800s", text)
		}
		w.check("search-found")
		w.narrow("search-found")
		w.do(chromedp.SetValue(chromedp.CSS("#family-name"), "Nobodysname"))
		w.click("Search for people")
		if !strings.Contains(w.text(), "It does not mean that nothing is known.") {
			t.Error("an empty search does not say that it is no proof")
		}
		w.check("search-nothing")
		w.goTo("/open?scheme=CSC&value=12345")
		w.check("open")

		w.goTo("/")
		w.do(chromedp.Click(chromedp.CSS(`form[action="`+family+`/purpose"] button`)), chromedp.WaitVisible(chromedp.CSS("#stories")))
		w.click("Ellie Capstick")
		w.do(chromedp.Click(chromedp.CSS(`.k-people a[href^="/people/"]`)), chromedp.WaitVisible(chromedp.CSS("#told")))
		w.check("person")
		w.narrow("person")
		w.click("Record what was told and agreed")
		w.check("told")
		w.narrow("told")
		tick(w, "Told of this sharing")
		tick(w, "Not asked")
		w.send("main button.govuk-button")
		if !strings.Contains(w.text(), "There is a problem") {
			t.Error("not asked without a reason is taken")
		}
		w.check("told-error")
		fill(w, "why", "She is four.")
		w.send("main button.govuk-button")
		w.check("saved")

		w.goTo(family)
		w.click("Add an entry")
		w.check("write-begin")
		w.narrow("write-begin")
		w.click("Continue")
		w.check("write-begin-error")
		tick(w, "Ellie Capstick")
		tick(w, "story")
		w.click("Continue")
		w.check("write")
		w.narrow("write")
		w.click("Check who will see it")
		w.check("write-error")
		fill(w, "f-text", "Ellie drew the door closed.")
		tick(w, "Recorded fact")
		tick(w, "No, nothing")
		fill(w, "when-month", "9")
		fill(w, "when-year", "2026")
		w.click("Check who will see it")
		if text := w.text(); !strings.Contains(text, "Who will see this") || !strings.Contains(text, "Ellie drew the door closed.") || !strings.Contains(text, "September 2026") {
			t.Errorf("the check page lacks readers, text or month:\n%.1500s", text)
		}
		w.check("write-check")
		w.narrow("write-check")
		w.send(`button[value="save"]`)
		w.check("write-saved")
		w.narrow("write-saved")
		w.click("Read it")
		w.check("entry-own")
		w.click("Correct this entry")
		w.check("correct")
		w.do(chromedp.SetValue(chromedp.CSS("#f-text"), "Ellie drew the door half closed."))
		fill(w, "why", "I looked at the drawing again")
		w.click("Check who will see it")
		w.send(`button[value="save"]`)
		w.click("Read it")
		if text := w.text(); !strings.Contains(text, "Version 2") || !strings.Contains(text, "half closed") || !strings.Contains(text, "I looked at the drawing again") {
			t.Errorf("the history lacks the correction:\n%.1500s", text)
		}
		w.check("entry-history")
		w.narrow("entry-history")
		w.click("Write the shared summary")
		w.check("summary")
		fill(w, "text", "Ellie draws what she sees at home.")
		w.click("Save the summary")
		w.click("Back to the entry")
		w.click("Wrong person or wrong fact?")
		w.check("concern")
		w.narrow("concern")
		tick(w, "Something in it is wrong")
		fill(w, "what", "It was the window.")
		w.click("Tell the owner")
		w.click("Back to the entry")
		if !strings.Contains(w.text(), "may be wrong") {
			t.Error("the entry is not marked as questioned")
		}
		w.check("entry-questioned")
		w.click("Take this entry back")
		w.check("withdraw")
		fill(w, "why", "Only a test")
		w.send(".govuk-button--warning")
		w.check("withdrawn")

		w.goTo("/")
		w.click("Cover")
		w.check("covered")
		w.narrow("covered")
		w.goTo(family)
		if strings.Contains(w.text(), "Capstick") {
			t.Error("a covered screen shows the family")
		}
		w.click("I am back")
		w.do(chromedp.WaitVisible(chromedp.CSS(".k-header__who")))
	})
	t.Run("team manager allocates, covers, restricts and grants", func(t *testing.T) {
		w := h.window(t, browser)
		w.signIn("team-manager")
		w.click("Allocation")
		w.check("work")
		w.narrow("work")
		w.click("Grace Adeyemi")
		w.check("work-worker")
		w.click("Cover all work")
		w.check("cover-all")
		w.goTo(family + "/purpose?back=/involvements%3Ffamily%3D" + story.ID.String())
		tick(w, "Family Safeguarding team")
		fill(w, "reason", "allocation")
		w.click("Open the record")
		w.check("work-family")
		w.narrow("work-family")
		w.click("Allocate Ellie")
		w.check("allocate")
		w.narrow("allocate")
		fill(w, "find", "nwosu")
		w.send(`button[value="find"]`)
		tick(w, "Amara Nwosu")
		fill(w, "reason", "Takes over")
		w.click("Continue")
		w.check("allocate-check")
		w.narrow("allocate-check")
		w.send(`button[value="save"]`)
		w.check("allocated")
		w.click("Back to who works")
		if !strings.Contains(w.text(), "Amara Nwosu") {
			t.Error("the new worker is not on the list")
		}
		w.click("End Amara Nwosu")
		w.check("end-work")
		fill(w, "reason", "A mistake")
		w.send(".govuk-button--warning")

		w.goTo("/involvements?family=" + story.ID.String())
		w.click("Restrict Ellie")
		w.check("restrictions")
		w.send("main a.govuk-button")
		w.check("restrict")
		w.narrow("restrict")
		tick(w, "Those named may not open it")
		fill(w, "find", "dobbs")
		w.send(`button[value="find"]`)
		tick(w, "Kerry Dobbs")
		fill(w, "reason", "Her neighbour")
		w.send(".govuk-button--warning")
		w.click("Back to the restrictions")
		w.check("restrictions-set")
		w.narrow("restrictions-set")
		w.click("Review or end")
		w.check("restriction-review")

		w.goTo("/involvements?family=" + story.ID.String())
		w.click("Grant Ellie")
		w.check("grant")
		w.narrow("grant")
		w.goTo("/grants")
		w.check("grants")
		w.goTo("/concerns")
		w.check("concerns")
	})
}
