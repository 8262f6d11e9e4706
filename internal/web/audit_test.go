package web_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// accessed lets two workers read the same family, one of them in vain.
func (h *hub) accessed(t *testing.T) uuid.UUID {
	t.Helper()
	story := h.stories["three-ways"]
	if page := h.as(t, "social-worker").open(story.ID, "FS"); page.StatusCode != http.StatusOK {
		t.Fatalf("the social worker reads nothing: status %d", page.StatusCode)
	}
	detective := h.as(t, "detective")
	if page := detective.open(story.ID, "FS"); page.StatusCode != http.StatusOK {
		t.Logf("the detective is answered with status %d", page.StatusCode)
	}
	h.seal(t)
	return story.ID
}

// latest gives the newest event of a worker that has this outcome.
func (h *hub) latest(t *testing.T, name, kind string) string {
	t.Helper()
	var id uuid.UUID
	err := h.admin.QueryRow(t.Context(), `SELECT id FROM access_event WHERE worker = $1 AND kind = $2 ORDER BY occurred_at DESC LIMIT 1`, h.people[name].Worker, kind).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

var personRef = regexp.MustCompile(`r-[a-z2-7]{16}`)

// TestAuditPages walks the auditor's and the privacy officer's tasks without
// script: each page is read, and each form is sent as a browser sends it.
func TestAuditPages(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	family := h.accessed(t)
	auditor := h.as(t, "auditor")

	t.Run("the list says who looked, and its filter stands in the address", func(t *testing.T) {
		page := auditor.get("/log")
		for _, want := range []string{"The log is whole.", "Grace Adeyemi", "DC Priya Mistry", "Check it yourself", "audit and assurance", `role="img"`, "Explain"} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		if strings.Contains(page.body, "Capstick") {
			t.Error("a person of the record is named")
		}
		form := url.Values{"from": {time.Now().AddDate(0, 0, -3).Format(time.DateOnly)}, "until": {time.Now().Format(time.DateOnly)}, "agency": {"POL"}, "about": {family.String()}}
		a := auditor.post("/log", form)
		at := a.Header.Get("Location")
		if a.StatusCode != http.StatusSeeOther || !strings.Contains(at, "agency=POL") || !strings.Contains(at, "about="+family.String()) {
			t.Fatalf("status %d to %q", a.StatusCode, at)
		}
		list := auditor.get(strings.TrimSuffix(at, "#results"))
		if !strings.Contains(list.body, "DC Priya Mistry") || strings.Contains(list.body, "Grace Adeyemi") {
			t.Error("the filter does not narrow the list to the police")
		}
		if !strings.Contains(list.body, "remove this filter") {
			t.Error("a chosen filter cannot be taken away")
		}
	})
	t.Run("what is no reference gets into no address", func(t *testing.T) {
		a := auditor.post("/log", url.Values{"about": {"Ellie Capstick"}})
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" || !strings.Contains(a.body, "Names are not searched for here") {
			t.Errorf("status %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
		a = auditor.post("/log/person", url.Values{"person": {"Ellie Capstick"}, "from": {"2026-01-01"}, "until": {"2026-12-31"}})
		if a.StatusCode != http.StatusBadRequest || a.Header.Get("Location") != "" {
			t.Errorf("an account by name: status %d to %q", a.StatusCode, a.Header.Get("Location"))
		}
	})
	t.Run("one access is explained, decided again and proved", func(t *testing.T) {
		id := h.latest(t, "social-worker", "read")
		page := auditor.get("/log/" + id)
		for _, want := range []string{"Who and why", "What allowed it", "What was shown", "What went with it", "Decided again: same answer.", "In the log.", "Receipt matches.", "kith-verify inclusion", "Entry by entry"} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the explanation does not say %q", want)
			}
		}
		file := auditor.get("/log/" + id + "/proof")
		place, err := proof.ParseInclusion([]byte(file.body))
		if err != nil {
			t.Fatalf("status %d: %v", file.StatusCode, err)
		}
		keys, err := proof.ParseKeyFile([]byte(auditor.get("/log/state/keys").body))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := place.Verify(proof.Leaf(place.Extra), keys); err != nil {
			t.Errorf("the proof does not verify: %v", err)
		}
		if a := auditor.get("/log/" + uuid.NewString()); a.StatusCode != http.StatusNotFound {
			t.Errorf("an unknown event: status %d", a.StatusCode)
		}
	})
	t.Run("an export verifies", func(t *testing.T) {
		now := time.Now()
		a := auditor.post("/log/exports", url.Values{"format": {"ndjson"}, "from-day": {"1"}, "from-month": {"1"}, "from-year": {"2020"},
			"until-day": {now.Format("2")}, "until-month": {now.Format("1")}, "until-year": {now.Format("2006")}})
		if a.StatusCode != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Disposition"), `attachment; filename="kith-log_`) {
			t.Fatalf("status %d, %q", a.StatusCode, a.Header.Get("Content-Disposition"))
		}
		keys, err := proof.ParseKeyFile([]byte(auditor.get("/log/state/keys").body))
		if err != nil {
			t.Fatal(err)
		}
		report, err := proof.VerifyExport(strings.NewReader(a.body), proof.VerifyOptions{Keys: keys})
		if err != nil || !report.Good() || report.Shown == 0 {
			t.Errorf("the export does not verify: %v, %d shown, %v", err, report.Shown, report.First)
		}
		if a := auditor.post("/log/exports", url.Values{"format": {"pdf"}}); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "Choose which file") {
			t.Errorf("a format that there is not: status %d", a.StatusCode)
		}
	})
	t.Run("a review shows nobody until it is opened, and asks for a finding and how it is known", func(t *testing.T) {
		queue := auditor.get("/log/reviews")
		if !regexp.MustCompile(`Review queue \(\d+\)</a>`).MatchString(queue.body) {
			t.Error("the link to the reviews does not say how many wait")
		}
		found := regexp.MustCompile(`href="(/log/reviews/[0-9a-f-]{36})"`).FindStringSubmatch(queue.body)
		if found == nil {
			t.Fatalf("the queue is empty:\n%.2000s", queue.body)
		}
		at := found[1]
		page := auditor.get(at)
		if !strings.Contains(page.body, "Open this review") || strings.Contains(page.body, `name="note"`) || strings.Contains(page.body, "Reason that was typed") {
			t.Error("a review that is not opened shows more than why it is here")
		}
		if a := auditor.post(at+"/close", url.Values{"outcome": {"right"}, "note": {"asked the manager, who knew of it"}}); a.StatusCode == http.StatusSeeOther {
			t.Error("a review that nobody opened was settled")
		}
		if a := auditor.post(at+"/open", url.Values{}); a.StatusCode != http.StatusSeeOther {
			t.Fatalf("opening: status %d\n%.1500s", a.StatusCode, a.body)
		}
		page = auditor.get(at)
		if !strings.Contains(page.body, "Reason that was typed") || !strings.Contains(page.body, `name="note"`) {
			t.Fatalf("an opened review does not show what was typed:\n%.2000s", page.body)
		}
		draft := field(t, page.body, "draft")
		a := auditor.post(at+"/close", url.Values{"draft": {draft}, "note": {"short"}})
		if a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "Choose what you found") || !strings.Contains(a.body, ">short<") {
			t.Errorf("without a finding: status %d", a.StatusCode)
		}
		a = auditor.post(at+"/close", url.Values{"draft": {draft}, "outcome": {"right"}, "note": {"asked the manager, who knew of it"}})
		if a.StatusCode != http.StatusSeeOther {
			t.Fatalf("settling: status %d\n%.2000s", a.StatusCode, a.body)
		}
		if done := auditor.get(a.Header.Get("Location")); !strings.Contains(done.body, "The review is settled.") || strings.Contains(done.body, at) {
			t.Error("the settled review still stands in the queue")
		}
		if closed := auditor.get(at); !strings.Contains(closed.body, "asked the manager, who knew of it") {
			t.Error("the note is not kept")
		}
		if f := auditor.get("/log/reviews/figures"); !strings.Contains(f.body, "1 settled") {
			t.Errorf("the figures do not count it:\n%.2000s", f.body)
		}
	})
	t.Run("one person's account", func(t *testing.T) {
		page := auditor.get("/log/" + h.latest(t, "social-worker", "read"))
		ref := personRef.FindString(page.body)
		if ref == "" {
			t.Fatal("nobody stands in the explanation by reference")
		}
		a := auditor.post("/log/person", url.Values{"person": {ref}, "from": {"2020-01-01"}, "until": {time.Now().Format(time.DateOnly)}})
		account := auditor.get(strings.TrimSuffix(a.Header.Get("Location"), "#account"))
		if !strings.Contains(html.UnescapeString(account.body), "What was shared about "+ref) || !strings.Contains(account.body, "Grace Adeyemi") || strings.Contains(account.body, "Capstick") {
			t.Errorf("status %d, no account of %s:\n%.2000s", account.StatusCode, ref, account.body)
		}
		nobody := auditor.get("/log/person?person=r-aaaaaaaaaaaaaaaa")
		if nobody.StatusCode != http.StatusOK || !strings.Contains(nobody.body, "Nothing was shared about this person") {
			t.Errorf("an account of nobody: status %d", nobody.StatusCode)
		}
	})
	t.Run("a privacy officer sees the own agency's side alone", func(t *testing.T) {
		officer := h.as(t, "privacy-officer-mh")
		page := officer.get("/log")
		if page.StatusCode != http.StatusOK || !strings.Contains(page.body, "You see the accesses to the information of") {
			t.Fatalf("status %d", page.StatusCode)
		}
		use := officer.get("/log/use?owner=POL")
		if strings.Contains(use.body, `name="owner"`) {
			t.Error("the officer can ask for another agency's information")
		}
		// A refusal of another agency's is not theirs, and is told apart from nothing by nothing.
		var denied uuid.UUID
		if err := h.admin.QueryRow(t.Context(), `SELECT id FROM access_event WHERE kind = 'sign-in' AND agency = 'POL' LIMIT 1`).Scan(&denied); err != nil {
			t.Fatal(err)
		}
		theirs, none := officer.get("/log/"+denied.String()), officer.get("/log/"+uuid.NewString())
		if theirs.StatusCode != http.StatusNotFound || tidy(theirs.body) != tidy(none.body) {
			t.Errorf("another agency's event: status %d", theirs.StatusCode)
		}
	})
	t.Run("looking is recorded", func(t *testing.T) {
		before := h.events(t)
		auditor.get("/log")
		if h.events(t) <= before {
			t.Error("a look at the log left no row in it")
		}
	})
}

// TestAuditPagesAreClosed: whoever has no business with the log finds the page
// that an unknown address has, and the log has that it was tried.
func TestAuditPagesAreClosed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	paths := []string{"/log", "/log/state", "/log/state/keys", "/log/reviews", "/log/reviews/figures", "/log/reviews/" + uuid.NewString(), "/log/person", "/log/use", "/log/exports", "/log/" + uuid.NewString(), "/log/" + uuid.NewString() + "/proof", "/admin"}
	for _, name := range []string{"social-worker", "detective", "team-manager", "ig-author-csc", "admin", "auditor"} {
		b := h.as(t, name)
		unknown := tidy(b.get("/nowhere").body)
		for _, path := range paths {
			open := path == "/admin" && name == "admin" || path != "/admin" && name == "auditor"
			if open {
				continue
			}
			before := h.events(t)
			a := b.get(path)
			if a.StatusCode != http.StatusNotFound || tidy(a.body) != unknown {
				t.Errorf("%s on %s: status %d, not the page of an unknown address", name, path, a.StatusCode)
			}
			if h.events(t) != before+1 {
				t.Errorf("%s on %s: the log does not have that it was tried", name, path)
			}
		}
		if name != "auditor" {
			for _, path := range []string{"/log", "/log/exports", "/log/reviews/" + uuid.NewString() + "/open"} {
				if a := b.post(path, url.Values{"format": {"csv"}}); a.StatusCode != http.StatusNotFound {
					t.Errorf("%s posts to %s: status %d", name, path, a.StatusCode)
				}
			}
		}
	}
	if a := h.browser(t).get("/log"); a.StatusCode != http.StatusSeeOther || !strings.HasPrefix(a.Header.Get("Location"), "/sign-in") {
		t.Errorf("without a session: status %d", a.StatusCode)
	}
	officer := h.as(t, "sar-officer")
	if a := officer.get("/log/person"); a.StatusCode != http.StatusOK {
		t.Errorf("the subject access officer's account: status %d", a.StatusCode)
	}
	if a := officer.get("/log"); a.StatusCode != http.StatusNotFound {
		t.Errorf("the subject access officer on the log: status %d", a.StatusCode)
	}
}

// TestAdministrationNamesNobody: the administrator's page shows machinery.
func TestAdministrationNamesNobody(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.accessed(t)
	admin := h.as(t, "admin")
	page := admin.get("/admin")
	for _, want := range []string{"Replica test is ready.", "https://issuer.test.example", "Messages", "Months that are due", "No alert stands."} {
		if !strings.Contains(page.body, want) && !strings.Contains(page.body, "No month is due.") {
			t.Errorf("the page does not say %q", want)
		}
	}
	if len(page.body) > 150_000 {
		t.Errorf("the page has %d bytes", len(page.body))
	}
	for name, who := range h.people {
		if name != "admin" && len(who.Name) > 6 && strings.Contains(page.body, who.Name) {
			t.Errorf("%s is named", name)
		}
	}
	rows, err := h.admin.Query(t.Context(), `SELECT DISTINCT contact_name FROM agency WHERE contact_name <> ''`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page.body, name) {
			t.Errorf("an agency's contact %q is named", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestStateOfTheLog: the three states in words, on the pages that say them first.
func TestStateOfTheLog(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	auditor := h.as(t, "auditor")
	if page := auditor.get("/log/state"); !strings.Contains(page.body, "There is no checkpoint yet.") || strings.Contains(page.body, "The log is whole.") {
		t.Errorf("a log without a checkpoint is called whole: status %d", page.StatusCode)
	}
	h.seal(t)
	if page := auditor.get("/log/state"); !strings.Contains(page.body, "The log is whole.") || !strings.Contains(page.body, "agrees with the database") || !strings.Contains(page.body, "hub.test.example/log") {
		t.Errorf("a whole log is not said to be: status %d\n%.3000s", page.StatusCode, page.body)
	}
	if _, err := h.admin.Exec(t.Context(), `UPDATE log_head SET checkpoint = overlay(checkpoint placing '\x39'::bytea from position('\x0a'::bytea in checkpoint) + 1)`); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/log", "/log/state", "/log/reviews", "/log/exports"} {
		if page := auditor.get(path); !strings.Contains(page.body, "The log is broken.") || !strings.Contains(page.body, "ring the hub") {
			t.Errorf("%s: a checkpoint that nobody signed is not told: status %d", path, page.StatusCode)
		}
	}
}
