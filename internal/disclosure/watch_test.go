package disclosure_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/postgres"
)

// watched is the borough with the log's tree, whose leaves the watch follows.
type watched struct {
	*hub
	tick chan time.Time
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	h := &watched{hub: newHub(t), tick: make(chan time.Time)}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := h.door.Recorder.ReceiptKey()
	if err != nil {
		t.Fatal(err)
	}
	log, err := tree.New(tree.Config{
		Pool: h.db.Pool(t, "sequencer"), Partnership: demo.Partnership, Origin: "hub.test.example/log", LogKey: key, Recorder: h.door.Recorder,
		Replicas: func() proof.Keys { return proof.NewKeys(own) }, File: filepath.Join(t.TempDir(), "checkpoint"), Now: time.Now, Random: rand.Reader,
		Pace: time.Nanosecond, // each tick is a round
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); log.Run(ctx, h.tick) }()
	t.Cleanup(func() { stop(); <-done })
	return h
}

// calm are rules under which nothing is found by the clock or by chance.
func calm() disclosure.WatchRules {
	return disclosure.WatchRules{SampleRate: -1, Closes: 24 * time.Hour, Denials: 1000, VolumeFloor: 1000}
}

// look gives every committed event its leaf, and looks at it.
func (h *watched) look(rules disclosure.WatchRules) int {
	h.t.Helper()
	// A place is given behind every transaction that is still open, also another
	// test's on the same server.
	for end := time.Now().Add(2 * time.Minute); h.waiting() > 0; {
		select {
		case h.tick <- time.Now(): // taken when the round before it is done
		case <-time.After(time.Until(end)):
			h.t.Fatal("the log is not sequenced")
		}
	}
	w, err := disclosure.NewWatch(h.log, rules, time.Now, rand.Reader, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	looked := 0
	for range 2 { // the first round of all makes the place alone
		n, err := w.Round(context.Background())
		if err != nil {
			h.t.Fatal(err)
		}
		looked += n
	}
	return looked
}

// waiting counts the events that have no leaf yet.
func (h *watched) waiting() (n int) {
	h.t.Helper()
	if err := h.admin.QueryRow(context.Background(), `SELECT count(*) FROM access_event e WHERE NOT EXISTS (SELECT 1 FROM log_leaf l WHERE l.event = e.id)`).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

// queued is what was found about one worker, by kind.
type queued struct {
	Kind    string
	Excuses []string
	Readers []string
	People  int
	Count   int
	Numbers map[string]int
}

func (h *watched) found(as string) map[string]queued {
	h.t.Helper()
	rows, _ := h.admin.Query(context.Background(), `SELECT kind, excuses, readers, cardinality(people), count, numbers FROM finding WHERE worker = $1 ORDER BY raised_at, kind`, h.people[as].Worker)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[queued])
	if err != nil {
		h.t.Fatal(err)
	}
	byKind := map[string]queued{}
	for _, f := range list {
		if old, ok := byKind[f.Kind]; ok {
			f.Count += old.Count
		}
		byKind[f.Kind] = f
	}
	return byKind
}

func (h *watched) forget() { h.exec(`TRUNCATE finding CASCADE`) }

func kinds(found map[string]queued) []string {
	list := []string{}
	for k := range found {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// Each access goes through the door; what is found rests on who opened what.
func TestWhatTheWatchFinds(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	postcode := func(of uuid.UUID) string {
		var code string
		err := h.admin.QueryRow(t.Context(), `
SELECT c.value FROM search_code c JOIN entry_version v ON v.full_part = c.part AND v.latest JOIN entry_subject s ON s.version = v.id AND s.relation = 'about'
  JOIN membership m ON m.person = s.person WHERE c.field = 'postcode' AND v.section = 'usual-address' AND m.family = $1 LIMIT 1`, of).Scan(&code)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	// health-visitor has a record of her own in another family; later it has the Cartwrights' postcode.
	h.exec(`UPDATE staff_register SET person = (SELECT m.person FROM membership m JOIN entry_subject s ON s.person = m.person AND s.relation = 'about'
		JOIN entry_version v ON v.id = s.version AND v.latest AND v.section = 'usual-address' JOIN search_code c ON c.part = v.full_part WHERE m.family = $2 AND m.role = 'parent' LIMIT 1)
		WHERE worker = $1`, h.people["health-visitor"].Worker, h.story("interpreter"))

	for _, tc := range []struct {
		what, as, story, purpose string
		before                   func()
		want                     []string // kinds
		readers                  map[string][]string
		excuses                  map[string][]string
	}{
		{what: "one's own case", as: "mh-practitioner", story: "surname", purpose: "FS", want: []string{}},
		{what: "the surname of the alleged abuser", as: "perpetrator-practitioner", story: "surname", purpose: "FS", want: []string{"same-surname"},
			readers: map[string][]string{"same-surname": {"CSC", "DP"}}},
		{what: "one's own record", as: "family-support-worker", story: "staff-parent", purpose: "CN", want: []string{"own-record", "restricted"},
			readers: map[string][]string{"own-record": {}, "restricted": {}}, excuses: map[string][]string{"own-record": {"refused"}}},
		{what: "a colleague's, by who is listed", as: "social-worker", story: "staff-parent", purpose: "FS", want: []string{"colleague", "restricted"},
			readers: map[string][]string{"colleague": {"CSC"}, "restricted": {"CSC"}}, excuses: map[string][]string{"restricted": {"listed", "work"}}},
		{what: "no colleague of another agency", as: "mh-practitioner", story: "staff-parent", purpose: "FS", want: []string{"restricted"}},
		{what: "a declared neighbour's", as: "health-visitor", story: "neighbour", purpose: "FS", want: []string{"own-address"},
			readers: map[string][]string{"own-address": {}}},
		{what: "elsewhere", as: "health-visitor", story: "neglect", purpose: "FS", want: []string{}},
		{what: "at the same postcode", as: "health-visitor", story: "neglect", purpose: "FS", want: []string{"own-address"}, before: func() {
			h.exec(`UPDATE search_code SET value = $1 FROM entry_version v, entry_subject s, staff_register r
			 WHERE v.full_part = search_code.part AND v.latest AND v.section = 'usual-address' AND s.version = v.id AND s.person = r.person AND r.worker = $2 AND search_code.field = 'postcode'`,
				postcode(h.story("neglect")), h.people["health-visitor"].Worker)
		}},
		{what: "a relative's family", as: "idva", story: "neglect", purpose: "FS", want: []string{"own-family"}, before: func() {
			h.exec(`INSERT INTO staff_conflict (id, worker, family, kind, declared_at) VALUES (gen_random_uuid(), $1, $2, 'relative', now() - interval '1 day')`, h.people["idva"].Worker, h.story("neglect"))
		}, readers: map[string][]string{"own-family": {}}},
		{what: "no longer a relative's", as: "idva", story: "neglect", purpose: "FS", want: []string{}, before: func() {
			h.exec(`UPDATE staff_conflict SET valid_until = current_date - 1 WHERE worker = $1`, h.people["idva"].Worker)
		}},
		{what: "without work", as: "mash-officer", story: "", purpose: "FD", want: []string{"no-involvement"}, excuses: map[string][]string{"no-involvement": {"duty"}}},
	} {
		h.forget()
		if tc.before != nil {
			tc.before()
		}
		var err error
		if tc.story != "" {
			_, err = h.read(tc.as, tc.story, tc.purpose)
		} else {
			err = h.readAny(tc.as, tc.purpose)
		}
		var refused *disclosure.Refusal
		if err != nil && !asRefusal(err, &refused) {
			t.Fatalf("%s: %v", tc.what, err)
		}
		if h.look(calm()) == 0 {
			t.Errorf("%s: nothing was looked at", tc.what)
		}
		got := h.found(tc.as)
		if diff := cmp.Diff(tc.want, kinds(got)); diff != "" {
			t.Errorf("%s (-want +got): %s", tc.what, diff)
		}
		for kind, want := range tc.readers {
			if diff := cmp.Diff(want, got[kind].Readers); diff != "" {
				t.Errorf("%s: readers of %s: %s", tc.what, kind, diff)
			}
		}
		for kind, want := range tc.excuses {
			have := slices.Sorted(slices.Values(got[kind].Excuses))
			for _, e := range want {
				if !slices.Contains(have, e) {
					t.Errorf("%s: %s has the excuses %v, want %s", tc.what, kind, have, e)
				}
			}
		}
	}
}

// readAny opens the first story that is open to somebody, by a caller without
// work of their own there.
func (h *watched) readAny(as, purpose string) error {
	var err error
	for _, key := range slices.Sorted(maps.Keys(h.stories)) {
		if _, err = h.read(as, key, purpose); err == nil {
			return nil
		}
	}
	return err
}

func asRefusal(err error, to **disclosure.Refusal) bool { return errors.As(err, to) }

// By the clock, by number, by chance.
func TestWhatTheWatchCounts(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	look := func(edit func(*disclosure.WatchRules)) {
		rules := calm()
		edit(&rules)
		h.look(rules)
	}
	read := func(as, story string) {
		t.Helper()
		var refused *disclosure.Refusal
		if _, err := h.read(as, story, "FS"); err != nil && !asRefusal(err, &refused) {
			t.Fatal(err)
		}
	}
	want := func(as string, list ...string) map[string]queued {
		t.Helper()
		got := h.found(as)
		if diff := cmp.Diff(append([]string{}, list...), kinds(got)); diff != "" {
			t.Errorf("%s (-want +got): %s", as, diff)
		}
		h.forget()
		return got
	}

	for range 2 {
		read("outsider", "neglect")
	}
	three := func(r *disclosure.WatchRules) { r.Denials = 3 }
	look(three)
	want("outsider")
	read("outsider", "closed")
	look(three)
	if got := want("outsider", "denials")["denials"]; got.Numbers["denials"] != 3 || !slices.Equal(got.Readers, []string{"HOU2"}) || got.Count != 1 {
		t.Errorf("denials: %+v", got)
	}

	two := func(r *disclosure.WatchRules) { r.VolumeFloor = 2 }
	read("mh-practitioner", "neglect")
	read("mh-practitioner", "neglect") // the same family is not one more
	look(two)
	want("mh-practitioner")
	read("mh-practitioner", "twins")
	look(two)
	if got := want("mh-practitioner", "volume")["volume"]; got.Numbers["today"] != 2 || got.Numbers["before"] != 0 {
		t.Errorf("volume: %+v", got)
	}
	// Whoever had as many families on a day of the weeks before does nothing unusual.
	h.exec(`INSERT INTO access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt, kind, agency, worker, family, outcome)
		SELECT gen_random_uuid(), 'access', date_trunc('day', now()) - interval '60 hours', partnership, replica, header, commitments, receipt, kind, agency, worker, gen_random_uuid(), outcome
		  FROM access_event, generate_series(1, 2) WHERE worker = $1 AND outcome = 'released'`, h.people["mh-practitioner"].Worker)
	look(func(*disclosure.WatchRules) {})
	h.forget()
	read("mh-practitioner", "kinship")
	look(two)
	want("mh-practitioner")

	// A minute of the day that is not this one.
	now := time.Now().UTC()
	shut := time.Duration((now.Hour()+12)%24) * time.Hour
	late := func(r *disclosure.WatchRules) { r.Opens, r.Closes = shut, shut+time.Minute }
	read("mh-practitioner", "neglect")
	read("mh-practitioner", "twins")
	look(late)
	if got := want("mh-practitioner", "out-of-hours")["out-of-hours"]; got.Count != 2 {
		t.Errorf("two accesses of one night are %d", got.Count)
	}
	read("mh-practitioner", "neglect")
	look(func(*disclosure.WatchRules) {})
	want("mh-practitioner")

	read("mh-practitioner", "neglect")
	read("outsider", "neglect")
	look(func(r *disclosure.WatchRules) { r.SampleRate = 1 })
	want("mh-practitioner", "sample")
	want("outsider") // nothing was released
}

// The sample depends on the event and the log's key alone.
func TestSampleIsDrawnByKey(t *testing.T) {
	t.Parallel()
	logs := [2]*audit.Log{}
	for i := range logs {
		var err error
		if logs[i], err = audit.NewLog(nil, "borough", []byte(strings.Repeat(string(rune('a'+i)), 32))); err != nil {
			t.Fatal(err)
		}
	}
	const rate, n = 0.1, 20_000
	drawn, both := 0, 0
	for range n {
		id := uuid.New()
		a, b := logs[0].Sampled(id, rate), logs[1].Sampled(id, rate)
		if a != logs[0].Sampled(id, rate) || logs[0].Sampled(id, 0) || !logs[0].Sampled(id, 1) {
			t.Fatal("the same event is drawn differently")
		}
		if a {
			drawn++
		}
		if a && b {
			both++
		}
	}
	if drawn < n*rate*0.8 || drawn > n*rate*1.2 || both > n*rate*rate*2 {
		t.Errorf("%d of %d drawn, %d of them under another key too", drawn, n, both)
	}
}

func TestWatchOfNewAndDeclaredWork(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	var child uuid.UUID
	if err := h.admin.QueryRow(t.Context(), `SELECT person FROM membership WHERE family = $1 AND role = 'child' AND confirmed_by IS NOT NULL LIMIT 1`, h.story("closed")).Scan(&child); err != nil {
		t.Fatal(err)
	}
	change := func() disclosure.Change {
		return disclosure.Change{Once: disclosure.Once{Key: uuid.NewString()}, RequestID: uuid.NewString()}
	}
	if _, err := h.door.Involve(t.Context(), h.people["team-manager"], change(), family.Allocation{
		Source: "allocation", Person: child, Worker: h.people["social-worker"].Worker, Role: "allocated", Reason: "takes over from a colleague",
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.door.Involve(t.Context(), h.people["emergency-duty"], change(), family.Allocation{
		Source: family.Declared, Person: child, Worker: h.people["emergency-duty"].Worker, Reason: "called out tonight",
	}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := h.read("social-worker", "closed", "CN"); err != nil {
			if _, err = h.read("social-worker", "closed", "FS"); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.look(calm())
	got := h.found("social-worker")
	if diff := cmp.Diff([]string{"new-involvement"}, kinds(got)); diff != "" || got["new-involvement"].Count != 1 || !slices.Contains(got["new-involvement"].Excuses, "manager") {
		t.Errorf("the first access to new work: %s %+v", diff, got)
	}
	if got := h.found("emergency-duty"); !slices.Contains(kinds(got), "declared") || !slices.Equal(got["declared"].Readers, []string{"CSC"}) {
		t.Errorf("a declared involvement: %+v", got)
	}
	if got := h.found("team-manager"); len(got) > 0 {
		t.Errorf("allocating work is found to be %v", kinds(got))
	}
}

// Emergency access, and what the hub raises an alert of, is always looked at.
func TestWatchOfEmergencies(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	p := h.people["detective"]
	log := func(e audit.Event) audit.Receipt {
		t.Helper()
		e.Agency, e.Request = p.Agency, uuid.NewString()
		e.Principal = proof.Principal{Worker: p.Worker, Name: p.WorkerName, Roles: p.Roles, Issuer: p.Issuer, Subject: p.Subject}
		r, err := h.door.Recorder.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	log(audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeDenied, Purpose: "VI", Emergency: true, Family: h.story("neglect")})
	h.look(calm())
	if got := h.found("detective"); len(got) > 0 {
		t.Errorf("a refused emergency: %v", kinds(got))
	}
	log(audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Purpose: "VI", Emergency: true, Family: h.story("neglect")})
	search := log(audit.Event{Kind: audit.KindSearch, Outcome: audit.OutcomeNothing, Purpose: "FD"})
	bulk := log(audit.Event{Kind: audit.KindForbidden, Outcome: audit.OutcomeDone, Refusal: "bulk-look-up"})
	h.look(calm())
	// An alert may be stored after its event was looked at.
	for kind, event := range map[string]uuid.UUID{"protected-address": search.Event(), "bulk-look-up": bulk.Event()} {
		if err := h.door.Recorder.Raise(t.Context(), kind, event); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		h.look(calm())
	}
	got := h.found("detective")
	if diff := cmp.Diff([]string{"emergency", "protected-address", "volume"}, kinds(got)); diff != "" {
		t.Error(diff)
	}
	if len(got["protected-address"].Readers) != 0 {
		t.Errorf("that an address is protected is told to %v", got["protected-address"].Readers)
	}
	for _, f := range got {
		if f.Count != 1 {
			t.Errorf("%s is counted %d times", f.Kind, f.Count)
		}
	}
	var alerts int
	if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM alert WHERE kind = 'emergency-access'`).Scan(&alerts); err != nil || alerts != 1 {
		t.Errorf("%d alerts of emergency access: %v", alerts, err)
	}
}

// An event whose transaction stays open while others come and are looked at is
// found once it is committed (faults.md §3).
func TestWatchMeetsTheLateCommit(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	p := h.people["family-support-worker"]
	err := postgres.InTx(t.Context(), h.app, func(tx pgx.Tx) error {
		_, err := h.door.Recorder.AppendTx(t.Context(), tx, audit.Event{
			Kind: audit.KindRead, Outcome: audit.OutcomeNotFound, Agency: p.Agency, Purpose: "FS", Family: h.story("staff-parent"), Refusal: "not-found",
			Principal: proof.Principal{Worker: p.Worker, Name: p.WorkerName, Roles: p.Roles},
		})
		if err != nil {
			return err
		}
		if _, err := h.read("perpetrator-practitioner", "surname", "FS"); err != nil {
			return err
		}
		h.look(calm())
		if got := h.found("perpetrator-practitioner"); len(got) == 0 {
			t.Error("an open transaction holds the watch back")
		}
		if got := h.found("family-support-worker"); len(got) > 0 {
			t.Error("what is not committed was found")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	h.look(calm())
	if got := h.found("family-support-worker"); !slices.Contains(kinds(got), "own-record") {
		t.Errorf("the late event: %v", kinds(got))
	}
	// Each event was counted once, whatever the order.
	var n, events int
	if err := h.admin.QueryRow(t.Context(), `SELECT (SELECT coalesce(sum(n), 0)::int FROM access_count WHERE owner = ''), (SELECT count(*)::int FROM access_event WHERE retention = 'access')`).Scan(&n, &events); err != nil || n != events || n < 2 {
		t.Errorf("%d of %d accesses counted: %v", n, events, err)
	}
}

// The app's role, which writes reviews, can neither read the facts nor make or
// change a finding; the auditor's can change no review.
func TestRightsOnFindings(t *testing.T) {
	t.Parallel()
	h := newWatched(t)
	if _, err := h.read("perpetrator-practitioner", "surname", "FS"); err != nil {
		t.Fatal(err)
	}
	h.look(calm())
	if got := h.found("perpetrator-practitioner"); len(got) != 1 {
		t.Fatalf("found %v", kinds(got))
	}
	auditor := h.db.Pool(t, "auditor")
	for sql, pool := range map[string]*pgxpool.Pool{
		`SELECT * FROM watch_facts('[]')`:              h.app,
		`SELECT * FROM work_since('{}')`:               h.app,
		`SELECT numbers FROM finding`:                  h.app,
		`UPDATE finding SET worker = worker`:           h.app,
		`DELETE FROM finding`:                          h.app,
		`UPDATE review SET note = note`:                h.app,
		`UPDATE finding SET state = 'closed'`:          auditor,
		`UPDATE finding SET agency = agency`:           auditor,
		`DELETE FROM finding `:                         auditor,
		`INSERT INTO review_opening SELECT FROM alert`: auditor,
		`UPDATE alert SET outcome = 'x'`:               auditor,
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("%s: %v", sql, err)
		}
	}
	// The schema holds it too that nobody reviews themselves.
	_, err := h.app.Exec(t.Context(), `INSERT INTO review_opening (finding, reviewer, opened_at) SELECT id, worker, now() FROM finding`)
	if err == nil {
		t.Error("the reviewed worker opened the review")
	}
}
