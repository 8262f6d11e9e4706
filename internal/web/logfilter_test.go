package web_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"kith/internal/disclosure"
)

// TestLogFilters: by part of the record and out of hours, with days as the UK
// writes them.
func TestLogFilters(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.accessed(t)
	auditor := h.as(t, "auditor")
	today := time.Now().Format("2 January 2006")

	a := auditor.post("/log", url.Values{"from": {today}, "until": {today}, "part": {"police-intelligence-p"}})
	at := a.Header.Get("Location")
	if a.StatusCode != http.StatusSeeOther || !strings.Contains(at, "part=police-intelligence-p") || !strings.Contains(at, "from="+time.Now().Format(time.DateOnly)) {
		t.Fatalf("status %d to %q", a.StatusCode, at)
	}
	list := auditor.get(strings.TrimSuffix(at, "#results"))
	if strings.Contains(list.body, "Grace Adeyemi") || !strings.Contains(list.body, "Police intelligence") {
		t.Errorf("police intelligence was not shown to the social worker, but her access is listed:\n%.2500s", list.body)
	}
	list = auditor.get("/log?part=identity")
	if !strings.Contains(list.body, "Grace Adeyemi") || !strings.Contains(list.body, "There is no picture for this filter.") {
		t.Errorf("an access that showed who they are is not listed:\n%.2500s", list.body)
	}
	if list := auditor.get("/log?part=" + url.QueryEscape("identity'--")); list.StatusCode != http.StatusBadRequest {
		t.Errorf("what is no code: status %d", list.StatusCode)
	}
	// An officer finds by a part only what that officer is told of.
	officer := h.as(t, "privacy-officer-sm")
	if list := officer.get("/log?part=mh-risk"); strings.Contains(list.body, "Grace Adeyemi") {
		t.Error("another agency's part of the record is found by its name")
	}

	now := time.Now()
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		name          string
		opens, closes time.Duration
		listed        bool
	}{
		{"round the clock", 0, 24 * time.Hour, false},
		{"a minute a day, long ago or long to come", minuteFarFrom(now.In(london)), minuteFarFrom(now.In(london)) + time.Minute, true},
	} {
		h.reviews.Rules = disclosure.WatchRules{Opens: x.opens, Closes: x.closes}
		list := auditor.get("/log?only=hours")
		if got := strings.Contains(list.body, "Grace Adeyemi"); got != x.listed {
			t.Errorf("working hours %s: the access is listed: %v, want %v", x.name, got, x.listed)
		}
	}
}

// minuteFarFrom is a time of the day half a day from now.
func minuteFarFrom(now time.Time) time.Duration {
	return (time.Duration(now.Hour()+12) % 24) * time.Hour
}

// TestAccountAsATable: one person's account is the same from the page as a table,
// and no cell of it begins a formula.
func TestAccountAsATable(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	if _, err := h.admin.Exec(t.Context(), `UPDATE worker SET name = '=HYPERLINK("x")' WHERE id = $1`, h.people["social-worker"].Worker); err != nil {
		t.Fatal(err)
	}
	h.accessed(t)
	auditor := h.as(t, "auditor")
	ref := personRef.FindString(auditor.get("/log/" + h.latest(t, "social-worker", "read")).body)
	form := url.Values{"person": {ref}, "from": {"2020-01-01"}, "until": {time.Now().Format(time.DateOnly)}}
	page := auditor.get("/log/person?" + form.Encode())
	if !strings.Contains(page.body, "Download this account (CSV)") {
		t.Fatalf("the page offers no table:\n%.2000s", page.body)
	}
	before := h.events(t)
	file := auditor.post("/log/person/file", form)
	if file.StatusCode != http.StatusOK || !strings.Contains(file.Header.Get("Content-Disposition"), "attachment") || !strings.HasPrefix(file.Header.Get("Content-Type"), "text/csv") {
		t.Fatalf("status %d, %q", file.StatusCode, file.Header.Get("Content-Disposition"))
	}
	rows, err := csv.NewReader(strings.NewReader(file.body)).ReadAll()
	if err != nil || len(rows) < 2 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	found := false
	for _, row := range rows[1:] {
		for _, cell := range row {
			found = found || strings.HasPrefix(cell, "'=HYPERLINK")
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
				t.Errorf("a cell is a formula: %q", cell)
			}
		}
	}
	if !found {
		t.Errorf("the worker's name is not in the table: %.600s", file.body)
	}
	if h.events(t) <= before {
		t.Error("taking the table left no row in the log")
	}
	if a := auditor.post("/log/person/file", url.Values{"person": {"Ellie Capstick"}, "from": {"2020-01-01"}, "until": {"2030-01-01"}}); a.StatusCode != http.StatusNotFound {
		t.Errorf("a table by name: status %d", a.StatusCode)
	}
	if a := h.as(t, "detective").post("/log/person/file", form); a.StatusCode != http.StatusNotFound {
		t.Errorf("a detective takes an account: status %d", a.StatusCode)
	}
}

// TestExportTellsHowMuchComes: the page's script says how far a file is by it.
func TestExportTellsHowMuchComes(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.accessed(t)
	now := time.Now()
	a := h.as(t, "auditor").post("/log/exports", url.Values{"format": {"csv"}, "from-day": {"1"}, "from-month": {"1"}, "from-year": {"2020"},
		"until-day": {now.Format("2")}, "until-month": {now.Format("1")}, "until-year": {now.Format("2006")}})
	told, err := strconv.Atoi(a.Header.Get("Kith-Events"))
	if a.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("status %d, Kith-Events %q", a.StatusCode, a.Header.Get("Kith-Events"))
	}
	// The export's own event may be in the file or not.
	if lines := strings.Count(a.body, "\r\n") - 1; lines < told || lines > told+1 {
		t.Errorf("%d lines, and %d events were told", lines, told)
	}
}
