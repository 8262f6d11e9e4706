package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Reviewer is who opens and closes.
type Reviewer struct {
	Worker uuid.UUID
	Name   string
	Agency string
	Scope  Scope
}

// ReviewOf is what the event of an opening or closing must name.
type ReviewOf struct {
	Kind   FindingKind
	Family uuid.UUID
	People []uuid.UUID
}

// lockReview takes a review for a change. Errors: ErrNoReview, ErrOwnReview.
func lockReview(ctx context.Context, tx pgx.Tx, partnership string, by Reviewer, id uuid.UUID) (of ReviewOf, state ReviewState, events []uuid.UUID, err error) {
	var worker uuid.UUID
	var family *uuid.UUID
	var readers []string
	err = tx.QueryRow(ctx, `SELECT f.kind, f.state, f.worker, f.family, f.people, f.readers, f.events FROM kith.finding f WHERE f.id = $1 AND f.partnership = $2 FOR UPDATE`, id, partnership).
		Scan(&of.Kind, &state, &worker, &family, &of.People, &readers, &events)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return of, "", nil, fmt.Errorf("review %s: %w", id, ErrNoReview)
	case err != nil:
		return of, "", nil, fmt.Errorf("review %s: %w", id, postgres.Redact(err))
	case !by.Scope.all && (by.Scope.agency == "" || !slices.Contains(readers, by.Scope.agency)):
		return of, "", nil, fmt.Errorf("review %s: %w", id, ErrNoReview)
	case worker == by.Worker || by.Worker == uuid.Nil:
		return of, "", nil, fmt.Errorf("review %s: %w", id, ErrOwnReview)
	}
	if family != nil {
		of.Family = *family
	}
	return of, state, events, nil
}

// OpenReview notes that a reviewer opens a review, in the transaction (of the
// app's role) that logs it. A closed one may be opened to be read. Errors:
// ErrNoReview, ErrOwnReview.
func OpenReview(ctx context.Context, tx pgx.Tx, partnership string, by Reviewer, id uuid.UUID, now time.Time) (ReviewOf, error) {
	of, _, _, err := lockReview(ctx, tx, partnership, by, id)
	if err != nil {
		return ReviewOf{}, err
	}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO kith.review_opening (finding, reviewer, opened_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, id, by.Worker, now)
	b.Queue(`UPDATE kith.finding SET state = 'open' WHERE id = $1 AND state = 'waiting'`, id)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return ReviewOf{}, fmt.Errorf("open review %s: %w", id, postgres.Redact(err))
	}
	return of, nil
}

// CloseReview settles a review, and the alerts that its events had raised.
// Errors: ErrNoReview, ErrOwnReview, ErrReviewed, ErrNotOpened.
func CloseReview(ctx context.Context, tx pgx.Tx, partnership string, by Reviewer, id uuid.UUID, outcome ReviewOutcome, note string, now time.Time) (ReviewOf, error) {
	of, state, events, err := lockReview(ctx, tx, partnership, by, id)
	if err != nil {
		return ReviewOf{}, err
	}
	if state == ReviewClosed {
		return ReviewOf{}, fmt.Errorf("review %s: %w", id, ErrReviewed)
	}
	var mine bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM kith.review_opening WHERE finding = $1 AND reviewer = $2)`, id, by.Worker).Scan(&mine); err != nil {
		return ReviewOf{}, fmt.Errorf("close review %s: %w", id, postgres.Redact(err))
	}
	if !mine {
		return ReviewOf{}, fmt.Errorf("review %s: %w", id, ErrNotOpened)
	}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO kith.review (finding, reviewer, name, agency, outcome, note, closed_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, by.Worker, by.Name, by.Agency, string(outcome), note, now)
	b.Queue(`UPDATE kith.finding SET state = 'closed' WHERE id = $1`, id)
	b.Queue(`UPDATE kith.alert SET closed_at = clock_timestamp(), outcome = $2 WHERE event = ANY ($1) AND closed_at IS NULL`, events, string(outcome))
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return ReviewOf{}, fmt.Errorf("close review %s: %w", id, postgres.Redact(err))
	}
	return of, nil
}

// ReviewFigures says how the reviews go, so that noisy kinds are tuned.
type ReviewFigures struct {
	Raised     int
	Closed     int
	Wrong      int
	Overdue    int      // not closed and past their day
	MedianDays *float64 // from raised to closed; nil while none is closed
	Kinds      []KindFigures
}

// KindFigures is one kind of finding.
type KindFigures struct {
	Kind       FindingKind
	Raised     int
	Closed     int
	Right      int
	Poorly     int
	Wrong      int
	CannotTell int
	// Innocent is the share of the closed ones that were right, poorly recorded
	// or not; nil while none is closed.
	Innocent *float64
}

// ReviewFigures counts the reviews raised from a time until another (zero: no bound).
func (l *Log) ReviewFigures(ctx context.Context, s Scope, reader uuid.UUID, from, until, now time.Time) (ReviewFigures, error) {
	c := l.reviewScope(s, reader)
	if !from.IsZero() {
		c.add("f.raised_at >= ?", from)
	}
	if !until.IsZero() {
		c.add("f.raised_at < ?", until)
	}
	c.args = append(c.args, now)
	type row struct {
		Kind                                                      *string
		Raised, Closed, Right, Poorly, Wrong, CannotTell, Overdue int
		Median                                                    *float64
	}
	rows, _ := l.pool.Query(ctx, fmt.Sprintf(`
SELECT f.kind, count(*), count(r.finding), count(*) FILTER (WHERE r.outcome = 'right'), count(*) FILTER (WHERE r.outcome = 'right-poorly-recorded'),
       count(*) FILTER (WHERE r.outcome = 'wrong'), count(*) FILTER (WHERE r.outcome = 'cannot-tell'), count(*) FILTER (WHERE f.state <> 'closed' AND f.due_at < $%d),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM r.closed_at - f.raised_at)::double precision / 86400)
  FROM kith.finding f LEFT JOIN kith.review r ON r.finding = f.id
 WHERE %s
 GROUP BY GROUPING SETS ((f.kind), ()) ORDER BY f.kind NULLS FIRST`, len(c.args), c.sql), c.args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return ReviewFigures{}, fmt.Errorf("count reviews: %w", postgres.Redact(err))
	}
	var f ReviewFigures
	for _, x := range list {
		if x.Kind == nil {
			f.Raised, f.Closed, f.Wrong, f.Overdue, f.MedianDays = x.Raised, x.Closed, x.Wrong, x.Overdue, x.Median
			continue
		}
		k := KindFigures{Kind: FindingKind(*x.Kind), Raised: x.Raised, Closed: x.Closed, Right: x.Right, Poorly: x.Poorly, Wrong: x.Wrong, CannotTell: x.CannotTell}
		if x.Closed > 0 {
			share := float64(x.Right+x.Poorly) / float64(x.Closed)
			k.Innocent = &share
		}
		f.Kinds = append(f.Kinds, k)
	}
	return f, nil
}
