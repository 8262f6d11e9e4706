package family

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// full is a family in which there is something of everything that facts hold.
type full struct {
	*house
	family, other               uuid.UUID
	kim, mum, dad, stranger     uuid.UUID
	worker, colleague           uuid.UUID
	episode, entry, involvement uuid.UUID
	callers                     []Caller
}

func newFull(t *testing.T) *full {
	t.Helper()
	h := newHouse(t)
	f := &full{house: h, family: h.family(), other: h.family(), episode: uuid.New(), involvement: uuid.New()}
	f.kim, f.mum, f.dad, f.stranger = h.member(f.family, "child"), h.member(f.family, "parent"), h.person(), h.person()
	h.membership(f.family, f.dad, "contact", false)
	h.membership(f.other, f.mum, "parent", true)
	h.member(f.other, "child")
	f.worker, f.colleague = h.worker("MH"), h.worker("CSC")
	f.callers = []Caller{
		{Worker: f.worker, Agency: "MH", Purpose: "FS", Now: clock()},
		{Worker: f.colleague, Agency: "CSC", Purpose: "FS", Now: clock()},
	}
	h.relationship(f.mum, f.kim, "parent")
	h.run(`INSERT INTO alleged_harm (id, by_person, to_person, source) VALUES ($1, $2, $3, 'POL')`, uuid.New(), f.dad, f.mum)
	h.run(`INSERT INTO episode (id, person, kind, rating, valid_from, source) VALUES ($1, $2, 'contact', 'green', '2026-01-01', 'CSC')`, uuid.New(), f.kim)
	h.run(`INSERT INTO episode (id, person, kind, valid_from, source) VALUES ($1, $2, 'marac', '2026-01-01', 'POL')`, f.episode, f.mum)
	h.run(`INSERT INTO episode_member (id, episode, agency, worker) VALUES ($1, $2, 'MH', $3)`, uuid.New(), f.episode, f.worker)
	h.run(`INSERT INTO involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, 'MH', $3, 'feed', '2026-01-01')`, f.involvement, f.mum, f.worker)
	h.run(`INSERT INTO involvement (id, person, agency, team, source, valid_from) VALUES ($1, $2, 'CSC', 'North', 'allocation', '2026-01-01')`, uuid.New(), f.kim)
	h.run(`INSERT INTO told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES ($1, $2, 'FS', 'CSC', 'agreed', 'told', '2026-01-01')`, uuid.New(), f.mum)
	h.run(`INSERT INTO access_grant (id, person, agency, worker, section, level, reason, giver, valid_from, valid_until) VALUES ($1, $2, 'MH', $3, 'marac', 'full', 'why', 'CSC', '2026-11-01', '2026-12-01')`,
		uuid.New(), f.kim, f.worker)
	h.run(`INSERT INTO restriction (id, person, kind, workers, reason, valid_from, review_on) VALUES ($1, $2, 'restriction', ARRAY[$3::uuid], 'why', '2026-01-01', '2027-01-01')`, uuid.New(), f.stranger, f.worker)
	h.run(`INSERT INTO restriction (id, person, kind, agencies, reason, valid_from, review_on) VALUES ($1, $2, 'exclusion', '{POL}', 'why', '2026-01-01', '2027-01-01')`, uuid.New(), f.mum)
	h.run(`INSERT INTO protection (id, person, since, set_by) VALUES ($1, $2, '2026-01-01', 'CSC')`, uuid.New(), f.mum)
	h.run(`INSERT INTO protection (id, person, since, set_by) VALUES ($1, $2, '2026-01-01', 'CSC')`, uuid.New(), f.stranger)
	h.exec(`INSERT INTO worker_team (id, worker, agency, team, valid_from) VALUES ($1, $2, 'CSC', 'North', '2026-01-01')`, uuid.New(), f.colleague)
	h.exec(`INSERT INTO staff_register (worker, surname, person) VALUES ($1, 'Else', $2)`, f.worker, f.stranger)
	h.exec(`INSERT INTO staff_conflict (id, worker, person, kind, declared_at, valid_until) VALUES ($1, $2, $3, 'neighbour', now(), '2026-01-01')`, uuid.New(), f.colleague, f.kim)
	h.exec(`INSERT INTO agreement (id, partnership, starts_on, review_on, ends_on) VALUES ('isa', 'northby', '2026-01-01', '2027-01-01', '2028-01-01')`)
	h.exec(`INSERT INTO agreement_party (agreement, agency, state) VALUES ('isa', 'MH', 'signed'), ('isa', 'CSC', 'signed')`)
	var version int64
	f.entry, version, _ = h.item("MH", "mh-risk", f.mum)
	h.run(`INSERT INTO entry_subject (version, person, relation) VALUES ($1, $2, 'mentions')`, version, f.stranger)
	h.item("CSC", "case-summary", f.kim, f.mum)
	return f
}

