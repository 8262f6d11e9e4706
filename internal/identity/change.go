package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// ErrNoSuchWorker says that the directory of this partnership has no such worker.
var ErrNoSuchWorker = errors.New("no such worker")

// Worker is a row of the directory. It holds personal data and prints as nothing.
type Worker struct {
	ID            uuid.UUID
	Agency        string
	Employer      string
	Issuer        string
	Subject       string
	Name          string
	Roles         []string
	ActiveFrom    time.Time
	ActiveUntil   *time.Time // last day included
	Suspended     bool
	TrainingUntil *time.Time
	VettingUntil  *time.Time
	LastSeen      *time.Time
	Stamp         int64
}

// String names nobody.
func (Worker) String() string { return "worker" }

// GoString is String for %#v.
func (w Worker) GoString() string { return w.String() }

const workerColumns = `id, agency, employer, coalesce(issuer, ''), coalesce(subject, ''), name, roles, active_from, active_until,
       suspended, training_until, vetting_until, last_seen, stamp`

// Worker reads one worker: ErrNoSuchWorker when there is none.
func (d *Directory) Worker(ctx context.Context, id uuid.UUID) (Worker, error) {
	rows, _ := d.pool.Query(ctx, `SELECT `+workerColumns+` FROM worker WHERE id = $1 AND partnership = $2`, id, d.partnership)
	w, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Worker])
	if errors.Is(err, pgx.ErrNoRows) {
		return Worker{}, ErrNoSuchWorker
	}
	if err != nil {
		return Worker{}, fmt.Errorf("read worker %s: %w", id, postgres.Redact(err))
	}
	return w, nil
}

// Workers reads the workers whom an agency employs or has listed, by name.
func (d *Directory) Workers(ctx context.Context, agency string) ([]Worker, error) {
	rows, _ := d.pool.Query(ctx, `
		SELECT `+workerColumns+`
		  FROM worker
		 WHERE agency = $1 AND partnership = $2
		 ORDER BY name, id`, agency, d.partnership)
	ws, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Worker])
	if err != nil {
		return nil, fmt.Errorf("read workers of %s: %w", agency, postgres.Redact(err))
	}
	return ws, nil
}

// Change runs fn in one transaction, so that a change of the directory and the
// access event that records it stand or fall together. fn may run again after a
// serialization failure.
func (d *Directory) Change(ctx context.Context, fn func(tx pgx.Tx) error) error {
	return postgres.InTx(ctx, d.pool, fn)
}

// AddWorker adds a worker; the caller gives the id.
func (d *Directory) AddWorker(ctx context.Context, tx pgx.Tx, w Worker) error {
	if strings.TrimSpace(w.Name) == "" || w.ID == uuid.Nil || w.ActiveFrom.IsZero() {
		return errors.New("add worker: id, name and active from are needed")
	}
	roles := tidy(w.Roles)
	if roles == nil {
		roles = []string{}
	}
	_, err := tx.Exec(ctx, `
		INSERT INTO worker (id, partnership, agency, employer, issuer, subject, name, roles,
		                    active_from, active_until, suspended, training_until, vetting_until)
		VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, $8, $9, $10, $11, $12, $13)`,
		w.ID, d.partnership, w.Agency, w.Employer, w.Issuer, w.Subject, w.Name, roles,
		day(w.ActiveFrom), dayOf(w.ActiveUntil), w.Suspended, dayOf(w.TrainingUntil), dayOf(w.VettingUntil))
	if err != nil {
		return fmt.Errorf("add worker %s: %w", w.ID, postgres.Redact(err))
	}
	return nil
}

// UpdateWorker writes all of a worker's fields save id, last seen and stamp,
// if nobody changed the worker since w was read (its stamp): false otherwise.
func (d *Directory) UpdateWorker(ctx context.Context, tx pgx.Tx, w Worker) (bool, error) {
	roles := tidy(w.Roles)
	if roles == nil {
		roles = []string{}
	}
	tag, err := tx.Exec(ctx, `
		UPDATE worker
		   SET agency = $3, employer = $4, issuer = nullif($5, ''), subject = nullif($6, ''), name = $7, roles = $8,
		       active_from = $9, active_until = $10, suspended = $11, training_until = $12, vetting_until = $13
		 WHERE id = $1 AND partnership = $2 AND stamp = $14`,
		w.ID, d.partnership, w.Agency, w.Employer, w.Issuer, w.Subject, w.Name, roles,
		day(w.ActiveFrom), dayOf(w.ActiveUntil), w.Suspended, dayOf(w.TrainingUntil), dayOf(w.VettingUntil), w.Stamp)
	if err != nil {
		return false, fmt.Errorf("update worker %s: %w", w.ID, postgres.Redact(err))
	}
	return tag.RowsAffected() == 1, nil
}

