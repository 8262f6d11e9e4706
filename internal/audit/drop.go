package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Errors of a drop.
var (
	// ErrNotDue: the month is not past the retention of its class.
	ErrNotDue = errors.New("the month is not past its retention")
	// ErrNoExport: no export that came to its end holds the month.
	ErrNoExport = errors.New("no whole export of that digest holds the month")
	// ErrNotWhole: the month is not as it was logged; it is evidence now.
	ErrNotWhole = errors.New("the month is not as it was logged")
	// ErrNothing: there is no such month, or all that is left of it must stay.
	ErrNothing = errors.New("there is nothing to drop")
	// ErrChanged: a hold was placed, or a record ended, meanwhile.
	ErrChanged = errors.New("what must stay has changed meanwhile")
)

// Classes are the retention classes.
func Classes() []string { return []string{"access", "contribution", "policy", "security", "log"} }

// Periods is for how many months the events of each class are kept. A class
// that is not named is kept for ever.
type Periods map[string]int

// Check refuses a class that there is not, and a period that is none.
func (p Periods) Check() error {
	for class, months := range p {
		if !slices.Contains(Classes(), class) {
			return fmt.Errorf("retention class %q is none of %s", class, strings.Join(Classes(), ", "))
		}
		if months < 1 || months > 1200 {
			return fmt.Errorf("retention of %s: %d is not a number of months from 1 to 1200", class, months)
		}
	}
	return nil
}

// dueAt is when a month of a class may be dropped: so many months after its
// last day. False: never.
func (p Periods) dueAt(class string, month time.Time) (time.Time, bool) {
	months, ok := p[class]
	return month.AddDate(0, 1+months, 0), ok && months > 0
}

// Month is one month of one class in the log.
type Month struct {
	Class string
	Month time.Time // its first day
	Due   time.Time // zero: kept for ever
	// Of a month that is due: its events, and how many of them stay.
	Events, Held, Record int64
	Exported             bool // a whole export holds it
}

// Months are those of the log, with what is due at present.
func (k Keeper) Months(ctx context.Context) ([]Month, error) {
	rows, err := k.Pool.Query(ctx, `SELECT class, month FROM kith.event_months()`)
	if err != nil {
		return nil, fmt.Errorf("list months: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Month, error) {
		var m Month
		return m, r.Scan(&m.Class, &m.Month)
	})
	if err != nil {
		return nil, fmt.Errorf("list months: %w", postgres.Redact(err))
	}
	for i := range list {
		m := &list[i]
		due, ends := k.Periods.dueAt(m.Class, m.Month)
		if !ends {
			continue
		}
		if m.Due = due; due.After(k.Now()) {
			continue
		}
		if err := k.count(ctx, m); err != nil {
			return nil, fmt.Errorf("count month: %w", postgres.Redact(err))
		}
	}
	return list, nil
}

// count fills in what a month that is due holds. It may lie in several logs,
// where the log was resumed: it is exported when each of its runs is.
func (k Keeper) count(ctx context.Context, m *Month) error {
	rows, _ := k.Pool.Query(ctx, `SELECT number, count(*), count(*) FILTER (WHERE stays = 'held'), count(*) FILTER (WHERE stays = 'record'),
		coalesce(min(index), 0), coalesce(max(index) + 1, 0) FROM kith.month_events($1, $2) GROUP BY number`, m.Class, m.Month)
	type run struct {
		Number               *int // nil: of events without a place in the tree
		Events, Held, Record int64
		First, End           int64
	}
	runs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[run])
	m.Exported = len(runs) > 0
	for _, r := range runs {
		m.Events, m.Held, m.Record = m.Events+r.Events, m.Held+r.Held, m.Record+r.Record
		if m.Exported = m.Exported && r.Number != nil; m.Exported && err == nil {
			m.Exported, err = k.exported(ctx, *r.Number, r.First, r.End, nil)
		}
	}
	return err
}

