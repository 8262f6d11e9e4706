package family

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"kith/internal/policy"
	"kith/policies"
)

func shipped(t *testing.T) Catalogue {
	t.Helper()
	v, err := policy.Load(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	return CatalogueOf(v)
}

func dfeExample(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("testdata/dfe-csc.json")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// dfe sends a payload as children's social care and gives totals and lines.
func (h *house) dfe(body string) (Totals, []Line) {
	h.t.Helper()
	var lines []Line
	s := Sender{Partnership: "northby", Agency: "CSC", Kind: "CSC", Principal: "system-csc", Now: clock()}
	totals, err := Submit(context.Background(), h.app, s, FormatDfE, "", strings.NewReader(body), shipped(h.t.(*testing.T)), func(l Line) { lines = append(lines, l) })
	if err != nil {
		h.t.Fatal(err)
	}
	return totals, lines
}

func TestDailyPayload(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	worker := h.worker("CSC")
	h.exec(`INSERT INTO worker_case_id (worker, agency, scheme, value) VALUES ($1, 'CSC', 'dfe', 'SW-77')`, worker)
	totals, lines := h.dfe(dfeExample(t))
	if totals.Taken != 3 || totals.Refused != 2 {
		t.Fatalf("%v: %+v", totals, lines)
	}
	var refused []string
	for _, l := range lines {
		if l.Outcome == Refused {
			refused = append(refused, fmt.Sprintf("%s %d %s", l.Child, l.Line, l.Field))
		}
	}
	if got := strings.Join(refused, "; "); got != "LB-1001 2 involvement.worker; LB-1003 38 child_details.date_of_birth" {
		t.Errorf("refused: %s", got)
	}
	for what, want := range map[string]int{
		`SELECT count(*) FROM entry_version WHERE section = 'identity'`:                                                                                              2,
		`SELECT count(*) FROM entry_version WHERE section = 'protected-address'`:                                                                                     1,
		`SELECT count(*) FROM entry_version WHERE section = 'adoption-links' AND sensitivity = 4`:                                                                    1,
		`SELECT count(*) FROM content WHERE body->>'given_name' = 'Nell' AND body->>'upn' = 'A801200001234'`:                                                         1,
		`SELECT count(*) FROM content c JOIN entry_version v ON v.full_part = c.part WHERE body->>'postcode' = 'ZZ9 9ZZ'`:                                            1,
		`SELECT count(*) FROM content WHERE body->'factors'->>0 LIKE '1B%'`:                                                                                          1,
		`SELECT count(*) FROM episode WHERE kind = 'child-protection-plan' AND valid_until IS NULL`:                                                                  1,
		`SELECT count(*) FROM episode WHERE kind = 'section-47' AND valid_until = '2026-04-02'`:                                                                      1,
		`SELECT count(*) FROM episode WHERE kind = 'care'`:                                                                                                           1,
		`SELECT count(*) FROM involvement WHERE source = 'feed' AND local_id = 'dfe-csc:LB-1001/e/EP-1/worker/SW-77/2026-01-13'`:                                     1,
		`SELECT count(*) FROM person WHERE expected = '2027-01-20' AND born IS NULL`:                                                                                 1,
		`SELECT count(DISTINCT s.person) FROM entry_subject s JOIN entry_version v ON v.id = s.version WHERE v.section = 'assessment-plan' AND s.relation = 'about'`: 1,
	} {
		if got := h.count(what); got != want {
			t.Errorf("%s: %d, want %d", what, got, want)
		}
	}
	unknown := false
	for _, l := range lines {
		unknown = unknown || strings.Contains(strings.Join(l.Warnings, " "), "colour_of_pram")
	}
	if !unknown {
		t.Error("an unknown member was passed over in silence")
	}
	if again, _ := h.dfe(dfeExample(t)); again.Unchanged != 3 || again.New+again.Changed != 0 {
		t.Errorf("sent again: %v", again)
	}

	// One assessment is purged, then the whole child.
	shown := func() int {
		return h.count(`SELECT count(*) FROM entry_version v JOIN entry_subject s ON s.version = v.id JOIN person_link l ON l.person = s.person JOIN source_record r ON r.id = l.record
		                 WHERE r.local_id = 'LB-1001' AND v.latest AND NOT v.withdrawn`)
	}
	before := shown()
	purged := strings.Replace(dfeExample(t), `"factors": ["1B", "3B", "4B"], "purge": false`, `"purge": true`, 1)
	if got, _ := h.dfe(purged); got.Changed != 1 || shown() != before-1 {
		t.Errorf("one assessment purged: %v, %d of %d entries left", got, shown(), before)
	}
	if got, _ := h.dfe(purged); got.Changed != 0 {
		t.Errorf("purged again: %v", got)
	}
	whole := `[{"la_child_id": "LB-1001", "purge": true}, {"la_child_id": "LB-NEVER", "purge": true}]`
	if got, lines := h.dfe(whole); got.Changed != 1 || got.Unchanged != 1 || shown() != 0 {
		t.Errorf("the child purged: %v %+v, %d entries left", got, lines, shown())
	}
	if n := h.count(`SELECT count(*) FROM episode e JOIN person_link l ON l.person = e.person JOIN source_record r ON r.id = l.record WHERE r.local_id = 'LB-1001' AND NOT e.withdrawn`); n != 0 {
		t.Errorf("%d episodes of a purged child are open", n)
	}
	if n := h.count(`SELECT count(*) FROM involvement WHERE worker = $1 AND valid_until IS NULL`, worker); n != 0 {
		t.Errorf("%d involvements go on", n)
	}
	if got, _ := h.dfe(dfeExample(t)); got.Taken != 3 || shown() != before {
		t.Errorf("sent anew: %v, %d of %d entries", got, shown(), before)
	}
}

func TestDailyPayloadComesFromSocialCare(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	s := Sender{Partnership: "northby", Agency: "MH", Kind: "MH", Principal: "system-mh", Now: clock()}
	if _, err := Submit(context.Background(), h.app, s, FormatDfE, "", strings.NewReader("[]"), shipped(t), func(Line) {}); err != ErrNotOfThisKind {
		t.Errorf("error %v", err)
	}
}

func TestDailyPayloadMalformed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body    string
		refused string // field of the one child
		err     bool
	}{
		"not an array":        {body: `{"la_child_id": "A"}`, err: true},
		"nothing":             {body: ``, err: true},
		"cut off":             {body: `[{"la_child_id": "A", "purge": true}`, err: true},
		"two arrays":          {body: `[][]`, err: true},
		"no id":               {body: `[{"child_details": {"date_of_birth": "2016-01-01"}}]`, refused: "la_child_id"},
		"an id with a space":  {body: `[{"la_child_id": "A B", "child_details": {"date_of_birth": "2016-01-01"}}]`, refused: "la_child_id"},
		"a number":            {body: `[7]`, refused: "child"},
		"a repeated member":   {body: `[{"la_child_id": "A", "la_child_id": "B"}]`, refused: "la_child_id"},
		"no birth":            {body: `[{"la_child_id": "A"}]`, refused: "child_details.date_of_birth"},
		"a list that is none": {body: `[{"la_child_id": "A", "child_details": {"date_of_birth": "2016-01-01"}, "social_care_episodes": {}}]`, refused: "social_care_episodes"},
		"an episode without a beginning": {body: `[{"la_child_id": "A", "child_details": {"date_of_birth": "2016-01-01"}, "social_care_episodes": [{"social_care_episode_id": "1"}]}]`,
			refused: "social_care_episodes[0].referral_date"},
		"a child of 5 MiB": {body: `[{"la_child_id": "` + strings.Repeat("A", 5<<20) + `"}]`, err: true},
	} {
		var children []DfEChild
		err := ReadDfE(strings.NewReader(c.body), func(d DfEChild) error { children = append(children, d); return nil })
		if (err != nil) != c.err {
			t.Errorf("%s: error %v", name, err)
		}
		if c.refused != "" && (len(children) != 1 || children[0].Refused == nil || children[0].Refused.Field != c.refused) {
			t.Errorf("%s: %+v", name, children)
		}
	}
}

