package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/demo"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/policies"
)

// event is the id in an answer's receipt.
func (a answer) event() string {
	a.t.Helper()
	receipt, err := proof.ParseReceipt(a.head.Get("Kith-Receipt"))
	if err != nil {
		a.t.Fatalf("receipt: %v", err)
	}
	return receipt.Event.String()
}

func (h *replica) explain(as, event string) answer {
	return h.do(call{as: as, path: "/v1/access-events/" + event + "/explanation"})
}

// explained is an explanation as a test reads it.
type explained struct {
	Who struct {
		Name, Agency string
		Roles        []string
	}
	Asked struct {
		Family, Purpose, Reason string
		Children                []string
		Details                 map[string]string
	}
	Allowed struct {
		Answer, Refusal string
		Relationship    []string
		OpenWork        []string `json:"open_work"`
		Agreements      []struct{ ID, Title string }
		Version         *struct{ Digest, Name string }
	}
	Released  []struct{ Section, Owner, Level string }
	Withheld  *[]struct{ Section, Owner, Shown string }
	Replay    struct{ Result, Why, Words string }
	Sentences []string
}

func (a answer) explained() explained {
	a.t.Helper()
	a.want(http.StatusOK)
	var e explained
	if err := json.Unmarshal(a.raw, &e); err != nil {
		a.t.Fatalf("%v: %s", err, a.raw)
	}
	if len(e.Sentences) != 4 || slices.Contains(e.Sentences, "") || strings.Contains(strings.Join(e.Sentences, ""), "%!") {
		a.t.Errorf("sentences: %q", e.Sentences)
	}
	return e
}