// stamps are what an access asserts of its facts.
func stamps(f Facts) [3]int64 { return [3]int64{f.Stamp, f.AgreementStamp, f.Worker.Stamp} }

// unsaid loads the facts anew and compares them with those of before: it tells
// what changed although no stamp did, which is what a kept copy would hide.
func (f *full) unsaid(db Batcher, before []Facts) (hidden string, changed bool) {
	f.t.Helper()
	for i, c := range f.callers {
		now, err := Load(context.Background(), db, f.family, c)
		if err != nil {
			f.t.Fatal(err)
		}
		if stamps(now) != stamps(before[i]) || now.Policy != before[i].Policy {
			changed = true
		} else if d := cmp.Diff(before[i], now); d != "" {
			return c.Agency + ":\n" + d, true
		}
	}
	return "", changed
}

func (f *full) loaded(db Batcher) []Facts {
	f.t.Helper()
	var all []Facts
	for _, c := range f.callers {
		facts, err := Load(context.Background(), db, f.family, c)
		if err != nil {
			f.t.Fatal(err)
		}
		if !facts.Found || len(facts.Entries) != 2 {
			f.t.Fatalf("the family is not what the test needs: %+v", facts)
		}
		all = append(all, facts)
	}
	return all
}

// Whatever the app's role can change of any row, to whatever its type can hold,
// either raises a stamp that every access asserts or changes no fact. Columns
// that come later are tried too.
func TestNoChangeOfTheAppIsUnsaid(t *testing.T) {
	t.Parallel()
	f := newFull(t)
	ctx := context.Background()
	tx, err := f.admin.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	before := f.loaded(tx)
	rows, _ := tx.Query(ctx, `
SELECT c.table_name, c.column_name, c.udt_name
  FROM information_schema.column_privileges p
  JOIN information_schema.columns c USING (table_schema, table_name, column_name)
  JOIN information_schema.tables t USING (table_schema, table_name)
 WHERE p.grantee = 'kith_app' AND p.privilege_type = 'UPDATE' AND p.table_schema = 'kith' AND t.table_type = 'BASE TABLE'
 ORDER BY 1, 2`)
	type column struct{ Table, Name, Type string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"", "child", "parent", "contact", "red", "amber", "signed", "unsigned", "suspended", "separated", "agreed", "declined", "told", "MH", "CSC", "North", "South", "remote", "held", "full", "allocated"}
	values := map[string][]any{
		"uuid": {f.kim, f.mum, f.dad, f.stranger, f.worker, f.colleague, nil}, "bool": {true, false}, "text": nil,
		"date":        {"2020-01-01", "2026-11-19", "2026-11-20", "2026-11-21", "2030-01-01", nil},
		"timestamptz": {"2020-01-01", "2026-11-20 09:00+00", "2026-11-20 11:00+00", "2030-01-01", nil},
		"_text":       {[]string{}, []string{"MH"}, []string{"CSC"}}, "_uuid": {[]uuid.UUID{}, []uuid.UUID{f.worker}, []uuid.UUID{f.colleague}},
		"int4": {1, 2}, "int8": {1, 2}, "int2": {1, 2},
	}
	for _, w := range words {
		values["text"] = append(values["text"], w)
	}
	moved := map[string]int{}
	for _, c := range columns {
		var places []string
		rows, _ := tx.Query(ctx, fmt.Sprintf(`SELECT ctid::text FROM kith.%s ORDER BY ctid LIMIT 6`, c.Table))
		if places, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
		for _, at := range places {
			for _, v := range values[c.Type] {
				f.attempt(tx, func(sub pgx.Tx) {
					tag, err := sub.Exec(ctx, fmt.Sprintf(`UPDATE kith.%s SET %s = $1::%s WHERE ctid = '%s' AND %[2]s IS DISTINCT FROM $1::%[3]s`, c.Table, c.Name, c.Type, at), v)
					if err != nil || tag.RowsAffected() == 0 {
						return // the schema refuses it
					}
					hidden, changed := f.unsaid(sub, before)
					if hidden != "" {
						t.Errorf("%s.%s = %v: no stamp was raised, and for %s", c.Table, c.Name, v, hidden)
					}
					if changed {
						moved[c.Table]++
					}
				})
			}
		}
	}
	for _, table := range []string{"person", "membership", "relationship", "alleged_harm", "episode", "involvement", "restriction", "protection", "access_grant", "entry_version",
		"worker", "worker_team", "staff_register", "staff_conflict", "agency", "agreement", "agreement_party"} {
		if moved[table] == 0 {
			t.Errorf("no change of %s was tried that matters: the test looks at too little", table)
		}
	}
}

