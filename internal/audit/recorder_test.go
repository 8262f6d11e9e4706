package audit_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

func denied() audit.Event {
	return audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeNotFound, Agency: "NHFT", Refusal: "not-found", Family: uuid.New()}
}

func TestAppendSurvivesTheCaller(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := h.recorder.Append(ctx, denied())
	if err != nil || !r.Committed() {
		t.Fatal(err)
	}
	var id uuid.UUID
	if err := h.admin.QueryRow(t.Context(), `SELECT id FROM access_event`).Scan(&id); err != nil || id != r.Event() {
		t.Errorf("event %s, receipt of %s (%v)", id, r.Event(), err)
	}
}

func TestAppendFailsClosed(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$`)
	h.exec(t, `CREATE CONSTRAINT TRIGGER no AFTER INSERT ON access_event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	for range 20 { // more than the pool has connections: a failed one must not be lost
		if r, err := h.recorder.Append(t.Context(), denied()); !errors.Is(err, audit.ErrNotLogged) || r.Committed() {
			t.Fatalf("got %v", err)
		}
	}
	h.exec(t, `DROP TRIGGER no ON access_event`)
	if _, err := h.recorder.Append(t.Context(), denied()); err != nil {
		t.Errorf("after the fault: %v", err)
	}
	if n := h.events(t); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestAppendRefusesBackdating(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	for _, skew := range []time.Duration{-6 * time.Second, 6 * time.Second, -time.Hour} {
		h.signer.Now = func() time.Time { return time.Now().Add(skew) }
		if _, err := h.recorder.Append(t.Context(), denied()); !errors.Is(err, audit.ErrNotLogged) {
			t.Errorf("%s: %v", skew, err)
		}
	}
	for _, skew := range []time.Duration{-3 * time.Second, 3 * time.Second} {
		h.signer.Now = func() time.Time { return time.Now().Add(skew) }
		if _, err := h.recorder.Append(t.Context(), denied()); err != nil {
			t.Errorf("%s: %v", skew, err)
		}
	}
}

func TestAppendTx(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	change := func(end func(pgx.Tx, context.Context) error) {
		tx, err := h.app.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.recorder.AppendTx(t.Context(), tx, audit.Event{Kind: audit.KindGrant, Outcome: audit.OutcomeDone, Subjects: []uuid.UUID{uuid.New()}})
		if err != nil || r.Event == uuid.Nil {
			t.Fatal(err)
		}
		if err := h.recorder.RaiseTx(t.Context(), tx, "named-worker", r.Event); err != nil {
			t.Fatal(err)
		}
		if err := end(tx, t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	change(pgx.Tx.Rollback)
	if n := h.events(t); n != 0 {
		t.Errorf("%d events after ROLLBACK", n)
	}
	change(pgx.Tx.Commit)
	if n := h.events(t); n != 1 {
		t.Errorf("%d events after COMMIT", n)
	}
	var alerts int
	if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM alert JOIN access_event e ON e.id = alert.event`).Scan(&alerts); err != nil || alerts != 1 {
		t.Errorf("%d alerts (%v)", alerts, err)
	}
}

func TestRaise(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	if err := h.recorder.Raise(t.Context(), "protected-address", uuid.Nil); err != nil {
		t.Error(err)
	}
	if err := h.recorder.Raise(t.Context(), "Ada Smith looked", uuid.Nil); err == nil {
		t.Error("an alert's kind was free text")
	}
}

func TestSealRefuses(t *testing.T) {
	t.Parallel()
	s := newSigner(t)
	release := audit.Release{Content: 1, Entry: proof.EntryRef{Entry: uuid.New(), Version: 1}, Terms: proof.Terms{Level: proof.Full}}
	for name, change := range map[string]func(*audit.Event){
		"unknown kind":         func(e *audit.Event) { e.Kind = "look" },
		"unknown outcome":      func(e *audit.Event) { e.Outcome = "" },
		"released and denied":  func(e *audit.Event) { e.Outcome = audit.OutcomeDenied },
		"released by a change": func(e *audit.Event) { e.Kind = audit.KindGrant },
		"hidden released":      func(e *audit.Event) { e.Released[0].Terms.Level = proof.Hidden },
		"content at existence": func(e *audit.Event) { e.Released[0].Terms.Level = proof.Existence },
		"content, no entry":    func(e *audit.Event) { e.Released[0].Entry = proof.EntryRef{} },
		"no version":           func(e *audit.Event) { e.Released[0].Entry.Version = 0 },
		"subject without id":   func(e *audit.Event) { e.Subjects = []uuid.UUID{uuid.Nil} },
		"decision, no input":   func(e *audit.Event) { e.Decision = []byte("{}") },
		"NUL":                  func(e *audit.Event) { e.Request = "a\x00b" },
		"not UTF-8":            func(e *audit.Event) { e.Reason = "\xff" },
		"a reason of 1 MB":     func(e *audit.Event) { e.Reason = strings.Repeat("a", 1<<20) },
	} {
		e := audit.Event{Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Released: []audit.Release{release}}
		if _, err := s.Seal(e); err != nil {
			t.Fatal(err)
		}
		change(&e)
		if _, err := s.Seal(e); !errors.Is(err, audit.ErrEvent) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*audit.Signer){
		"no key": func(s *audit.Signer) { s.Key = nil }, "no clock": func(s *audit.Signer) { s.Now = nil },
		"no randomness": func(s *audit.Signer) { s.Random = nil }, "no partnership": func(s *audit.Signer) { s.Partnership = "" },
		"bad name": func(s *audit.Signer) { s.Replica = "Hub 1" }, "randomness ends": func(s *audit.Signer) { s.Random = strings.NewReader("short") },
	} {
		s := *newSigner(t)
		change(&s)
		if _, err := s.Seal(denied()); err == nil {
			t.Errorf("%s: sealed", name)
		}
	}
}

func TestPrintsNothing(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	e := h.read()
	row, err := h.recorder.Seal(e)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{e, &e, row, audit.Record{Reason: "plan review", Name: "Ada"}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "plan") || strings.Contains(text, "Ada") {
				t.Errorf("%s prints %q", verb, text)
			}
		}
	}
}

// What the app's role may do with its own log: add, and nothing else.
func TestAppRoleOnlyAdds(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	if _, err := h.recorder.Append(t.Context(), denied()); err != nil {
		t.Fatal(err)
	}
	conn := h.acquire(t)
	for _, sql := range []string{
		`SELECT id FROM kith.access_event`,
		`SELECT count(*) FROM kith.access_event`,
		`SELECT id FROM kith.access_event_access`,
		`UPDATE kith.access_event SET outcome = 'done'`,
		`DELETE FROM kith.access_event`,
		`TRUNCATE kith.access_event`,
		`COPY kith.access_event TO STDOUT`,
		`INSERT INTO kith.access_event (id) VALUES (gen_random_uuid()) RETURNING id`,
		`INSERT INTO kith.access_event (id, recorded_at) VALUES (gen_random_uuid(), now())`,
		`INSERT INTO kith.access_event (id, backend) VALUES (gen_random_uuid(), 1)`,
		`INSERT INTO kith.access_event (id, xid) VALUES (gen_random_uuid(), '1')`,
		`INSERT INTO kith.access_event (id) VALUES (gen_random_uuid()) ON CONFLICT (retention, occurred_at, id) DO UPDATE SET outcome = 'done'`,
		`SELECT kith.make_event_partitions(1)`,
		`CREATE TEMP TABLE access_event (id uuid)`,
		`SET ROLE kith_owner`,
		`ALTER TABLE kith.access_event DISABLE ROW LEVEL SECURITY`,
		`SELECT id FROM kith.alert`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
	if n := h.events(t); n != 1 {
		t.Errorf("%d events", n)
	}
	// Neither may any role that reads the log change it, or read the recorded input.
	for _, role := range []string{"auditor", "sequencer"} {
		pool := h.db.Pool(t, role)
		for _, sql := range []string{`SELECT input FROM kith.access_event`, `DELETE FROM kith.access_event`, `UPDATE kith.access_event SET outcome = 'done'`} {
			_, err := pool.Exec(t.Context(), sql)
			var pg *pgconn.PgError
			if !errors.As(err, &pg) || pg.Code != "42501" {
				t.Errorf("%s: %s: %v", role, sql, err)
			}
		}
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	until, err := audit.PartitionsUntil(t.Context(), h.app)
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(until); left < 80*24*time.Hour || left > 125*24*time.Hour {
		t.Errorf("partitions end in %s", left)
	}
	sequencer := h.db.Pool(t, "sequencer")
	if made, err := audit.EnsurePartitions(t.Context(), sequencer); err != nil || made != 0 {
		t.Errorf("made %d, %v", made, err)
	}
	last := until.AddDate(0, 0, -1).Format("2006_01")
	h.exec(t, `DROP TABLE access_event_policy_`+last)
	if made, err := audit.EnsurePartitions(t.Context(), sequencer); err != nil || made != 1 {
		t.Errorf("made %d, %v", made, err)
	}
}

func TestAuthFailures(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	now := time.Now().Truncate(time.Minute).Add(10 * time.Second)
	real := h.signer.Now
	counting := *h.signer
	counting.Now = func() time.Time { return now }
	clock, err := audit.NewRecorder(h.app, &counting)
	if err != nil {
		t.Fatal(err)
	}
	f := audit.NewAuthFailures(clock)
	four, six, neighbour := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:2")
	for range 50 {
		f.Note(four, "signature")
	}
	f.Note(netip.AddrFrom16(four.As16()), "expired") // the same address in IPv6's clothes
	f.Note(six, "signature")
	f.Note(neighbour, "Robert'); DROP TABLE")
	counting.Now = real // events themselves need the right time
	if err := f.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, _, err := h.log(t).List(t.Context(), audit.AuditorScope(), audit.Filter{Kind: audit.KindAuthFailure}, audit.Page{})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range list {
		d := r.Details
		got[d["source"]] = d["count"] + " " + d["check.signature"] + " " + d["check.expired"] + " " + d["check.other"]
	}
	if diff := cmp.Diff(map[string]string{"192.0.2.7": "51 50 1 ", "2001:db8::/64": "2 1  1"}, got); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
	if err := f.Flush(t.Context()); err != nil || h.events(t) != 2 {
		t.Errorf("a second flush: %v, %d events", err, h.events(t))
	}
}
