package disclosure

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// ChangeWorker accepts another employer's worker by name (a privacy officer, for
// the own agency), or suspends, resumes, ends or wakes one of the own agency's
// (a manager or privacy officer). Nobody changes themselves. It acts in the very
// next request, wherever that is answered: the worker's stamp is asserted there.
// Errors: *Denied, identity.ErrNoSuchWorker, ErrUnknown, *family.FieldError,
// ErrKeyReused.
func (d *Door) ChangeWorker(ctx context.Context, p identity.Principal, c Change, w WorkerChange) (Written, error) {
	e := eventOf(p, audit.KindWorker, c.RequestID, w.Action, w.Reason)
	if !slices.Contains(workerActions(), w.Action) {
		return Written{}, &family.FieldError{Field: "action", Rule: "is none of " + strings.Join(workerActions(), ", ")}
	}
	if err := family.ReasonText("reason", w.Reason, true); err != nil {
		return Written{}, err
	}
	accepts := w.Action == "accept" || w.Action == "withdraw"
	switch {
	case accepts && !p.Has(rolePrivacyOfficer):
		return Written{}, d.deny(ctx, e, "role", "Your agency's privacy officer accepts workers of other employers by name.")
	case !accepts && !manages(p) && !p.Has(rolePrivacyOfficer):
		return Written{}, d.deny(ctx, e, "role", "A manager or privacy officer of the worker's agency does this.")
	case w.Worker == p.Worker:
		return Written{}, d.deny(ctx, e, "self", "Nobody changes their own access.")
	}
	directory := d.directory(p)
	worker, err := directory.Worker(ctx, w.Worker)
	if err != nil {
		return Written{}, err
	}
	// Another agency's worker is unknown to whoever may not accept anybody.
	if !accepts && worker.Agency != p.Agency {
		return Written{}, identity.ErrNoSuchWorker
	}
	if err := d.acceptable(ctx, p, w, worker); err != nil {
		return Written{}, err
	}
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		event.Details["worker"] = w.Worker.String()
		id := w.Worker
		var err error
		switch now := d.Now(); w.Action {
		case "accept":
			if id, err = uuid.NewRandom(); err != nil {
				return Written{}, fmt.Errorf("make an id: %w", err)
			}
			err = directory.AcceptWorker(ctx, tx, identity.Acceptance{
				ID: id, Worker: w.Worker, Agency: p.Agency, Roles: w.Roles, By: p.Worker, From: now, Until: w.Until, Reason: w.Reason,
			})
			event.Details["roles"] = strings.Join(w.Roles, " ")
		case "withdraw":
			var n int
			if n, err = directory.WithdrawAcceptance(ctx, tx, w.Worker, p.Agency); err == nil && n == 0 {
				err = ErrUnknown
			}
		case "suspend", "resume":
			err = directory.SuspendWorker(ctx, tx, w.Worker, w.Action == "suspend")
		case "wake":
			err = directory.WakeWorker(ctx, tx, w.Worker, now)
		default:
			if w.Until != nil {
				err = directory.EndWorkerOn(ctx, tx, w.Worker, *w.Until)
			} else {
				err = directory.EndWorker(ctx, tx, w.Worker, now)
			}
		}
		return Written{ID: id, Until: w.Until}, err
	})
}

// acceptable checks roles and days.
func (d *Door) acceptable(ctx context.Context, p identity.Principal, w WorkerChange, worker identity.Worker) error {
	today := d.Now().UTC().Truncate(24 * time.Hour)
	if w.Until != nil && w.Until.Before(today) {
		return &family.FieldError{Field: "until", Rule: "lies in the past"}
	}
	if w.Action == "end" && w.Until != nil && worker.ActiveUntil != nil && w.Until.After(*worker.ActiveUntil) {
		return &family.FieldError{Field: "until", Rule: "lies after the day on which the access ends already"}
	}
	if w.Action != "accept" {
		if len(w.Roles) > 0 {
			return &family.FieldError{Field: "roles", Rule: "belong to an acceptance"}
		}
		return nil
	}
	if worker.Agency == p.Agency {
		return &family.FieldError{Field: "worker", Rule: "is your agency's own"}
	}
	version, err := d.Version(ctx, p.Partnership)
	if err != nil {
		return fmt.Errorf("active policy: %w", err)
	}
	known := givable(version, p.Kind)
	if len(w.Roles) == 0 {
		return &family.FieldError{Field: "roles", Rule: "is missing: an empty list gives nothing"}
	}
	for _, r := range w.Roles {
		if !slices.Contains(known, r) {
			return &family.FieldError{Field: "roles", Rule: "is none of " + strings.Join(known, ", ")}
		}
	}
	return nil
}

// givable lists the roles that an agency of a kind may give to a worker whom it
// accepts: those that work with families, and none that manages or decides.
func givable(v *policy.Version, kind string) []string {
	var out []string
	for _, r := range v.Roles {
		if r.Records && slices.Contains(r.Kinds, kind) && r.Code != roleManager && r.Code != roleTeamManager {
			out = append(out, r.Code)
		}
	}
	return out
}

// Workers lists the caller's agency's own workers.
func (d *Door) Workers(ctx context.Context, p identity.Principal, request string) (List[identity.Worker], error) {
	e := eventOf(p, audit.KindWorker, request, "listed", "")
	if !manages(p) && !p.Has(rolePrivacyOfficer) {
		return List[identity.Worker]{}, d.deny(ctx, e, "role", "A manager or privacy officer lists the workers of an agency.")
	}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[identity.Worker]{}, err
	}
	items, err := d.directory(p).Workers(ctx, p.Agency)
	return List[identity.Worker]{Items: items, Receipt: receipt}, err
}
