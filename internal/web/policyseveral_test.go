package web_test

import (
	"encoding/csv"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"kith/internal/outbox"
)

var cellBox = regexp.MustCompile(`name="cell" value="([^"]+)"`)

// TestWholeRowAndColumn: what would change is listed, nothing is saved before the
// second press, and what was changed meanwhile is not overwritten.
func TestWholeRowAndColumn(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	author := h.as(t, "ig-author-csc")
	draft := author.newDraft("Less of mental health risk")

	if page := author.get(draft + "/several?purpose=CN&which=row.mh-risk"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, `value="row.mh-risk" selected`) {
		t.Fatalf("status %d", page.StatusCode)
	}
	form := url.Values{"purpose": {"CN"}, "which": {"row.mh-risk"}, "level": {"existence"}, "why": {""}, "do": {"look"}}
	if a := author.post(draft+"/several", form); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, `id="why-error"`) || !strings.Contains(a.body, `value="existence" id="level-existence" checked`) {
		t.Errorf("no reason: status %d", a.StatusCode)
	}
	form.Set("why", "less is enough")
	list := author.post(draft+"/several", form)
	for _, want := range []string{"9 cells would change", "1 cell stays as it is", "They own it.", "▼ Narrower", "▲ Wider", "Save these cells"} {
		if !strings.Contains(list.body, want) {
			t.Errorf("the list does not say %q", want)
		}
	}
	if page := author.get(draft); !strings.Contains(page.body, "Nothing is changed yet.") {
		t.Fatal("looking has saved something")
	}
	var cells []string
	for _, found := range cellBox.FindAllStringSubmatch(list.body, -1) {
		if found[1] != "mh-risk.CSC" { // unticked
			cells = append(cells, found[1])
		}
	}
	save := url.Values{"purpose": {"CN"}, "which": {"row.mh-risk"}, "level": {"existence"}, "why": {"less is enough"}, "do": {"save"}, "cell": cells, "seen": {field(t, list.body, "seen")}}
	a := author.post(draft+"/several", save)
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("saving: status %d\n%.3000s", a.StatusCode, a.body)
	}
	page := author.get(a.Header.Get("Location"))
	if !strings.Contains(page.body, "8 cells changed") || !strings.Contains(page.body, "less is enough") || !strings.Contains(page.body, "all of them. Nothing changes for anybody") {
		t.Errorf("not eight cells are changed:\n%.2500s", page.body)
	}
	if a := author.post(draft+"/several", save); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "Somebody changed one of these cells") {
		t.Errorf("a list that is no longer true is saved: status %d", a.StatusCode)
	}

	column := url.Values{"purpose": {"CN"}, "which": {"column.SCH"}, "level": {"hidden"}, "why": {"a trial"}, "do": {"look"}}
	list = author.post(draft+"/several", column)
	if !strings.Contains(list.body, "It is never shared, and no draft can change that.") || !strings.Contains(list.body, "It is so already.") {
		t.Errorf("the column's list does not say what stays:\n%.2500s", list.body)
	}
	column.Set("do", "save")
	column.Set("seen", field(t, list.body, "seen"))
	if a := author.post(draft+"/several", column); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "Tick at least one cell") {
		t.Errorf("nothing ticked: status %d", a.StatusCode)
	}
	for _, found := range cellBox.FindAllStringSubmatch(list.body, -1) {
		column.Add("cell", found[1])
	}
	if a := author.post(draft+"/several", column); a.StatusCode != http.StatusSeeOther {
		t.Errorf("a column: status %d\n%.3000s", a.StatusCode, a.body)
	}
	if a := h.as(t, "ig-approver-mh").get(draft + "/several"); a.StatusCode != http.StatusForbidden {
		t.Errorf("an approver changes a row: status %d", a.StatusCode)
	}
}

// TestCellTellsItsUse: how often what a cell opens was shown in 90 days, and
// looking at that is an event.
func TestCellTellsItsUse(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.accessed(t)
	author := h.as(t, "ig-author-csc")
	before := h.events(t)
	cell := author.get("/policy/cells/identity.POL?purpose=CN")
	if !strings.Contains(cell.body, "in 90 days, by 1 of 1 agencies.") || !strings.Contains(cell.body, "1 access, last on "+time.Now().UTC().Format("2 January 2006")) {
		t.Errorf("the panel does not say that the detective was shown it:\n%s", cell.body[max(0, strings.Index(cell.body, "k-facts")):])
	}
	if h.events(t) != before+1 {
		t.Errorf("looking at the use left %d events", h.events(t)-before)
	}
	if cell := author.get("/policy/cells/education.HOU?purpose=CN"); !strings.Contains(cell.body, "Nobody was shown it by this rule in 90 days.") {
		t.Error("a cell that nobody used does not say so")
	}
	if cell := author.get("/policy/cells/therapy-notes.SCH?purpose=CN"); strings.Contains(cell.body, "in 90 days") {
		t.Error("a cell that is never shared has a use")
	}
}