// endlessPayload writes a payload of n children as it is read.
func endlessPayload(n int) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, "[")
		for i := range n {
			sep := ","
			if i == 0 {
				sep = ""
			}
			if _, err := fmt.Fprintf(w, "%s\n{\"la_child_id\": \"C%d\", \"child_details\": {\"first_name\": %q, \"date_of_birth\": \"2016-01-01\"}}", sep, i, strings.Repeat("x", 500)); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "]")
		_ = w.Close()
	}()
	return r
}

func TestDailyPayloadStreams(t *testing.T) {
	var before, during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	children := 0
	err := ReadDfE(endlessPayload(20_000), func(c DfEChild) error {
		if children++; children == 18_000 {
			runtime.GC()
			runtime.ReadMemStats(&during)
			if c.Line != 18_001 {
				t.Errorf("child 18 000 stands on line %d", c.Line)
			}
		}
		return nil
	})
	if err != nil || children != 20_000 {
		t.Fatalf("%d children, %v", children, err)
	}
	if grown := int64(during.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d MiB over 10 MB of payload", grown>>20)
	}
}

func FuzzDailyPayload(f *testing.F) {
	if b, err := os.ReadFile("testdata/dfe-csc.json"); err == nil {
		f.Add(string(b))
	}
	f.Add(`[{"la_child_id":"A","purge":true}]`)
	f.Fuzz(func(t *testing.T, body string) {
		_ = ReadDfE(strings.NewReader(body), func(c DfEChild) error {
			if c.Refused == nil && c.ID == "" {
				t.Error("a child without an id was taken")
			}
			for _, r := range c.Records {
				if r.Entry != nil && !r.Entry.Purge && (len(r.Entry.About) != 1 || r.Entry.About[0] != c.ID) {
					t.Error("an entry about somebody else")
				}
			}
			return nil
		})
	})
}

