package family

import (
	"context"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"

	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/migrations"
)

// protections lists the live protections of a family's members, by since and until.
func (h *house) protections(local string) []string {
	h.t.Helper()
	rows, err := h.admin.Query(context.Background(), `
SELECT r.local_id || ' ' || p.since || ' ' || coalesce(p.valid_until::text, 'open')
  FROM protection p JOIN person_link l ON l.person = p.person AND l.ended_at IS NULL JOIN source_record r ON r.id = l.record
 WHERE r.local_id LIKE $1 AND (p.valid_until IS NULL OR p.valid_until >= p.since) ORDER BY 1`, local)
	if err != nil {
		h.t.Fatal(err)
	}
	defer rows.Close()
	list := []string{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			h.t.Fatal(err)
		}
		list = append(list, s)
	}
	return list
}

// Where a child is placed is protected from the day of the placement on, and so
// is what tells it.
func TestAPlacementProtects(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	placed := func(placement string) string {
		return `[{"la_child_id": "P-1", "child_details": {"first_name": "Ida", "surname": "Fell", "date_of_birth": "2017-05-02", "postcode": "NB1 1AA"},
		  "social_care_episodes": [{"social_care_episode_id": "E", "referral_date": "2026-01-05", "child_looked_after_placements": [` + placement + `]}]}]`
	}
	for _, step := range []struct {
		name, placement string
		want            []string
	}{
		{"placed", `{"child_looked_after_placement_id": "A", "start_date": "2026-07-01", "postcode": "NB9 9ZZ"}`, []string{"P-1 2026-07-01 open"}},
		{"sent again", `{"child_looked_after_placement_id": "A", "start_date": "2026-07-01", "postcode": "NB9 9ZZ"}`, []string{"P-1 2026-07-01 open"}},
		{"begun earlier", `{"child_looked_after_placement_id": "A", "start_date": "2026-06-20", "postcode": "NB9 9ZZ"}`, []string{"P-1 2026-06-20 open"}},
		{"moved on", `{"child_looked_after_placement_id": "A", "start_date": "2026-06-20", "end_date": "2026-10-01", "postcode": "NB9 9ZZ"},
		  {"child_looked_after_placement_id": "B", "start_date": "2026-10-01", "postcode": "NB8 8YY"}`, []string{"P-1 2026-06-20 2026-10-01", "P-1 2026-10-01 open"}},
		{"the second in error", `{"child_looked_after_placement_id": "A", "start_date": "2026-06-20", "end_date": "2026-10-01", "postcode": "NB9 9ZZ"},
		  {"child_looked_after_placement_id": "B", "purge": true}`, []string{"P-1 2026-06-20 2026-10-01"}},
	} {
		if totals, lines := h.dfe(placed(step.placement)); totals.Refused != 0 {
			t.Fatalf("%s: %+v", step.name, lines)
		}
		if got := h.protections("P-1"); !slices.Equal(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
	}
	fam := h.familyOf("P-1")
	now := Caller{Worker: h.worker("SCH"), Agency: "SCH", Now: clock()}
	if got := h.load(fam, now).Protected; len(got) != 0 {
		t.Errorf("protected after the placement: %v", got)
	}
	now.Now = time.Date(2026, 8, 1, 9, 0, 0, 0, time.UTC)
	if got := h.load(fam, now).Protected; len(got) != 1 || got[0].Since.Format(time.DateOnly) != "2026-06-20" {
		t.Errorf("during the placement: %v", got)
	}
	h.dfe(`[{"la_child_id": "P-1", "purge": true}]`)
	if got := h.protections("P-1"); len(got) != 0 {
		t.Errorf("a purged child is protected: %v", got)
	}
}

// An address that any agency sends protects everybody whom it is about; without
// a day, from ever.
func TestAnEntryOfProtectedAddressProtects(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.mustGive("CSC", Record{Person: &PersonRecord{LocalID: "K", About: "child", Member: &PersonMembership{Family: "F", Role: "child"}}}, openWork("K"))
	h.mustGive("CSC", grownUp("M", "F"))
	refuge := func(event, since string) Record {
		content := map[string]any{"address": "The Refuge", "postcode": "nb7 7 rr"}
		if since != "" {
			content["since"] = since
		}
		return Record{Entry: &EntryRecord{LocalID: "R", Section: "protected-address", Source: "fact", About: []string{"K", "M"}, Event: event, Contains: []string{}, Content: content}}
	}
	for _, step := range []struct{ event, since, want string }{
		{"2026-09-01", "", "2026-09-01"},
		{"2026-09-01", "2026-08-15", "2026-08-15"},
		{"2026-09-01", "2026-10-15", "2026-09-01"},
		{"", "", "1900-01-01"},
	} {
		h.mustGive("CSC", refuge(step.event, step.since))
		want := []string{"K " + step.want + " open", "M " + step.want + " open"}
		if got := h.protections("%"); !slices.Equal(got, want) {
			t.Errorf("event %q, since %q: %v, want %v", step.event, step.since, got, want)
		}
	}
	stamp := h.load(h.familyOf("K"), Caller{Worker: uuid.New(), Agency: "CSC"}).Stamp
	h.mustGive("CSC", Record{Entry: &EntryRecord{LocalID: "R", Section: "protected-address", Purge: true}})
	if got := h.protections("%"); len(got) != 0 {
		t.Errorf("after the purge: %v", got)
	}
	if h.load(h.familyOf("K"), Caller{Worker: uuid.New(), Agency: "CSC"}).Stamp == stamp {
		t.Error("the family's stamp stayed")
	}
	if n := h.count(`SELECT count(*) FROM guarded_code WHERE value = 'NB77RR'`); n == 0 {
		t.Error("nobody would notice an attempt")
	}
	if _, err := h.app.Exec(t.Context(), `SELECT value FROM kith.guarded_code`); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("the app reads the keys of protected addresses: %v", err)
	}
}

