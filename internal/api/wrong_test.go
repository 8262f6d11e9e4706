package api_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"kith/internal/audit"
)

// wrongNotice is one notice that something which its reader was shown was wrong.
type wrongNotice struct {
	ID       string
	Subjects []string
	Details  map[string]string
}

// notices are those that somebody finds in the log, and no word of the content.
func (h *replica) notices(as, secret string) []wrongNotice {
	t := h.town.t
	t.Helper()
	got := h.do(call{as: as, path: "/v1/access-events?kind=" + string(audit.KindCorrected)}).want(http.StatusOK)
	var page struct{ Events []wrongNotice }
	if err := json.Unmarshal(got.raw, &page); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(got.raw), secret) {
		t.Errorf("%s: a notice holds content: %s", as, got.raw)
	}
	return page.Events
}

// tell looks after what was noted as wrong.
func (h *replica) tell() int {
	h.town.t.Helper()
	n, err := h.corrections.Sweep(h.town.t.Context())
	if err != nil {
		h.town.t.Fatal(err)
	}
	return n
}

// A feed sends another version of what it sent, and takes it back: whoever was
// shown the one before is told, and nobody else.
func TestAFeedThatCorrectsTellsWhoWasShown(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	const secret = "canary-feed"
	child := x.member("trio", "child")
	local := x.one(`SELECT r.local_id FROM kith.source_record r JOIN kith.person_link l ON l.record = r.id AND l.ended_at IS NULL WHERE l.person = $1 AND r.agency = 'HV'`, child)
	feed := func(line string, want string) {
		t.Helper()
		got := h.do(call{as: "system-hv", path: "/v1/submissions", body: line + "\n", header: map[string]string{"Content-Type": "application/x-ndjson"}}).want(http.StatusOK)
		if !strings.Contains(string(got.raw), want) {
			t.Fatalf("the report says %s, want %s", got.raw, want)
		}
	}
	entry := func(text string) string {
		return `{"entry":{"local_id":"WRONG-1","section":"childs-story","source":"fact","about":["` + local + `"],"contains":[],"content":{"text":"` + secret + " " + text + `"}}}`
	}
	feed(entry("was at school"), `new 1`)
	id := x.one(`SELECT id::text FROM kith.entry WHERE owner = 'HV' AND local_id = 'WRONG-1'`)
	if h.read("mh-practitioner", "trio", "FS").want(http.StatusOK).entry(id) == nil {
		t.Fatal("the trust's practitioner does not see it")
	}
	feed(entry("was at school"), `unchanged 1`)
	if n := h.tell(); n != 0 {
		t.Errorf("the same again told %d readers", n)
	}
	feed(entry("was at home"), `changed 1`)
	h.read("sm-practitioner", "trio", "FS").want(http.StatusOK)
	h.read("social-worker", "trio", "FS").want(http.StatusOK)
	if n := h.tell(); n != 1 {
		t.Errorf("%d readers were told of the second version", n)
	}
	list := h.notices("mh-practitioner", secret)
	if len(list) != 1 || list[0].Details["entry"] != id || list[0].Details["version"] != "1" || list[0].Details["corrected_to"] != "2" {
		t.Errorf("notice %+v", list)
	}
	for _, as := range []string{"sm-practitioner", "social-worker", "detective", "privacy-officer-hv"} {
		if list := h.notices(as, secret); len(list) != 0 {
			t.Errorf("%s, who was shown nothing wrong, finds %v", as, list)
		}
	}
	feed(`{"entry":{"local_id":"WRONG-1","purge":true}}`, `changed 1`)
	if n := h.tell(); n != 2 {
		t.Errorf("%d readers were told that it was withdrawn", n)
	}
	if list := h.notices("mh-practitioner", secret); len(list) != 1 {
		t.Errorf("who was shown the first version alone is told %d times", len(list))
	}
	for _, as := range []string{"sm-practitioner", "social-worker"} {
		list := h.notices(as, secret)
		if len(list) != 1 || list[0].Details["action"] != "withdrawn" || list[0].Details["version"] != "2" {
			t.Fatalf("%s: notice %+v", as, list)
		}
		if said := h.explain(as, list[0].ID).explained().Sentences[0]; !strings.Contains(said, "withdrawn") {
			t.Errorf("it is explained as: %s", said)
		}
	}
}

