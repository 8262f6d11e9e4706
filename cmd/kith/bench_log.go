package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
	"kith/internal/postgres/private"
	"kith/migrations"
)

// logWorld is a log of a year, in a database of its own: a hub beside it would
// have to give each of its events a leaf.
type logWorld struct {
	events int
	server *private.Server
	admin  *pgxpool.Pool
	log    *audit.Log
	close  func()
}

const logMonths = 12

// logSearches measures the search of the log by each filter.
func (b *bench) logSearches(ctx context.Context, events int, temporary bool) error {
	fmt.Fprintf(b.stderr, "A log of %d events.\n", events)
	dir := filepath.Join(b.dir, "log-"+strconv.Itoa(events))
	began := time.Now()
	w, err := b.openLog(ctx, dir, events)
	if err != nil {
		return fmt.Errorf("a log of %d events: %w", events, err)
	}
	defer func() {
		w.close()
		if temporary {
			_ = private.Remove(context.WithoutCancel(ctx), dir)
		}
	}()
	b.note("A log of %d events over %d months stood after %s.", events, logMonths, time.Since(began).Round(time.Second))
	cases, err := w.cases(ctx)
	if err != nil {
		return err
	}
	run := processes{database: w.server.Pid}
	for _, c := range cases {
		m, err := run.run(ctx, "log, "+c.what, 1, b.long, func(ctx context.Context, _, i int) error {
			scope, filter := c.filter(i)
			list, _, err := w.log.List(ctx, scope, filter, audit.Page{Limit: 50, After: c.after})
			if err == nil && len(list) == 0 && !c.nothing {
				err = fmt.Errorf("nothing was found")
			}
			return err
		})
		if err != nil {
			return err
		}
		b.note("search at %d million events, %s: p50 %s ms, p99 %s ms (%d searches).", events/1_000_000, c.what, millis(m.p50), millis(m.p99), m.done)
		fmt.Fprintf(b.stderr, "  %-60s p50 %8s ms  p99 %8s ms  CPU %s ms\n", m.what, millis(m.p50), millis(m.p99), millis(m.cpu()))
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	m, err := run.run(ctx, "figures of 92 days", 1, b.long, func(ctx context.Context, _, _ int) error {
		_, err := w.log.Figures(ctx, audit.AuditorScope(), today.AddDate(0, 0, 1-audit.MaxDays), today)
		return err
	})
	if err != nil {
		return err
	}
	b.note("counts of 92 days for pictures, at %d million events: p50 %s ms, p99 %s ms.", events/1_000_000, millis(m.p50), millis(m.p99))
	return nil
}

func (b *bench) openLog(ctx context.Context, dir string, events int) (*logWorld, error) {
	server, err := private.Start(ctx, private.Config{Dir: dir, Log: b.log, Random: rand.Reader})
	if err != nil {
		return nil, err
	}
	w := &logWorld{events: events, server: server}
	w.close = func() { server.Stop(context.WithoutCancel(ctx)) }
	if err := w.prepare(ctx, b); err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

func (w *logWorld) prepare(ctx context.Context, b *bench) error {
	var secret [16]byte
	if _, err := rand.Read(secret[:]); err != nil {
		return fmt.Errorf("passwords: %w", err)
	}
	word := hex.EncodeToString(secret[:])
	roles := postgres.Roles{Migrate: word, App: word, Sequencer: word, Auditor: word, Replay: word, Retention: word}
	if err := w.server.EnsureDatabase(ctx, "kith"); err != nil {
		return err
	}
	admin := w.server.AdminDSN("kith")
	if err := postgres.Prepare(ctx, admin, roles, rand.Reader, migrations.FS, b.log); err != nil {
		return err
	}
	var err error
	if w.admin, err = postgres.Open(ctx, admin, postgres.Options{MaxConns: 2}); err != nil {
		return err
	}
	stop := w.close
	w.close = func() { w.admin.Close(); stop() }
	var have int
	if err := w.admin.QueryRow(ctx, `SELECT coalesce(sum(greatest(reltuples, 0)), 0)::bigint FROM pg_class WHERE relname ~ '^access_event_[a-z]+_20' AND relkind = 'r'`).Scan(&have); err != nil {
		return err
	}
	if have < w.events*9/10 { // a run before has kept it, or not; the statistics are an estimate
		if err := w.fill(ctx, roles); err != nil {
			return err
		}
	}
	reader, err := postgres.Open(ctx, w.server.DSN(postgres.RoleAuditor, word, "kith"), postgres.Options{ApplicationName: "kith auditor", MaxConns: 4})
	if err != nil {
		return err
	}
	before := w.close
	w.close = func() { reader.Close(); before() }
	w.log, err = audit.NewLog(reader, logPartnership, make([]byte, 32))
	return err
}

const logPartnership = "borough"

// fill writes a year of events by the database's administrator: the app's role
// could write today's alone. Their form is that of real ones, which stand as
// patterns; what is searched by is drawn at random, frequent and rare.
func (w *logWorld) fill(ctx context.Context, roles postgres.Roles) error {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	app, err := postgres.Open(ctx, w.server.DSN(postgres.RoleApp, roles.App, "kith"), postgres.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer app.Close()
	recorder, err := audit.NewRecorder(app, &audit.Signer{Partnership: logPartnership, Replica: "bench", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		return err
	}
	if err := w.patterns(ctx, app, recorder); err != nil {
		return err
	}
	rows, err := w.admin.Query(ctx, `SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'kith.access_event'::regclass AND NOT indisprimary`)
	if err != nil {
		return err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, SQL string }])
	if err != nil {
		return err
	}
	statements := []string{fillPatterns}
	for _, x := range indexes { // built at the end, at once: ten times as fast
		statements = append(statements, "DROP INDEX "+x.Name)
	}
	month := time.Now().UTC()
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range logMonths {
		from := month.AddDate(0, -i, 0)
		until := from.AddDate(0, 1, 0)
		for _, class := range []string{"access", "contribution", "policy", "security", "log"} {
			statements = append(statements, fmt.Sprintf(`DO $$ BEGIN IF to_regclass('kith.access_event_%[1]s_%[2]s') IS NULL THEN
				CREATE TABLE kith.access_event_%[1]s_%[2]s PARTITION OF kith.access_event_%[1]s FOR VALUES FROM ('%[3]s 00:00:00+00') TO ('%[4]s 00:00:00+00');
				ALTER TABLE kith.access_event_%[1]s_%[2]s OWNER TO kith_owner; END IF; END $$`, class, from.Format("2006_01"), from.Format(time.DateOnly), until.Format(time.DateOnly)))
		}
		if i == 0 {
			until = time.Now().UTC().Add(-time.Minute)
		}
		statements = append(statements, fmt.Sprintf(fillMonth, w.events/logMonths, from.Format(time.RFC3339), until.Format(time.RFC3339)))
	}
	statements = append(statements, fillCounts)
	for _, x := range indexes {
		statements = append(statements, strings.Replace(x.SQL, " ON ONLY ", " ON ", 1))
	}
	statements = append(statements, "DROP TABLE public.pattern", "VACUUM (ANALYZE) kith.access_event", "VACUUM (ANALYZE) kith.access_count", "CHECKPOINT")
	for _, sql := range statements {
		if _, err := w.admin.Exec(ctx, sql); err != nil {
			return fmt.Errorf("fill the log: %w", postgres.Redact(err))
		}
	}
	return nil
}

// patterns writes some real events, as the door does.
func (w *logWorld) patterns(ctx context.Context, app *pgxpool.Pool, recorder *audit.Recorder) error {
	worker, policy := uuid.New(), proof.Digest{1}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO kith.partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours) VALUES ($1, '', '', '', '', '')`, logPartnership)
	b.Queue(`INSERT INTO kith.agency (code, partnership, kind, name, legal_controller, ico) VALUES ('CSC', $1, 'CSC', '', '', 'Z1')`, logPartnership)
	b.Queue(`INSERT INTO kith.worker (id, partnership, agency, employer, name, roles) VALUES ($1, $2, 'CSC', '', '', '{}')`, worker, logPartnership)
	b.Queue(`INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES ($1, $2, '', '', 'active')`, policy[:], logPartnership)
	b.Queue(`INSERT INTO kith.policy_head (partnership, digest) VALUES ($2, $1)`, policy[:], logPartnership)
	b.Queue(`INSERT INTO kith.agreement_head (partnership) VALUES ($1)`, logPartnership)
	if err := w.admin.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("patterns: %w", postgres.Redact(err))
	}
	for range 20 {
		people := []uuid.UUID{uuid.New(), uuid.New(), uuid.New()}
		e := audit.Event{
			Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Agency: "CSC", Purpose: "FS", Reason: "Review of the child protection plan before the core group meets",
			Family: uuid.New(), Children: people[:2], Request: uuid.NewString(), Policy: policy, Input: make([]byte, 1200), Decision: []byte("{}"),
			Principal: proof.Principal{Worker: worker, Name: "Grace Adeyemi", Issuer: "https://sign-in.csc.example", Subject: uuid.NewString(), Roles: []string{"social-worker", "practitioner"}},
		}
		for i, owner := range []string{"CSC", "MH", "SM", "DV", "POL", "HV", "SCH", "HOU", "SMALL"} {
			for _, section := range []string{"identity", "childs-story", "assessment-plan"} {
				e.Released = append(e.Released, audit.Release{
					Entry: proof.EntryRef{Entry: uuid.New(), Version: 1}, Subjects: people[i%3 : i%3+1],
					Terms: proof.Terms{Section: section, Owner: owner, Level: proof.Full, Part: "full", Sensitivity: 2, Clauses: []string{"isa-family-safeguarding-2026 4.2"}},
				})
			}
		}
		row, err := recorder.Seal(e)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		queued := row.Queue(b, audit.Guard{Policy: policy, AgreementStamp: 1, Worker: worker, WorkerStamp: 1})
		audit.QueueReset(b)
		results := app.SendBatch(ctx, b)
		_, err = queued.Result(results)
		if closed := results.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return fmt.Errorf("patterns: %w", postgres.Redact(err))
		}
	}
	return nil
}

// Ids are drawn from numbers, so that a worker, a person or a family comes again.
const (
	fillPatterns = `CREATE TABLE public.pattern AS SELECT row_number() OVER () AS n, e.* FROM kith.access_event e`
	fillMonth    = `
INSERT INTO kith.access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt, common, common_salt, subjects, subject_salts, subject_parts,
  input, released, kind, agency, worker, purpose, family, outcome, declared, emergency, owners, top_level, request_id)
SELECT gen_random_uuid(), CASE WHEN r.class < 0.85 THEN 'access' WHEN r.class < 0.93 THEN 'contribution' WHEN r.class < 0.98 THEN 'security' ELSE 'log' END,
       '%[2]s'::timestamptz + r.at * ('%[3]s'::timestamptz - '%[2]s'::timestamptz), p.partnership, p.replica, p.header, p.commitments, p.receipt, p.common, p.common_salt,
       ARRAY[md5('p' || r.a)::uuid, md5('p' || r.b)::uuid, md5('p' || r.c)::uuid], p.subject_salts, p.subject_parts, p.input, '{1,2,3,4,5,6}',
       CASE WHEN r.class >= 0.98 THEN 'log-view' WHEN r.class >= 0.93 THEN 'sign-in' WHEN r.class >= 0.85 THEN 'entry' WHEN r.kind < 0.85 THEN 'read' WHEN r.kind < 0.99 THEN 'search' ELSE 'print' END,
       r.agency, md5('w' || r.agency || r.worker)::uuid,
       CASE WHEN r.purpose < 0.45 THEN 'FS' WHEN r.purpose < 0.7 THEN 'CN' WHEN r.purpose < 0.85 THEN 'FD' WHEN r.purpose < 0.95 THEN 'CP' WHEN r.purpose < 0.98 THEN 'LC' WHEN r.purpose < 0.998 THEN 'EH' WHEN r.purpose < 0.9998 THEN 'MR' ELSE 'OE' END,
       md5('f' || r.a / 3)::uuid, CASE WHEN r.outcome < 0.9 THEN 'released' WHEN r.outcome < 0.97 THEN 'not-found' WHEN r.outcome < 0.99 THEN 'denied' ELSE 'invalid' END,
       r.purpose > 0.845 AND r.purpose < 0.85, r.outcome > 0.8999 AND r.outcome < 0.9,
       CASE WHEN r.outcome >= 0.9 THEN '{}' ELSE ARRAY['CSC', r.agency] || (ARRAY['MH', 'SM', 'DV', 'POL', 'HV', 'SCH'])[1:r.own] || CASE WHEN r.small < 0.0005 THEN ARRAY['SMALL'] ELSE '{}' END END,
       CASE WHEN r.outcome >= 0.9 THEN 0 WHEN r.own > 3 THEN 3 WHEN r.own > 0 THEN 2 ELSE 1 END, p.request_id
  FROM (SELECT g, random() AS class, random() AS at, random() AS kind, random() AS purpose, random() AS outcome, random() AS small,
               (random() * 300000)::int AS a, (random() * 300000)::int AS b, (random() * 300000)::int AS c, (random() * 400)::int AS worker, (random() * 6)::int AS own,
               (ARRAY['CSC', 'CSC', 'CSC', 'CSC', 'MH', 'SM', 'DV', 'POL', 'POL', 'HV', 'SCH', 'HOU'])[1 + floor(random() * 12)] AS agency
          FROM generate_series(1, %[1]d) g OFFSET 0) r
  JOIN public.pattern p ON p.n = 1 + r.g %% 20`
	fillCounts = `
INSERT INTO kith.access_count (partnership, day, owner, agency, purpose, outcome, kind, emergency, n)
SELECT e.partnership, (e.occurred_at AT TIME ZONE 'Europe/London')::date, '', e.agency, e.purpose, e.outcome, e.kind, e.emergency, count(*)
  FROM kith.access_event e WHERE e.retention = 'access' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8`
)

// logCase is one kind of search.
type logCase struct {
	what    string
	after   string
	nothing bool // that nothing is found is right
	filter  func(i int) (audit.Scope, audit.Filter)
}

func (w *logWorld) cases(ctx context.Context) ([]logCase, error) {
	type known struct {
		Worker, Family, Subject uuid.UUID
	}
	rows, err := w.admin.Query(ctx, `SELECT worker, family, subjects[1] FROM kith.access_event TABLESAMPLE SYSTEM (0.5) WHERE outcome = 'released' AND worker IS NOT NULL LIMIT 500`)
	if err != nil {
		return nil, err
	}
	some, err := pgx.CollectRows(rows, pgx.RowToStructByPos[known])
	if err != nil || len(some) == 0 {
		return nil, fmt.Errorf("choose what to search for: %d found: %w", len(some), postgres.Redact(err))
	}
	year := time.Now().AddDate(0, -logMonths+1, 0)
	_, old, err := w.log.List(ctx, audit.AuditorScope(), audit.Filter{Until: time.Now().AddDate(0, -7, 0)}, audit.Page{Limit: 50})
	if err != nil {
		return nil, err
	}
	all := func(f func(known) audit.Filter) func(int) (audit.Scope, audit.Filter) {
		return func(i int) (audit.Scope, audit.Filter) { return audit.AuditorScope(), f(some[i%len(some)]) }
	}
	fixed := func(s audit.Scope, f audit.Filter) func(int) (audit.Scope, audit.Filter) {
		return func(int) (audit.Scope, audit.Filter) { return s, f }
	}
	everything := audit.AuditorScope()
	return []logCase{
		{what: "newest", filter: fixed(everything, audit.Filter{})},
		{what: "newest, from the middle of the year", after: old, filter: fixed(everything, audit.Filter{})},
		{what: "agency and purpose", filter: fixed(everything, audit.Filter{Agency: "HOU", Purpose: "CP"})},
		{what: "agency, purpose and outcome, in one month", nothing: true, filter: fixed(everything, audit.Filter{Agency: "HV", Purpose: "EH", Outcome: audit.OutcomeDenied, From: year.AddDate(0, 5, 0), Until: year.AddDate(0, 6, 0)})},
		{what: "worker", filter: all(func(k known) audit.Filter { return audit.Filter{Worker: k.Worker} })},
		{what: "worker and outcome", nothing: true, filter: all(func(k known) audit.Filter { return audit.Filter{Worker: k.Worker, Outcome: audit.OutcomeDenied} })},
		{what: "family", filter: all(func(k known) audit.Filter { return audit.Filter{Family: k.Family} })},
		{what: "person", filter: all(func(k known) audit.Filter { return audit.Filter{Subject: k.Subject} })},
		{what: "person and agency", nothing: true, filter: all(func(k known) audit.Filter { return audit.Filter{Subject: k.Subject, Agency: "SCH"} })},
		{what: "rare purpose", nothing: true, filter: fixed(everything, audit.Filter{Purpose: "OE"})},
		{what: "rare outcome", filter: fixed(everything, audit.Filter{Outcome: audit.OutcomeInvalid})},
		{what: "rare kind", filter: fixed(everything, audit.Filter{Kind: audit.KindPrint})},
		{what: "level", filter: fixed(everything, audit.Filter{Level: proof.Full})},
		{what: "emergency access", filter: fixed(everything, audit.Filter{Emergency: true})},
		{what: "declared", filter: fixed(everything, audit.Filter{Declared: true})},
		{what: "declared, of one agency, denied", nothing: true, filter: fixed(everything, audit.Filter{Declared: true, Agency: "SCH", Outcome: audit.OutcomeDenied})},
		{what: "what never occurs together", nothing: true, filter: fixed(everything, audit.Filter{Agency: "SCH", Purpose: "OE", Level: proof.Full, Outcome: audit.OutcomeDenied})},
		{what: "two frequent things that never occur together", nothing: true, filter: fixed(everything, audit.Filter{Agency: "CSC", Purpose: "FS", Level: proof.Full, Outcome: audit.OutcomeNotFound})},
		{what: "privacy officer of the largest agency", filter: fixed(audit.AgencyScope("CSC"), audit.Filter{})},
		{what: "privacy officer of a small agency", filter: fixed(audit.AgencyScope("SMALL"), audit.Filter{})},
		{what: "privacy officer, accesses to own data by another agency", nothing: true, filter: fixed(audit.AgencyScope("SMALL"), audit.Filter{Agency: "POL"})},
		{what: "a worker's own", filter: func(i int) (audit.Scope, audit.Filter) {
			return audit.OwnScope(some[i%len(some)].Worker), audit.Filter{}
		}},
	}, nil
}