// TestReminderAndReport: approvers are asked again at most once a day, and the
// report can be taken away as a page and as a table.
func TestReminderAndReport(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	author := h.as(t, "ig-author-csc")
	draft := author.newDraft("Police see mental health involvement")
	if a := author.setCell(draft, "mh-involvement.POL", "CN", url.Values{"level": {"summary"}, "role": {"detective"}, "why": {"=asked for at the board"}}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("status %d\n%.3000s", a.StatusCode, a.body)
	}
	author.retell(draft)
	if page := author.get(draft + "/report"); page.StatusCode != http.StatusOK || !strings.Contains(page.body, "Change report of the draft: Police see mental health involvement") {
		t.Errorf("the draft's report: status %d", page.StatusCode)
	}
	changes := author.get(draft + "/changes")
	a := author.post(draft+"/submission", url.Values{"revision": {field(t, changes.body, "revision")}, "why": {"=police asked for it"}})
	if a.StatusCode != http.StatusSeeOther {
		t.Fatalf("submission: status %d\n%.3000s", a.StatusCode, a.body)
	}
	at, _, _ := strings.Cut(a.Header.Get("Location"), "?")

	if page := author.get(at); !strings.Contains(page.body, "Send a reminder") {
		t.Fatalf("there is no reminder to send:\n%.2000s", page.body)
	}
	if a := h.as(t, "privacy-officer-mh").post(at+"/reminder", url.Values{}); a.StatusCode != http.StatusForbidden {
		t.Errorf("somebody else sends a reminder: status %d", a.StatusCode)
	}
	messages := func() (n int) {
		t.Helper()
		if err := h.outbox.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := h.outbox.List(t.Context(), "MH", [16]byte{}, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if m.Kind == outbox.ApprovalWaiting {
				n++
			}
		}
		return n
	}
	if n := messages(); n != 1 {
		t.Fatalf("%d messages before a reminder, want 1", n)
	}
	if a := author.post(at+"/reminder", url.Values{}); a.StatusCode != http.StatusSeeOther {
		t.Fatalf("a reminder: status %d\n%.2000s", a.StatusCode, a.body)
	}
	for range 2 {
		if n := messages(); n != 2 {
			t.Errorf("%d messages after a reminder, want 2", n)
		}
	}
	page := author.get(at)
	if !strings.Contains(page.body, "Northby and Dale Mental Health Trust was asked again on "+time.Now().Format("2 January 2006")) || strings.Contains(page.body, ">Send a reminder<") {
		t.Errorf("the page does not say who was asked again:\n%.2500s", page.body)
	}
	if a := author.post(at+"/reminder", url.Values{}); a.StatusCode != http.StatusConflict || !strings.Contains(a.body, "asked again today already") {
		t.Errorf("a second reminder on one day: status %d", a.StatusCode)
	}
	var asked int
	if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM access_event WHERE kind = 'policy' AND position('"reminded"' IN convert_from(common, 'UTF8')) > 0`).Scan(&asked); err != nil || asked != 1 {
		t.Errorf("%d events of reminders, want 1: %v", asked, err)
	}

	h.weigh(t)
	report := author.get(at + "/report")
	for _, want := range []string{"Change report of proposal", "What the author wrote", "Police", "sees more", "hidden", "shared summary", "Northby and Dale Mental Health Trust", "Waiting", "Download as a page (HTML)"} {
		if !strings.Contains(report.body, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	file := author.get(at + "/report?format=html")
	if file.StatusCode != http.StatusOK || !strings.Contains(file.Header.Get("Content-Disposition"), `.html"`) || !strings.Contains(file.body, "<h1>Change report of proposal") || strings.Contains(file.body, "<script") {
		t.Errorf("the page to keep: status %d, %q", file.StatusCode, file.Header.Get("Content-Disposition"))
	}
	table := author.get(at + "/report?format=csv")
	rows, err := csv.NewReader(strings.NewReader(table.body)).ReadAll()
	if err != nil || len(rows) < 10 {
		t.Fatalf("status %d, %d rows: %v", table.StatusCode, len(rows), err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
				t.Errorf("a cell is a formula: %q", cell)
			}
		}
	}
}
