package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// Activate makes a submission's version the active one, if all that it needs
// still holds at that moment. Every replica decides by it from its next read
// on, since each read asserts the active version. Errors: *Blocked.
func (o *Office) Activate(ctx context.Context, p identity.Principal, request string, id uuid.UUID) (Submission, string, error) {
	if err := may(p, RoleAuthor, RoleApprover); err != nil {
		return Submission{}, "", err
	}
	s, err := o.Submission(ctx, p, id)
	if err != nil {
		return Submission{}, "", err
	}
	b, err := o.bundle(ctx, s.Digest)
	if err != nil {
		return Submission{}, "", err
	}
	active, err := Activate(b, Options{})
	if err != nil { // what does not compile here must not become what reads are decided by
		return Submission{}, "", fmt.Errorf("compile policy version %s: %w", s.Digest, err)
	}
	e := o.event(p, request, "activated", s.Why, map[string]string{"submission": id.String(), "digest": s.Digest.String(), "compared_with": s.ComparedWith.String()})
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error { return o.activate(ctx, tx, id, p.Worker, active.Version()) })
	var no *Blocked
	if errors.As(err, &no) {
		return Submission{}, "", errors.Join(err, o.denied(ctx, e, no.Code))
	}
	if err != nil {
		return Submission{}, "", err
	}
	s, err = o.Submission(ctx, p, id)
	return s, receipt, err
}

// activate asks the schema, which checks everything again and does it or says
// why not, and enters the agreements that the version brings. Error: *Blocked.
func (o *Office) activate(ctx context.Context, tx pgx.Tx, submission, actor uuid.UUID, v *Version) error {
	var said string
	if err := tx.QueryRow(ctx, `SELECT activate_policy($1, $2)`, submission, actor).Scan(&said); err != nil {
		return fmt.Errorf("activate: %w", err)
	}
	if said != "done" {
		code, missing, _ := strings.Cut(said, " ")
		no := &Blocked{Code: code}
		if code == "policy-approval-missing" {
			no.Missing = strings.Split(missing, " ")
		}
		return no
	}
	for _, text := range v.Agreements {
		if err := agreement.Enter(ctx, tx, o.Partnership, text); err != nil {
			return err
		}
	}
	return keepLosses(ctx, tx, submission)
}

// AlertStart is raised where a scheduled start was refused at its time.
const AlertStart = "policy-start-refused"

// StartDue activates what was to start by now and is approved, with every check
// that an officer's activation has; it gives how many it started. Each replica
// may call it: one does it. A start that is refused is tried once, logged, and
// raises an alert: from then on it waits for an officer.
func (o *Office) StartDue(ctx context.Context) (int, error) {
	rows, _ := o.Pool.Query(ctx, `
SELECT `+submissionColumns+`, s.submitted_by FROM policy_submission s
 WHERE s.partnership = $1 AND s.state = 'open' AND s.starts_at <= clock_timestamp() AND NOT EXISTS (SELECT 1 FROM policy_start t WHERE t.submission = s.id)
 ORDER BY s.starts_at LIMIT 20`, o.Partnership)
	type due struct {
		Submission
		by uuid.UUID
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (due, error) {
		var d due
		var err error
		d.Submission, err = scanSubmission(row, &d.by)
		return d, err
	})
	if err != nil {
		return 0, fmt.Errorf("look for scheduled starts: %w", postgres.Redact(err))
	}
	started := 0
	var errs []error
	for _, d := range list {
		did, err := o.start(ctx, d.Submission, d.by)
		if did {
			started++
		}
		errs = append(errs, err)
	}
	return started, errors.Join(errs...)
}

// start is one scheduled start. It stands for the officer who submitted it, who
// must still be one.
func (o *Office) start(ctx context.Context, s Submission, by uuid.UUID) (bool, error) {
	e := audit.Event{Kind: audit.KindPolicy, Outcome: audit.OutcomeDone, Agency: s.Agency, Reason: s.Why, Principal: proof.Principal{System: true, Client: "hub"},
		Details: map[string]string{"action": "activated", "scheduled": s.StartsAt.UTC().Format("2006-01-02T15:04:05Z"), "submission": s.ID.String(), "digest": s.Digest.String(),
			"compared_with": s.ComparedWith.String(), "submitted_by": by.String()}}
	b, err := o.bundle(ctx, s.Digest)
	if err != nil && !errors.Is(err, ErrDamaged) {
		return false, err
	}
	active, err := Activate(b, Options{})
	if err != nil {
		return false, o.startRefused(ctx, s.ID, e, "policy-broken")
	}
	elected := false
	_, err = o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error {
		// One replica starts; the others find it started, or look again.
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(hashtext('kith.policy_start'))`).Scan(&elected); err != nil {
			return fmt.Errorf("elect who starts it: %w", err)
		}
		if !elected {
			return errNotElected
		}
		tag, err := tx.Exec(ctx, `INSERT INTO policy_start (submission, outcome) VALUES ($1, 'done') ON CONFLICT DO NOTHING`, s.ID)
		if err != nil {
			return fmt.Errorf("keep that it was started: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return errNotElected
		}
		return o.activate(ctx, tx, s.ID, by, active.Version())
	})
	var no *Blocked
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, errNotElected):
		return false, nil
	case errors.As(err, &no) && (no.Code == "policy-report-pending" || no.Code == "policy-closed" || no.Code == "policy-early"):
		return false, nil // not yet, or not any more
	case errors.As(err, &no):
		e.Details["missing"] = strings.Join(no.Missing, " ")
		return false, o.startRefused(ctx, s.ID, e, no.Code)
	}
	return false, err
}

var errNotElected = errors.New("another replica starts it")

// startRefused keeps that a start was tried, once, with its event and an alert.
func (o *Office) startRefused(ctx context.Context, submission uuid.UUID, e audit.Event, code string) error {
	e.Outcome, e.Refusal = audit.OutcomeDenied, code
	err := postgres.InTx(ctx, o.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO policy_start (submission, outcome) VALUES ($1, $2) ON CONFLICT DO NOTHING`, submission, code)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		receipt, err := o.Recorder.AppendTx(ctx, tx, e)
		if err != nil {
			return err
		}
		return o.Recorder.RaiseTx(ctx, tx, AlertStart, receipt.Event)
	})
	if err != nil {
		return fmt.Errorf("keep that the start of %s was refused: %w", submission, postgres.Redact(err))
	}
	return nil
}
