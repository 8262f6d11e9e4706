package api_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/api"
)

// observation is what a health visitor writes about the child of a story.
func (x *town) observation(story string, changes map[string]any) map[string]any {
	entry := map[string]any{
		"section": "child-health", "source": "fact", "about": []string{x.member(story, "child")}, "contains": []string{},
		"event": "2026-06", "content": map[string]any{"contact_kind": "home visit", "development": "Walks along the sofa."},
	}
	maps.Copy(entry, changes)
	return map[string]any{"family": x.family(story), "entry": entry}
}

func TestWriteAndCorrect(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	h.read("health-visitor", "trio", "FS").want(http.StatusOK)

	draft := x.observation("trio", nil)
	before := x.count(`SELECT count(*) FROM kith.entry`)
	made := h.do(call{as: "health-visitor", path: "/v1/entries", body: draft, key: "first", purpose: "FS"}).want(http.StatusCreated)
	id := made.text("id")
	if made.text("receipt") == "" || made.number("version") != 1 {
		t.Errorf("answer %s", made.raw)
	}
	again := h.do(call{as: "health-visitor", path: "/v1/entries", body: draft, key: "first", purpose: "FS"}).want(http.StatusOK)
	if again.text("id") != id || again.text("receipt") != made.text("receipt") || again.head.Get("Idempotency-Replayed") != "true" {
		t.Errorf("the same key answered %s", again.raw)
	}
	other := x.observation("trio", map[string]any{"event": "2026-07"})
	h.do(call{as: "health-visitor", path: "/v1/entries", body: other, key: "first", purpose: "FS"}).want(http.StatusConflict)
	if n := x.count(`SELECT count(*) FROM kith.entry`) - before; n != 1 {
		t.Errorf("%d entries were made", n)
	}
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'entry' AND outcome = 'done'`); n != 1 {
		t.Errorf("%d events of a written entry", n)
	}
	seen := h.read("health-visitor", "trio", "FS").want(http.StatusOK).entry(id)
	if seen == nil || seen["owner"] != "HV" || seen["version"] != float64(1) {
		t.Fatalf("the writer sees %v", seen)
	}
	if shown := h.read("social-worker", "trio", "FS").want(http.StatusOK).entry(id); shown == nil {
		t.Error("the social worker does not see what the matrix gives")
	}

	versions := "/v1/entries/" + id + "/versions"
	second := x.observation("trio", map[string]any{"content": map[string]any{"contact_kind": "home visit", "development": "Walks."}})
	second["corrects"], second["why"] = 1, "she walked alone"
	if v := h.do(call{as: "health-visitor", path: versions, body: second, purpose: "FS"}).want(http.StatusCreated); v.number("version") != 2 {
		t.Errorf("version %s", v.raw)
	}
	stale := h.do(call{as: "health-visitor", path: versions, body: second, purpose: "FS"}).want(http.StatusConflict)
	if stale.number("latest") != 2 || !cmp.Equal(stale.list("changed"), []string{"content", "summary"}) {
		t.Errorf("409 says latest %v, changed %v", stale.json["latest"], stale.json["changed"])
	}
	if n := x.count(`SELECT count(*) FROM kith.entry_version v JOIN kith.content c ON c.part = v.full_part WHERE v.entry = $1`, id); n != 2 {
		t.Errorf("%d versions have their content", n)
	}

	// Another agency's: 403 where it can be seen, the one 404 where it cannot.
	h.do(call{as: "social-worker", path: versions, body: second, purpose: "FS"}).want(http.StatusForbidden)
	hidden := h.do(call{as: "perpetrator-practitioner", path: versions, body: second, purpose: "FS"}).want(http.StatusNotFound)
	unknown := h.do(call{as: "perpetrator-practitioner", path: "/v1/entries/" + uuid.NewString() + "/versions", body: second, purpose: "FS"}).want(http.StatusNotFound)
	if a, b := withoutRequest(hidden), withoutRequest(unknown); a != b {
		t.Errorf("hidden and unknown differ:\n%s\n%s", a, b)
	}

	third := map[string]any{"family": x.family("trio"), "corrects": 2, "withdraw": true, "why": "another child's"}
	h.do(call{as: "health-visitor", path: versions, body: third, purpose: "FS"}).want(http.StatusCreated)
	if h.read("health-visitor", "trio", "FS").want(http.StatusOK).entry(id) != nil {
		t.Error("a withdrawn entry is shown")
	}
}

// Two workers of one agency correct the same version at once: one of them is
// told that it is no longer the latest, and nothing is lost.
func TestCorrectedByTwoAtOnce(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	hubs := []*replica{x.main, x.hub(api.Limits{})}
	x.token("health-visitor")
	id := x.main.do(call{as: "health-visitor", path: "/v1/entries", body: x.observation("trio", nil), purpose: "FS"}).want(http.StatusCreated).text("id")
	for round := 1; round <= 4; round++ {
		got := make([]int, 4)
		var all sync.WaitGroup
		for i := range got {
			body := x.observation("trio", map[string]any{"content": map[string]any{"development": fmt.Sprintf("round %d, writer %d", round, i)}})
			body["corrects"] = round
			all.Go(func() {
				got[i] = hubs[i%2].do(call{as: "health-visitor", path: "/v1/entries/" + id + "/versions", body: body, purpose: "FS"}).status
			})
		}
		all.Wait()
		slices.Sort(got)
		if !slices.Equal(got, []int{201, 409, 409, 409}) {
			t.Errorf("round %d: %v", round, got)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.entry_version WHERE entry = $1`, id); n != 5 {
		t.Errorf("%d versions", n)
	}
}

