package web_test

import (
	"context"
	"fmt"
	"html"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
)

// TestOfficersWalk takes a real browser through the officers' task, from the
// grid's keyboard to the way back, with axe on every page.
func TestOfficersWalk(t *testing.T) { officersWalk(t) }

// TestScreenshotsOfOfficers is the same walk, for its pictures (make screenshots).
func TestScreenshotsOfOfficers(t *testing.T) {
	if os.Getenv("KITH_SCREENSHOTS") != "" {
		officersWalk(t)
	}
}

func officersWalk(t *testing.T) {
	h := newHub(t)
	browser := startChromium(t)
	author := h.slowWindow(t, browser)
	author.signIn("ig-author-csc")
	author.full("policy-matrix")
	author.goTo("/policy/drafts")
	author.full("policy-drafts")
	author.fill("#title", "Police see mental health involvement")
	author.click("Open a draft")
	draft := ask(author, chromedp.Evaluate[string](`location.pathname`))
	if !strings.HasPrefix(draft, "/policy/drafts/") {
		t.Fatalf("no draft was opened: %s", draft)
	}

	// The grid by keyboard alone: one tab stop, arrows, a letter sets a level.
	author.goTo(draft + "?purpose=CN")
	if n := ask(author, chromedp.Evaluate[int](`document.querySelectorAll("[data-grid] td a[tabindex='0']").length`)); n != 1 {
		t.Errorf("the grid has %d tab stops, want 1", n)
	}
	author.script(`document.querySelector("#c-childs-story\\.CSC a").focus()`)
	for _, step := range []struct{ key, want string }{
		{keyRight, "childs-story.MH"}, {keyDown, "care-status.MH"}, {keyEnd, "care-status.HOU"}, {keyHome, "care-status.CSC"}, {keyUp, "childs-story.CSC"}, {keyLeft, "childs-story.CSC"}, {keyPageDown, ""},
	} {
		author.keys(step.key)
		if at := author.focused(); step.want != "" && at != step.want {
			t.Errorf("the focus is at %s, want %s", at, step.want)
		}
	}
	author.focusCell("mh-involvement.POL")
	author.keys("s")
	author.waitFor(`document.querySelector("[data-grid-said]").textContent.includes("shared summary, was hidden. Wider.")`)
	if at := author.focused(); at != "mh-involvement.POL" {
		t.Errorf("after a change the focus is at %s", at)
	}
	author.full("policy-draft-by-key")
	author.focusCell("mh-involvement.POL") // the phone's width had hidden it
	author.keys("u")
	author.waitFor(`document.querySelector("[data-grid-said]").textContent.includes("as in force")`)
	author.keys(keyEnter)
	author.waitFor(`document.activeElement.id === "cell"`)
	author.keys(keyEscape)
	if at := author.focused(); at != "mh-involvement.POL" {
		t.Errorf("Escape leads to %s", at)
	}
	author.full("policy-cell-form")
	author.script(`document.querySelector("input[name=level][value=summary]").click(); document.querySelector(".govuk-details").open = true; document.querySelector("#role-detective").click()`)
	author.click("Save cell") // without a reason: an error, and what was chosen stays
	author.full("policy-cell-error")
	if !ask(author, chromedp.Evaluate[bool](`document.querySelector("input[name=level][value=summary]").checked && document.querySelector("#role-detective").checked`)) {
		t.Error("what was chosen is lost after an error")
	}
	author.fill("#why", "The detective at the core group needs to know whom to ask.")
	author.click("Save cell")
	author.waitFor(`document.activeElement.id === "cell"`)
	author.full("policy-cell")

	// A whole row: listed first, and left as it is.
	author.click("Change the whole row")
	author.full("policy-several")
	author.script(`document.querySelector("input[name=level][value=existence]").click()`)
	author.click("List what would change") // without a reason
	author.full("policy-several-error")
	author.fill("#why", "A trial")
	author.click("List what would change")
	author.full("policy-several-list")
	if !strings.Contains(author.text(), "Nothing is saved yet.") {
		t.Error("the list does not say that nothing is saved")
	}

	// The story that says otherwise is told anew, as text.
	const story = "stories/police-and-treatment.yaml"
	rules := "/policy/rules?draft=" + strings.TrimPrefix(draft, "/policy/drafts/")
	author.goTo(rules + "&file=" + story + "&plain")
	author.full("policy-rules-plain")
	text := ask(author, chromedp.Evaluate[string](`document.getElementById("text").value`))
	author.script(fmt.Sprintf(`document.getElementById("text").value = %q`, strings.Replace(text, toldToday, toldAnew, 1)))
	author.click("Save file")
	author.goTo(rules)
	author.fill("#name", "local/evenings.rego")
	author.click("Make the file")
	author.waitFor(`document.querySelector(".k-codeframe")?.shadowRoot.querySelector(".cm-content") != null`)
	author.script(`document.querySelector(".k-codeframe").shadowRoot.querySelector(".cm-content").focus()`)
	author.keys("\r# typed here\nshut if input.caller.agency == \"POL\"\n")
	author.waitFor(`document.getElementById("text").value.includes("# typed here")`)
	author.waitFor(`document.querySelector("[data-check-list]").children.length > 0`) // it has no title: the checks say so
	if !ask(author, chromedp.Evaluate[bool](`document.querySelector(".k-codeframe").shadowRoot.adoptedStyleSheets.length > 0 && getComputedStyle(document.querySelector(".k-codeframe").shadowRoot.querySelector(".cm-gutters")).borderRightStyle === "solid"`)) {
		t.Error("the editor has no style under the content security policy")
	}
	author.full("policy-rules")
	author.click("Remove this file")
	author.click("Run stories and tests")
	author.waitFor(`document.querySelector(".k-editor__side strong") != null`)
	author.full("policy-rules-tests")

	author.goTo("/policy/try?draft=" + strings.TrimPrefix(draft, "/policy/drafts/") + "&story=" + story + "&agency=POL&role=detective&purpose=FS")
	author.full("policy-try")
	author.goTo(draft + "/changes")
	author.full("policy-changes")
	author.fill("#why", "Police asked for it at the board")
	author.click("Submit for approval")
	proposal := ask(author, chromedp.Evaluate[string](`location.pathname`))
	author.full("approval-author")
	if strings.Contains(author.text(), "Publish this version") {
		t.Error("the author can publish alone")
	}
	h.weigh(t)
	author.click("Send a reminder")
	author.full("approval-reminded")
	author.click("Download the report")
	author.full("approval-report")

	before := h.seesInvolvement(t)
	mh := h.slowWindow(t, browser)
	mh.signIn("ig-approver-mh")
	mh.goTo("/approvals")
	mh.full("approvals")
	mh.goTo(proposal)
	mh.full("approval")
	mh.do(chromedp.Click(chromedp.CSS("#decision")))
	mh.fill("#why", "In the children's interest")
	mh.click("Record the decision")
	mh.full("approval-approved")
	author.goTo(proposal)
	author.click("Publish this version")
	author.full("approval-published")
	opened := h.seesInvolvement(t)
	if len(before) != 0 || len(opened) == 0 {
		t.Fatalf("the detective saw %d, and after publication %d", len(before), len(opened))
	}

	mh.goTo("/agreements")
	mh.full("agreements")
	mh.goTo("/agreements/isa-family-safeguarding")
	mh.full("agreement")
	mh.click("Stop this agreement")
	mh.full("agreement-stop")
	mh.fill("#reason", "A breach was reported")
	mh.click("Go on")
	mh.full("agreement-stop-confirm")
	mh.click("Stop this agreement now")
	mh.full("agreement-stopped")
	if left := h.seesInvolvement(t); len(left) != 0 {
		t.Errorf("after the stop the detective still sees %d", len(left))
	}
	mh.goTo("/policy/versions")
	mh.full("policy-versions")
	mh.do(chromedp.Click(chromedp.CSS("td details summary")), chromedp.WaitVisible(chromedp.CSS("td details textarea")))
	mh.fill("td details textarea", "The trial is over")
	mh.click("Propose the return")
	h.weigh(t)
	mh.do(chromedp.Reload())
	mh.click("Publish this version")
	mh.goTo("/policy")
	if !strings.Contains(mh.text(), "This is version 1,") {
		t.Error("the earlier version is not in force")
	}

	mh.goTo("/policy/documents")
	mh.full("policy-documents")
	mh.goTo("/policy/documents/processing")
	mh.full("policy-document")

	dpo := h.slowWindow(t, browser)
	dpo.signIn("privacy-officer-mh")
	dpo.check("policy-matrix-privacy-officer")
	worker := h.slowWindow(t, browser)
	worker.signIn("detective")
	worker.goTo("/policy")
	worker.full("policy-refused")
}

