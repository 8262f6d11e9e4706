package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/family"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/policies"
)

// Errors of Fill.
var (
	// ErrNotADemo refuses a database that holds families which Fill did not make.
	ErrNotADemo = errors.New("the database holds families that are not the demo's: the synthetic borough is never mixed with them")
	// ErrOtherBorough refuses a database that holds the borough of another seed or size.
	ErrOtherBorough = errors.New("the database holds another borough")
)

// StoryFamilies is how many families are told one by one; more are made in bulk.
const StoryFamilies = 40

// Options say which borough is wanted.
type Options struct {
	Seed     uint64    // 0 = DefaultSeed
	Now      time.Time // the borough is dated relative to its day
	Families int       // 0 = whatever is there, else StoryFamilies; more are added in bulk, for measuring
	// Catalogue says which sections and fields there are; nil = the shipped policy version.
	Catalogue *policy.Version
	// Issuer gives the issuer at which an agency's workers sign in; nil = nobody signs in.
	Issuer func(agency string) string
	// Progress gets a line that is written over, for large boroughs; nil = silent.
	Progress io.Writer
	anySize  bool // no number was asked for
	// Checked keeps foreign keys and triggers switched on even for a superuser: slower.
	Checked bool
}

// Result says what Fill found or made.
type Result struct {
	Made     bool // false: the borough was there
	Families int
	Entries  int64
	Rows     int64
}

// Fill writes the borough into the database of conn, an administrator's
// connection, in one transaction. A second call leaves what is there, save
// that whatever is dated "tonight" or "tomorrow" follows the day, and that
// workers follow their issuers. The policy version is not its business; the
// partnership that it is published for is.
// Errors: ErrNotADemo, ErrOtherBorough.
func Fill(ctx context.Context, conn *pgx.Conn, o Options) (Result, error) {
	o, err := o.complete()
	if err != nil {
		return Result{}, err
	}
	var res Result
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		res = Result{Families: o.Families}
		there, err := found(ctx, tx, o)
		if err != nil {
			return err
		}
		if there > 0 {
			res.Families = there
			return freshen(ctx, tx, o)
		}
		res.Made = true
		return o.fill(ctx, tx, &res)
	})
	if err != nil {
		return Result{}, fmt.Errorf("fill the borough: %w", postgres.Redact(err))
	}
	if res.Made {
		if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
			return res, fmt.Errorf("fill the borough: analyze: %w", postgres.Redact(err))
		}
	}
	return res, nil
}

func (o Options) complete() (Options, error) {
	if o.Seed == 0 {
		o.Seed = DefaultSeed
	}
	if o.Families == 0 {
		o.Families, o.anySize = StoryFamilies, true
	}
	if o.Families < StoryFamilies {
		return o, fmt.Errorf("the borough has at least %d families", StoryFamilies)
	}
	if o.Now.IsZero() {
		return o, errors.New("fill the borough: no day given")
	}
	if o.Catalogue == nil {
		v, err := policy.Load(policies.Default())
		if err != nil {
			return o, fmt.Errorf("load the shipped catalogue: %w", err)
		}
		o.Catalogue = v
	}
	return o, nil
}

// mark names the borough in the submission that stands for it.
func (o Options) mark() string {
	return fmt.Sprintf("%s%d", o.markOfSeed(), o.Families)
}

func (o Options) markOfSeed() string { return fmt.Sprintf("borough/1 seed=%d families=", o.Seed) }

// found says how many families a borough of this seed has that is there already; 0 = none.
func found(ctx context.Context, tx pgx.Tx, o Options) (int, error) {
	// Two fills at once would both find nothing.
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('kith.borough'))`); err != nil {
		return 0, fmt.Errorf("lock: %w", err)
	}
	var mark string
	err := tx.QueryRow(ctx, `SELECT coalesce(idempotency_key, '') FROM kith.submission WHERE format = 'borough'`).Scan(&mark)
	switch {
	case err == nil:
		size, _ := strings.CutPrefix(mark, o.markOfSeed())
		if n, err := strconv.Atoi(size); err == nil && (n == o.Families || o.anySize) {
			return n, nil
		}
		return 0, fmt.Errorf("%w (%s, wanted %s)", ErrOtherBorough, mark, o.mark())
	case !errors.Is(err, pgx.ErrNoRows):
		return 0, fmt.Errorf("look for a borough: %w", err)
	}
	var other bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kith.family) OR EXISTS (SELECT FROM kith.partnership WHERE code <> $1)`, Partnership).Scan(&other); err != nil {
		return 0, fmt.Errorf("look for families: %w", err)
	}
	if other {
		return 0, ErrNotADemo
	}
	return 0, nil
}

func (o Options) fill(ctx context.Context, tx pgx.Tx, res *Result) error {
	done, err := o.open(ctx, tx)
	if err != nil {
		return err
	}
	b := newBuilder(o.Seed, o.Now, o.Catalogue)
	if err := tx.QueryRow(ctx, `SELECT coalesce((SELECT max(part) FROM kith.content), 0), coalesce((SELECT max(id) FROM kith.entry_version), 0)`).Scan(&b.part, &b.version); err != nil {
		return fmt.Errorf("find the last part: %w", err)
	}
	first := b.version
	for _, t := range b.directory(o) {
		if err := copyTable(ctx, tx, t, res); err != nil {
			return err
		}
	}
	b.tell()
	if err := errors.Join(b.errs...); err != nil {
		return fmt.Errorf("tell the stories: %w", err)
	}
	if err := copyRows(ctx, tx, b.rows, res); err != nil {
		return err
	}
	if err := o.bulk(ctx, tx, b, res); err != nil {
		return err
	}
	if err := family.FillSearchWords(ctx, tx); err != nil {
		return err
	}
	res.Entries = b.version - first
	_, err = tx.Exec(ctx, `INSERT INTO kith.submission (id, partnership, agency, principal, format, idempotency_key, started_at, finished_at, taken, created)
		VALUES ($1, $2, 'CSC', 'borough', 'borough', $3, $4, $4, $5, $5)`, b.of("borough"), Partnership, o.mark(), b.now, res.Entries)
	if err != nil {
		return fmt.Errorf("mark the borough: %w", err)
	}
	_, err = tx.Exec(ctx, `SELECT setval('kith.part_id', $1), setval(pg_get_serial_sequence('kith.entry_version', 'id'), $2)`, b.part+1, b.version+1)
	if err != nil {
		return fmt.Errorf("move the sequences on: %w", err)
	}
	return done()
}