// The same of every row that is added, about whomever, and of every row that
// is taken away.
func TestNoRowComesOrGoesUnsaid(t *testing.T) {
	t.Parallel()
	f := newFull(t)
	ctx := context.Background()
	tx, err := f.admin.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	before := f.loaded(tx)
	people := []uuid.UUID{f.kim, f.mum, f.dad, f.stranger}
	moved := map[string]int{}
	look := func(what, table string, sub pgx.Tx) {
		hidden, changed := f.unsaid(sub, before)
		if hidden != "" {
			t.Errorf("%s: no stamp was raised, and for %s", what, hidden)
		}
		if changed {
			moved[table]++
		}
	}
	for table, who := range map[string][]string{
		"membership": {"person"}, "relationship": {"from_person", "to_person"}, "alleged_harm": {"by_person", "to_person"}, "episode": {"person"}, "episode_member": {"agency"},
		"involvement": {"person"}, "told_and_agreed": {"person"}, "restriction": {"person"}, "protection": {"person"}, "access_grant": {"person"}, "entry_subject": {"person"},
		"worker_team": {"worker"}, "staff_register": {"person"}, "staff_conflict": {"person"}, "agreement_party": {"agency"},
	} {
		var places []string
		rows, _ := tx.Query(ctx, fmt.Sprintf(`SELECT ctid::text FROM kith.%s ORDER BY ctid`, table))
		if places, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			t.Fatal(err)
		}
		for _, at := range places {
			for _, column := range who {
				var values []any
				switch column {
				case "agency":
					values = []any{"MH", "CSC", "POL"}
				case "worker":
					values = []any{f.worker, f.colleague}
				default:
					for _, p := range people {
						values = append(values, p)
					}
				}
				for _, v := range values {
					f.attempt(tx, func(sub pgx.Tx) {
						// A person that is new to a registered worker is another worker's row; ids are new.
						_, err := sub.Exec(ctx, fmt.Sprintf(`
INSERT INTO kith.%[1]s SELECT (jsonb_populate_record(NULL::kith.%[1]s, to_jsonb(r) || jsonb_build_object('id', gen_random_uuid(), '%[2]s', $1::text)
       || CASE WHEN '%[1]s' = 'staff_register' THEN jsonb_build_object('worker', '%[4]s') ELSE '{}' END)).*
  FROM kith.%[1]s r WHERE r.ctid = '%[3]s'`, table, column, at, f.colleague), fmt.Sprint(v))
						if err == nil {
							look(fmt.Sprintf("another row of %s with %s = %v", table, column, v), table+" +", sub)
						}
					})
				}
			}
			f.attempt(tx, func(sub pgx.Tx) {
				if _, err := sub.Exec(ctx, fmt.Sprintf(`DELETE FROM kith.%s WHERE ctid = '%s'`, table, at)); err == nil {
					look("a row of "+table+" less", table+" -", sub)
				}
			})
		}
		for _, way := range []string{" +", " -"} {
			if moved[table+way] == 0 && table+way != "episode_member -" {
				t.Errorf("nothing of %s%s mattered: the test looks at too little", table, way)
			}
		}
	}
}

// attempt does something in a part of the transaction that is taken back.
func (f *full) attempt(tx pgx.Tx, do func(pgx.Tx)) {
	f.t.Helper()
	sub, err := tx.Begin(context.Background())
	if err != nil {
		f.t.Fatal(err)
	}
	do(sub)
	if err := sub.Rollback(context.Background()); err != nil {
		f.t.Fatal(err)
	}
}

