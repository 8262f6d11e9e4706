package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

// reportLine is one line of a submission's report.
type reportLine struct {
	Line    int    `json:"line"`
	Outcome string `json:"outcome"`
	Field   string `json:"field"`
	Rule    string `json:"rule"`
}

// A record of a bulk file that is wrong is refused with its line, field and
// rule, and the rest is taken; a key stands for one file.
func TestABulkFileIsTakenLineByLine(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	submit := func(key string, lines ...string) answer {
		return h.do(call{as: "system-csc", path: "/v1/submissions", body: strings.Join(lines, "\n") + "\n", key: key,
			header: map[string]string{"Content-Type": "application/x-ndjson"}})
	}
	child := `{"person":{"local_id":"BULK-1","about":"child","born":"2019-04-04"}}`
	work := `{"episode":{"local_id":"BULK-E","person":"BULK-1","kind":"child-in-need","from":"2026-01-05"}}`
	entry := func(section, text string) string {
		return `{"entry":{"local_id":"BULK-` + section + `","section":"` + section + `","source":"fact","about":["BULK-1"],"contains":[],"content":{"text":"` + text + `"}}}`
	}
	got := submit("bulk-1", child, work, `{"person":`, entry("horoscope", "a lion"), entry("childs-story", "UK SECRET"), `{"planet":{}}`, entry("childs-story", "He likes trains.")).want(http.StatusOK)
	text := strings.TrimSpace(string(got.raw))
	lines := strings.Split(text, "\n")
	if last := lines[len(lines)-1]; last != "taken 3 refused 4 new 3 changed 0 unchanged 0" {
		t.Errorf("in all: %s", last)
	}
	refused := map[int]reportLine{}
	for _, text := range lines[:len(lines)-1] {
		var l reportLine
		if err := json.Unmarshal([]byte(text), &l); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if l.Outcome == "refused" {
			refused[l.Line] = l
		}
	}
	for line, field := range map[int]string{3: "line", 4: "entry.section", 5: "entry.content.text", 6: "planet"} {
		if l, ok := refused[line]; !ok || l.Field != field || l.Rule == "" {
			t.Errorf("line %d: %+v, want field %s and a rule", line, l, field)
		}
	}
	for _, value := range []string{"a lion", "UK SECRET"} {
		if strings.Contains(text, value) {
			t.Errorf("the report repeats %q", value)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.content WHERE body ->> 'text' IN ('a lion', 'UK SECRET')`); n != 0 {
		t.Errorf("%d refused records were kept", n)
	}

	other := submit("bulk-1", child, work).want(http.StatusConflict)
	if other.text("field") != "Idempotency-Key" {
		t.Errorf("409 says %s", other.raw)
	}
	if again := submit("bulk-2", child, work, entry("childs-story", "He likes trains.")).want(http.StatusOK); !strings.HasSuffix(strings.TrimSpace(string(again.raw)), "taken 3 refused 0 new 0 changed 0 unchanged 3") {
		t.Errorf("the same under another key: %s", again.raw)
	}
}

// Whoever sends a code that is not known is told those that are, and never
// their own words again.
func TestUnknownCodesAreAnsweredWithTheKnownOnes(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	child, worker := x.member("trio", "child"), x.people["social-worker"].Worker
	later := time.Now().Add(48 * time.Hour).UTC().Format(time.RFC3339)
	id := h.do(call{as: "social-worker", path: "/v1/entries", purpose: "FS", body: x.observation("trio", map[string]any{
		"section": "care-status", "content": map[string]any{"status": "child protection plan"}})}).want(http.StatusCreated).text("id")
	for _, c := range []struct {
		name, as, path, purpose, field, known string
		body                                  map[string]any
	}{
		{name: "section of an entry", as: "health-visitor", path: "/v1/entries", purpose: "FS", field: "entry.section", known: "child-health",
			body: x.observation("trio", map[string]any{"section": "horoscope"})},
		{name: "source of an entry", as: "health-visitor", path: "/v1/entries", purpose: "FS", field: "entry.source", known: "allegation",
			body: x.observation("trio", map[string]any{"source": "horoscope"})},
		{name: "section of a grant", as: "team-manager", path: "/v1/grants", field: "section", known: "protected-address",
			body: map[string]any{"person": child, "agency": "CSC", "worker": worker, "section": "horoscope", "level": "full", "until": later, "reason": "r"}},
		{name: "level of a grant", as: "team-manager", path: "/v1/grants", field: "level", known: "summary",
			body: map[string]any{"person": child, "agency": "CSC", "worker": worker, "section": "protected-address", "level": "horoscope", "until": later, "reason": "r"}},
		{name: "kind of a restriction", as: "team-manager", path: "/v1/people/" + child + "/restrictions", field: "kind", known: "exclusion",
			body: map[string]any{"kind": "horoscope", "workers": []string{}, "reason": "r", "review_on": time.Now().AddDate(0, 0, 30).Format(time.DateOnly)}},
		{name: "source of an involvement", as: "team-manager", path: "/v1/involvements", field: "source", known: "cover",
			body: map[string]any{"source": "horoscope", "person": child, "worker": worker, "reason": "r"}},
		{name: "action on a worker", as: "team-manager", path: "/v1/workers", field: "action", known: "suspend",
			body: map[string]any{"worker": worker, "action": "horoscope", "reason": "r"}},
		{name: "kind of a concern", as: "idva", path: "/v1/entries/" + id + "/concerns", purpose: "FS", field: "kind", known: "wrong-person",
			body: map[string]any{"family": x.family("trio"), "version": 1, "kind": "horoscope", "what": "w"}},
		{name: "purpose of an agreement to share", as: "social-worker", path: "/v1/people/" + child + "/told-and-agreed", purpose: "FS", field: "told_and_agreed.purpose", known: "EH",
			body: map[string]any{"family": x.family("trio"), "told_and_agreed": map[string]any{"purpose": "horoscope", "agreed": "agreed", "told": "told", "at": "2026-03-01"}}},
		{name: "scheme of a number", as: "social-worker", path: "/v1/searches", purpose: "FS", field: "identifier.scheme", known: "CSC",
			body: map[string]any{"identifier": map[string]any{"scheme": "horoscope", "value": "7"}}},
	} {
		got := h.do(call{as: c.as, path: c.path, body: c.body, key: uuid.NewString(), purpose: c.purpose})
		if got.status != http.StatusBadRequest || got.text("field") != c.field || !slices.Contains(got.list("known"), c.known) {
			t.Errorf("%s: %d, field %q, known %v: %s", c.name, got.status, got.text("field"), got.list("known"), got.raw)
		}
		if strings.Contains(string(got.raw), "horoscope") {
			t.Errorf("%s: repeats what was sent", c.name)
		}
	}
	for _, purpose := range []string{"", "ZZ"} { // the purpose of a request: those of the caller's roles
		got := h.read("social-worker", "trio", purpose).want(http.StatusBadRequest)
		if got.text("field") != "Kith-Purpose" || !strings.Contains(string(got.raw), `"code":"FS"`) {
			t.Errorf("purpose %q: %s", purpose, got.raw)
		}
	}
}