// tell builds the forty families in memory.
func (b *builder) tell() {
	for _, t := range tales() {
		t.tell(b, t.key)
	}
}

// open makes the tables ready for COPY: stamps need not be raised for families
// that nobody has read, and content is closed to everyone else. It returns what
// must be done before the commit.
func (o Options) open(ctx context.Context, tx pgx.Tx) (func() error, error) {
	var super bool
	if err := tx.QueryRow(ctx, `SELECT rolsuper FROM pg_roles WHERE rolname = current_user`).Scan(&super); err != nil {
		return nil, fmt.Errorf("ask who fills: %w", err)
	}
	if super && !o.Checked {
		if _, err := tx.Exec(ctx, `SET LOCAL session_replication_role = replica`); err != nil {
			return nil, fmt.Errorf("set triggers aside: %w", err)
		}
		return func() error { return nil }, nil
	}
	exec := func(format string, args ...any) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(format, args...)); err != nil {
			return fmt.Errorf("make tables ready: %w", err)
		}
		return nil
	}
	if err := exec("SET LOCAL ROLE %s", postgres.RoleOwner); err != nil {
		return nil, err
	}
	stamped := newRowset().tables()
	for _, t := range stamped {
		if err := exec("ALTER TABLE kith.%s DISABLE TRIGGER USER", t.name); err != nil {
			return nil, err
		}
	}
	// COPY is not to be had under row security; INSERT would be far slower.
	if err := exec("ALTER TABLE kith.content NO FORCE ROW LEVEL SECURITY"); err != nil {
		return nil, err
	}
	return func() error {
		// A foreign key that is checked only at the commit would hinder ALTER TABLE.
		if err := exec("SET CONSTRAINTS ALL IMMEDIATE"); err != nil {
			return err
		}
		if err := exec("ALTER TABLE kith.content FORCE ROW LEVEL SECURITY"); err != nil {
			return err
		}
		for _, t := range stamped {
			if err := exec("ALTER TABLE kith.%s ENABLE TRIGGER USER", t.name); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

func copyRows(ctx context.Context, tx pgx.Tx, r *rowset, res *Result) error {
	for _, t := range r.tables() {
		if err := copyTable(ctx, tx, t, res); err != nil {
			return err
		}
		t.rows = t.rows[:0]
	}
	return nil
}

func copyTable(ctx context.Context, tx pgx.Tx, t *table, res *Result) error {
	if len(t.rows) == 0 {
		return nil
	}
	n, err := tx.CopyFrom(ctx, pgx.Identifier{postgres.Schema, t.name}, t.columns, pgx.CopyFromRows(t.rows))
	if err != nil {
		return fmt.Errorf("copy into %s: %w", t.name, err)
	}
	res.Rows += n
	return nil
}

// freshen moves what is dated by tonight and tomorrow to the present day, and
// the workers to the issuers of this start.
func freshen(ctx context.Context, tx pgx.Tx, o Options) error {
	today := day(o.Now)
	tomorrow := today.AddDate(0, 0, 1)
	morning := tomorrow.Add(9 * time.Hour)
	for _, step := range []struct {
		what, sql string
		args      []any
	}{
		{"the agreement that ends tomorrow", `UPDATE kith.agreement SET ends_on = $1 WHERE id = 'isa-housing-2026' AND ends_on < $1`, []any{tomorrow}},
		{"tonight's cover", `UPDATE kith.worker_team SET valid_from = $1, valid_until = $2 WHERE cover AND valid_until < $2`, []any{today, morning}},
		{"tonight's cover by name", `UPDATE kith.involvement SET valid_until = $1 WHERE source = 'cover' AND valid_until < $1`, []any{morning}},
		{"last night's event", `UPDATE kith.episode SET valid_until = $1 WHERE kind = 'encompass' AND valid_until < $1`, []any{today.AddDate(0, 0, 6)}},
		{"grants by name", `UPDATE kith.access_grant SET valid_until = $1 WHERE NOT break_glass AND valid_until < $2`, []any{today.AddDate(0, 0, 20), today.AddDate(0, 0, 5)}},
	} {
		if _, err := tx.Exec(ctx, step.sql, step.args...); err != nil {
			return fmt.Errorf("bring %s up to date: %w", step.what, err)
		}
	}
	if o.Issuer == nil {
		return nil
	}
	for _, a := range agencies() {
		_, err := tx.Exec(ctx, `UPDATE kith.worker SET issuer = $1 WHERE agency = $2 AND issuer IS NOT NULL AND issuer <> $1`, o.Issuer(a.code), a.code)
		if err != nil {
			return fmt.Errorf("bring %s's issuer up to date: %w", a.code, err)
		}
	}
	return nil
}
