package web_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWorkersPages(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	story := h.stories["three-ways"]
	at := "/families/" + story.ID.String()

	t.Run("one click from the list to the record", func(t *testing.T) {
		b := h.as(t, "social-worker")
		list := b.get("/")
		if !strings.Contains(list.body, "Capstick family") || !strings.Contains(list.body, `action="`+at+`/purpose"`) {
			t.Fatalf("the family is not on the list:\n%.2000s", list.body)
		}
		a := b.post(at+"/purpose", url.Values{"purpose": {"FS"}}) // no reason: the allocated worker is asked for none
		page := b.get(a.Header.Get("Location"))
		for _, want := range []string{"Family " + story.Ref + " – Kith", "Ellie Capstick", "Told 3 ways.", "Police keep callers&#39; names", "This view is recorded.",
			"This may not be all that is known.", "01632 960102", "kith-receipt-1."} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if title := page.body[strings.Index(page.body, "<title>"):strings.Index(page.body, "</title>")]; strings.Contains(title, "Capstick") {
			t.Errorf("the title names the family: %s", title)
		}
	})
	t.Run("the list is logged once and holds only what would open", func(t *testing.T) {
		b := h.as(t, "family-support-worker") // a parent in one of the families
		before := h.events(t)
		list := b.get("/")
		if n := h.events(t) - before; n != 1 {
			t.Errorf("%d events for one list", n)
		}
		if !strings.Contains(list.body, "Open the record") || strings.Contains(list.body, "Fairley family") {
			t.Error("the list is empty, or has the worker's own family on it")
		}
		walled := h.as(t, "perpetrator-practitioner").get("/")
		if !strings.Contains(walled.body, "Open the record") || strings.Contains(walled.body, "MARAC") {
			t.Error("the walled worker's list is empty, or tells of a MARAC")
		}
	})
	t.Run("no purpose, no record", func(t *testing.T) {
		b := h.as(t, "social-worker")
		before := h.events(t)
		a := b.get(at)
		if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != at+"/purpose" {
			t.Errorf("status %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
		if h.events(t) != before {
			t.Error("something was read")
		}
	})
	t.Run("a purpose belongs to the session that stated it", func(t *testing.T) {
		one, other := h.as(t, "social-worker"), h.as(t, "social-worker")
		if a := one.open(story.ID, "FS"); a.StatusCode != http.StatusOK {
			t.Fatalf("status %d", a.StatusCode)
		}
		if a := other.get(at); a.StatusCode != http.StatusSeeOther {
			t.Errorf("the other session: status %d", a.StatusCode)
		}
	})
	t.Run("a reason is asked for where it is needed, and what was typed is kept", func(t *testing.T) {
		b := h.as(t, "team-manager")
		a := b.post(at+"/purpose", url.Values{"purpose": {"FS"}})
		page := b.get(a.Header.Get("Location"))
		if page.StatusCode != http.StatusBadRequest || !strings.Contains(page.body, "Say why you need this record now") {
			t.Errorf("status %d\n%.1500s", page.StatusCode, page.body)
		}
		long := strings.Repeat("reason ", 300)
		page = b.post(at+"/purpose", url.Values{"purpose": {"FS"}, "reason": {long}})
		if page.StatusCode != http.StatusBadRequest || !strings.Contains(page.body, long[:200]) {
			t.Errorf("too long: status %d", page.StatusCode)
		}
	})
	t.Run("printing is an event with what was printed", func(t *testing.T) {
		b := h.as(t, "social-worker")
		b.open(story.ID, "FS")
		if a := b.post(at+"/print", url.Values{}); a.StatusCode != http.StatusBadRequest {
			t.Errorf("nothing chosen: status %d", a.StatusCode)
		}
		a := b.post(at+"/print", url.Values{"block": {"brief", "line"}})
		if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Printed by Grace Adeyemi") || strings.Contains(a.body, `id="stories"`) {
			t.Errorf("status %d", a.StatusCode)
		}
		var n int
		if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM access_event WHERE kind = 'print' AND family = $1`, story.ID).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d prints in the log, %v", n, err)
		}
		if own := b.get("/me/accesses"); !strings.Contains(own.body, "Printed") {
			t.Error("the print is not among the worker's own accesses")
		}
	})
	t.Run("a part that is hidden, empty or unknown is one page", func(t *testing.T) {
		b := h.as(t, "perpetrator-practitioner")
		b.open(h.stories["trio"].ID, "FS")
		var pages []string
		for _, part := range []string{"da-victim-safety", "court-papers", "no-such-part"} {
			a := b.get("/families/" + h.stories["trio"].ID.String() + "/parts/" + part)
			pages = append(pages, tidy(a.body))
			if a.StatusCode != http.StatusOK || !strings.Contains(a.body, "Nothing has been shared with you.") {
				t.Errorf("%s: status %d", part, a.StatusCode)
			}
		}
		if pages[0] != pages[1] || pages[1] != pages[2] {
			t.Errorf("they differ:\n%s", cmp.Diff(strings.Split(pages[0], "\n"), strings.Split(pages[2], "\n")))
		}
	})
	t.Run("nothing of the record is logged by the face", func(t *testing.T) {
		for _, trace := range []string{"Capstick", story.ID.String(), "Grace", "reason "} {
			if strings.Contains(h.output.String(), trace) {
				t.Errorf("the log has %q", trace)
			}
		}
	})
}

// TestHiddenEntryLeavesNoTrace takes what the walled reader may not see out of
// the database, and looks that no byte of any page changes.
func TestHiddenEntryLeavesNoTrace(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	family := h.stories["trio"].ID
	b := h.as(t, "perpetrator-practitioner")
	at := "/families/" + family.String()
	paths := []string{"/entries/new?family=" + family.String(), "/entries/new?family=" + family.String() + "&part=da-perpetrator-work&about=x"}
	for _, link := range h.linksOf(b, family) {
		paths = append(paths, link)
	}
	if len(paths) < 6 {
		t.Fatalf("the page leads to %d pages of people and entries", len(paths)-2)
	}
	read := func() []string {
		pages := []string{tidy(b.get("/").body), tidy(b.open(family, "FS").body)}
		for _, path := range paths {
			pages = append(pages, tidy(b.get(path).body))
		}
		for _, path := range []string{"?since=all", "/parts/identity", "/parts/da-risk", "/purpose"} {
			pages = append(pages, tidy(b.get(at+path).body))
		}
		return append(pages, tidy(b.post(at+"/print", url.Values{"block": {"brief", "story", "family", "involved", "line", "parts"}}).body))
	}
	before := read()
	// The forms name every part of any record, as the catalogue does.
	record := slices.DeleteFunc(slices.Clone(before), func(page string) bool { return strings.Contains(page, `id="contains"`) })
	if len(record) < len(before)-1 || strings.Contains(strings.Join(record, ""), "safety of the harmed person") {
		t.Fatal("the walled reader sees what must be hidden")
	}
	const hidden = `SELECT v.id FROM entry_version v JOIN entry_subject s ON s.version = v.id JOIN membership m ON m.person = s.person
	                 WHERE m.family = $1 AND v.section IN ('da-victim-safety', 'usual-address', 'marac', 'third-party', 'former-names')`
	var ids []int64
	if err := h.admin.QueryRow(t.Context(), `SELECT array_agg(DISTINCT id) FROM (`+hidden+`) x`, family).Scan(&ids); err != nil || len(ids) == 0 {
		t.Fatalf("there is nothing to take out: %v", err)
	}
	for _, sql := range []string{`DELETE FROM entry_subject WHERE version = ANY ($1)`, `DELETE FROM entry_version WHERE id = ANY ($1)`} {
		if _, err := h.admin.Exec(t.Context(), sql, ids); err != nil {
			t.Fatal(err)
		}
	}
	after := read()
	for i := range before {
		if diff := cmp.Diff(strings.Split(before[i], "\n"), strings.Split(after[i], "\n")); diff != "" {
			t.Errorf("page %d differs:\n%s", i, diff)
		}
	}
}