// A concern that is upheld tells whoever was shown the entry; one that is not
// tells nobody, and nobody learns who else had it.
func TestAConcernThatIsUpheldTellsWhoWasShown(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	const secret = "canary-concern"
	write := func() string {
		t.Helper()
		draft := x.observation("trio", map[string]any{"section": "childs-story", "content": map[string]any{"text": secret + " was at school."}})
		return h.do(call{as: "health-visitor", path: "/v1/entries", body: draft, purpose: "FS"}).want(http.StatusCreated).text("id")
	}
	right, wrong := write(), write()
	h.read("mh-practitioner", "trio", "FS").want(http.StatusOK)
	h.read("social-worker", "trio", "FS").want(http.StatusOK)
	concern := func(entry, kind string) string {
		t.Helper()
		return h.do(call{as: "social-worker", path: "/v1/entries/" + entry + "/concerns", purpose: "FS",
			body: map[string]any{"family": x.family("trio"), "version": 1, "kind": kind, "what": "She was at home with me that day."}}).want(http.StatusCreated).text("id")
	}
	answer := func(id string, upheld any) {
		t.Helper()
		body := map[string]any{"answer": "We looked into it."}
		if upheld != nil {
			body["upheld"] = upheld
		}
		h.do(call{as: "privacy-officer-hv", path: "/v1/concerns/" + id + "/answer", body: body}).want(http.StatusOK)
	}
	answer(concern(right, "wrong-fact"), nil)
	if n := h.tell(); n != 0 {
		t.Errorf("a concern that was not upheld told %d", n)
	}
	if e := h.read("social-worker", "trio", "FS").entry(right); e == nil || e["questioned"] == true {
		t.Errorf("answered: %v", e)
	}
	answer(concern(wrong, "wrong-person"), true)
	if n := h.tell(); n != 2 {
		t.Errorf("%d readers were told", n)
	}
	for _, as := range []string{"mh-practitioner", "social-worker"} {
		list := h.notices(as, secret)
		if len(list) != 1 || list[0].Details["entry"] != wrong || list[0].Details["action"] != "wrong-person" || list[0].Details["version"] != "1" || list[0].Details["corrected_to"] != "" {
			t.Fatalf("%s: notice %+v", as, list)
		}
		if said := h.explain(as, list[0].ID).explained().Sentences[0]; !strings.Contains(said, "wrong person") {
			t.Errorf("it is explained as: %s", said)
		}
	}
	for _, as := range []string{"sm-practitioner", "detective", "privacy-officer-sm", "outsider"} {
		if list := h.notices(as, secret); len(list) != 0 {
			t.Errorf("%s, who was not shown it, finds %v", as, list)
		}
	}
	// It still says what is wrong, and so it is questioned until it says something else.
	if e := h.read("social-worker", "trio", "FS").entry(wrong); e == nil || !slices.Contains(keysOf(e), "questioned") {
		t.Errorf("upheld and not corrected: %v", e)
	}
	fresh := x.observation("trio", map[string]any{"section": "childs-story", "content": map[string]any{"text": "Was at home."}})
	fresh["corrects"], fresh["why"] = 1, "the concern was right"
	h.do(call{as: "health-visitor", path: "/v1/entries/" + wrong + "/versions", body: fresh, purpose: "FS"}).want(http.StatusCreated)
	if n := h.tell(); n != 2 {
		t.Errorf("%d readers were told that it is corrected", n)
	}
	if e := h.read("social-worker", "trio", "FS").entry(wrong); e == nil || slices.Contains(keysOf(e), "questioned") {
		t.Errorf("corrected: %v", e)
	}
}

func keysOf(e map[string]any) []string {
	var out []string
	for k, v := range e {
		if v != false && v != nil {
			out = append(out, k)
		}
	}
	return out
}

