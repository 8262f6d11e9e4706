package disclosure

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// Errors of settling an alert, beside ErrUnknown and ErrAlready.
var (
	ErrAlertInReview = audit.ErrInReview    // its review settles it
	ErrAlertStands   = audit.ErrAlertStands // it is over with its cause
)

const alertsShown = "Alerts are for the auditor, the privacy officers and the administrator."

// alerted is the caller with the scope in which they see alerts: an
// administrator those of the log itself.
func alerted(p identity.Principal) (by audit.Reviewer, ofLog, ok bool) {
	if by, ok = reviewer(p); ok {
		return by, false, true
	}
	ofLog = p.Worker != uuid.Nil && p.Has(roleAdmin)
	return by, ofLog, ofLog
}

// AlertList is a page of alerts.
type AlertList struct {
	Alerts  []audit.Alert
	Next    string
	Receipt string
}

// Alerts lists alerts, newest first. Errors: *Denied, audit.ErrPage.
func (r *Reviews) Alerts(ctx context.Context, p identity.Principal, request string, f audit.AlertFilter, page audit.Page) (AlertList, error) {
	e := eventOf(p, audit.KindLogView, request, "alerts", "")
	by, ofLog, ok := alerted(p)
	if !ok {
		return AlertList{}, r.Door.deny(ctx, e, "role", alertsShown)
	}
	f.OfLog = ofLog
	receipt, err := r.Door.listed(ctx, e)
	if err != nil {
		return AlertList{}, err
	}
	list, next, err := r.Log.Alerts(ctx, by.Scope, by.Worker, f, page)
	return AlertList{list, next, receipt}, err
}

// Alert gives one that the caller may settle by itself. Errors: *Denied,
// ErrUnknown, ErrAlertInReview.
func (r *Reviews) Alert(ctx context.Context, p identity.Principal, request string, id uuid.UUID) (audit.Alert, string, error) {
	e := eventOf(p, audit.KindLogView, request, "alert", "")
	by, ofLog, ok := alerted(p)
	if !ok {
		return audit.Alert{}, "", r.Door.deny(ctx, e, "role", alertsShown)
	}
	receipt, err := r.Door.listed(ctx, e)
	if err != nil {
		return audit.Alert{}, "", err
	}
	a, err := r.Log.Alert(ctx, by.Scope, by.Worker, id, ofLog)
	if errors.Is(err, audit.ErrNoAlert) {
		err = ErrUnknown
	}
	return a, receipt, err
}

// TakeAlert notes that the caller looks into an alert, and why it may wait.
// Errors: *Denied, ErrUnknown, ErrAlready, ErrAlertInReview, ErrKeyReused,
// *family.FieldError.
func (r *Reviews) TakeAlert(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, note string) (Written, error) {
	return r.settle(ctx, p, c, "alert-taken-up", note, id, func(tx pgx.Tx, a audit.Alert, event uuid.UUID) error {
		return audit.TakeAlert(ctx, tx, p.Partnership, a, event)
	})
}

// CloseAlert settles an alert that stands in no review. Errors: as TakeAlert,
// and ErrAlertStands.
func (r *Reviews) CloseAlert(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, outcome audit.AlertOutcome, note string) (Written, error) {
	if !slices.Contains(audit.AlertOutcomes(), outcome) {
		return Written{}, &family.FieldError{Field: "outcome", Rule: "is one of put-right, nothing-wrong, cannot-tell"}
	}
	return r.settle(ctx, p, c, "alert-"+string(outcome), note, id, func(tx pgx.Tx, a audit.Alert, event uuid.UUID) error {
		return audit.CloseAlert(ctx, tx, p.Partnership, a, event, outcome)
	})
}

func (r *Reviews) settle(ctx context.Context, p identity.Principal, c Change, action, note string, id uuid.UUID, settle func(pgx.Tx, audit.Alert, uuid.UUID) error) (Written, error) {
	e := eventOf(p, audit.KindReview, c.RequestID, action, note)
	by, ofLog, ok := alerted(p)
	if !ok {
		return Written{}, r.Door.deny(ctx, e, "role", alertsShown)
	}
	if err := checkNote(note); err != nil {
		return Written{}, err
	}
	w, err := r.Door.once(ctx, p, c.Once, e, func(_ pgx.Tx, event *audit.Event) (Written, error) {
		a, err := r.Log.Alert(ctx, by.Scope, by.Worker, id, ofLog)
		event.Details["alert"], event.Details["kind"] = a.Reference(), a.Kind
		return Written{ID: id, after: func(tx pgx.Tx, event uuid.UUID) error { return settle(tx, a, event) }}, err
	})
	switch {
	case errors.Is(err, audit.ErrNoAlert):
		return Written{}, ErrUnknown
	case errors.Is(err, audit.ErrAlertClosed):
		return Written{}, ErrAlready
	}
	return w, err
}
