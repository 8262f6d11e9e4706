package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Errors of settling an alert.
var (
	ErrNoAlert     = errors.New("no such alert in this scope")
	ErrAlertClosed = errors.New("the alert was settled already")
	ErrAlertStands = errors.New("the alert stands while its cause lasts")
	ErrInReview    = errors.New("the alert is settled with its review")
)

// AlertOutcome is what whoever looked into an alert found.
type AlertOutcome string

// The outcomes of an alert that stands in no review.
const (
	AlertPutRight   AlertOutcome = "put-right"     // something was wrong
	AlertNothing    AlertOutcome = "nothing-wrong" // nothing was
	AlertCannotTell AlertOutcome = "cannot-tell"
)

// AlertOutcomes lists them in the order in which they are offered.
func AlertOutcomes() []AlertOutcome {
	return []AlertOutcome{AlertPutRight, AlertNothing, AlertCannotTell}
}

// Lasting tells whether an alert of this kind closes by itself once its cause is
// over: it can be taken up before, not closed.
func (a Alert) Lasting() bool { return a.Kind == "log-late" || a.Kind == "quorum-missing" }

// Alert gives one that stands within a reader's scope and may be settled by
// itself. Errors: ErrNoAlert, ErrInReview.
func (l *Log) Alert(ctx context.Context, s Scope, reader, id uuid.UUID, ofLog bool) (Alert, error) {
	c := l.alertScope(s, reader, ofLog)
	c.add("a.id = ?", id)
	rows, _ := l.pool.Query(ctx, `SELECT a.id, a.kind, a.raised_at, a.closed_at, coalesce(a.outcome, ''), a.acknowledged_at,
       (SELECT f.id FROM kith.finding f WHERE f.partnership = a.partnership AND f.events @> ARRAY[a.event] AND f.state <> 'closed' ORDER BY f.urgency, f.id LIMIT 1)
  FROM kith.alert a WHERE `+c.sql, c.args...)
	a, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Alert])
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Alert{}, fmt.Errorf("alert %s: %w", id, ErrNoAlert)
	case err != nil:
		return Alert{}, fmt.Errorf("alert %s: %w", id, postgres.Redact(err))
	case a.Review != nil && a.Closed == nil:
		return Alert{}, fmt.Errorf("alert %s: %w", id, ErrInReview)
	}
	return a, nil
}

// TakeAlert notes that somebody looks into an alert; CloseAlert settles it. Both
// come after the event that says who and why, in the transaction (of the app's
// role) that logs it. Error: ErrAlertClosed.
func TakeAlert(ctx context.Context, tx pgx.Tx, partnership string, a Alert, event uuid.UUID) error {
	return a.settle(ctx, tx, partnership, event, nil)
}

// CloseAlert settles an alert. Errors: ErrAlertClosed, ErrAlertStands.
func CloseAlert(ctx context.Context, tx pgx.Tx, partnership string, a Alert, event uuid.UUID, outcome AlertOutcome) error {
	if a.Lasting() {
		return fmt.Errorf("alert %s: %w", a.Reference(), ErrAlertStands)
	}
	return a.settle(ctx, tx, partnership, event, &outcome)
}

func (a Alert) settle(ctx context.Context, tx pgx.Tx, partnership string, event uuid.UUID, outcome *AlertOutcome) error {
	var done bool
	if err := tx.QueryRow(ctx, `SELECT kith.settle_alert($1, $2, $3, $4)`, a.ID, partnership, event, (*string)(outcome)).Scan(&done); err != nil {
		return fmt.Errorf("settle alert %s: %w", a.Reference(), postgres.Redact(err))
	}
	if !done {
		return fmt.Errorf("alert %s: %w", a.Reference(), ErrAlertClosed)
	}
	return nil
}