func TestWorkersAndAllocationsByFeed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	send := func(agency, lines string) []Line {
		var out []Line
		s := Sender{Partnership: "northby", Agency: agency, Kind: agency, Principal: "system", Now: clock()}
		if _, err := Submit(context.Background(), h.app, s, FormatNDJSON, "", strings.NewReader(lines), shipped(t), func(l Line) { out = append(out, l) }); err != nil {
			t.Fatal(err)
		}
		return out
	}
	one := func(agency string, w map[string]any) Line {
		b, err := json.Marshal(map[string]any{"worker": w})
		if err != nil {
			t.Fatal(err)
		}
		return send(agency, string(b))[0]
	}
	base := func(changes map[string]any) map[string]any {
		w := map[string]any{"local_id": "77", "name": "Sam Social", "employer": "Council", "issuer": "https://id.example", "subject": "s-1",
			"roles": []string{"social-worker"}, "case_ids": []string{"liquid:77"}, "teams": []map[string]any{{"team": "FS1"}}}
		for k, v := range changes {
			w[k] = v
		}
		return w
	}
	if l := one("CSC", base(nil)); l.Outcome != New {
		t.Fatalf("%+v", l)
	}
	if l := one("CSC", base(nil)); l.Outcome != Unchanged {
		t.Errorf("sent again: %+v", l)
	}
	h.exec(`UPDATE worker SET suspended = true WHERE subject = 's-1'`)
	if l := one("CSC", base(map[string]any{"until": "2027-01-31"})); l.Outcome != Changed {
		t.Errorf("changed: %+v", l)
	}
	if n := h.count(`SELECT count(*) FROM worker WHERE subject = 's-1' AND suspended AND active_until = '2027-01-31'`); n != 1 {
		t.Error("the feed undid a suspension, or forgot the last day")
	}
	for name, c := range map[string]struct {
		agency  string
		changes map[string]any
	}{
		"another agency takes the sign-in": {"MH", map[string]any{"local_id": "x", "roles": []string{"mh-practitioner"}, "case_ids": []string{}}},
		"the case-system id is taken":      {"CSC", map[string]any{"local_id": "78", "subject": "s-2"}},
		"an auditor by feed":               {"CSC", map[string]any{"roles": []string{"auditor"}}},
		"an approver by feed":              {"CSC", map[string]any{"roles": []string{"ig-approver"}}},
		"another kind's role":              {"CSC", map[string]any{"roles": []string{"detective"}}},
		"no name":                          {"CSC", map[string]any{"name": ""}},
		"a case id of no form":             {"CSC", map[string]any{"case_ids": []string{"77"}}},
		"a cover without end":              {"CSC", map[string]any{"teams": []map[string]any{{"team": "FS2", "cover": true}}}},
		"half a sign-in":                   {"CSC", map[string]any{"subject": ""}},
		"ends before it begins":            {"CSC", map[string]any{"from": "2027-01-01", "until": "2026-01-01"}},
	} {
		if l := one(c.agency, base(c.changes)); l.Outcome != Refused {
			t.Errorf("%s: %+v", name, l)
		}
	}
	lines := `{"person":{"local_id":"K1","about":"child","born":"2019-01-01"}}
{"involvement":{"local_id":"I1","person":"K1","worker":"liquid:77","from":"2026-10-01"}}
{"involvement":{"local_id":"I2","person":"K1","worker":"liquid:404","from":"2026-10-01"}}
`
	out := send("CSC", lines)
	if out[1].Outcome != New || out[2].Outcome != Refused {
		t.Errorf("%+v", out)
	}
	// What a manager ended, last night's list does not open again.
	h.exec(`UPDATE involvement SET valid_until = '2026-11-01', ended_why = 'moved on' WHERE local_id = 'I1'`)
	if out := send("CSC", lines); out[1].Outcome != Refused {
		t.Errorf("sent again after its end: %+v", out[1])
	}
	if n := h.count(`SELECT count(*) FROM involvement WHERE local_id = 'I1' AND valid_until IS NULL`); n != 0 {
		t.Error("open again")
	}
}