// design.md §5: who sees what of one read of the Doyles by a detective, to whom
// nothing of the mental health trust's is shown.
func TestExplainedToEachReader(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	read := h.read("detective", "trio", "FS").want(http.StatusOK)
	event := read.event()
	mental := x.one(`SELECT name FROM kith.agency WHERE code = 'MH'`)

	auditor := h.explain("auditor", event).explained()
	if auditor.Replay.Result != "same" || auditor.Allowed.Answer != "allowed" || auditor.Allowed.Version == nil || len(auditor.Allowed.Agreements) == 0 {
		t.Errorf("auditor: %+v", auditor)
	}
	if auditor.Who.Name != x.people["detective"].Name || auditor.Asked.Reason != "a test of writing" || len(auditor.Allowed.OpenWork) == 0 {
		t.Errorf("auditor is told of %+v, %+v, %v", auditor.Who, auditor.Asked, auditor.Allowed.OpenWork)
	}
	owners := map[string]bool{}
	for _, w := range *auditor.Withheld {
		owners[w.Owner] = true
		if strings.Contains(w.Section, "-") {
			t.Errorf("a code for a part of the record: %s", w.Section)
		}
	}
	if !owners["MH"] || !owners["SM"] {
		t.Errorf("withheld of %v", owners)
	}
	if text := strings.Join(auditor.Sentences, "\n"); !strings.Contains(text, x.people["detective"].Name) || !strings.Contains(text, "mental health risk") || !strings.Contains(text, x.stories["trio"].Ref) || !strings.Contains(text, "the answer is the same") {
		t.Errorf("read out:\n%s", text)
	}
	for _, child := range auditor.Asked.Children {
		if !strings.HasPrefix(child, "r-") {
			t.Errorf("the auditor sees the child %s", child)
		}
	}

	// The detective, and the own agency's officer: what was shown, nothing of others' that was not.
	for _, as := range []string{"detective", "privacy-officer-pol"} {
		got := h.explain(as, event)
		e := got.explained()
		for _, secret := range []string{mental, `"MH"`, "mental health risk", "child-protection-plan", "child protection plan was"} {
			if strings.Contains(string(got.raw), secret) {
				t.Errorf("%s is told %q: %s", as, secret, got.raw)
			}
		}
		if as == "detective" && e.Withheld != nil || as != "detective" && (e.Withheld == nil || slices.ContainsFunc(*e.Withheld, func(w struct{ Section, Owner, Shown string }) bool { return w.Owner != "POL" })) {
			t.Errorf("%s: withheld %+v", as, e.Withheld)
		}
		if len(e.Released) < 3 || e.Replay.Result != "same" {
			t.Errorf("%s: %+v", as, e)
		}
	}

	// The trust's officer: the own part of it, and neither reason nor relationship.
	got := h.explain("privacy-officer-mh", event)
	e := got.explained()
	if e.Withheld == nil || len(*e.Withheld) == 0 || len(e.Released) != 0 || e.Asked.Reason != "" || len(e.Allowed.Relationship)+len(e.Allowed.OpenWork) > 0 {
		t.Errorf("the trust's officer: %+v", e)
	}
	for _, w := range *e.Withheld {
		if w.Owner != "MH" || w.Shown != "hidden" {
			t.Errorf("the trust's officer is told of %+v", w)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.access_event WHERE kind = 'log-view' AND outcome = 'done'`); n != 4 {
		t.Errorf("%d looks at the log are in the log", n)
	}

	// Everybody else: as if there were no such event.
	unknown := h.explain("housing-officer", uuid.NewString()).want(http.StatusNotFound)
	for _, as := range []string{"mh-practitioner", "privacy-officer-prb", "privacy-officer-dp"} {
		if x.count(`SELECT count(*) FROM kith.entry_version v JOIN kith.entry_subject s ON s.version = v.id JOIN kith.membership m ON m.person = s.person
			WHERE m.family = $1 AND v.latest AND coalesce(v.owner, (SELECT e.owner FROM kith.entry e WHERE e.id = v.entry)) = $2`, x.family("trio"), x.people[as].Agency) > 0 && as != "mh-practitioner" {
			continue
		}
		out := h.explain(as, event).want(http.StatusNotFound)
		if a, b := withoutRequest(out), withoutRequest(unknown); a != b {
			t.Errorf("%s: out of scope and unknown differ:\n%s\n%s", as, a, b)
		}
	}
	h.do(call{as: "system-mh", path: "/v1/access-events/" + event + "/explanation"}).want(http.StatusForbidden)
}

// A family that is none and one that is closed explain alike to whoever asked.
func TestRefusalsExplainAlike(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	closed := h.read("detective", "closed", "CP").want(http.StatusNotFound).event()
	none := h.do(call{as: "detective", path: "/v1/families/" + uuid.NewString(), purpose: "CP"}).want(http.StatusNotFound).event()
	var texts []string
	for _, event := range []string{closed, none} {
		e := h.explain("detective", event).explained()
		if e.Allowed.Answer != "refused" || len(e.Allowed.Relationship)+len(e.Allowed.OpenWork)+len(e.Released) > 0 || e.Withheld != nil || e.Replay.Result != "same" {
			t.Errorf("refused: %+v", e)
		}
		texts = append(texts, strings.ReplaceAll(strings.Join(e.Sentences[1:], "\n"), e.Asked.Family, ""))
	}
	if texts[0] != texts[1] {
		t.Errorf("they differ:\n%s\n\n%s", texts[0], texts[1])
	}
	if e := h.explain("auditor", closed).explained(); len(*e.Withheld) == 0 {
		t.Error("the auditor is not told what a refusal kept back")
	}
}

// Whatever the log holds explains itself to the auditor, and decides again the
// same: reads, lists, searches, denials, writes, policy, log views.
func TestEveryKindIsExplainedAndReplayed(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	began := time.Now().Add(-time.Minute)
	for _, as := range []string{"social-worker", "mh-practitioner", "idva", "perpetrator-practitioner", "health-visitor", "housing-officer"} {
		for _, story := range []string{"trio", "fleeing", "closed"} {
			h.read(as, story, "FS")
		}
	}
	h.read("outsider", "trio", "FS").want(http.StatusForbidden)
	h.read("social-worker", "trio", "ZZ").want(http.StatusBadRequest)
	for _, terms := range []map[string]string{{"given_name": "Ruby", "family_name": "Doyle"}, {"given_name": "Nobody", "family_name": "Whatsoever"}} {
		h.do(call{as: "social-worker", path: "/v1/searches", body: terms, purpose: "FS"}).want(http.StatusOK)
	}
	a := x.people["social-worker"]
	p := identity.Principal{Partnership: demo.Partnership, Issuer: "test", Subject: a.Subject, Worker: a.Worker, WorkerName: a.Name, Agency: a.Agency, Kind: a.Kind, HomeAgency: a.Agency, Roles: a.Roles,
		WorkerStamp: int64(x.count(`SELECT stamp FROM kith.worker WHERE id = $1`, a.Worker))}
	if list, err := h.door.Caseload(t.Context(), p, uuid.Nil, "list"); err != nil || len(list.Cases) == 0 {
		t.Fatalf("my families: %v", err)
	}
	h.do(call{as: "health-visitor", path: "/v1/entries", body: x.observation("trio", nil), purpose: "FS"}).want(http.StatusCreated)
	h.do(call{as: "health-visitor", path: "/v1/entries?preview=readers", body: x.observation("trio", nil), purpose: "FS"}).want(http.StatusOK)
	h.do(call{as: "social-worker", path: "/v1/involvements", body: map[string]any{"source": "allocation", "person": uuid.NewString(), "worker": a.Worker, "reason": "r"}}).want(http.StatusForbidden)
	h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]string{"title": "t"}}).want(http.StatusCreated)
	h.do(call{as: "auditor", path: "/v1/access-events?limit=3"}).want(http.StatusOK)

	kinds := map[string]int{}
	rows, err := x.admin.Query(t.Context(), `SELECT id::text, kind FROM kith.access_event`)
	if err != nil {
		t.Fatal(err)
	}
	var events [][2]string
	var id, kind string
	if _, err := pgx.ForEachRow(rows, []any{&id, &kind}, func() error { events = append(events, [2]string{id, kind}); return nil }); err != nil {
		t.Fatal(err)
	}
	for _, event := range events {
		e := h.explain("auditor", event[0]).explained()
		if e.Replay.Result != "same" && e.Replay.Result != "nothing-decided" {
			t.Errorf("%s %s: %+v", event[1], event[0], e.Replay)
		}
		if e.Replay.Result == "same" {
			kinds[event[1]]++
		}
	}
	if kinds["read"] < 18 || kinds["search"] < 2 || kinds["entry"] < 2 {
		t.Errorf("decided again: %v", kinds)
	}
	tally := h.replay(t, began, time.Now().Add(time.Minute))
	if tally.Done < int64(len(events)) || tally.Total != tally.Done || tally.Different > 0 || !tally.End || tally.Same < 22 {
		t.Errorf("%+v", tally)
	}
}

// tally is the last line of a replay.
type tally struct {
	Total, Done, Same, Different int64
	NotReplayable                int64 `json:"not_replayable"`
	End                          bool
	differ                       []string // event and why
}

func (h *replica) replay(t *testing.T, from, until time.Time) tally {
	t.Helper()
	got := h.do(call{as: "auditor", path: "/v1/access-events/replay", body: map[string]string{"from": from.UTC().Format(time.RFC3339), "until": until.UTC().Format(time.RFC3339)}, key: "-"}).want(http.StatusOK)
	var last tally
	var differ []string
	lines := bufio.NewScanner(bytes.NewReader(got.raw))
	for lines.Scan() {
		last = tally{}
		var more struct{ Differ []struct{ Event, Why string } }
		if json.Unmarshal(lines.Bytes(), &last) != nil || json.Unmarshal(lines.Bytes(), &more) != nil {
			t.Fatalf("line %s", lines.Bytes())
		}
		for _, d := range more.Differ {
			differ = append(differ, d.Event+" "+d.Why)
		}
	}
	last.differ = differ
	return last
}

// otherRules publishes the shipped version with the police's row of domestic
// abuse risk taken out.
func (x *town) otherRules() policy.Digest {
	x.t.Helper()
	files := fstest.MapFS{}
	if err := fs.WalkDir(policies.Default(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(policies.Default(), name)
		if name == "matrix/da-risk.yaml" {
			changed := bytes.ReplaceAll(text, []byte("{to: POL, purposes: [EH, CN, CP], level: full, clause: isa-family-safeguarding 4.7}"), []byte("{to: POL, purposes: [EH, CN, CP], level: hidden}"))
			if bytes.Equal(changed, text) {
				x.t.Fatal("the row of the matrix is not there")
			}
			text = changed
		}
		files[name] = &fstest.MapFile{Data: text}
		return err
	}); err != nil {
		x.t.Fatal(err)
	}
	bundle, err := policy.Pack(files)
	if err != nil {
		x.t.Fatal(err)
	}
	var digest policy.Digest
	if err := postgres.InTx(context.Background(), x.admin, func(tx pgx.Tx) error {
		digest, err = policy.Publish(context.Background(), tx, demo.Partnership, bundle)
		return err
	}); err != nil {
		x.t.Fatal(err)
	}
	return digest
}

func TestReplayKeepsToItsVersionAndTellsWhatWasChanged(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	old := h.read("detective", "trio", "FS").want(http.StatusOK)
	first := h.explain("auditor", old.event()).explained()
	fresh := x.otherRules()
	after := h.read("detective", "trio", "FS").want(http.StatusOK)
	if !strings.Contains(string(old.raw), `"section":"da-risk"`) || strings.Contains(string(after.raw), `"section":"da-risk"`) {
		t.Fatal("the new rules change nothing")
	}
	second := h.explain("auditor", old.event()).explained()
	if second.Replay.Result != "same" || second.Allowed.Version.Digest != first.Allowed.Version.Digest || second.Allowed.Version.Digest == fresh.String() {
		t.Errorf("after other rules: %+v, %+v", second.Replay, second.Allowed.Version)
	}
	if e := h.explain("auditor", after.event()).explained(); e.Replay.Result != "same" || e.Allowed.Version.Digest != fresh.String() {
		t.Errorf("under the new rules: %+v, %+v", e.Replay, e.Allowed.Version)
	}

	// What a database owner could do to a decision.
	tampered := map[string]string{}
	for name, sql := range map[string]string{
		"decision-differs": `UPDATE kith.access_event SET header = convert_to(regexp_replace(convert_from(header, 'UTF8'), '"decision":"[0-9a-f]{8}', '"decision":"01234567'), 'UTF8') WHERE id = $1`,
		"input-altered":    `UPDATE kith.access_event SET input = input || '\x20'::bytea WHERE id = $1`,
		"event-damaged":    `UPDATE kith.access_event SET common = common || '\x20'::bytea WHERE id = $1`,
		"version-missing":  `UPDATE kith.access_event SET header = convert_to(regexp_replace(convert_from(header, 'UTF8'), '"policy":"[0-9a-f]{8}', '"policy":"01234567'), 'UTF8') WHERE id = $1`,
	} {
		event := h.read("detective", "trio", "FS").want(http.StatusOK).event()
		x.exec(sql, event)
		tampered[event] = name
		if e := h.explain("auditor", event).explained(); e.Replay.Result != "different" || e.Replay.Why != name || !strings.Contains(e.Replay.Words, "alarm") {
			t.Errorf("%s: %+v", name, e.Replay)
		}
	}
	if n := x.count(`SELECT count(*) FROM kith.alert WHERE kind = 'replay-differs'`); n != len(tampered) {
		t.Errorf("%d alerts", n)
	}
	erased := h.read("detective", "trio", "FS").want(http.StatusOK).event()
	x.exec(`UPDATE kith.access_event SET input = NULL WHERE id = $1`, erased)
	if e := h.explain("auditor", erased).explained(); e.Replay.Result != "erased" || !strings.Contains(e.Sentences[3], "has been erased") || e.Withheld != nil {
		t.Errorf("erased: %+v", e)
	}
	got := h.replay(t, time.Now().Add(-time.Hour), time.Now().Add(time.Minute))
	if got.Different != int64(len(tampered)) || got.NotReplayable != 1 || len(got.differ) != len(tampered) {
		t.Errorf("replay of the hour: %+v", got)
	}
	for event, why := range tampered {
		if !slices.Contains(got.differ, event+" "+why) {
			t.Errorf("the replay does not name %s %s: %v", event, why, got.differ)
		}
	}
	for as, status := range map[string]int{"privacy-officer-mh": 403, "detective": 403, "admin": 403} {
		h.do(call{as: as, path: "/v1/access-events/replay", body: map[string]string{"from": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}, key: "-"}).want(status)
	}
	h.do(call{as: "auditor", path: "/v1/access-events/replay", body: map[string]string{"from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, key: "-"}).want(http.StatusBadRequest)
}

// What was told without a name in the answer stands without one in the look at
// the log afterwards, for whoever asked and for their own agency's officer.
func TestServicesWithoutANameStayWithoutOne(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	unnamed := 0
	for _, as := range []string{"mh-practitioner", "safeguarding-lead", "housing-officer", "probation-officer", "health-visitor"} {
		for _, purpose := range []string{"FS", "CP"} {
			read := h.read(as, "trio", purpose)
			if read.status != http.StatusOK {
				continue
			}
			event, shown := read.event(), map[string]bool{}
			lines := h.explain("auditor", event).explained().Released
			for _, r := range lines {
				shown[r.Owner] = shown[r.Owner] || r.Level != "existence"
			}
			for _, r := range lines {
				if r.Level != "existence" || shown[r.Owner] {
					continue
				}
				unnamed++
				name := x.one(`SELECT name FROM kith.agency WHERE code = $1`, r.Owner)
				for _, reader := range []string{as, "privacy-officer-" + strings.ToLower(x.people[as].Agency)} {
					for _, path := range []string{"", "/explanation"} {
						got := h.do(call{as: reader, path: "/v1/access-events/" + event + path}).want(http.StatusOK)
						if text := string(got.raw); strings.Contains(text, `"`+r.Owner+`"`) || strings.Contains(text, name) {
							t.Errorf("%s is told that %s holds something, by %q: %s", reader, r.Owner, path, text)
						}
					}
				}
			}
		}
	}
	if unnamed < 3 {
		t.Errorf("only %d services without a name were met", unnamed)
	}
}