// A source record that turns out to be about somebody else takes its rows with
// it: for the family that they leave, that they come to, and that they mention.
func TestAMovedRecordIsSaid(t *testing.T) {
	t.Parallel()
	f := newFull(t)
	record, link := uuid.New(), uuid.New()
	f.run(`INSERT INTO source_record (id, partnership, agency, local_id, about) VALUES ($1, 'northby', 'MH', 'R1', 'adult')`, record)
	f.run(`INSERT INTO person_link (id, record, person, reason) VALUES ($1, $2, $3, 'sent')`, link, record, f.stranger)
	f.exec(`UPDATE kith.entry_subject SET record = $1 WHERE person = $2`, record, f.stranger)
	before := f.loaded(f.app)
	somebody := f.person() // in no family
	f.run(`UPDATE person_link SET ended_at = now(), ended_why = 'another' WHERE id = $1`, link)
	f.run(`INSERT INTO person_link (id, record, person, reason) VALUES ($1, $2, $3, 'checked')`, uuid.New(), record, somebody)
	hidden, changed := f.unsaid(f.app, before)
	if hidden != "" || !changed {
		t.Errorf("a mention moved to another person: changed %v, unsaid %s", changed, hidden)
	}
}

// Time passes over a kept copy: at no moment does it say what a look would not.
func TestKeptFactsEndWithTheirDates(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		what string
		sql  string
		arg  func(f *full) any
	}{
		{"an involvement that ends", `UPDATE kith.involvement SET valid_until = '2026-11-20 10:05+00' WHERE id = $1`, func(f *full) any { return f.involvement }},
		{"an involvement that begins", `UPDATE kith.involvement SET valid_from = '2026-11-20 10:05+00' WHERE id = $1`, func(f *full) any { return f.involvement }},
		{"cover that ends", `UPDATE kith.worker_team SET valid_until = '2026-11-20 10:05+00' WHERE worker = $1`, func(f *full) any { return f.colleague }},
		{"cover that begins", `UPDATE kith.worker_team SET valid_from = '2026-11-20 10:05+00' WHERE worker = $1`, func(f *full) any { return f.colleague }},
		{"a grant that ends", `UPDATE kith.access_grant SET valid_until = '2026-11-20 10:05+00' WHERE worker = $1`, func(f *full) any { return f.worker }},
		{"a grant that begins", `UPDATE kith.access_grant SET valid_from = '2026-11-20 10:05+00' WHERE worker = $1`, func(f *full) any { return f.worker }},
		{"a restriction that begins", `UPDATE kith.restriction SET workers = '{}', valid_from = '2026-11-20 10:05+00' WHERE person = $1 AND kind = 'restriction'`, func(f *full) any { return f.stranger }},
		{"a restriction that ends", `UPDATE kith.restriction SET workers = '{}', valid_until = '2026-11-20 10:05+00' WHERE person = $1`, func(f *full) any { return f.stranger }},
		{"an exclusion that begins", `UPDATE kith.restriction SET agencies = '{MH,CSC}', valid_from = '2026-11-20 10:05+00' WHERE person = $1`, func(f *full) any { return f.mum }},
		{"training that ends with the day", `UPDATE kith.worker SET training_until = '2026-11-20' WHERE id = $1`, func(f *full) any { return f.worker }},
		{"an agency that ends with the day", `UPDATE kith.agency SET active_until = '2026-11-20' WHERE code = $1`, func(*full) any { return "MH" }},
		{"a membership that ends with the day", `UPDATE kith.membership SET valid_until = '2026-11-20' WHERE person = $1`, func(f *full) any { return f.kim }},
		{"a membership that begins with the next", `UPDATE kith.membership SET valid_from = '2026-11-21' WHERE person = $1`, func(f *full) any { return f.mum }},
		{"an episode that ends with the day", `UPDATE kith.episode SET valid_until = '2026-11-20' WHERE person = $1`, func(f *full) any { return f.kim }},
		{"a protection that ends with the day", `UPDATE kith.protection SET valid_until = '2026-11-20' WHERE person = $1`, func(f *full) any { return f.stranger }},
		{"told and agreed from the next day", `INSERT INTO kith.told_and_agreed (id, person, purpose, agency, agreed, told, at) VALUES (gen_random_uuid(), $1, 'FS', 'CSC', 'withdrawn', 'told', '2026-11-21')`, func(f *full) any { return f.mum }},
		{"a conflict that ends with the day", `UPDATE kith.staff_conflict SET valid_until = '2026-11-20' WHERE worker = $1`, func(f *full) any { return f.colleague }},
	} {
		t.Run(s.what, func(t *testing.T) {
			t.Parallel()
			f := newFull(t)
			f.exec(s.sql, s.arg(f))
			midnight := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
			turned := false
			for _, c := range f.callers {
				for _, from := range []time.Time{clock(), midnight.Add(-5 * time.Minute)} {
					kept, err := NewKept(10)
					if err != nil {
						t.Fatal(err)
					}
					c.Now = from
					first, err := kept.Load(context.Background(), f.app, f.family, c)
					if err != nil {
						t.Fatal(err)
					}
					served := 0
					for _, after := range []time.Duration{-time.Hour, 0, 4*time.Minute + 59*time.Second, 5*time.Minute - time.Microsecond, 5 * time.Minute, 6 * time.Minute, 24 * time.Hour} {
						c.Now = from.Add(after)
						now := f.load(f.family, c)
						turned = turned || !cmp.Equal(first, now)
						if have, ok := kept.Get(f.family, c); ok {
							served++
							if d := cmp.Diff(now, have); d != "" {
								t.Errorf("%s, at %s: kept facts say (-now +kept):\n%s", c.Agency, c.Now, d)
							}
						}
						if after < 0 { // a clock that goes back empties; begin again
							c.Now = from
							if _, err := kept.Load(context.Background(), f.app, f.family, c); err != nil {
								t.Fatal(err)
							}
						}
					}
					if served < 3 {
						t.Errorf("%s, from %s: the copy served %d times: the test looks at too little", c.Agency, from, served)
					}
				}
			}
			if !turned {
				t.Error("time changed nothing: the test looks at too little")
			}
		})
	}
}

