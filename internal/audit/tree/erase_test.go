package tree

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// officers are two of different agencies, and a third of the first's.
func (b *bench) officers(t *testing.T) (first, second, colleague audit.Event) {
	t.Helper()
	b.exec(t, `INSERT INTO agency (code, partnership, kind, name, legal_controller, ico) VALUES ('HUB', 'borough', 'HUB', 'Hub', 'Hub', 'Z2') ON CONFLICT DO NOTHING`)
	made := func(name, agency string) audit.Event {
		id := uuid.New()
		b.exec(t, `INSERT INTO worker (id, partnership, agency, employer, name, roles) VALUES ($1, 'borough', $2, 'e', $3, '{privacy-officer}')`, id, agency, name)
		return audit.Event{Agency: agency, Principal: proof.Principal{Worker: id, Name: name}, Reason: "asked for by the family court"}
	}
	return made("Ada", "NHFT"), made("Bo", "HUB"), made("Cy", "NHFT")
}

func (b *bench) keeper(t *testing.T, periods audit.Periods) audit.Keeper {
	t.Helper()
	return audit.Keeper{Pool: b.db.Pool(t, "retention"), Recorder: b.recorder, Reference: b.log(t).Reference, Periods: periods, Now: b.clock.now}
}

func (b *bench) log(t *testing.T) *audit.Log {
	t.Helper()
	log, err := audit.NewLog(b.auditor, "borough", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return log
}

// certified fails unless a certificate verifies, and gives what it says.
func (b *bench) certified(t *testing.T, done audit.Done) proof.Disposal {
	t.Helper()
	d, err := done.Certificate.Open(proof.NewKeys(b.replica))
	if err != nil {
		t.Fatal(err)
	}
	forged := done.Certificate
	forged.Body = bytes.Replace(forged.Body, []byte(`"kind"`), []byte(`"kinD"`), 1)
	if _, err := forged.Open(proof.NewKeys(b.replica)); !errors.Is(err, proof.ErrCertificate) {
		t.Errorf("a changed certificate: %v", err)
	}
	return d
}

// erase is both officers' word.
func (b *bench) erase(t *testing.T, k audit.Keeper, first, second audit.Event, person uuid.UUID) audit.Done {
	t.Helper()
	id, _, err := k.AskErasure(t.Context(), first, person, "UK GDPR article 17")
	if err != nil {
		t.Fatal(err)
	}
	done, err := k.Erase(t.Context(), second, id)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// released is an event that released one agency's entry about one person, and
// another's about another; children says whom it was for.
func (b *bench) released(t *testing.T, family, one, two uuid.UUID, children ...uuid.UUID) audit.Receipt {
	t.Helper()
	e := event()
	e.Family, e.Children, e.Purpose, e.Reason = family, children, "CP", "strategy meeting"
	e.Subjects = slices.DeleteFunc([]uuid.UUID{one, two}, func(id uuid.UUID) bool { return id == uuid.Nil })
	r, err := b.recorder.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// After an erasure the person is gone, the others stand, every proof holds,
// and the verifier says what was erased.
func TestErasureLeavesEveryProofValid(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := lead(t, b.tree(t))
	first, second, colleague := b.officers(t)
	person, other, family := uuid.New(), uuid.New(), uuid.New()
	var receipts []audit.Receipt
	for range 3 {
		receipts = append(receipts, b.released(t, family, person, other, other))
	}
	alone := b.released(t, uuid.New(), person, uuid.Nil, person)
	receipts = append(receipts, alone)
	round(t, s)
	keeper := b.keeper(t, nil)

	silent := first
	silent.Reason = ""
	if _, _, err := keeper.AskErasure(t.Context(), silent, person, "a rule"); !errors.Is(err, audit.ErrEvent) {
		t.Errorf("asked without a reason: %v", err)
	}
	hold, err := keeper.Place(t.Context(), first, audit.Hold{Family: family, Reason: "care proceedings", ReviewOn: time.Now().AddDate(0, 3, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if d := b.certified(t, hold); d.Kind != "hold" || d.Of != "family "+family.String() || d.By[0].Name != "Ada" {
		t.Errorf("hold: %+v", d)
	}
	asked, _, err := keeper.AskErasure(t.Context(), first, person, "UK GDPR article 17")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := keeper.AskErasure(t.Context(), second, person, "UK GDPR article 17"); !errors.Is(err, audit.ErrAsked) {
		t.Errorf("asked twice: %v", err)
	}
	for name, e := range map[string]audit.Event{"the same officer": first, "of the same agency": colleague} {
		if _, err := keeper.Erase(t.Context(), e, asked); !errors.Is(err, audit.ErrSecond) {
			t.Errorf("%s: %v", name, err)
		}
	}
	done, err := keeper.Erase(t.Context(), second, asked)
	if err != nil {
		t.Fatal(err)
	}
	if d := b.certified(t, done); d.Events != 1 || d.Held != 3 || d.Parts != 2 || len(d.By) != 2 || d.Of != keeper.Reference(person) {
		t.Errorf("under a hold: %+v", d)
	}
	if _, err := keeper.Erase(t.Context(), second, asked); !errors.Is(err, audit.ErrNoErasure) {
		t.Errorf("confirmed twice: %v", err)
	}
	if _, err := keeper.Lift(t.Context(), second, hold.ID, "HUB"); !errors.Is(err, audit.ErrNoHold) {
		t.Errorf("lifted by another agency: %v", err)
	}
	if _, err := keeper.Lift(t.Context(), first, hold.ID, "NHFT"); err != nil {
		t.Fatal(err)
	}
	if _, err := keeper.Lift(t.Context(), first, hold.ID, ""); !errors.Is(err, audit.ErrNoHold) {
		t.Errorf("lifted twice: %v", err)
	}
	if d := b.certified(t, b.erase(t, keeper, first, second, person)); d.Events != 3 || d.Held != 0 || d.Parts != 3 || d.Digest == (proof.Digest{}) {
		t.Errorf("erased: %+v", d)
	}

	round(t, s)
	b.provable(t, s.tree, receipts...)
	file := b.export(t, audit.AuditorScope())
	if r := b.verify(t, file); !r.Good() || r.Erased != 5 {
		t.Errorf("%d shown, %d erased, %v", r.Shown, r.Erased, r.First)
	}
	for name, id := range map[string]uuid.UUID{"erased": person, "other": other} {
		found := b.count(t, `SELECT count(*) FROM access_event e WHERE subjects @> ARRAY[$1::uuid] OR position($1::text IN e::text) > 0
			OR EXISTS (SELECT FROM unnest(subject_parts || common) p WHERE position(convert_to($1::text, 'UTF8') IN p) > 0)`, id)
		if (found > 0) != (name == "other") {
			t.Errorf("%s: in %d events", name, found)
		}
	}
	if n := b.count(t, `SELECT count(*) FROM access_event WHERE id = $1 AND common IS NULL AND worker IS NULL AND family IS NULL AND principal = '' AND purpose = ''`, alone.Event()); n != 1 {
		t.Error("what was about the person alone is still there")
	}
	if bytes.Contains(file, []byte(person.String())) {
		t.Error("the export names the erased person")
	}
	if n := b.count(t, `SELECT count(*) FROM log_erasure WHERE person IS NOT NULL`); n != 0 {
		t.Error("the erasure remembers whom it erased")
	}
	if list, err := b.log(t).Certificates(t.Context(), audit.AgencyScope("HUB")); err != nil || len(list) != 2 {
		t.Errorf("%d certificates of the second agency, %v", len(list), err)
	}
}

// What a copy still says of somebody who was erased is a finding.
func TestACopyLeftBehindIsFound(t *testing.T) {
	t.Parallel()
	for column, sql := range map[string]string{
		"worker":   `UPDATE access_event SET worker = gen_random_uuid() WHERE id = $1`,
		"purpose":  `UPDATE access_event SET purpose = 'FS' WHERE id = $1`,
		"subjects": `UPDATE access_event SET subjects = ARRAY[gen_random_uuid()] WHERE id = $1`,
		"owners":   `UPDATE access_event SET owners = '{CSC}' WHERE id = $1`,
		"released": `UPDATE access_event SET released = '{1}' WHERE id = $1`,
	} {
		t.Run(column, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			s := lead(t, b.tree(t))
			first, second, _ := b.officers(t)
			person := uuid.New()
			r := b.released(t, uuid.New(), person, uuid.Nil, person)
			b.erase(t, b.keeper(t, nil), first, second, person)
			round(t, s)
			b.exec(t, sql, r.Event())
			report := b.verify(t, b.export(t, audit.AuditorScope()))
			if report.Good() || report.First[0].Event != r.Event() || !bytes.Contains([]byte(report.First[0].What), []byte(column)) {
				t.Errorf("%v", report.First)
			}
		})
	}
}

func TestOnlyTheRetentionRoleDisposes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, sql := range []string{
		`UPDATE kith.access_event SET input = NULL`, `DELETE FROM kith.access_event`, `DELETE FROM kith.log_hold`, `SELECT common FROM kith.access_event`,
		`DELETE FROM kith.log_certificate`, `UPDATE kith.log_certificate SET body = ''`, `DROP TABLE kith.access_event_access`, `INSERT INTO kith.log_export (event, scope, number, first, until, digest) VALUES (gen_random_uuid(), 'all', 1, 0, 9, sha256(''))`,
	} {
		if _, err := b.db.Pool(t, "retention").Exec(t.Context(), sql); err == nil {
			t.Errorf("the retention role may: %s", sql)
		}
	}
	for _, role := range []string{"app", "auditor", "sequencer", "replay"} {
		for _, sql := range []string{`SELECT kith.erase_person(gen_random_uuid())`, `SELECT kith.drop_events('log', '2019-03-01', 0, '{}')`, `SELECT kith.month_events('log', '2019-03-01')`} {
			if _, err := b.db.Pool(t, role).Exec(t.Context(), sql); err == nil {
				t.Errorf("%s may: %s", role, sql)
			}
		}
	}
}
