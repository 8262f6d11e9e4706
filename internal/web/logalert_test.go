package web_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/uuid"

	"kith/internal/demo"
)

// An alert that stands in no review is taken up and settled on a page, by those
// who see it.
func TestAnAlertIsSettledOnItsPage(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	raise := func(kind string) uuid.UUID {
		t.Helper()
		id := uuid.New()
		if _, err := h.admin.Exec(t.Context(), `INSERT INTO alert (id, partnership, kind) VALUES ($1, $2, $3)`, id, demo.Partnership, kind); err != nil {
			t.Fatal(err)
		}
		return id
	}
	missing, late := raise("checkpoint-file-missing"), raise("log-late")
	for name, c := range map[string]struct{ list, under string }{"auditor": {"/log/state", "/log"}, "admin": {"/admin", "/admin"}} {
		b := h.as(t, name)
		at := c.under + "/alerts/" + missing.String()
		if page := b.get(c.list); !strings.Contains(page.body, at) || !strings.Contains(page.body, "has lost what it remembers") {
			t.Errorf("%s: %s does not lead to the alert", name, c.list)
		}
		if page := b.get(at); page.StatusCode != http.StatusOK || !strings.Contains(page.body, "What did you find?") {
			t.Fatalf("%s: status %d", name, page.StatusCode)
		}
		if a := b.post(at, url.Values{"note": {"short"}}); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "Choose what you found") || !strings.Contains(a.body, ">short<") {
			t.Errorf("%s: nothing chosen: status %d", name, a.StatusCode)
		}
		if page := b.get(c.under + "/alerts/" + uuid.NewString()); page.StatusCode != http.StatusNotFound {
			t.Errorf("%s: an unknown alert: status %d", name, page.StatusCode)
		}
	}
	admin, auditor := h.as(t, "admin"), h.as(t, "auditor")
	at := "/admin/alerts/" + late.String()
	form := admin.get(at)
	if strings.Contains(form.body, `value="put-right"`) {
		t.Error("what lasts can be settled")
	}
	note := "a backup was running; it has ended"
	if a := admin.post(at, url.Values{"draft": {field(t, form.body, "draft")}, "outcome": {"put-right"}, "note": {note}}); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "while its cause lasts") {
		t.Errorf("settling what lasts: status %d", a.StatusCode)
	}
	if a := admin.post(at, url.Values{"outcome": {"taken-up"}, "note": {note}}); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "in the log") {
		t.Errorf("taking it up: status %d", a.StatusCode)
	}
	if page := auditor.get("/log/state"); !strings.Contains(page.body, "Taken up") || strings.Contains(page.body, note) {
		t.Error("the alert that somebody looks into does not say so, or says what they wrote")
	}
	at = "/log/alerts/" + missing.String()
	sent := url.Values{"draft": {field(t, auditor.get(at).body, "draft")}, "outcome": {"nothing-wrong"}, "note": {"the disk was replaced on Tuesday"}}
	for range 2 { // the second press gets the same answer
		if a := auditor.post(at, sent); a.StatusCode != http.StatusOK || !strings.Contains(a.body, "in the log") {
			t.Fatalf("settling: status %d\n%.1500s", a.StatusCode, a.body)
		}
	}
	if page := auditor.get("/log/state"); strings.Contains(page.body, missing.String()) {
		t.Error("the settled alert still stands")
	}
	for _, name := range []string{"social-worker", "privacy-officer-mh"} {
		if page := h.as(t, name).get("/log/alerts/" + late.String()); page.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d", name, page.StatusCode)
		}
	}
}

// Whoever explains a print finds the reading that the sheet was made from, and
// what it held.
func TestAPrintLeadsToWhatWasPrinted(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.stories["three-ways"].ID
	worker := h.as(t, "social-worker")
	worker.open(story, "FS")
	if a := worker.post("/families/"+story.String()+"/print", url.Values{"block": {"brief", "parts"}}); a.StatusCode != http.StatusOK {
		t.Fatalf("status %d", a.StatusCode)
	}
	h.seal(t)
	read, sheet := h.latest(t, "social-worker", "read"), h.latest(t, "social-worker", "print")
	auditor := h.as(t, "auditor")
	page := auditor.get("/log/" + sheet)
	text := html.UnescapeString(page.body)
	for _, want := range []string{`href="/log/` + read + `"`, "the brief and every entry in full", "Shown in full:", "Entry by entry"} {
		if !strings.Contains(text, want) {
			t.Errorf("the explanation of the print does not say %q", want)
		}
	}
	if whole := auditor.get("/log/" + read); !strings.Contains(whole.body, "Entry by entry") || strings.Count(whole.body, `class="k-plain k-refs"`) != strings.Count(page.body, `class="k-plain k-refs"`) {
		t.Error("the print does not list what the reading released")
	}
}
