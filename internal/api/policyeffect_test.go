package api_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/api"
	"kith/internal/audit/proof"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

// drafted is a draft in which police see the summary of mental-health
// involvement, and its address.
func (h *replica) drafted(t *testing.T) (answer, string) {
	t.Helper()
	draft := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "Police see mental health involvement"}}).want(201)
	at := "/v1/policies/drafts/" + draft.text("id")
	row := h.do(call{as: "ig-author-csc", path: at + "/rows", body: map[string]any{"revision": draft.number("revision"), "section": "mh-involvement", "row": policeRow}}).want(200)
	const told = "stories/police-and-treatment.yaml"
	mended := strings.Replace(h.town.original(t, row, told), "want: {name: full, event: full}\n    detail: {seen-by-nurse: {reasons: [owner-hidden]}}",
		"want: {name: full, event: full, seen-by-nurse: summary}", 1)
	return h.do(call{as: "ig-author-csc", path: at + "/files", body: map[string]any{"revision": row.number("revision"),
		"files": []any{map[string]any{"path": told, "content": mended}}}}).want(200), at
}

// propose submits it.
func (h *replica) propose(t *testing.T, more map[string]any) answer {
	t.Helper()
	row, at := h.drafted(t)
	body := map[string]any{"revision": row.number("revision"), "why": "police asked for it"}
	for k, v := range more {
		body[k] = v
	}
	return h.do(call{as: "ig-author-csc", path: at + "/submission", body: body}).want(201)
}

// approved is a proposal with its whole report and the approval that it needs.
func (h *replica) approved(t *testing.T, sub answer) string {
	t.Helper()
	h.weigh()
	s := "/v1/policies/submissions/" + sub.text("id")
	h.do(call{as: "ig-approver-mh", path: s + "/approvals", body: map[string]any{"digest": sub.text("digest"), "compared_with": sub.text("compared_with"), "why": "agreed"}}).want(201)
	return s
}

