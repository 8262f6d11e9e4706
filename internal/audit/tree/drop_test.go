package tree

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

var march = time.Date(2019, 3, 1, 0, 0, 0, 0, time.UTC)

// old makes the months of March 2019 and a recorder whose clock stands there:
// what it appends looks as it would have been appended then.
func (b *bench) old(t *testing.T, classes ...string) func(audit.Event) audit.Receipt {
	t.Helper()
	for _, class := range classes {
		b.exec(t, `CREATE TABLE kith.access_event_`+class+`_2019_03 PARTITION OF kith.access_event_`+class+` FOR VALUES FROM ('2019-03-01 00:00:00+00') TO ('2019-04-01 00:00:00+00')`)
		b.exec(t, `ALTER TABLE kith.access_event_`+class+`_2019_03 OWNER TO kith_owner`)
	}
	at := march.Add(9 * time.Hour)
	recorder, err := audit.NewRecorder(b.admin, &audit.Signer{Partnership: "borough", Replica: "hub-1", Key: b.replicaKey, Now: func() time.Time { return at }, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return func(e audit.Event) audit.Receipt {
		t.Helper()
		at = at.Add(time.Minute)
		r, err := recorder.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		b.exec(t, `UPDATE access_event SET recorded_at = occurred_at WHERE id = $1`, r.Event())
		return r
	}
}

// access is an event of the class access about one person.
func access(family, person uuid.UUID) audit.Event {
	e := event()
	e.Kind, e.Outcome, e.Family, e.Subjects = audit.KindRead, audit.OutcomeNotFound, family, []uuid.UUID{person}
	return e
}

// record gives a person an entry that is held.
func (b *bench) record(t *testing.T, person uuid.UUID) {
	t.Helper()
	b.exec(t, `INSERT INTO person (id, partnership) VALUES ($1, 'borough')`, person)
	b.exec(t, `WITH e AS (INSERT INTO entry (id, partnership, owner) VALUES (gen_random_uuid(), 'borough', 'NHFT') RETURNING id),
		v AS (INSERT INTO entry_version (entry, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, full_part)
			SELECT id, 1, true, 'identity', 'identity/1', 'NHFT', 'fact', 1, '2019-03-01', false, false, 1 FROM e RETURNING id)
		INSERT INTO entry_subject (version, person, relation) SELECT id, $1, 'about' FROM v`, person)
}

// month is March 2019 with five accesses, one held and one that protects a
// record, between events of another class.
type month struct {
	*bench
	s              *sequencer
	keeper         audit.Keeper
	first, second  audit.Event
	events         []audit.Receipt // the accesses: 1 is held, 3 protects a record
	views          []audit.Receipt
	hold           uuid.UUID
	digest         proof.Digest // of an export that holds the month
	exportedBefore []byte
}

func newMonth(t *testing.T) *month {
	t.Helper()
	m := &month{bench: newBench(t)}
	m.s = lead(t, m.tree(t))
	m.first, m.second, _ = m.officers(t)
	then := m.old(t, "access", "log")
	family, kept := uuid.New(), uuid.New()
	m.record(t, kept)
	for i := range 5 {
		f, person := uuid.New(), uuid.New()
		switch i {
		case 1:
			f = family
		case 3:
			person = kept
		}
		m.events = append(m.events, then(access(f, person)))
		m.views = append(m.views, then(event()))
	}
	round(t, m.s)
	m.keeper = m.bench.keeper(t, audit.Periods{"access": 24})
	hold, err := m.keeper.Place(t.Context(), m.first, audit.Hold{Family: family, Reason: "public inquiry", ReviewOn: time.Now().AddDate(0, 6, 0)})
	if err != nil {
		t.Fatal(err)
	}
	m.hold = hold.ID
	round(t, m.s)
	return m
}

// exported takes a whole export and keeps that it was made.
func (m *month) exported(t *testing.T) {
	t.Helper()
	m.exportedBefore = m.export(t, audit.AuditorScope())
	lines := bytes.Split(bytes.TrimSpace(m.exportedBefore), []byte("\n"))
	var end proof.ExportEnd
	if err := json.Unmarshal(lines[len(lines)-1], &end); err != nil {
		t.Fatal(err)
	}
	m.digest = end.End.Digest
	if err := m.recorder.Exported(t.Context(), uuid.New(), audit.AuditorScope(), 1, 0, m.head(t).CheckpointSize, m.digest); err != nil {
		t.Fatal(err)
	}
}

func (m *month) drop(t *testing.T) (audit.Done, error) {
	t.Helper()
	return m.keeper.Drop(t.Context(), m.first, "access", march, []proof.Digest{m.digest}, func(ctx context.Context, number int, first, end int64) error {
		return NewReader(m.auditor).Verify(ctx, m.log(t), m.trusted(), m.recorder.SignExport, number, first, end)
	})
}

func (m *month) left(t *testing.T) int {
	t.Helper()
	return m.count(t, `SELECT count(*) FROM access_event WHERE retention = 'access' AND occurred_at < '2019-04-01'`)
}

// A month past its retention goes, what must stay is carried over, all proofs
// of what is left hold, and a later export says what was dropped.
func TestADroppedMonthLeavesTheLogWhole(t *testing.T) {
	t.Parallel()
	m := newMonth(t)
	if _, err := m.drop(t); !errors.Is(err, audit.ErrNoExport) {
		t.Errorf("without an export: %v", err)
	}
	m.exported(t)
	for name, periods := range map[string]audit.Periods{"kept for ever": nil, "kept for longer": {"access": 1200}, "another class": {"log": 1}} {
		k := m.keeper
		if k.Periods = periods; periods.Check() != nil {
			t.Fatal(periods)
		}
		if _, err := k.Drop(t.Context(), m.first, "access", march, []proof.Digest{m.digest}, nil); !errors.Is(err, audit.ErrNotDue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	held := m.verify(t, m.exportedBefore).Checkpoint.Checkpoint
	place, err := NewReader(m.auditor).Prove(t.Context(), m.views[2].Event())
	if err != nil {
		t.Fatal(err)
	}
	due, err := m.keeper.Months(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(due, func(x audit.Month) bool { return x.Class == "access" && x.Month.Equal(march) })
	if at < 0 || due[at].Events != 5 || due[at].Held != 1 || due[at].Record != 1 || !due[at].Exported || due[at].Due != time.Date(2021, 4, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("due: %+v", due)
	}

	done, err := m.drop(t)
	if err != nil {
		t.Fatal(err)
	}
	d := m.certified(t, done)
	if d.Kind != "drop" || d.Events != 3 || d.Held != 1 || d.Record != 1 || d.Month != "2019-03" || len(d.Logs) != 1 || d.Logs[0].Count != 3 || d.Exports[0] != m.digest {
		t.Errorf("certificate: %+v", d)
	}
	if n := m.left(t); n != 2 {
		t.Errorf("%d events are left, want what is held and what protects a record", n)
	}
	round(t, m.s)
	m.provable(t, m.s.tree, append(m.views, m.events[1], m.events[3])...)
	receipt, err := proof.ParseReceipt(m.views[2].String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := place.Verify(receipt.Leaf, m.trusted()); err != nil {
		t.Errorf("a proof from before: %v", err)
	}
	r := m.verify(t, m.export(t, audit.AuditorScope()), held)
	if !r.Good() || r.Dropped != 3 || len(r.Certificates) != 1 || r.Certificates[0].ID != d.ID {
		t.Errorf("%d dropped, %v", r.Dropped, r.First)
	}
	if r := m.verify(t, m.export(t, audit.AgencyScope("CSC"))); !r.Good() || r.Dropped != 0 {
		t.Errorf("another scope: %d dropped, %v", r.Dropped, r.First)
	}
	if r := m.verify(t, m.exportedBefore); !r.Good() {
		t.Errorf("the export from before: %v", r.First)
	}

	if _, err := m.drop(t); !errors.Is(err, audit.ErrNothing) {
		t.Errorf("dropped again: %v", err)
	}
	if _, err := m.keeper.Lift(t.Context(), m.first, m.hold, ""); err != nil {
		t.Fatal(err)
	}
	if done, err = m.drop(t); err != nil {
		t.Fatal(err)
	}
	round(t, m.s)
	if r := m.verify(t, m.export(t, audit.AuditorScope()), held); !r.Good() || r.Dropped != 4 || len(r.Certificates) != 2 {
		t.Errorf("after the second drop: %d dropped, %v", r.Dropped, r.First)
	}
	m.exec(t, `UPDATE entry_version SET withdrawn = true`)
	if _, err := m.drop(t); err != nil || m.left(t) != 0 {
		t.Errorf("once the record has ended: %v, %d left", err, m.left(t))
	}
	round(t, m.s)
	if r := m.verify(t, m.export(t, audit.AuditorScope()), held); !r.Good() || r.Dropped != 5 {
		t.Errorf("at the end: %d dropped, %v", r.Dropped, r.First)
	}
	if n := m.count(t, `SELECT count(*) FROM pg_class WHERE relname LIKE 'access_event_access_2019%' AND relkind = 'r'`); n != 0 {
		t.Errorf("%d tables of the month are left", n)
	}
}

// Whoever owns the database cannot hide behind a drop.
func TestWhatIsTamperedWithInADroppedRangeIsFound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql  string
		of   int // which access is named; -1 none
		what string
	}{
		"what stayed is deleted":      {`DELETE FROM access_event WHERE id = $1`, 1, "missing: the tree has its leaf"},
		"another event's name":        {`UPDATE log_leaf SET event = gen_random_uuid() WHERE event = $1`, 0, "are not those that are gone"},
		"the certificate is deleted":  {`DELETE FROM log_certificate WHERE kind = 'drop' AND $1::uuid IS NOT NULL`, 0, "missing"},
		"the certificate is widened":  {`UPDATE log_certificate SET body = convert_to(regexp_replace(convert_from(body, 'UTF8'), '"carried":.*?\]\]', '"carried":[]'), 'UTF8') WHERE kind = 'drop' AND $1::uuid IS NOT NULL`, 0, "altered: no replica of the hub has signed"},
		"its event is deleted":        {`DELETE FROM access_event WHERE kind = 'log-drop' AND $1::uuid IS NOT NULL`, -1, "missing"},
		"a month is removed by hand":  {`DELETE FROM access_event WHERE retention = 'log' AND occurred_at < '2019-04-01' AND $1::uuid IS NOT NULL`, -1, "missing"},
		"a leaf of what went is gone": {`DELETE FROM log_leaf WHERE event = $1`, -1, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMonth(t)
			m.exported(t)
			if _, err := m.drop(t); err != nil {
				t.Fatal(err)
			}
			round(t, m.s)
			event := m.events[max(c.of, 0)].Event()
			m.exec(t, c.sql, event)
			r := m.verify(t, m.export(t, audit.AuditorScope()))
			if r.Good() || !strings.Contains(r.First[0].What, c.what) {
				t.Fatalf("%v", r.First)
			}
			if c.of > 0 && r.First[0].Event != event {
				t.Errorf("named %s: %v", r.First[0].Event, r.First)
			}
		})
	}
}

// A month that is not as it was logged is evidence, and stays.
func TestATamperedMonthIsNotDropped(t *testing.T) {
	t.Parallel()
	m := newMonth(t)
	m.exported(t)
	m.exec(t, `UPDATE access_event SET purpose = 'FS' WHERE id = $1`, m.events[0].Event())
	if _, err := m.drop(t); !errors.Is(err, audit.ErrNotWhole) || m.left(t) != 5 {
		t.Errorf("%v, %d left", err, m.left(t))
	}
	m.exec(t, `UPDATE access_event SET purpose = '' WHERE id = $1`, m.events[0].Event())
	m.exec(t, `DELETE FROM log_leaf WHERE event = $1`, m.events[2].Event())
	if _, err := m.drop(t); !errors.Is(err, audit.ErrNotWhole) || m.left(t) != 5 {
		t.Errorf("%v, %d left", err, m.left(t))
	}
}

// A hold that is placed while a drop is under way holds: the drop gives up, and
// the log says that it failed.
func TestAHoldThatComesInBetweenHolds(t *testing.T) {
	t.Parallel()
	m := newMonth(t)
	m.exported(t)
	_, err := m.keeper.Drop(t.Context(), m.first, "access", march, []proof.Digest{m.digest}, func(context.Context, int, int64, int64) error {
		_, err := m.keeper.Place(t.Context(), m.first, audit.Hold{Agency: "NHFT", Reason: "public inquiry", ReviewOn: time.Now().AddDate(0, 6, 0)})
		return err
	})
	if !errors.Is(err, audit.ErrChanged) || m.left(t) != 5 {
		t.Errorf("%v, %d left", err, m.left(t))
	}
	if n := m.count(t, `SELECT count(*) FROM access_event WHERE kind = 'log-drop' AND outcome = 'failed'`); n != 1 {
		t.Errorf("%d events say that it failed", n)
	}
	if n := m.count(t, `SELECT count(*) FROM log_certificate WHERE kind = 'drop'`); n != 0 {
		t.Error("there is a certificate of what was not done")
	}
}