const (
	keyLeft, keyUp, keyRight, keyDown = "\u0302", "\u0304", "\u0303", "\u0301"
	keyEnd, keyHome, keyPageDown      = "\u0305", "\u0306", "\u0307"
	keyEnter, keyEscape               = "\r", "\u001b"
)

// slowWindow is a window for a walk that waits for change reports.
func (h *hub) slowWindow(t *testing.T, browser context.Context) *window {
	t.Helper()
	return h.windowFor(t, browser, 6*time.Minute)
}

// full looks at a page on a desk and on a phone.
func (w *window) full(name string) {
	w.t.Helper()
	w.check(name)
	w.narrow(name)
	if n := ask(w, chromedp.Evaluate[int](`document.documentElement.outerHTML.length`)); n > 150_000 {
		w.t.Errorf("%s: the page has %d characters", name, n)
	}
}

func (w *window) fill(selector, text string) {
	w.t.Helper()
	w.do(chromedp.WaitVisible(chromedp.CSS(selector)), chromedp.SetValue(chromedp.CSS(selector), text))
}

// script runs something on the page that answers nothing.
func (w *window) script(text string) {
	w.t.Helper()
	ask(w, chromedp.Evaluate[string]("(() => { "+text+"; return ''; })()"))
}

func (w *window) keys(text string) { w.t.Helper(); w.do(chromedp.KeyEvent(text)) }

