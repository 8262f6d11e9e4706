package family

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kith/internal/policy"
)

func shippedCatalogue(t testing.TB) Catalogue {
	t.Helper()
	v, err := policy.Load(os.DirFS("../../policies/default"))
	if err != nil {
		t.Fatal(err)
	}
	return CatalogueOf(v)
}

// submit sends a body as an agency's system and returns the report.
func (h *house) submit(agency, format, key, body string) ([]Line, Totals, error) {
	h.t.Helper()
	kind := agency
	var lines []Line
	s := Sender{Partnership: "northby", Agency: agency, Kind: kind, Principal: "system-" + strings.ToLower(agency), Now: clock()}
	totals, err := Submit(context.Background(), h.app, s, format, key, strings.NewReader(body), shippedCatalogue(h.t), func(l Line) { lines = append(lines, l) })
	return lines, totals, err
}

func (h *house) mustSubmit(agency, format, key, body string) ([]Line, Totals) {
	h.t.Helper()
	lines, totals, err := h.submit(agency, format, key, body)
	if err != nil {
		h.t.Fatalf("Submit: %v", err)
	}
	return lines, totals
}

// stock counts what a submission makes.
func (h *house) stock() map[string]int {
	h.t.Helper()
	stock := map[string]int{}
	for _, table := range []string{"person", "source_record", "source_record_version", "person_link", "family", "membership", "episode", "entry", "entry_version", "content", "submission"} {
		stock[table] = h.count("SELECT count(*) FROM " + table)
	}
	return stock
}

func TestCensusSampleImportsTwiceIntoTheSameRecord(t *testing.T) {
	t.Parallel()
	sample := string(publicSample(t))
	h := newHouse(t)
	lines, totals := h.mustSubmit("CSC", FormatCensus, "first", sample)
	if diff := cmp.Diff(Totals{Taken: 332, New: 332}, totals); diff != "" {
		t.Errorf("first import (-want +got):\n%s", diff)
	}
	if len(lines) != 332 {
		t.Errorf("%d lines, want 332", len(lines))
	}
	stock := h.stock()
	want := map[string]int{"person": 332, "source_record": 332, "family": 332, "membership": 332, "episode": 402}
	for table, n := range want {
		if stock[table] != n {
			t.Errorf("%s: %d rows, want %d", table, stock[table], n)
		}
	}
	if n := h.count(`SELECT count(*) FROM membership WHERE role = 'child' AND confirmed_by = 'CSC'`); n != 332 {
		t.Errorf("%d children are confirmed members, want 332", n)
	}
	if n := h.count(`SELECT count(*) FROM entry_version v WHERE NOT v.tagged OR v.narrative`); n != 0 {
		t.Errorf("%d entries of the census are untagged or narrative", n)
	}
	if n := h.count(`SELECT count(*) FROM entry_version WHERE section = 'care-status'`); n != 402 {
		t.Errorf("%d care status entries, want 402", n)
	}

	_, totals = h.mustSubmit("CSC", FormatCensus, "second", sample)
	if diff := cmp.Diff(Totals{Taken: 332, Unchanged: 332}, totals); diff != "" {
		t.Errorf("second import (-want +got):\n%s", diff)
	}
	stock["submission"]++
	if diff := cmp.Diff(stock, h.stock()); diff != "" {
		t.Errorf("the second import changed the record (-before +after):\n%s", diff)
	}

	// One closure date moves: that child changes, and a new version of that entry stands.
	changed := strings.Replace(sample, "<CINclosureDate>2021-06-11<", "<CINclosureDate>2021-06-14<", 1)
	_, totals = h.mustSubmit("CSC", FormatCensus, "third", changed)
	if diff := cmp.Diff(Totals{Taken: 332, Changed: 1, Unchanged: 331}, totals); diff != "" {
		t.Errorf("changed file (-want +got):\n%s", diff)
	}
	if n := h.count(`SELECT count(*) FROM entry_version WHERE version = 2 AND latest`); n != 1 {
		t.Errorf("%d entries have a second version, want 1", n)
	}
	if n := h.count(`SELECT count(*) FROM episode WHERE valid_until = '2021-06-14'`); n != 1 {
		t.Errorf("the episode did not follow")
	}
}

func TestCensusOfOurOwnImports(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/cin-2025.xml")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	lines, totals := h.mustSubmit("CSC", FormatCensus, "k", string(b))
	if diff := cmp.Diff(Totals{Taken: 4, Refused: 3, New: 4}, totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s\n%+v", diff, lines)
	}
	want := Line{Line: 159, Child: "NB-1005", Outcome: Refused, Field: "CINdetails[2]/ChildProtectionPlans/CPPstartDate", Rule: "is not a date (YYYY-MM-DD)"}
	if diff := cmp.Diff(want, lines[4]); diff != "" {
		t.Errorf("refused child (-want +got):\n%s", diff)
	}
	if n := h.count(`SELECT count(*) FROM source_record WHERE local_id = 'NB-1005'`); n != 0 {
		t.Error("something of the refused child was kept")
	}
	if n := h.count(`SELECT count(*) FROM entry_subject WHERE relation = 'mentions'`); n != 0 {
		t.Error("a census entry mentions somebody")
	}
	if n := h.count(`SELECT count(*) FROM person WHERE expected = '2025-06-20' AND born IS NULL`); n != 1 {
		t.Error("the unborn child is not unborn")
	}
	kinds := h.count(`SELECT count(DISTINCT kind) FROM episode WHERE kind IN ('child-in-need', 'section-47', 'child-protection-plan')`)
	if kinds != 3 {
		t.Errorf("%d kinds of episode, want 3", kinds)
	}
	// Fields that the catalogue does not know are noted, so that nobody else gets them.
	if n := h.count(`SELECT count(*) FROM entry_version WHERE section = 'earlier-identity' AND sensitivity = 4`); n != 1 {
		t.Error("the former number is not kept as earlier identity")
	}
}