// Facts belong to one caller and purpose, and to families that are there.
func TestKeptFactsAreTheCallersOwn(t *testing.T) {
	t.Parallel()
	f := newFull(t)
	ctx := context.Background()
	kept, err := NewKept(2)
	if err != nil {
		t.Fatal(err)
	}
	mine := f.callers[0]
	if _, err := kept.Load(ctx, f.app, f.family, mine); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*Caller){
		"worker":  func(c *Caller) { c.Worker = f.colleague },
		"agency":  func(c *Caller) { c.Agency = "CSC" },
		"purpose": func(c *Caller) { c.Purpose = "CP" },
	} {
		other := mine
		change(&other)
		if _, ok := kept.Get(f.family, other); ok {
			t.Errorf("another %s gets the same facts", what)
		}
	}
	if _, ok := kept.Get(f.family, mine); !ok {
		t.Error("the caller's own facts are gone")
	}
	kept.Forget(f.family, mine)
	if _, ok := kept.Get(f.family, mine); ok {
		t.Error("forgotten facts are still there")
	}
	if _, err := kept.Load(ctx, f.app, f.stranger, mine); err != nil {
		t.Fatal(err)
	}
	if _, ok := kept.Get(f.stranger, mine); ok {
		t.Error("a family that is none is kept")
	}
	for _, id := range []uuid.UUID{f.family, f.other, f.family} {
		for _, c := range f.callers {
			if _, err := kept.Load(ctx, f.app, id, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := kept.copies.Len(); n != 2 {
		t.Errorf("%d copies are kept of at most 2", n)
	}
	if none, err := NewKept(0); none != nil || err != nil {
		t.Errorf("keeping none: %v, %v", none, err)
	}
	var none *Kept
	if _, err := none.Load(ctx, f.app, f.family, mine); err != nil {
		t.Error(err)
	}
	if _, ok := none.Get(f.family, mine); ok {
		t.Error("what keeps nothing has something")
	}
}

// Two writers who do not see one another: one adds a way from the family to a
// person, the other changes what is said of that person. Whoever comes second
// waits, so that the family's stamp is raised by a change that its members did
// not bring.
func TestWritersAtTheSameTimeAreBothSaid(t *testing.T) {
	t.Parallel()
	for _, s := range []struct {
		what          string
		first, second string // $1 the family, $2 the person, $3 the entry's version
	}{
		{"a member comes, and is restricted",
			`INSERT INTO membership (id, family, person, role, supplied_by, confirmed_by, confirmed_at) SELECT gen_random_uuid(), $1, $2, 'contact', 'CSC', 'CSC', now() WHERE $3::bigint > 0`,
			`INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) SELECT gen_random_uuid(), $2, 'restriction', 'why', now(), '2030-01-01' WHERE $1::uuid IS NOT NULL AND $3::bigint > 0`},
		{"a member comes, and an involvement ends",
			`INSERT INTO membership (id, family, person, role, supplied_by, confirmed_by, confirmed_at) SELECT gen_random_uuid(), $1, $2, 'contact', 'CSC', 'CSC', now() WHERE $3::bigint > 0`,
			`UPDATE involvement SET valid_until = now() WHERE person = $2 AND $1::uuid IS NOT NULL AND $3::bigint > 0`},
		{"a member comes, and dies",
			`INSERT INTO membership (id, family, person, role, supplied_by, confirmed_by, confirmed_at) SELECT gen_random_uuid(), $1, $2, 'contact', 'CSC', 'CSC', now() WHERE $3::bigint > 0`,
			`UPDATE person SET died = '2026-01-01' WHERE id = $2 AND $1::uuid IS NOT NULL AND $3::bigint > 0`},
		{"somebody is mentioned, and restricted",
			`INSERT INTO entry_subject (version, person, relation) SELECT $3, $2, 'mentions' WHERE $1::uuid IS NOT NULL`,
			`INSERT INTO restriction (id, person, kind, reason, valid_from, review_on) SELECT gen_random_uuid(), $2, 'restriction', 'why', now(), '2030-01-01' WHERE $1::uuid IS NOT NULL AND $3::bigint > 0`},
		{"somebody is mentioned, and the entry questioned",
			`INSERT INTO entry_subject (version, person, relation) SELECT $3, $2, 'mentions' WHERE $1::uuid IS NOT NULL`,
			`UPDATE entry_version SET questioned = true WHERE id = $3 AND $1::uuid IS NOT NULL AND $2::uuid IS NOT NULL`},
	} {
		for _, turned := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s %v", s.what, turned), func(t *testing.T) {
				t.Parallel()
				h := newHouse(t)
				fam, person := h.family(), h.person()
				kim := h.member(fam, "child")
				h.run(`INSERT INTO involvement (id, person, agency, worker, source, valid_from) VALUES ($1, $2, 'MH', $3, 'feed', '2026-01-01')`, uuid.New(), person, h.worker("MH"))
				_, version, _ := h.item("CSC", "case-summary", kim)
				first, second := s.first, s.second
				if turned {
					first, second = second, first
				}
				ctx := context.Background()
				one, err := h.app.Begin(ctx)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = one.Rollback(ctx) }()
				if _, err := one.Exec(ctx, first, fam, person, version); err != nil {
					t.Fatal(err)
				}
				two, err := h.app.Begin(ctx)
				if err != nil {
					t.Fatal(err)
				}
				var backend int
				var writer string // its transaction
				if err := two.QueryRow(ctx, `SELECT pg_backend_pid(), pg_current_xact_id()::text`).Scan(&backend, &writer); err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				go func() {
					_, err := two.Exec(ctx, second, fam, person, version)
					done <- errors.Join(err, two.Commit(ctx))
				}()
				waits := func() bool {
					return h.count(`SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'`, backend) > 0
				}
				for deadline := time.Now().Add(time.Minute); !waits(); time.Sleep(5 * time.Millisecond) {
					select {
					case err := <-done:
						t.Fatalf("the second writer did not wait for the first: %v", err)
					default:
					}
					if time.Now().After(deadline) {
						t.Fatal("the second writer neither waits nor ends")
					}
				}
				if err := one.Commit(ctx); err != nil {
					t.Fatal(err)
				}
				if err := <-done; err != nil {
					t.Fatal(err)
				}
				if n := h.count(`SELECT count(*) FROM family WHERE id = $1 AND xmin::text = $2`, fam, writer); n != 1 {
					t.Error("the second writer did not raise the family's stamp")
				}
			})
		}
	}
}
