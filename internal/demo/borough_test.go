package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/policies"
)

func noon() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func told(t *testing.T, now time.Time) *builder {
	t.Helper()
	catalogue, err := policy.Load(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	b := newBuilder(DefaultSeed, now, catalogue)
	b.tell()
	for _, err := range b.errs {
		t.Error(err)
	}
	return b
}

func TestEverySpecialCaseHasAStory(t *testing.T) {
	t.Parallel()
	stories := Stories(DefaultSeed)
	if len(stories) != StoryFamilies {
		t.Errorf("%d stories, want %d", len(stories), StoryFamilies)
	}
	shown, ids, refs := map[string]bool{}, map[uuid.UUID]bool{}, map[string]bool{}
	known := map[string]bool{}
	for _, c := range Cases() {
		known[c.Code] = true
	}
	for _, s := range stories {
		if s.Title == "" || s.Shows == "" {
			t.Errorf("story %s has no title or shows nothing", s.Key)
		}
		if ids[s.ID] || refs[s.Ref] {
			t.Errorf("story %s shares its id or reference", s.Key)
		}
		ids[s.ID], refs[s.Ref] = true, true
		for _, c := range s.Cases {
			if !known[c] {
				t.Errorf("story %s shows unknown case %s", s.Key, c)
			}
			shown[c] = true
		}
	}
	for c := range known {
		if !shown[c] {
			t.Errorf("no story shows %s", c)
		}
	}
}

func TestFamiliesAreWholeAndReadable(t *testing.T) {
	t.Parallel()
	b := told(t, noon())
	if len(b.families) != StoryFamilies {
		t.Errorf("%d families told, want %d", len(b.families), StoryFamilies)
	}
	all := 0
	for i, f := range b.families {
		if want := Stories(DefaultSeed)[i]; f.id != want.ID || f.key != want.Key {
			t.Errorf("family %d is %s %s, its story says %s %s", i, f.key, f.id, want.Key, want.ID)
		}
		if f.entries < 20 || f.entries > 50 {
			t.Errorf("family %s has %d entries, want 20 to 50", f.key, f.entries)
		}
		owners := map[string]bool{}
		for part := range f.parts {
			owner, _, _ := strings.Cut(part, "/")
			owners[strings.TrimSuffix(owner, "2")] = true
		}
		if len(owners) == 10 {
			all++
		}
	}
	if all < 22 {
		t.Errorf("%d families have entries of all ten kinds of agency, want 22 or more", all)
	}
	for _, row := range b.rows.content.rows {
		if body := string(row[1].([]byte)); strings.ContainsAny(body, "{}") && strings.Contains(body[1:len(body)-1], "{") {
			t.Errorf("content with an unfilled slot: %s", body)
		}
	}
}

// No row of the matrix is without something to show or to hide.
func TestEveryPartOfTheRecordIsThere(t *testing.T) {
	t.Parallel()
	b := told(t, noon())
	there := map[string]bool{}
	for _, f := range b.families {
		for part := range f.parts {
			_, section, _ := strings.Cut(part, "/")
			there[section] = true
		}
	}
	for _, s := range b.catalogue.Sections {
		if !there[s.Code] {
			t.Errorf("no family has an entry of %s", s.Code)
		}
	}
}

// The same ids at every start and on every day; other ids from another seed.
func TestIdsDependOnTheSeedAlone(t *testing.T) {
	t.Parallel()
	a, b := told(t, noon()), told(t, noon().AddDate(0, 3, 5))
	for i, table := range a.rows.tables() {
		other := b.rows.tables()[i]
		if len(table.rows) != len(other.rows) {
			t.Errorf("%s: %d rows today, %d another day", table.name, len(table.rows), len(other.rows))
			continue
		}
		for j := range table.rows {
			if x, y := fmt.Sprint(table.rows[j][0]), fmt.Sprint(other.rows[j][0]); x != y {
				t.Errorf("%s row %d: id moved with the day: %s, %s", table.name, j, x, y)
				break
			}
		}
	}
	if x, y := Stories(1)[0].ID, Stories(2)[0].ID; x == y {
		t.Error("two seeds gave the same id")
	}
	if got := Stories(DefaultSeed)[0].ID; got.Version() != 4 || got.Variant() != uuid.RFC4122 {
		t.Errorf("story id %s is not a version 4 UUID", got)
	}
}

func TestDemoNames(t *testing.T) {
	t.Parallel()
	want := strings.Fields(`social-worker team-manager emergency-duty mh-practitioner sm-practitioner idva perpetrator-practitioner detective mash-officer
		health-visitor safeguarding-lead probation-officer housing-officer ig-author-csc auditor admin outsider`)
	for _, kind := range []string{"csc", "mh", "sm", "dv", "dp", "pol", "hv", "sch", "prb", "hou"} {
		want = append(want, "ig-approver-"+kind, "privacy-officer-"+kind, "system-"+kind)
	}
	v, err := policy.Load(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]Account{}
	for _, a := range Accounts(DefaultSeed) {
		if a.Sign == "" {
			continue
		}
		if _, twice := have[a.Sign]; twice {
			t.Errorf("%s is there twice", a.Sign)
		}
		have[a.Sign] = a
		for _, code := range a.Roles {
			if r, ok := v.Role(code); !ok || !strings.Contains(strings.Join(r.Kinds, " "), a.Kind) {
				t.Errorf("%s: role %s is not one of kind %s", a.Sign, code, a.Kind)
			}
		}
	}
	for _, name := range want {
		if _, ok := have[name]; !ok {
			t.Errorf("no demo name %s", name)
		}
	}
}

// With foreign keys, checks and the owner's role, as on a server of the user's own.
func TestFillHoldsEveryConstraint(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	db := pgtest.New(t)
	conn := connect(t, db)
	o := Options{Now: noon(), Checked: true, Issuer: func(a string) string { return "http://127.0.0.1:1/" + strings.ToLower(a) }}
	res, err := Fill(ctx, conn, o)
	if err != nil {
		t.Fatal(err)
	}
	if !res.Made || res.Entries < 1200 {
		t.Errorf("made %v with %d entries", res.Made, res.Entries)
	}
	before := fingerprint(t, conn)
	o.Checked = false
	res, err = Fill(ctx, conn, o)
	if err != nil {
		t.Fatal(err)
	}
	if res.Made {
		t.Error("a second fill made the borough again")
	}
	if diff := cmp.Diff(before, fingerprint(t, conn)); diff != "" {
		t.Errorf("a second fill changed something:\n%s", diff)
	}
	o.Families = 50
	if _, err := Fill(ctx, conn, o); !errors.Is(err, ErrOtherBorough) {
		t.Errorf("another size: %v, want ErrOtherBorough", err)
	}
	var forced, triggers bool
	if err := conn.QueryRow(ctx, `SELECT relforcerowsecurity, NOT EXISTS (SELECT FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = 'kith' AND g.tgenabled <> 'O') FROM pg_class WHERE oid = 'kith.content'::regclass`).Scan(&forced, &triggers); err != nil {
		t.Fatal(err)
	}
	if !forced || !triggers {
		t.Errorf("after the fill: row security forced %v, all triggers enabled %v", forced, triggers)
	}
	// The sequences stand behind what was copied.
	var part, last int64
	if err := conn.QueryRow(ctx, `SELECT nextval('kith.part_id'), (SELECT max(part) FROM kith.content)`).Scan(&part, &last); err != nil {
		t.Fatal(err)
	}
	if part <= last {
		t.Errorf("next part %d, last copied %d", part, last)
	}
}

// The fast way (superuser, triggers aside) gives the very same borough.
func TestFillInBulkIsTheSameAndSound(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn := connect(t, pgtest.New(t))
	res, err := Fill(ctx, conn, Options{Now: noon(), Families: 300})
	if err != nil {
		t.Fatal(err)
	}
	slow := connect(t, pgtest.New(t))
	again, err := Fill(ctx, slow, Options{Now: noon(), Families: 300, Checked: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(res, again); diff != "" {
		t.Errorf("rows differ:\n%s", diff)
	}
	if diff := cmp.Diff(fingerprint(t, conn), fingerprint(t, slow)); diff != "" {
		t.Errorf("the two ways differ:\n%s", diff)
	}
	n := Bulk(DefaultSeed, 17)
	var ok bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kith.membership m JOIN kith.involvement i ON i.person = m.person
		WHERE m.family = $1 AND m.person = $2 AND i.worker = $3)`, n.Family, n.Child, n.Worker).Scan(&ok)
	if err != nil || !ok {
		t.Errorf("bulk family 17 is not where Bulk says: %v", err)
	}
}

func TestFreshenFollowsTheDay(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn := connect(t, pgtest.New(t))
	if _, err := Fill(ctx, conn, Options{Now: noon(), Issuer: func(a string) string { return "http://127.0.0.1:1/" + a }}); err != nil {
		t.Fatal(err)
	}
	later := noon().AddDate(0, 0, 9)
	if _, err := Fill(ctx, conn, Options{Now: later, Issuer: func(a string) string { return "http://127.0.0.1:2/" + a }}); err != nil {
		t.Fatal(err)
	}
	var ends time.Time
	var cover, moved bool
	if err := conn.QueryRow(ctx, `SELECT (SELECT ends_on FROM kith.agreement WHERE id = 'isa-housing-2026'),
		(SELECT bool_and(valid_until > $1) FROM kith.worker_team WHERE cover),
		(SELECT bool_and(issuer LIKE 'http://127.0.0.1:2/%') FROM kith.worker WHERE issuer IS NOT NULL)`, later).Scan(&ends, &cover, &moved); err != nil {
		t.Fatal(err)
	}
	if want := day(later).AddDate(0, 0, 1); !ends.Equal(want) {
		t.Errorf("the housing agreement ends %s, want %s", ends, want)
	}
	if !cover || !moved {
		t.Errorf("cover followed %v, issuers followed %v", cover, moved)
	}
}

func TestFillRefusesForeignData(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	conn := connect(t, pgtest.New(t))
	if _, err := conn.Exec(ctx, `INSERT INTO kith.partnership VALUES ('real', 'Real', 'Desk', '1', '2', '3')`); err != nil {
		t.Fatal(err)
	}
	if _, err := Fill(ctx, conn, Options{Now: noon()}); !errors.Is(err, ErrNotADemo) {
		t.Errorf("got %v, want ErrNotADemo", err)
	}
}

func connect(t *testing.T, db *pgtest.DB) *pgx.Conn {
	t.Helper()
	conn, err := postgres.Connect(t.Context(), db.DSN("admin"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// fingerprint is a digest of each table, without what the clock wrote.
func fingerprint(t *testing.T, conn *pgx.Conn) map[string]string {
	t.Helper()
	ctx := t.Context()
	rows, err := conn.Query(ctx, `SELECT c.table_name::text, string_agg(format('%I::text', c.column_name), ', ' ORDER BY c.ordinal_position)
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'kith' AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE 'access_event%' AND c.table_name NOT LIKE 'schema_%'
		  AND c.column_name NOT IN ('created_at', 'received_at', 'recorded_at', 'since', 'stamp', 'enrolled_at', 'raised_at') GROUP BY 1 ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	type named struct{ Table, Columns string }
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[named])
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, n := range tables {
		var sum string
		sql := fmt.Sprintf(`SELECT count(*) || ' ' || coalesce(md5(string_agg(l, '|' ORDER BY l)), '') FROM (SELECT md5(concat_ws('~', %s)) AS l FROM kith.%s) s`, n.Columns, n.Table)
		if err := conn.QueryRow(ctx, sql).Scan(&sum); err != nil {
			t.Fatalf("%s: %v", n.Table, err)
		}
		out[n.Table] = sum
	}
	return out
}