func TestKeysOfWritesAreForgotten(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for key, days := range map[string]int{"today": 0, "last week": 7, "last month": 31, "last year": 400} {
		h.exec(`INSERT INTO write_once (partnership, actor, key, digest, made_at) VALUES ('northby', 'a', $1, sha256('x'), now() - make_interval(days => $2))`, key, days)
	}
	h.exec(`INSERT INTO write_once (partnership, actor, key, digest, made_at)
	        SELECT 'northby', 'b', n::text, sha256('x'), now() - interval '2 years' FROM generate_series(1, $1) n`, forgetAtOnce+10)
	sequencer := h.db.Pool(t, "sequencer")
	for _, step := range []struct {
		before time.Time
		gone   int
		left   int
	}{
		{time.Now().AddDate(0, 0, -500), forgetAtOnce + 10, 4},
		{time.Now().AddDate(0, 0, -30), 2, 2},
		{time.Now().AddDate(0, 0, -30), 0, 2},
		{time.Now().AddDate(1, 0, 0), 1, 1}, // today's stays, whatever is asked
	} {
		gone, err := ForgetWriteKeys(t.Context(), sequencer, step.before)
		if err != nil {
			t.Fatal(err)
		}
		if left := h.count(`SELECT count(*) FROM write_once`); gone != step.gone || left != step.left {
			t.Errorf("before %s: %d gone, %d left, want %d and %d", step.before.Format(time.DateOnly), gone, left, step.gone, step.left)
		}
	}
	if _, err := ForgetWriteKeys(t.Context(), h.app, time.Now()); err == nil {
		t.Error("the app forgets its own keys")
	}
}

// What a hub held before it knew of protections by entry is protected by its
// migration, run as the role that is meant for it.
func TestAddressesFromBeforeAreProtected(t *testing.T) {
	t.Parallel()
	before := fstest.MapFS{}
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name >= "0015" {
			continue
		}
		text, err := fs.ReadFile(migrations.FS, name)
		if err != nil {
			t.Fatal(err)
		}
		before[name] = &fstest.MapFile{Data: text}
	}
	db := pgtest.NewWith(t, nil)
	if err := postgres.Migrate(t.Context(), db.DSN("migrate"), before, nil); err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, db: db, admin: db.Pool(t, "admin")}
	h.exec(`INSERT INTO kith.partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours) VALUES ('northby', 'N', 'D', '1', '2', '3')`)
	h.exec(`INSERT INTO kith.agency (code, partnership, kind, name, legal_controller, ods, active_from) VALUES ('CSC', 'northby', 'CSC', 'C', 'C', 'X1', '2020-01-01')`)
	person, entry := uuid.New(), uuid.New()
	h.exec(`INSERT INTO kith.person (id, partnership) VALUES ($1, 'northby')`, person)
	h.exec(`INSERT INTO kith.entry (id, partnership, owner) VALUES ($1, 'northby', 'CSC')`, entry)
	h.exec(`INSERT INTO kith.content (part, body) VALUES (1, '{"postcode": "nb7 7rr"}')`)
	h.exec(`WITH v AS (
	          INSERT INTO kith.entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, full_part, event_from, event_until)
	          VALUES ($1, 'CSC', 1, true, 'protected-address', 'protected-address/1', 'CSC', 'fact', 3, now(), false, true, 1, '2026-07-01', '2026-07-01') RETURNING id)
	        INSERT INTO kith.entry_subject (version, person, relation) SELECT v.id, $2, 'about' FROM v`, entry, person)
	if err := postgres.Migrate(t.Context(), db.DSN("migrate"), migrations.FS, nil); err != nil {
		t.Fatal(err)
	}
	if n := h.count(`SELECT count(*) FROM kith.guarded_code WHERE value = 'NB77RR'`); n != 1 {
		t.Errorf("%d keys", n)
	}
	if n := h.count(`SELECT count(*) FROM kith.protection WHERE person = $1 AND entry = $2 AND since = '2026-07-01' AND valid_until IS NULL`, person, entry); n != 1 {
		t.Errorf("%d protections", n)
	}
	if n := h.count(`SELECT count(*) FROM pg_class WHERE oid = 'kith.content'::regclass AND relrowsecurity AND relforcerowsecurity`); n != 1 {
		t.Error("the content's lock is off")
	}
}