// withoutRequest is an answer without what differs by nature.
func withoutRequest(a answer) string {
	s := strings.ReplaceAll(string(a.raw), a.text("request_id"), "")
	return s + a.head.Get("Content-Type")
}

func TestWriteRefusals(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	entries := x.count(`SELECT count(*) FROM kith.entry_version`)
	for _, c := range []struct {
		name, as, story, purpose, key string
		changes                       map[string]any
		status                        int
		known                         string
	}{
		{name: "unknown section", changes: map[string]any{"section": "horoscope"}, status: 400, known: "child-health"},
		{name: "unknown tag", changes: map[string]any{"contains": []string{"horoscope"}}, status: 400, known: "mh-risk"},
		{name: "unknown source", changes: map[string]any{"source": "gossip"}, status: 400, known: "allegation"},
		{name: "unknown field of the entry", changes: map[string]any{"colour": "red"}, status: 400},
		{name: "a case system's id", changes: map[string]any{"local_id": "X1"}, status: 400},
		{name: "SECRET", changes: map[string]any{"content": map[string]any{"concerns": "SECRET: do not pass on"}}, status: 400},
		{name: "a marking", changes: map[string]any{"content": map[string]any{"marking": "top secret"}}, status: 400},
		{name: "about nobody", changes: map[string]any{"about": []string{}}, status: 400},
		{name: "no key", key: "-", status: 400},
		{name: "no purpose", purpose: "-", status: 400},
		{name: "about a stranger", changes: map[string]any{"about": []string{uuid.NewString()}}, status: 404},
		{name: "about another family's child", changes: map[string]any{"about": []string{x.member("fleeing", "child")}}, status: 404},
		{name: "mentions a stranger", changes: map[string]any{"mentions": []string{uuid.NewString()}}, status: 404},
		{name: "not the caller's family", as: "mh-practitioner", story: "closed", status: 404},
		{name: "no family", story: "none", status: 404},
		{name: "no role for records", as: "ig-author-csc", status: 403},
		{name: "a system", as: "system-hv", status: 403},
		{name: "no agreement", as: "outsider", status: 403},
	} {
		if c.as == "" {
			c.as = "health-visitor"
		}
		if c.story == "" {
			c.story = "trio"
		}
		purpose := "FS"
		if c.purpose == "-" {
			purpose = ""
		}
		body := x.observation("trio", c.changes)
		if c.story == "none" {
			body["family"] = uuid.NewString()
		} else {
			body["family"] = x.family(c.story)
		}
		got := h.do(call{as: c.as, path: "/v1/entries", body: body, key: c.key, purpose: purpose})
		if got.status != c.status {
			t.Errorf("%s: %d, want %d: %s", c.name, got.status, c.status, got.raw)
		}
		if c.known != "" && !slices.Contains(got.list("known"), c.known) {
			t.Errorf("%s: the known ones are %v", c.name, got.list("known"))
		}
		if strings.Contains(string(got.raw), "horoscope") {
			t.Errorf("%s: the answer repeats the value: %s", c.name, got.raw)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.entry_version`); n != entries {
		t.Errorf("refused writes left %d versions behind", n-entries)
	}
}

func TestTagsSummariesAndFeeds(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	body := x.observation("trio", map[string]any{
		"section": "childs-story", "content": map[string]any{"text": "He keeps his shoes on in bed."}, "contains": nil,
	})
	id := h.do(call{as: "social-worker", path: "/v1/entries", body: body, purpose: "FS"}).want(http.StatusCreated).text("id")
	level := func(as string) any {
		if e := h.read(as, "trio", "FS").want(http.StatusOK).entry(id); e != nil {
			return e["level"]
		}
		return "none"
	}
	if got := level("mh-practitioner"); got != "none" {
		t.Errorf("an untagged text without a shared summary shows as %v", got)
	}
	summary := map[string]any{"family": x.family("trio"), "corrects": 1, "text": "He is frightened at night.", "review": "2027-01-31"}
	h.do(call{as: "social-worker", path: "/v1/entries/" + id + "/summary", body: summary, purpose: "FS"}).want(http.StatusCreated)
	if got := level("mh-practitioner"); got != "summary" {
		t.Errorf("with a shared summary it shows as %v", got)
	}
	e := h.read("mh-practitioner", "trio", "FS").entry(id)
	if e["summary_by"] != x.people["social-worker"].Name || e["summary_review"] != "2027-01-31" {
		t.Errorf("the summary says %v, %v", e["summary_by"], e["summary_review"])
	}
	tags := map[string]any{"family": x.family("trio"), "corrects": 2, "contains": []string{}}
	h.do(call{as: "social-worker", path: "/v1/entries/" + id + "/tags", body: tags, purpose: "FS"}).want(http.StatusCreated)
	if got := level("mh-practitioner"); got != "full" {
		t.Errorf("tagged as repeating nothing it shows as %v", got)
	}
	tags["corrects"], tags["contains"] = 3, []string{"court-papers"}
	h.do(call{as: "social-worker", path: "/v1/entries/" + id + "/tags", body: tags, purpose: "FS"}).want(http.StatusCreated)
	if got := level("mh-practitioner"); got != "none" {
		t.Errorf("tagged as repeating court papers it shows as %v", got)
	}
	h.do(call{as: "social-worker", path: "/v1/entries/" + id + "/tags", body: map[string]any{"family": x.family("trio"), "corrects": 4}, purpose: "FS"}).want(http.StatusBadRequest)

	// What a feed sent and a worker tagged stays tagged when the feed sends the same again.
	line := func(text string) string {
		return `{"person":{"local_id":"FED-1","about":"child","born":"2020-02-02"}}` + "\n" +
			`{"episode":{"local_id":"FED-EP","person":"FED-1","kind":"child-protection-plan","from":"2026-01-05"}}` + "\n" +
			`{"entry":{"local_id":"FED-E","section":"childs-story","source":"fact","about":["FED-1"],"contains":null,"content":{"text":"` + text + `"}}}` + "\n"
	}
	feed := func(text string) string {
		a := h.do(call{as: "system-csc", path: "/v1/submissions", body: line(text), header: map[string]string{"Content-Type": "application/x-ndjson"}}).want(http.StatusOK)
		lines := strings.Split(strings.TrimSpace(string(a.raw)), "\n")
		return lines[len(lines)-1]
	}
	feed("one")
	fed := x.one(`SELECT id::text FROM kith.entry WHERE local_id = 'FED-E'`)
	house := x.one(`SELECT m.family::text FROM kith.membership m JOIN kith.person_link l ON l.person = m.person JOIN kith.source_record r ON r.id = l.record WHERE r.local_id = 'FED-1'`)
	person := x.one(`SELECT l.person::text FROM kith.person_link l JOIN kith.source_record r ON r.id = l.record WHERE r.local_id = 'FED-1'`)
	h.do(call{as: "team-manager", path: "/v1/involvements", body: map[string]any{"source": "allocation", "person": person, "worker": x.people["social-worker"].Worker, "reason": "new case"}}).want(http.StatusCreated)
	tag := map[string]any{"family": house, "corrects": 1, "contains": []string{"education"}}
	h.do(call{as: "social-worker", path: "/v1/entries/" + fed + "/tags", body: tag, purpose: "FS"}).want(http.StatusCreated)
	if got := feed("one"); got != "taken 3 refused 0 new 0 changed 0 unchanged 3" {
		t.Errorf("sent again: %s", got)
	}
	if got := feed("two"); got != "taken 3 refused 0 new 0 changed 1 unchanged 2" {
		t.Errorf("changed by the feed: %s", got)
	}
}

func TestConcernReachesItsOwner(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	id := h.do(call{as: "social-worker", path: "/v1/entries", purpose: "FS", body: x.observation("trio", map[string]any{
		"section": "care-status", "content": map[string]any{"status": "child protection plan"}})}).want(http.StatusCreated).text("id")
	concern := map[string]any{"family": x.family("trio"), "version": 1, "kind": "wrong-person", "what": "This is her cousin."}
	for _, kind := range []string{"gossip", ""} {
		bad := maps.Clone(concern)
		bad["kind"] = kind
		if got := h.do(call{as: "idva", path: "/v1/entries/" + id + "/concerns", body: bad, purpose: "FS"}).want(http.StatusBadRequest); !slices.Contains(got.list("known"), "wrong-fact") {
			t.Errorf("known kinds: %v", got.list("known"))
		}
	}
	raised := h.do(call{as: "idva", path: "/v1/entries/" + id + "/concerns", body: concern, purpose: "FS"}).want(http.StatusCreated).text("id")
	if e := h.read("social-worker", "trio", "FS").entry(id); e["questioned"] != true {
		t.Errorf("the entry is not questioned: %v", e)
	}
	list := h.do(call{as: "team-manager", path: "/v1/concerns"}).want(http.StatusOK)
	if !strings.Contains(string(list.raw), raised) || !strings.Contains(string(list.raw), "her cousin") {
		t.Errorf("the owner is not told: %s", list.raw)
	}
	if strings.Contains(string(list.raw), `"DV"`) {
		t.Errorf("the owner is told which service asked: %s", list.raw)
	}
	h.do(call{as: "social-worker", path: "/v1/concerns"}).want(http.StatusForbidden)
	h.do(call{as: "privacy-officer-mh", path: "/v1/concerns/" + raised + "/answer", body: map[string]any{"answer": "no"}}).want(http.StatusNotFound)
	h.do(call{as: "team-manager", path: "/v1/concerns/" + raised + "/answer", body: map[string]any{"answer": "Corrected, thank you."}}).want(http.StatusOK)
	if e := h.read("social-worker", "trio", "FS").entry(id); e["questioned"] == true {
		t.Error("answered, and still questioned")
	}
}

func TestToldAndAgreed(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	path := "/v1/people/" + x.member("trio", "child") + "/told-and-agreed"
	told := func(changes map[string]any) map[string]any {
		r := map[string]any{"purpose": "EH", "agreed": "declined", "told": "told", "at": "2026-03-01"}
		maps.Copy(r, changes)
		return map[string]any{"family": x.family("trio"), "told_and_agreed": r}
	}
	h.do(call{as: "social-worker", path: path, body: told(nil), purpose: "FS"}).want(http.StatusCreated)
	if n := x.count(`SELECT count(*) FROM kith.told_and_agreed WHERE purpose = 'EH' AND agreed = 'declined' AND agency = 'CSC' AND person = $1`, x.member("trio", "child")); n != 1 {
		t.Errorf("%d rows", n)
	}
	if got := h.do(call{as: "social-worker", path: path, body: told(map[string]any{"purpose": "ZZ"}), purpose: "FS"}).want(http.StatusBadRequest); !slices.Contains(got.list("known"), "EH") {
		t.Errorf("known purposes: %v", got.list("known"))
	}
	h.do(call{as: "social-worker", path: path, body: told(map[string]any{"agreed": "not-asked"}), purpose: "FS"}).want(http.StatusBadRequest)
	h.do(call{as: "social-worker", path: "/v1/people/" + uuid.NewString() + "/told-and-agreed", body: told(nil), purpose: "FS"}).want(http.StatusNotFound)
}

func TestReadersBeforeItIsSaved(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	entries := x.count(`SELECT count(*) FROM kith.entry_version`)
	show := func(as string, changes map[string]any) (readers map[string][]string, raw string) {
		a := h.do(call{as: as, path: "/v1/entries?preview=readers", key: "-", body: x.observation("trio", changes), purpose: "FS"}).want(http.StatusOK)
		readers = map[string][]string{}
		list, _ := a.json["readers"].([]any)
		for _, r := range list {
			m := r.(map[string]any)
			kind := m["kind"].(string)
			if level := m["level"].(string); !slices.Contains(readers[kind], level) {
				readers[kind] = append(readers[kind], level)
			}
		}
		return readers, string(a.raw)
	}
	readers, raw := show("health-visitor", nil)
	if !slices.Contains(readers["CSC"], "full") || !slices.Contains(readers["HV"], "full") {
		t.Errorf("child health would be read by %v", readers)
	}
	if _, ok := readers["HOU"]; ok || strings.Contains(raw, "Walks along") {
		t.Errorf("housing, or the draft's text: %s", raw)
	}
	if !strings.Contains(raw, "sees all of it") || !strings.Contains(raw, "social worker") {
		t.Errorf("not in words: %s", raw)
	}
	// Housing may not know of a drug service, so it is not told what one would see.
	readers, raw = show("housing-officer", map[string]any{"section": "housing", "content": map[string]any{"arrears": "none"}})
	for _, kind := range []string{"DV", "DP"} {
		if _, named := readers[kind]; named && kind == "DP" {
			t.Errorf("housing is told of %s: %s", kind, raw)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.entry_version`); n != entries {
		t.Errorf("a preview saved %d versions", n-entries)
	}
	// What it says comes true: the same entry, written, is read so.
	id := h.do(call{as: "health-visitor", path: "/v1/entries", body: x.observation("trio", nil), purpose: "FS"}).want(http.StatusCreated).text("id")
	readers, _ = show("health-visitor", nil)
	for as, kind := range map[string]string{"social-worker": "CSC", "mh-practitioner": "MH", "safeguarding-lead": "SCH", "housing-officer": "HOU", "idva": "DV", "probation-officer": "PRB"} {
		a := h.read(as, "trio", "FS")
		if a.status != http.StatusOK {
			continue
		}
		level := "hidden"
		if e := a.entry(id); e != nil {
			level = e["level"].(string)
		}
		promised := readers[kind]
		if level != "hidden" && len(promised) > 0 && !slices.Contains(promised, level) || level != "hidden" && kind == "CSC" && len(promised) == 0 {
			t.Errorf("%s reads %s, the preview said %v", as, level, promised)
		}
	}
	bad := h.do(call{as: "health-visitor", path: "/v1/entries?preview=readers", key: "-", body: x.observation("trio", map[string]any{"section": "horoscope"}), purpose: "FS"}).want(http.StatusBadRequest)
	if !slices.Contains(bad.list("known"), "child-health") {
		t.Errorf("known sections: %v", bad.list("known"))
	}
	h.do(call{as: "mh-practitioner", path: "/v1/entries?preview=readers", key: "-", body: func() map[string]any {
		b := x.observation("trio", nil)
		b["family"] = x.family("closed")
		return b
	}(), purpose: "FS"}).want(http.StatusNotFound)
}