func (w *window) focusCell(id string) {
	w.t.Helper()
	w.script(fmt.Sprintf(`document.getElementById("c-%s").querySelector("a").focus()`, id))
}

// focused names the cell that has the focus.
func (w *window) focused() string {
	w.t.Helper()
	return strings.TrimPrefix(ask(w, chromedp.Evaluate[string](`document.activeElement.closest("td")?.id ?? document.activeElement.id ?? ""`)), "c-")
}

// waitFor asks the page until a condition holds. A page that is just being left
// cannot answer: the next one will.
func (w *window) waitFor(condition string) {
	w.t.Helper()
	for until := time.Now().Add(90 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if holds, err := chromedp.Run(w.ctx, chromedp.Evaluate[bool](condition)); err == nil && holds {
			return
		} else if time.Now().After(until) || w.ctx.Err() != nil {
			w.t.Fatalf("never: %s (%v)", condition, err)
		}
	}
}

// seesInvolvement lists the families whose record shows the detective the
// involvement of mental health, under the plan's purpose.
func (h *hub) seesInvolvement(t *testing.T) []string {
	t.Helper()
	b := h.as(t, "detective")
	rows, err := h.admin.Query(t.Context(), `SELECT DISTINCT m.family FROM entry_version v JOIN entry_subject s ON s.version = v.id JOIN membership m ON m.person = s.person
		WHERE v.latest AND v.section = 'mh-involvement' AND m.confirmed_by IS NOT NULL`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var families []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			t.Fatal(err)
		}
		families = append(families, id)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	for _, id := range families {
		if strings.Contains(html.UnescapeString(b.open(id, "FS").body), "/parts/mh-involvement") {
			seen = append(seen, id.String())
		}
	}
	return seen
}
