package web_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"kith/internal/demo"
)

// TestAuditorsWalk takes a real browser through the auditor's, the privacy
// officer's and the administrator's tasks, with axe on every page.
func TestAuditorsWalk(t *testing.T) { auditorsWalk(t) }

// busy makes a fortnight of counts, as a borough has them: the watch makes today's.
func (h *hub) busy(t *testing.T) {
	t.Helper()
	_, err := h.admin.Exec(t.Context(), `
INSERT INTO access_count (partnership, day, owner, agency, purpose, outcome, kind, emergency, n)
SELECT $1, (now() AT TIME ZONE 'Europe/London')::date - d, '', a.code, 'FS', o.outcome, 'read', o.emergency, greatest(1, (a.most * (3 + (d * 7 + a.most) % 11)) / 14)
  FROM generate_series(1, 13) d, (VALUES ('CSC', 22), ('POL', 13), ('DV', 5), ('MH', 6), ('HV', 3), ('PRB', 4), ('HOU', 2)) a(code, most),
       (VALUES ('released', false, 0), ('not-found', false, 1), ('released', true, 2)) o(outcome, emergency, rare)
 WHERE o.rare = 0 AND (d % 7 NOT IN (1, 2) OR a.most > 10) OR o.rare = 1 AND (d + a.most) % 9 = 0 OR o.rare = 2 AND a.code = 'CSC' AND d = 6`, demo.Partnership)
	if err != nil {
		t.Fatal(err)
	}
}

// TestScreenshotsOfAuditors is the same walk, for its pictures (make screenshots).
func TestScreenshotsOfAuditors(t *testing.T) {
	if os.Getenv("KITH_SCREENSHOTS") != "" {
		auditorsWalk(t)
	}
}