func (x *town) stored(t *testing.T, digest string) *policy.Active {
	t.Helper()
	var raw []byte
	if err := x.admin.QueryRow(t.Context(), `SELECT bundle FROM kith.policy_version WHERE digest = decode($1, 'hex')`, digest).Scan(&raw); err != nil {
		t.Fatal(err)
	}
	b, err := policy.LoadBundle(raw)
	if err != nil {
		t.Fatal(err)
	}
	a, err := policy.Activate(b, policy.Options{Deadline: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func told(n int) policy.Count { return policy.CountOf(n) }

// Every figure of the report is counted again by other means: the past by
// deciding every recorded input under both versions, the live records by
// reading them before and after the version is active.
func TestEveryFigureOfTheReport(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	for _, key := range []string{"detective", "mh-practitioner", "social-worker"} {
		for story := range x.stories {
			h.read(key, story, "FS")
		}
	}
	h.do(call{as: "social-worker", path: "/v1/searches", purpose: "FS", body: map[string]any{"given_name": "Nobody", "family_name": "Atall"}})
	erased := x.one(`SELECT id::text FROM kith.access_event WHERE retention = 'access' AND input IS NOT NULL AND agency = 'CSC' ORDER BY occurred_at LIMIT 1`)
	x.exec(`UPDATE kith.access_event SET input = NULL WHERE id = $1`, erased)
	altered := x.one(`SELECT id::text FROM kith.access_event WHERE retention = 'access' AND input IS NOT NULL AND agency = 'CSC' ORDER BY occurred_at DESC LIMIT 1`)
	x.exec(`UPDATE kith.access_event SET input = input || 'x'::bytea WHERE id = $1`, altered)
	sub := h.propose(t, nil)
	before, after := x.stored(t, sub.text("compared_with")), x.stored(t, sub.text("digest"))
	views := x.policeViews(t)
	seen := views(h)
	s := h.approved(t, sub)
	var whole policy.Submission
	if err := json.Unmarshal(h.do(call{as: "ig-author-csc", path: s}).want(200).raw, &whole); err != nil {
		t.Fatal(err)
	}
	past, live := whole.Effect.Past, whole.Effect.Live

	// The past.
	type line struct{ agency, section, owner, before, after string }
	type tally struct{ accesses, opened, closed int }
	agencies, lines, families := map[string]tally{}, map[line]int{}, map[line]map[uuid.UUID]bool{}
	var all, nothing, replayed int
	rows, err := x.admin.Query(t.Context(), `SELECT agency, family, header, input FROM kith.access_event WHERE retention = 'access' AND occurred_at <= $1`, *past.To)
	if err != nil {
		t.Fatal(err)
	}
	var agency string
	var family *uuid.UUID
	var header, sealed []byte
	if _, err := pgx.ForEachRow(rows, []any{&agency, &family, &header, &sealed}, func() error {
		all++
		head, err := proof.DecodeHeader(header)
		if err != nil {
			return err
		}
		if head.Input == (proof.Digest{}) {
			nothing++
			return nil
		}
		text, err := proof.OpenInput(sealed, head)
		if err != nil {
			return nil // erased, or altered
		}
		var inputs []policy.Input
		if text[0] != '[' {
			text = slices.Concat([]byte("["), text, []byte("]"))
		}
		if err := json.Unmarshal(text, &inputs); err != nil {
			return err
		}
		replayed++
		a := agencies[agency]
		a.accesses++
		var opened, closed bool
		counted := map[line]bool{}
		for _, in := range inputs {
			old, err := before.Decide(t.Context(), in)
			if err != nil {
				return err
			}
			fresh, err := after.Decide(t.Context(), in)
			if err != nil {
				return err
			}
			if old.Allow != fresh.Allow {
				t.Errorf("a request is refused by one version alone: %+v", in.Caller)
			}
			for i := range old.Entries {
				was, is := old.Entries[i].Level, fresh.Entries[i].Level
				if was == is {
					continue
				}
				opened, closed = opened || is > was, closed || is < was
				k := line{agency, in.Tuples[i].Section, in.Tuples[i].Owner, was.String(), is.String()}
				if !counted[k] {
					counted[k] = true
					lines[k]++
					if families[k] == nil {
						families[k] = map[uuid.UUID]bool{}
					}
					if family != nil {
						families[k][*family] = true
					}
				}
			}
		}
		if opened {
			a.opened++
		}
		if closed {
			a.closed++
		}
		agencies[agency] = a
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if past.Accesses != all || past.Nothing != nothing || past.Replayed != replayed || past.Erased != 1 || past.Damaged != 1 || past.Late != 0 {
		t.Errorf("the report says %+v; counted again: %d accesses, %d with nothing decided, %d replayed", past, all, nothing, replayed)
	}
	if len(past.Agencies) != len(agencies) {
		t.Errorf("agencies %+v, counted again %+v", past.Agencies, agencies)
	}
	for _, a := range past.Agencies {
		if n := agencies[a.Agency]; a.Accesses != told(n.accesses) || a.Opened != told(n.opened) || a.Closed != told(n.closed) {
			t.Errorf("%+v, counted again %+v", a, n)
		}
	}
	examples := 0
	for _, l := range past.Lines {
		k := line{l.Agency, l.Section, l.Owner, l.Before, l.After}
		if *l.Accesses != told(lines[k]) || l.Families != told(len(families[k])) || !l.Gain {
			t.Errorf("%+v, counted again %d accesses to %d families", l, lines[k], len(families[k]))
		}
		if len(families[k]) < policy.Few && len(l.Examples) > 0 {
			t.Errorf("examples of what happened to few: %+v", l)
		}
		for _, e := range l.Examples {
			examples++
			if got := x.one(`SELECT family::text FROM kith.access_event WHERE id = $1`, e.Event); strings.Contains(e.Family, got) || !strings.HasPrefix(e.Family, "r-") {
				t.Errorf("an example names the family: %+v", e)
			}
		}
		delete(lines, k)
	}
	if len(lines) > 0 || len(past.Lines) == 0 || agencies["POL"].opened < policy.Few || examples == 0 {
		t.Errorf("the report does not tell of %+v (police: %+v, %d examples)", lines, agencies["POL"], examples)
	}

	// The live records.
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(200)
	now := views(h)
	opened := map[[2]string]map[string]bool{} // section and level → entries
	for key, level := range now {
		if seen[key] == level {
			continue
		}
		parts := strings.Split(key, "/") // worker, purpose, section, entry
		k, entry := [2]string{parts[2], level}, parts[3]
		if opened[k] == nil {
			opened[k] = map[string]bool{}
		}
		opened[k][entry] = true
	}
	published := 0
	for _, l := range live.Lines {
		if l.Agency != "POL" || l.Role != "detective" || !l.Gain {
			continue
		}
		published++
		if got := opened[[2]string{l.Section, l.After}]; *l.Entries != told(len(got)) {
			t.Errorf("%+v; %d entries opened when it was active", l, len(got))
		}
	}
	if published == 0 || published != len(opened) || live.Looked != live.Families || live.Families != x.count(`SELECT count(*) FROM kith.family`) {
		t.Errorf("%d lines are published, %d opened: %+v", published, len(opened), live.Lines)
	}
}

// policeViews gives a function that reads every story as every detective who
// works with somebody in it, for the work that is open:
// worker/purpose/section/entry → level.
func (x *town) policeViews(t *testing.T) func(*replica) map[string]string {
	t.Helper()
	rows, err := x.admin.Query(t.Context(), `
SELECT DISTINCT w.id, m.family FROM kith.involvement i JOIN kith.worker w ON w.id = i.worker OR i.worker IS NULL AND EXISTS (
         SELECT 1 FROM kith.worker_team k WHERE k.worker = w.id AND k.agency = i.agency AND k.team = i.team AND k.valid_from <= now() AND coalesce(k.valid_until, 'infinity') > now())
  JOIN kith.membership m ON m.person = i.person AND m.confirmed_by IS NOT NULL
 WHERE i.agency = 'POL' AND i.valid_from <= now() AND coalesce(i.valid_until, 'infinity') > now() AND 'detective' = ANY (w.roles) AND NOT w.suspended`)
	if err != nil {
		t.Fatal(err)
	}
	type pair struct{ worker, family uuid.UUID }
	pairs, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (pair, error) {
		var p pair
		return p, row.Scan(&p.worker, &p.family)
	})
	if err != nil || len(pairs) == 0 {
		t.Fatalf("%d detectives work with a family: %v", len(pairs), err)
	}
	return func(h *replica) map[string]string {
		out := map[string]string{}
		for _, p := range pairs {
			var roles []string
			if err := x.admin.QueryRow(t.Context(), `SELECT roles FROM kith.worker WHERE id = $1`, p.worker).Scan(&roles); err != nil {
				t.Fatal(err)
			}
			for _, purpose := range []string{"CN", "FS", "LC", "CP", "EH"} {
				if purpose == "CP" && x.count(`SELECT count(*) FROM kith.episode e JOIN kith.membership m ON m.person = e.person WHERE m.family = $1 AND e.kind = 'section-47' AND NOT e.withdrawn
					AND e.valid_from <= current_date AND coalesce(e.valid_until, 'infinity') >= current_date`, p.family) == 0 {
					continue // declared use is not open work
				}
				view, err := h.door.Read(t.Context(), identity.Principal{Partnership: demo.Partnership, Worker: p.worker, WorkerName: "a detective", Agency: "POL", Kind: "POL", HomeAgency: "POL", Roles: roles},
					disclosure.Request{Family: p.family, Purpose: purpose, Reason: "to compare"})
				if err != nil {
					continue // refused: nothing is seen
				}
				for _, s := range view.Sections {
					for _, e := range s.Entries {
						out[strings.Join([]string{p.worker.String(), purpose, s.Section, e.ID.String()}, "/")] = e.Level.String()
					}
				}
			}
		}
		return out
	}
}

// A scheduled start acts by itself, once, with every check; what fails then is
// told and waits for an officer.
func TestAScheduledStart(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h, other := x.main, x.hub(api.Limits{})
	sub := h.propose(t, map[string]any{"starts_at": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	s := h.approved(t, sub)
	h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(409) // early
	started := func(h *replica) int {
		t.Helper()
		n, err := h.office.StartDue(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := started(h); n != 0 {
		t.Fatal("it started an hour early")
	}
	x.exec(`UPDATE kith.policy_submission SET starts_at = now() - interval '1 s' WHERE id = $1`, sub.text("id"))
	begun := make(chan int, 2)
	for _, hub := range []*replica{h, other} {
		go func() {
			n, err := hub.office.StartDue(t.Context())
			if err != nil {
				t.Error(err)
			}
			begun <- n
		}()
	}
	if n := <-begun + <-begun; n != 1 {
		t.Errorf("two replicas started it %d times", n)
	}
	if got := x.one(`SELECT encode(digest, 'hex') FROM kith.policy_head`); got != sub.text("digest") {
		t.Errorf("the head is %s", got)
	}
	log := h.do(call{as: "auditor", path: "/v1/access-events?limit=100&kind=policy"}).want(200)
	if !strings.Contains(string(log.raw), `"scheduled"`) {
		t.Error("the event does not say that it was scheduled")
	}

	// Back, scheduled too; then the officer who wrote it is one no longer.
	back := h.do(call{as: "ig-approver-mh", path: "/v1/policies/" + sub.text("compared_with") + "/return", body: map[string]any{"why": "the trial is over"}}).want(201)
	h.weigh()
	x.exec(`UPDATE kith.policy_submission SET starts_at = now() - interval '1 s' WHERE id = $1`, back.text("id"))
	mh := x.people["ig-approver-mh"].Worker
	x.exec(`UPDATE kith.worker SET suspended = true WHERE id = $1`, mh)
	if n := started(h) + started(other); n != 0 {
		t.Error("what a suspended officer scheduled started")
	}
	x.exec(`UPDATE kith.worker SET suspended = false WHERE id = $1`, mh)
	if n := started(h); n != 0 {
		t.Error("a refused start was tried again")
	}
	if n := x.count(`SELECT count(*) FROM kith.alert WHERE kind = $1`, policy.AlertStart); n != 1 {
		t.Errorf("%d alerts", n)
	}
	h.do(call{as: "ig-approver-mh", path: "/v1/policies/submissions/" + back.text("id") + "/activation", method: http.MethodPost}).want(200)
}

// What changed since the report voids it, or asks more agencies.
func TestActivationAsksAgain(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h := x.main
	sub := h.propose(t, nil)
	s := h.approved(t, sub)
	if got := h.do(call{as: "ig-author-csc", path: s}).want(200).list("missing"); len(got) > 0 {
		t.Fatalf("%v must still approve", got)
	}
	// Somebody else has begun to contribute to what opens: they must approve as well.
	x.exec(`UPDATE kith.entry_version SET owner = NULL WHERE section = 'mh-involvement' AND latest AND entry = (SELECT entry FROM kith.entry_version WHERE section = 'mh-involvement' AND latest ORDER BY id LIMIT 1)`)
	x.exec(`UPDATE kith.entry SET owner = 'HV', local_id = NULL WHERE id = (SELECT entry FROM kith.entry_version WHERE owner IS NULL AND latest LIMIT 1)`)
	no := h.do(call{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}).want(409)
	if !slices.Equal(no.list("missing"), []string{"HV"}) {
		t.Fatalf("a new contributor is not asked: %s", no.raw)
	}
	both := map[string]any{"digest": sub.text("digest"), "compared_with": sub.text("compared_with"), "why": "agreed"}
	h.do(call{as: "ig-approver-hv", path: s + "/approvals", body: both}).want(201)

	// Another version becomes active first: approvals of the comparison are void.
	quick := h.do(call{as: "ig-author-csc", path: "/v1/policies/drafts", body: map[string]any{"title": "a word more"}}).want(201)
	at := "/v1/policies/drafts/" + quick.text("id")
	h.do(call{as: "ig-author-csc", path: at + "/files", body: map[string]any{"revision": 1, "files": []any{map[string]any{"path": "README.md", "content": "another word\n"}}}}).want(200)
	word := h.do(call{as: "ig-author-csc", path: at + "/submission", body: map[string]any{"revision": 2, "why": "a word"}}).want(201)
	h.weigh()
	h.do(call{as: "ig-author-csc", path: "/v1/policies/submissions/" + word.text("id") + "/activation", method: http.MethodPost}).want(200)
	for _, c := range []call{{as: "ig-author-csc", path: s + "/activation", method: http.MethodPost}, {as: "ig-approver-pol", path: s + "/approvals", body: both}} {
		if got := h.do(c).want(409); !strings.Contains(got.text("type"), "policy-compared-with-changed") {
			t.Errorf("%s: %s", c.path, got.raw)
		}
	}
	if void, _ := h.do(call{as: "ig-author-csc", path: s}).want(200).json["void"].(bool); !void {
		t.Error("the submission is not said to be void")
	}
	// What approvers were shown cannot be changed under them, by the app's role either.
	if _, err := x.db.Pool(t, "app").Exec(t.Context(), `UPDATE kith.policy_effect SET result = '{}' WHERE submission = $1`, sub.text("id")); err == nil {
		t.Error("a whole report can be changed")
	}
	if _, err := x.db.Pool(t, "app").Exec(t.Context(), `INSERT INTO kith.policy_effect (submission, state, result) SELECT id, 'complete', '{}' FROM kith.policy_submission`); err == nil {
		t.Error("the app's role may insert a whole report")
	}
}

// A replica that dies while it computes a report is followed by another; what
// the dead one would still write is refused.
func TestAReportIsGoneOnWithByAnotherReplica(t *testing.T) {
	t.Parallel()
	x := newTown(t)
	h, other := x.main, x.hub(api.Limits{})
	sub := h.propose(t, nil)
	dead, err := h.office.TakeWork(t.Context(), uuid.New())
	if err != nil || dead == nil {
		t.Fatalf("nothing to compute: %v", err)
	}
	if err := dead.Save(t.Context(), policy.StagePast, 1, 7, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	s := "/v1/policies/submissions/" + sub.text("id")
	effect, _ := h.do(call{as: "ig-author-csc", path: s}).want(200).json["effect"].(map[string]any)
	if effect["state"] != "computing" || effect["done"] != 1.0 || effect["total"] != 7.0 || effect["past"] != nil {
		t.Errorf("how far it is: %v", effect)
	}
	if did, err := other.weigher.Next(t.Context()); did || err != nil {
		t.Fatalf("two replicas compute one report: %v", err)
	}
	x.exec(`UPDATE kith.policy_effect SET held_until = now() - interval '1 s'`)
	other.weigh()
	if err := dead.Save(t.Context(), policy.StagePast, 2, 7, nil); !errors.Is(err, policy.ErrClosed) {
		t.Errorf("the dead replica saves: %v", err)
	}
	if err := dead.Finish(t.Context(), policy.Effect{State: policy.EffectComplete}); !errors.Is(err, policy.ErrClosed) {
		t.Errorf("the dead replica finishes: %v", err)
	}
	effect, _ = h.do(call{as: "ig-author-csc", path: s}).want(200).json["effect"].(map[string]any)
	if effect["state"] != "complete" {
		t.Errorf("it is %v", effect["state"])
	}
}
