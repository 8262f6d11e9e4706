package identity

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Rows with dates are never deleted: the log and old allocations refer to
// them. A row from a file has an id made from what it says (UUID version 5); one
// written by the hub itself a random id (version 4), which a file leaves alone.

// rowID is the id of a file's row.
func rowID(worker uuid.UUID, parts ...any) uuid.UUID {
	return uuid.NewSHA1(worker, []byte(fmt.Sprintf("%q", parts)))
}

// dropped gives the file's rows that are open and that the file no longer says.
func dropped(ctx context.Context, tx pgx.Tx, query string, worker uuid.UUID, said map[uuid.UUID]bool) ([]uuid.UUID, error) {
	rows, _ := tx.Query(ctx, query, worker)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, err
	}
	var gone []uuid.UUID
	for _, id := range ids {
		if id.Version() == 5 && !said[id] {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

func loadTeams(ctx context.Context, tx pgx.Tx, w WorkerRecord, now time.Time) error {
	said := map[uuid.UUID]bool{}
	for _, t := range w.Teams {
		from := now
		if t.From != nil {
			from = *t.From
		}
		id := rowID(w.ID, "team", t.Agency, t.Team, t.Cover, moment(t.From))
		said[id] = true
		if _, err := tx.Exec(ctx, `
			INSERT INTO worker_team (id, worker, agency, team, cover, valid_from, valid_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET valid_until = excluded.valid_until
			 WHERE worker_team.valid_until IS DISTINCT FROM excluded.valid_until`,
			id, w.ID, t.Agency, t.Team, t.Cover, from, t.Until); err != nil {
			return err
		}
	}
	gone, err := dropped(ctx, tx, `
		SELECT id FROM worker_team WHERE worker = $1 AND (valid_until IS NULL OR valid_until > now())`, w.ID, said)
	if err != nil || len(gone) == 0 {
		return err
	}
	// A row that has not begun yet ends the moment it would begin.
	_, err = tx.Exec(ctx, `
		UPDATE worker_team SET valid_until = greatest($2, valid_from + interval '1 microsecond')
		 WHERE id = ANY ($1)`, gone, now)
	return err
}

func loadAcceptances(ctx context.Context, tx pgx.Tx, w WorkerRecord, now time.Time) error {
	said := map[uuid.UUID]bool{}
	for _, a := range w.Accepted {
		from := day(now)
		if a.From != nil {
			from = day(*a.From)
		}
		roles := tidy(a.Roles)
		if roles == nil {
			roles = []string{}
		}
		id := rowID(w.ID, "acceptance", a.Agency, roles, moment(dayOf(a.From)))
		said[id] = true
		if _, err := tx.Exec(ctx, `
			INSERT INTO worker_acceptance (id, worker, agency, roles, valid_from, valid_until, reason)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET valid_until = excluded.valid_until, withdrawn = false
			 WHERE worker_acceptance.withdrawn OR worker_acceptance.valid_until IS DISTINCT FROM excluded.valid_until`,
			id, w.ID, a.Agency, roles, from, dayOf(a.Until), a.Reason); err != nil {
			return err
		}
	}
	gone, err := dropped(ctx, tx, `
		SELECT id FROM worker_acceptance
		 WHERE worker = $1 AND NOT withdrawn AND (valid_until IS NULL OR valid_until >= current_date)`, w.ID, said)
	if err != nil || len(gone) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE worker_acceptance SET withdrawn = true WHERE id = ANY ($1)`, gone)
	return err
}

func loadConflicts(ctx context.Context, tx pgx.Tx, w WorkerRecord, now time.Time) error {
	said := map[uuid.UUID]bool{}
	for _, c := range w.Conflicts {
		at := now
		if c.DeclaredAt != nil {
			at = *c.DeclaredAt
		}
		id := rowID(w.ID, "conflict", c.Person, c.Family, c.Kind, moment(c.DeclaredAt))
		said[id] = true
		if _, err := tx.Exec(ctx, `
			INSERT INTO staff_conflict (id, worker, person, family, kind, declared_at, valid_until)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (id) DO UPDATE SET valid_until = excluded.valid_until
			 WHERE staff_conflict.valid_until IS DISTINCT FROM excluded.valid_until`,
			id, w.ID, optional(c.Person), optional(c.Family), c.Kind, at, dayOf(c.Until)); err != nil {
			return err
		}
	}
	gone, err := dropped(ctx, tx, `
		SELECT id FROM staff_conflict WHERE worker = $1 AND (valid_until IS NULL OR valid_until >= current_date)`, w.ID, said)
	if err != nil || len(gone) == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `UPDATE staff_conflict SET valid_until = $2 WHERE id = ANY ($1)`, gone, day(now).AddDate(0, 0, -1))
	return err
}

// moment is a date as text for an id; "" where the file gives none.
func moment(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