func auditorsWalk(t *testing.T) {
	h := newHub(t)
	h.accessed(t)
	h.seal(t)
	h.busy(t)
	browser := startChromium(t)

	t.Run("auditor finds an access, explains it and settles a review", func(t *testing.T) {
		w := h.slowWindow(t, browser)
		w.signIn("auditor")
		w.full("log")
		if at := ask(w, chromedp.Evaluate[string](`location.pathname`)); at != "/log" {
			t.Errorf("the auditor begins at %s", at)
		}
		if n := ask(w, chromedp.Evaluate[int](`document.querySelector("main").querySelectorAll("*")[0].matches(".k-logstate--whole") ? 1 : 0`)); n != 1 {
			t.Error("the state of the log is not the first thing of the page, or not whole")
		}
		if n := ask(w, chromedp.Evaluate[int](`document.querySelectorAll("svg.k-multiples rect.k-multiples__shown").length`)); n == 0 {
			t.Error("the picture has no bars")
		}
		for _, mark := range []string{"rect.k-multiples__refused", "polygon.k-multiples__emergency", "rect.k-multiples__weekend"} {
			if n := ask(w, chromedp.Evaluate[int](`document.querySelectorAll("svg.k-multiples `+mark+`").length`)); n == 0 {
				t.Errorf("the picture has no %s", mark)
			}
		}
		w.script(`document.querySelector("details.k-words").open = true`)
		w.full("log-table")
		w.script(`document.querySelector("#agency").value = "POL"`)
		w.click("Show")
		w.full("log-police")
		if text := w.text(); !strings.Contains(text, "DC Priya Mistry") || strings.Contains(text, "Grace Adeyemi") {
			t.Errorf("the filter does not show the police alone:\n%.1500s", text)
		}
		w.send(`.k-chosen a`) // taken away again
		if !strings.Contains(w.text(), "Grace Adeyemi") {
			t.Error("taking the filter away does not widen the list")
		}
		w.goTo("/log?part=identity&only=hours")
		w.full("log-part")
		w.goTo("/log")
		w.script(`document.querySelector("#about").value = "Ellie Capstick"`)
		w.click("Show")
		w.full("log-error")

		w.goTo("/log/" + h.latest(t, "detective", "read"))
		w.full("log-event")
		if text := w.text(); !strings.Contains(text, "Decided again: same answer.") || !strings.Contains(text, "DC Priya Mistry") || !strings.Contains(text, "Receipt matches.") {
			t.Errorf("the access is not explained, or not decided again the same:\n%.2500s", text)
		}
		w.script(`for (const d of document.querySelectorAll("details")) d.open = true`)
		w.full("log-event-entries")

		w.click("State of the log")
		w.full("log-state")

		w.click("Review queue")
		w.full("log-reviews")
		// J and K move while the list has the focus, and nowhere else.
		w.script(`document.querySelector("main h1").tabIndex = -1; document.querySelector("main h1").focus()`)
		w.keys("j")
		if ask(w, chromedp.Evaluate[bool](`document.activeElement.matches(".k-queue__open")`)) {
			t.Error("a letter moves the focus outside the list")
		}
		w.script(`document.querySelector("a.k-queue__open").focus()`)
		w.keys("j")
		if n := ask(w, chromedp.Evaluate[int](`[...document.querySelectorAll("a.k-queue__open")].indexOf(document.activeElement)`)); n != 1 {
			t.Errorf("after J the focus is at finding %d", n)
		}
		w.keys("k")
		w.full("log-reviews-keys")
		w.script(`document.querySelector("a.k-queue__open").focus()`)
		w.keys(keyEnter)
		w.waitFor(`document.querySelector("form[action$='/open'] button") !== null`)
		w.full("log-review")
		w.click("Open this review")
		w.full("log-review-opened")
		w.click("Settle this review")
		w.full("log-review-error")
		w.tick("Right, but poorly recorded")
		w.fill("#note", "Asked the manager, who knew of it.")
		w.click("Settle this review")
		w.full("log-reviews-settled")
		if !strings.Contains(w.text(), "The review is settled.") {
			t.Error("nobody says that the review is settled")
		}
		w.click("Figures of the reviews")
		w.full("log-review-figures")

		w.goTo("/log/" + h.latest(t, "social-worker", "read"))
		ref := personRef.FindString(ask(w, chromedp.Evaluate[string](`document.body.textContent`)))
		w.click("One person’s account")
		w.full("log-person")
		w.fill("#person", ref)
		w.click("Show the account")
		w.full("log-person-account")
		if !strings.Contains(w.text(), "What was shared about "+ref) {
			t.Error("there is no account")
		}

		w.goTo("/log/use")
		w.script(`document.querySelector("#owner").value = "CSC"`)
		w.click("Show")
		w.full("log-use")

		w.click("Exports")
		w.full("log-exports")
		w.script(`HTMLAnchorElement.prototype.click = function () { window.saved = this.download; }`) // a browser without a disk
		w.do(chromedp.Click(chromedp.CSS("form[data-export] button")))
		w.waitFor(`/^kith-log_.*\.ndjson$/.test(window.saved ?? "")`)
		w.waitFor(`!document.querySelector("[data-export-done]").hidden`)
		w.full("log-exports-done")
		if text := w.text(); !strings.Contains(text, "kith-verify export --key keys.txt kith-log_") || !regexp.MustCompile(`[0-9a-f]{64}`).MatchString(text) {
			t.Error("the page does not say what came and how to check it")
		}
	})
	t.Run("privacy officer", func(t *testing.T) {
		w := h.slowWindow(t, browser)
		w.signIn("privacy-officer-mh")
		w.full("privacy-officer-log")
		w.goTo("/log/use")
		w.full("privacy-officer-use")
		w.goTo("/log/reviews")
		w.full("privacy-officer-reviews")
		w.click("Sharing policy")
		if text := w.text(); !strings.Contains(text, "Accesses and reviews") || strings.Contains(ask(w, chromedp.Text(chromedp.CSS(".k-header__nav"))), "Review queue") {
			t.Error("the links of two hats are mixed")
		}
		w.click("Accesses and reviews")
		w.waitFor(`location.pathname === "/log"`)
	})
	t.Run("administrator", func(t *testing.T) {
		w := h.slowWindow(t, browser)
		w.signIn("admin")
		w.full("admin")
	})
	t.Run("social worker finds no such page", func(t *testing.T) {
		w := h.slowWindow(t, browser)
		w.signIn("social-worker")
		w.goTo("/log")
		w.check("log-refused")
		if !strings.Contains(w.text(), "Kith cannot show this") {
			t.Error("the log is open to a social worker")
		}
	})
}