// EndWorker ends a worker's access at once: the last day is yesterday, and
// where the access only began today the suspension holds.
func (d *Directory) EndWorker(ctx context.Context, tx pgx.Tx, id uuid.UUID, now time.Time) error {
	return d.changeOne(ctx, tx, "end worker", id, `
		UPDATE worker
		   SET active_until = least(active_until, greatest(active_from, $3)), suspended = true
		 WHERE id = $1 AND partnership = $2`, day(now).AddDate(0, 0, -1))
}

// EndWorkerOn sets the last day of a worker's access.
func (d *Directory) EndWorkerOn(ctx context.Context, tx pgx.Tx, id uuid.UUID, last time.Time) error {
	return d.changeOne(ctx, tx, "set last day of worker", id, `
		UPDATE worker SET active_until = $3 WHERE id = $1 AND partnership = $2`, day(last))
}

// SuspendWorker stops a worker's access at once, or takes that back.
func (d *Directory) SuspendWorker(ctx context.Context, tx pgx.Tx, id uuid.UUID, suspended bool) error {
	return d.changeOne(ctx, tx, "suspend worker", id, `
		UPDATE worker SET suspended = $3 WHERE id = $1 AND partnership = $2`, suspended)
}

// WakeWorker lets a dormant worker in again.
func (d *Directory) WakeWorker(ctx context.Context, tx pgx.Tx, id uuid.UUID, now time.Time) error {
	return d.changeOne(ctx, tx, "wake worker", id, `
		UPDATE worker SET enrolled_at = $3 WHERE id = $1 AND partnership = $2`, now)
}

// Acceptance is an agency's acceptance by name of another employer's worker.
type Acceptance struct {
	ID     uuid.UUID // random, given by the caller
	Worker uuid.UUID
	Agency string
	Roles  []string // empty means none
	By     uuid.UUID
	From   time.Time
	Until  *time.Time // last day included
	Reason string
}

// AcceptWorker lets a worker speak for an agency. The caller has checked that
// Acceptance.By may accept workers for that agency.
func (d *Directory) AcceptWorker(ctx context.Context, tx pgx.Tx, a Acceptance) error {
	roles := tidy(a.Roles)
	if roles == nil {
		roles = []string{}
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO worker_acceptance (id, worker, agency, roles, accepted_by, valid_from, valid_until, reason)
		SELECT $1, w.id, $4, $5, $6, $7, $8, $9
		  FROM worker w
		 WHERE w.id = $2 AND w.partnership = $3`,
		a.ID, a.Worker, d.partnership, a.Agency, roles, optional(a.By), day(a.From), dayOf(a.Until), a.Reason)
	if err != nil {
		return fmt.Errorf("accept worker %s for %s: %w", a.Worker, a.Agency, postgres.Redact(err))
	}
	if tag.RowsAffected() == 0 {
		return ErrNoSuchWorker
	}
	return nil
}

// WithdrawAcceptance ends an agency's live acceptances of a worker at once and
// says how many there were.
func (d *Directory) WithdrawAcceptance(ctx context.Context, tx pgx.Tx, worker uuid.UUID, agency string) (int, error) {
	tag, err := tx.Exec(ctx, `
		UPDATE worker_acceptance SET withdrawn = true WHERE worker = $1 AND agency = $2 AND NOT withdrawn`, worker, agency)
	if err != nil {
		return 0, fmt.Errorf("withdraw acceptance of worker %s by %s: %w", worker, agency, postgres.Redact(err))
	}
	return int(tag.RowsAffected()), nil
}

func (d *Directory) changeOne(ctx context.Context, tx pgx.Tx, doing string, id uuid.UUID, query string, value any) error {
	tag, err := tx.Exec(ctx, query, id, d.partnership, value)
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, id, postgres.Redact(err))
	}
	if tag.RowsAffected() == 0 {
		return ErrNoSuchWorker
	}
	return nil
}