// exported tells whether a whole export holds a run of leaves: one of those
// given, or where digests is nil any.
func (k Keeper) exported(ctx context.Context, number int, first, end int64, digests []proof.Digest) (bool, error) {
	var found bool
	var list [][]byte
	for i := range digests {
		list = append(list, digests[i][:])
	}
	err := k.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kith.log_export WHERE scope = 'all' AND number = $1 AND first <= $2 AND until >= $3 AND ($4::bytea[] IS NULL OR digest = ANY ($4)))`,
		number, first, end, list).Scan(&found)
	return found, postgres.Redact(err)
}

// monthEvent is a row of month_events.
type monthEvent struct {
	Event  uuid.UUID
	Number *int
	Index  *int64
	Hash   []byte
	Stays  string
}

// plan is what a drop would do.
type plan struct {
	disposal proof.Disposal
	total    int64
	carried  []uuid.UUID
}

func (k Keeper) plan(ctx context.Context, class string, month time.Time) (plan, error) {
	p := plan{disposal: proof.Disposal{Kind: "drop", Class: class, Month: month.Format("2006-01"),
		Rule: fmt.Sprintf("events of the class %s are kept for %d months", class, k.Periods[class])}}
	rows, err := k.Pool.Query(ctx, `SELECT event, number, index, hash, stays FROM kith.month_events($1, $2)`, class, month)
	if err != nil {
		return p, postgres.Redact(err)
	}
	defer rows.Close()
	d := &p.disposal
	var leaves proof.LeafList
	var run *proof.Drop
	for rows.Next() {
		var x monthEvent
		if err := rows.Scan(&x.Event, &x.Number, &x.Index, &x.Hash, &x.Stays); err != nil {
			return p, postgres.Redact(err)
		}
		if x.Number == nil || len(x.Hash) != len(proof.Digest{}) {
			return p, fmt.Errorf("%w: event %s has no place in the tree", ErrNotWhole, x.Event)
		}
		if run == nil || run.Number != *x.Number {
			d.Logs = append(d.Logs, proof.Drop{Number: *x.Number, First: *x.Index})
			run, leaves = &d.Logs[len(d.Logs)-1], proof.LeafList{}
		}
		p.total++
		switch x.Stays {
		case "":
			d.Events++
			if leaves.Count() == 0 {
				run.First = *x.Index
			}
			leaves.Add(*x.Index, proof.Digest(x.Hash), x.Event)
			run.End, run.Count, run.Digest = *x.Index+1, leaves.Count(), leaves.Digest()
			continue
		case "held":
			d.Held++
		default:
			d.Record++
		}
		p.carried = append(p.carried, x.Event)
		run.Carry(*x.Index)
	}
	if err := rows.Err(); err != nil {
		return p, postgres.Redact(err)
	}
	d.Logs = slices.DeleteFunc(d.Logs, func(run proof.Drop) bool { return run.Count == 0 })
	for i := range d.Logs {
		if err := k.Pool.QueryRow(ctx, `SELECT origin FROM kith.log_head WHERE number = $1`, d.Logs[i].Number).Scan(&d.Logs[i].Log); err != nil {
			return p, postgres.Redact(err)
		}
	}
	return p, nil
}

// Verify re-reads a run of leaves and tells whether all is as it was logged.
type Verify func(ctx context.Context, number int, first, end int64) error

// Drop drops one month of one class: its events are gone, their leaves stay.
// What a legal hold covers, and what protects a record that still stands, is
// carried over. exports are the digests of the exports that hold the month: one
// for each log that it lies in.
// Errors: ErrNotDue, ErrNoExport, ErrNotWhole, ErrNothing, ErrChanged,
// ErrNotLogged.
func (k Keeper) Drop(ctx context.Context, e Event, class string, month time.Time, exports []proof.Digest, verify Verify) (Done, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disposalLimit)
	defer cancel()
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	done, err := k.drop(ctx, e, class, month, exports, verify)
	if err != nil {
		return Done{}, fmt.Errorf("drop %s of %s: %w", month.Format("2006-01"), class, err)
	}
	return done, nil
}

func (k Keeper) drop(ctx context.Context, e Event, class string, month time.Time, exports []proof.Digest, verify Verify) (Done, error) {
	if due, ends := k.Periods.dueAt(class, month); !ends || due.After(k.Now()) || e.Principal.Worker == uuid.Nil {
		return Done{}, ErrNotDue
	}
	p, err := k.plan(ctx, class, month)
	if err != nil {
		return Done{}, err
	}
	if p.disposal.Events == 0 {
		return Done{}, ErrNothing
	}
	for _, run := range p.disposal.Logs {
		found, err := k.exported(ctx, run.Number, run.First, run.End, exports)
		if err != nil {
			return Done{}, err
		}
		if !found {
			return Done{}, ErrNoExport
		}
		if err := verify(ctx, run.Number, run.First, run.End); err != nil {
			return Done{}, fmt.Errorf("%w: %w", ErrNotWhole, err)
		}
	}
	d := p.disposal
	d.By, d.Reason, d.Exports = []proof.Officer{officer(&e)}, e.Reason, exports
	e.Kind, e.Outcome = KindDrop, OutcomeDone
	e.Details = map[string]string{"class": class, "month": d.Month, "events": strconv.FormatInt(d.Events, 10), "carried": strconv.Itoa(len(p.carried))}
	done, err := k.certify(ctx, k.Pool, e, d)
	if err != nil {
		return Done{}, err
	}
	if err := k.dropNow(ctx, &done, &p, month); err != nil {
		// The event above says what did not come to be: another one takes it back.
		e.Outcome = OutcomeFailed
		_, logErr := k.Recorder.Append(ctx, e)
		return Done{}, errors.Join(err, logErr)
	}
	return done, nil
}

// dropTries are made where readers hold the lock for too long.
const dropTries = 8

func (k Keeper) dropNow(ctx context.Context, done *Done, p *plan, month time.Time) error {
	for try := 1; ; try++ {
		err := postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `SELECT kith.drop_events($1, $2, $3, $4)`, done.Disposal.Class, month, p.total, p.carried); err != nil {
				return err
			}
			return k.store(ctx, tx, done)
		})
		var pg *pgconn.PgError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &pg) && pg.Message == "disposal-changed":
			return ErrChanged
		case errors.As(err, &pg) && pg.Code == "55P03" && try < dropTries: // lock_not_available
			timer := time.NewTimer(time.Second)
			select {
			case <-ctx.Done():
				timer.Stop()
				return ctx.Err()
			case <-timer.C:
			}
		default:
			return postgres.Redact(err)
		}
	}
}

// DroppedUnder is a certificate under which a leaf's event was dropped.
type DroppedUnder struct {
	Certificate proof.Certificate
	Disposal    proof.Disposal
}

// drops are the certificates of all drops, oldest first.
func (l *Log) drops(ctx context.Context) ([]DroppedUnder, error) {
	return l.certificates(ctx, `kind = 'drop' ORDER BY made_at, id`)
}

// Certificates are those that a reader may see, newest first: the auditor all,
// an agency those of its officers.
func (l *Log) Certificates(ctx context.Context, s Scope) ([]DroppedUnder, error) {
	if s.worker != uuid.Nil || s.empty() {
		return nil, nil
	}
	return l.certificates(ctx, `($1 = '' OR $1 = ANY (agencies)) ORDER BY made_at DESC, id LIMIT 500`, s.agency)
}

func (l *Log) certificates(ctx context.Context, where string, args ...any) ([]DroppedUnder, error) {
	rows, err := l.pool.Query(ctx, `SELECT event, body, replica, signature FROM kith.log_certificate WHERE `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (DroppedUnder, error) {
		var x DroppedUnder
		var body []byte
		if err := r.Scan(&x.Certificate.Event, &body, &x.Certificate.Replica, &x.Certificate.Signature); err != nil {
			return x, err
		}
		x.Certificate.Body = body
		var err error
		x.Disposal, err = x.Certificate.Read()
		return x, err
	})
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", postgres.Redact(err))
	}
	return list, nil
}

// gone finds the certificates of events that are gone. A drop may come in while
// an export goes on, so they are read again once for each page that needs them.
type gone struct {
	log   *Log
	list  []DroppedUnder
	fresh bool
}

// under is the certificate that lists a leaf as dropped; nil where there is none.
func (g *gone) under(ctx context.Context, number int, row *walkRow) (*DroppedUnder, error) {
	if found := g.find(number, row); found != nil || g.fresh {
		return found, nil
	}
	var err error
	if g.list, err = g.log.drops(ctx); err != nil {
		return nil, err
	}
	g.fresh = true
	return g.find(number, row), nil
}

func (g *gone) find(number int, row *walkRow) *DroppedUnder {
	month := row.LeafTime.UTC().Format("2006-01")
	for i := range g.list {
		d := &g.list[i].Disposal
		if d.Class != row.LeafClass || d.Month != month {
			continue
		}
		for j := range d.Logs {
			if d.Logs[j].Number == number && d.Logs[j].Covers(row.Index) {
				return &g.list[i]
			}
		}
	}
	return nil
}