func TestExampleImports(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("testdata/example.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	n := strings.Count(strings.TrimSpace(string(b)), "\n") + 1
	lines, totals := h.mustSubmit("CSC", FormatNDJSON, "", string(b))
	if diff := cmp.Diff(Totals{Taken: n, New: n}, totals); diff != "" {
		t.Errorf("example (-want +got):\n%s\n%+v", diff, lines)
	}
	lines, totals = h.mustSubmit("CSC", FormatNDJSON, "", string(b))
	if diff := cmp.Diff(Totals{Taken: n, Unchanged: n}, totals); diff != "" {
		t.Errorf("example again (-want +got):\n%s\n%+v", diff, lines)
	}
}

func TestSubmitRefusesByLineAndTakesTheRest(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	lines, totals := h.mustSubmit("CSC", FormatNDJSON, "", strings.Join([]string{
		`{"person": {"local_id": "P1", "about": "child"}}`,
		`{"person": {"local_id": "P2", "about": "dog"}}`,
		`not a record`,
		`{"entry": {"local_id": "E1", "section": "identity", "source": "fact", "about": ["P9"], "contains": [], "content": {"given_name": "Jo"}}}`,
		`{"entry": {"local_id": "E2", "section": "identity", "source": "fact", "about": ["P1"], "contains": [], "content": {"given_name": "Jo"}}}`,
	}, "\n"))
	if diff := cmp.Diff(Totals{Taken: 2, Refused: 3, New: 2}, totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	for i, want := range []string{"", "person.about", "line", "entry.about", ""} {
		if !strings.HasPrefix(lines[i].Field, want) || (want == "") != (lines[i].Outcome == New) {
			t.Errorf("line %d: %+v, want field %q", i+1, lines[i], want)
		}
	}
	if n := h.count(`SELECT count(*) FROM entry`); n != 1 {
		t.Errorf("%d entries, want 1", n)
	}
}

func TestSubmitKeepsToItsKey(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	const one, other = `{"person": {"local_id": "P1", "about": "child"}}`, `{"person": {"local_id": "P2", "about": "child"}}`
	_, first := h.mustSubmit("CSC", FormatNDJSON, "key", one)
	stock := h.stock()
	_, again := h.mustSubmit("CSC", FormatNDJSON, "key", one)
	if first != again {
		t.Errorf("the same key and file: %v, first %v", again, first)
	}
	if _, _, err := h.submit("CSC", FormatNDJSON, "key", other); !errors.Is(err, ErrKeyReused) {
		t.Errorf("another file under the key: %v, want ErrKeyReused", err)
	}
	if diff := cmp.Diff(stock, h.stock()); diff != "" {
		t.Errorf("a repeated key changed the record:\n%s", diff)
	}
	// Another agency's keys are its own.
	if _, totals := h.mustSubmit("SCH", FormatNDJSON, "key", other); totals.New != 1 {
		t.Errorf("another agency's key is not its own: %v", totals)
	}
}

func TestSubmitOfABrokenFile(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	whole := aChild(whoIsIt)
	lines, totals := h.mustSubmit("CSC", FormatCensus, "k", strings.Replace(whole, "</Children>", "<Child><!DOCTYPE x></Child></Children>", 1))
	if diff := cmp.Diff(Totals{Taken: 1, Refused: 1, New: 1}, totals); diff != "" {
		t.Errorf("totals (-want +got):\n%s", diff)
	}
	if last := lines[len(lines)-1]; last.Field != "file" || !strings.Contains(last.Rule, ErrDoctype.Error()) {
		t.Errorf("last line %+v", last)
	}
	if _, _, err := h.submit("MH", FormatCensus, "k", whole); !errors.Is(err, ErrNotOfThisKind) {
		t.Errorf("a census of a mental health trust: %v, want ErrNotOfThisKind", err)
	}
	if _, _, err := h.submit("CSC", "csv", "k", whole); !errors.Is(err, ErrUnknownFormat) {
		t.Errorf("csv: %v, want ErrUnknownFormat", err)
	}
}

// A sender that goes away mid-file leaves what was committed, and no finished
// submission: the same key goes on from there.
func TestSubmitGoesOnAfterABreak(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var file bytes.Buffer
	for _, id := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r"} {
		file.WriteString(`{"person": {"local_id": "` + id + `", "about": "child"}}` + "\n")
	}
	gone := errors.New("connection reset")
	s := Sender{Partnership: "northby", Agency: "CSC", Kind: "CSC", Principal: "system-csc", Now: clock()}
	broken := io.MultiReader(bytes.NewReader(file.Bytes()[:file.Len()-10]), failing{gone})
	_, err := Submit(t.Context(), h.app, s, FormatNDJSON, "key", broken, shippedCatalogue(t), func(Line) {})
	if !errors.Is(err, gone) {
		t.Fatalf("Submit of a broken body: %v", err)
	}
	if n := h.count(`SELECT count(*) FROM submission WHERE finished_at IS NOT NULL`); n != 0 {
		t.Error("the broken submission counts as finished")
	}
	taken := h.count(`SELECT count(*) FROM person`)
	_, totals := h.mustSubmit("CSC", FormatNDJSON, "key", file.String())
	if diff := cmp.Diff(Totals{Taken: 18, New: 18 - taken, Unchanged: taken}, totals); diff != "" || taken == 0 {
		t.Errorf("going on after %d (-want +got):\n%s", taken, diff)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