// A record that had been taken for another person is separated: whoever was
// shown what came with it under the wrong name is told, without learning whose
// it is, and nobody learns of a record that they may not know of.
func TestAWrongLinkThatIsTakenBackTellsWhoWasShown(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	dad := x.one(`SELECT s.person::text FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id JOIN kith.membership m ON m.person = s.person
		WHERE m.family = $1 AND v.section = 'sm-risk' AND v.latest LIMIT 1`, x.family("linked-wrongly"))
	record := x.one(`SELECT r.id::text FROM kith.source_record r JOIN kith.person_link l ON l.record = r.id AND l.ended_at IS NULL WHERE l.person = $1 AND r.agency = 'SM'`, dad)
	entry := x.one(`SELECT v.entry::text FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id WHERE s.record = $1 AND v.section = 'sm-risk' AND v.questioned`, record)
	const secret = "hostel"
	if h.read("social-worker", "linked-wrongly", "FS").want(http.StatusOK).entry(entry) == nil {
		t.Fatal("the social worker is not shown the other man's entry")
	}

	// Who sent a record may be the secret itself: the steward is not told of it.
	listed := h.do(call{as: "match-steward", path: "/v1/people/" + dad + "/records"}).want(http.StatusOK)
	if strings.Contains(string(listed.raw), record) || strings.Contains(string(listed.raw), `"SM"`) || !strings.Contains(string(listed.raw), `"CSC"`) {
		t.Errorf("the steward's list: %s", listed.raw)
	}
	own := h.do(call{as: "privacy-officer-sm", path: "/v1/people/" + dad + "/records"}).want(http.StatusOK)
	if items, _ := own.json["items"].([]any); len(items) != 1 || !strings.Contains(string(own.raw), record) {
		t.Errorf("the service's own: %s", own.raw)
	}
	why := map[string]any{"reason": "the date of birth is three years out"}
	h.do(call{as: "sm-practitioner", path: "/v1/people/" + dad + "/records"}).want(http.StatusForbidden)
	h.do(call{as: "sm-practitioner", path: "/v1/records/" + record + "/separation", body: why}).want(http.StatusForbidden)
	other := h.do(call{as: "privacy-officer-mh", path: "/v1/records/" + record + "/separation", body: why}).want(http.StatusNotFound)
	unknown := h.do(call{as: "privacy-officer-mh", path: "/v1/records/" + entry + "/separation", body: why}).want(http.StatusNotFound)
	if withoutRequest(other) != withoutRequest(unknown) {
		t.Errorf("another's and an unknown record differ:\n%s\n%s", other.raw, unknown.raw)
	}
	h.do(call{as: "privacy-officer-sm", path: "/v1/records/" + record + "/separation", body: map[string]any{"reason": " "}}).want(http.StatusBadRequest)
	if n := x.count(`SELECT count(*) FROM kith.correction`); n != 0 {
		t.Errorf("%d notes of what nobody did", n)
	}

	h.do(call{as: "privacy-officer-sm", path: "/v1/records/" + record + "/separation", body: why, key: "sep"}).want(http.StatusOK)
	h.do(call{as: "privacy-officer-sm", path: "/v1/records/" + record + "/separation", body: why, key: "sep"}).want(http.StatusOK)
	if h.read("social-worker", "linked-wrongly", "FS").want(http.StatusOK).entry(entry) != nil {
		t.Error("the other man's entry is still in this family")
	}
	h.tell()
	now := x.one(`SELECT l.person::text FROM kith.person_link l WHERE l.record = $1 AND l.ended_at IS NULL`, record)
	list := h.notices("social-worker", secret)
	if at := slices.IndexFunc(list, func(n wrongNotice) bool { return n.Details["entry"] == entry }); at < 0 || list[at].Details["action"] != "separated" || list[at].Details["version"] != "1" {
		t.Errorf("notices %+v", list)
	} else if said := h.explain("social-worker", list[at].ID).explained().Sentences[0]; !strings.Contains(said, "taken for the wrong person") {
		t.Errorf("it is explained as: %s", said)
	}
	for _, n := range list {
		if slices.Contains(n.Subjects, now) || n.Details["record"] != "" {
			t.Errorf("a notice names who the record is now: %+v", n)
		}
	}
	for _, as := range []string{"mh-practitioner", "health-visitor", "detective", "privacy-officer-mh", "match-steward"} {
		if list := h.notices(as, secret); len(list) != 0 {
			t.Errorf("%s, who was shown nothing, finds %v", as, list)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'link' AND outcome = 'done' AND agency = 'SM' AND subjects @> ARRAY[$1::uuid, $2::uuid]`, dad, now); n != 1 {
		t.Errorf("%d events of the separation", n)
	}
}
