package family

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Errors of managing.
var (
	// ErrUnknown: there is no such thing, or the agency has nothing to do with it.
	ErrUnknown = errors.New("unknown to this agency")
	// ErrOver: it has ended already.
	ErrOver = errors.New("has ended already")
)

// Ways in which an involvement comes about at the hub; feeds have their own.
const (
	Allocated = "allocation"
	Covered   = "cover"
	Declared  = "declared"
)

// Limits of what one person may open for another.
const (
	declaredAtMost = 24 * time.Hour
	coverAtMost    = 31 * 24 * time.Hour
	grantAtMost    = 90 * 24 * time.Hour
	reviewWithin   = 90 * 24 * time.Hour
	casesAtMost    = 200 // covered in one step
)

// Allocation is who shall work with a person: a worker or a team. A cover may
// name a colleague instead of a person: then it is everybody with whom the
// colleague works by name.
type Allocation struct {
	Person uuid.UUID
	Worker uuid.UUID
	Covers uuid.UUID
	Team   string
	Role   string
	Source string
	From   *time.Time // nil is now
	Until  *time.Time
	Reason string
}

// check holds an allocation against the rules that need no look at the database.
func (a *Allocation) check(now time.Time) (from time.Time, err error) {
	if err := oneOf("source", a.Source, Allocated, Covered, Declared); err != nil {
		return from, err
	}
	for field, text := range map[string]string{"team": a.Team, "role": a.Role} {
		if err := label(field, text, false); err != nil {
			return from, err
		}
	}
	if err := reasonText("reason", a.Reason, true); err != nil {
		return from, err
	}
	from = now
	if a.From != nil {
		if a.From.Before(now.Add(-5 * time.Minute)) {
			return from, &FieldError{"from", "lies in the past: who worked with whom is history"}
		}
		from = *a.From
	}
	switch {
	case (a.Worker == uuid.Nil) == (a.Team == ""):
		return from, &FieldError{"worker", "must be given, or a team, and not both"}
	case a.Worker == uuid.Nil && a.Source != Allocated:
		return from, &FieldError{"worker", "is needed: a cover or a declaration is one person's"}
	case (a.Person == uuid.Nil) == (a.Covers == uuid.Nil):
		return from, &FieldError{"person", "must be given; or, of a cover, the colleague whose work it covers"}
	case a.Covers != uuid.Nil && (a.Source != Covered || a.Covers == a.Worker):
		return from, &FieldError{"covers", "belongs to a cover by somebody else"}
	case a.Until != nil && !a.Until.After(from):
		return from, &FieldError{"until", "lies before its beginning"}
	case a.Source == Covered && a.Until == nil:
		return from, &FieldError{"until", "is needed: a cover ends"}
	case a.Source == Covered && a.Until.Sub(from) > coverAtMost:
		return from, &FieldError{"until", "is more than 31 days after its beginning"}
	case a.Source == Declared && a.Until != nil && a.Until.Sub(from) > declaredAtMost:
		return from, &FieldError{"until", "is more than 24 hours after its beginning"}
	}
	if a.Source == Declared && a.Until == nil {
		end := from.Add(declaredAtMost)
		a.Until = &end
	}
	return from, nil
}

// agencyKnows tells whether an agency has to do with a person: it sent a
// record of them, or works with them. Somebody else's people are unknown to it.
func agencyKnows(ctx context.Context, tx pgx.Tx, agency string, person uuid.UUID, now time.Time) error {
	var known bool
	err := tx.QueryRow(ctx, `
SELECT EXISTS (SELECT 1 FROM person_link l JOIN source_record r ON r.id = l.record WHERE l.person = $1 AND l.ended_at IS NULL AND r.agency = $2)
    OR EXISTS (SELECT 1 FROM involvement i WHERE i.person = $1 AND i.agency = $2 AND i.valid_from <= $3 AND (i.valid_until IS NULL OR i.valid_until > $3))`,
		person, agency, now).Scan(&known)
	if err != nil {
		return fmt.Errorf("look for person: %w", postgres.Redact(err))
	}
	if !known {
		return ErrUnknown
	}
	return nil
}

// speaksFor tells whether a worker may work for an agency today: its own, or
// one that it accepted by name.
func speaksFor(ctx context.Context, tx pgx.Tx, field string, worker uuid.UUID, agency, partnership string, now time.Time) error {
	var live bool
	err := tx.QueryRow(ctx, `
SELECT EXISTS (SELECT 1 FROM worker w
                WHERE w.id = $1 AND w.partnership = $3 AND NOT w.suspended AND w.active_from <= $4 AND (w.active_until IS NULL OR w.active_until >= $4)
                  AND (w.agency = $2 OR EXISTS (SELECT 1 FROM worker_acceptance c WHERE c.worker = w.id AND c.agency = $2 AND NOT c.withdrawn
                         AND c.valid_from <= $4 AND (c.valid_until IS NULL OR c.valid_until >= $4))))`,
		worker, agency, partnership, day(now)).Scan(&live)
	if err != nil {
		return fmt.Errorf("look for worker: %w", postgres.Redact(err))
	}
	if !live {
		return &FieldError{field, "is nobody who works for that agency today"}
	}
	return nil
}

// Involve makes an involvement, or several where a colleague's work is covered,
// and says with whom. The caller has decided that s may. Errors: ErrUnknown,
// *FieldError.
func Involve(ctx context.Context, tx pgx.Tx, s Sender, a Allocation) (ids, people []uuid.UUID, until *time.Time, err error) {
	from, err := a.check(s.Now)
	if err != nil {
		return nil, nil, nil, err
	}
	if a.Worker != uuid.Nil {
		if err := speaksFor(ctx, tx, "worker", a.Worker, s.Agency, s.Partnership, s.Now); err != nil {
			return nil, nil, nil, err
		}
	}
	people = []uuid.UUID{a.Person}
	switch {
	case a.Covers != uuid.Nil:
		if people, err = workOf(ctx, tx, s, a.Covers); err != nil {
			return nil, nil, nil, err
		}
	case a.Source == Declared:
		err = onTheHub(ctx, tx, a.Person, s.Now)
	default:
		err = agencyKnows(ctx, tx, s.Agency, a.Person, s.Now)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	in := newIntake(tx, s, Catalogue{})
	b := &pgx.Batch{}
	for _, person := range people {
		id, err := in.newID()
		if err != nil {
			return nil, nil, nil, err
		}
		ids = append(ids, id)
		b.Queue(`
INSERT INTO involvement (id, person, agency, worker, team, role, source, reason, made_by, valid_from, valid_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			id, person, s.Agency, orNull(a.Worker), textOrNull(a.Team), a.Role, a.Source, a.Reason, orNull(s.Worker), from, a.Until)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, nil, nil, fmt.Errorf("involve: %w", postgres.Redact(err))
	}
	return ids, people, a.Until, nil
}

// onTheHub tells whether a person belongs to a family today: what a declaration
// needs, since out of hours the agency may not know the person yet.
func onTheHub(ctx context.Context, tx pgx.Tx, person uuid.UUID, now time.Time) error {
	var here bool
	err := tx.QueryRow(ctx, `
SELECT EXISTS (SELECT 1 FROM membership m WHERE m.person = $1 AND m.confirmed_by IS NOT NULL AND (m.valid_until IS NULL OR m.valid_until >= $2))`, person, day(now)).Scan(&here)
	if err != nil {
		return fmt.Errorf("look for person: %w", postgres.Redact(err))
	}
	if !here {
		return ErrUnknown
	}
	return nil
}

// workOf lists with whom a worker of the sender's agency works by name. What
// the worker only covers or declared is not passed on.
func workOf(ctx context.Context, tx pgx.Tx, s Sender, worker uuid.UUID) ([]uuid.UUID, error) {
	rows, _ := tx.Query(ctx, `
SELECT DISTINCT i.person FROM involvement i
 WHERE i.worker = $1 AND i.agency = $2 AND i.source IN ('feed', 'allocation') AND i.valid_from <= $3 AND (i.valid_until IS NULL OR i.valid_until > $3)
 ORDER BY i.person LIMIT $4`, worker, s.Agency, s.Now, casesAtMost+1)
	people, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	switch {
	case err != nil:
		return nil, fmt.Errorf("list work of colleague: %w", postgres.Redact(err))
	case len(people) == 0:
		return nil, ErrUnknown
	case len(people) > casesAtMost:
		return nil, &FieldError{"covers", "works with more than 200 people: cover them one by one"}
	}
	return people, nil
}

// EndInvolvement ends an involvement of the sender's agency now; with only
// given, that worker's own alone. Errors: ErrUnknown, ErrOver, *FieldError.
func EndInvolvement(ctx context.Context, tx pgx.Tx, s Sender, id, only uuid.UUID, why string) (person uuid.UUID, err error) {
	if err := reasonText("reason", why, true); err != nil {
		return uuid.Nil, err
	}
	var over bool
	err = tx.QueryRow(ctx, `
SELECT i.person, i.valid_until IS NOT NULL AND i.valid_until <= $3 FROM involvement i
 WHERE i.id = $1 AND i.agency = $2 AND ($4::uuid IS NULL OR i.worker = $4) FOR UPDATE`, id, s.Agency, s.Now, orNull(only)).Scan(asBytes(&person), &over)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return uuid.Nil, ErrUnknown
	case err != nil:
		return uuid.Nil, fmt.Errorf("find involvement: %w", postgres.Redact(err))
	case over:
		return uuid.Nil, ErrOver
	}
	_, err = tx.Exec(ctx, `UPDATE involvement SET valid_until = greatest(valid_from, $2), ended_by = $3, ended_why = $4 WHERE id = $1`, id, s.Now, orNull(s.Worker), why)
	if err != nil {
		return uuid.Nil, fmt.Errorf("end involvement: %w", postgres.Redact(err))
	}
	return person, nil
}

// Work is one live involvement, as its own agency lists it.
type Work struct {
	ID     uuid.UUID  `json:"id"`
	Person uuid.UUID  `json:"person"`
	Worker *uuid.UUID `json:"worker,omitempty"`
	Name   string     `json:"name,omitempty"` // of the worker
	Team   string     `json:"team,omitempty"`
	Role   string     `json:"role,omitempty"`
	Source string     `json:"source"`
	Reason string     `json:"reason,omitempty"`
	From   time.Time  `json:"from"`
	Until  *time.Time `json:"until,omitempty"`
}

// Involvements lists an agency's live involvements; worker and person narrow it.
func Involvements(ctx context.Context, db *pgxpool.Pool, agency string, worker, person uuid.UUID, now time.Time, after uuid.UUID, limit int) ([]Work, error) {
	rows, _ := db.Query(ctx, `
SELECT i.id, i.person, i.worker, coalesce(w.name, ''), coalesce(i.team, ''), i.role, i.source, i.reason, i.valid_from, i.valid_until
  FROM involvement i LEFT JOIN worker w ON w.id = i.worker
 WHERE i.agency = $1 AND ($2::uuid IS NULL OR i.worker = $2) AND ($3::uuid IS NULL OR i.person = $3)
   AND i.id > $5 AND (i.valid_until IS NULL OR i.valid_until > $4)
 ORDER BY i.id LIMIT $6`, agency, orNull(worker), orNull(person), now, after, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Work])
	if err != nil {
		return nil, fmt.Errorf("list involvements: %w", postgres.Redact(err))
	}
	return list, nil
}

// Waiting is a membership that children's social care has not confirmed.
type Waiting struct {
	ID         uuid.UUID  `json:"id"`
	Family     uuid.UUID  `json:"family"`
	Ref        string     `json:"ref"`
	Person     uuid.UUID  `json:"person"`
	Role       string     `json:"role"`
	From       *time.Time `json:"from,omitempty"`
	SuppliedBy string     `json:"supplied_by,omitempty"`
}

// Memberships lists those that wait to be confirmed.
func Memberships(ctx context.Context, db *pgxpool.Pool, partnership string, after uuid.UUID, limit int) ([]Waiting, error) {
	rows, _ := db.Query(ctx, `
SELECT m.id, m.family, f.ref, m.person, m.role, m.valid_from, m.supplied_by
  FROM membership m JOIN family f ON f.id = m.family
 WHERE f.partnership = $1 AND m.confirmed_by IS NULL AND m.ended_why IS NULL AND m.id > $2
 ORDER BY m.id LIMIT $3`, partnership, after, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Waiting])
	if err != nil {
		return nil, fmt.Errorf("list memberships: %w", postgres.Redact(err))
	}
	return list, nil
}

// ConfirmMembership lets a membership open records, or ends it as wrong. The
// caller has decided that s speaks for children's social care. Errors:
// ErrUnknown, ErrOver, *FieldError.
func ConfirmMembership(ctx context.Context, tx pgx.Tx, s Sender, id uuid.UUID, confirmed bool, why string) (family, person uuid.UUID, err error) {
	if err := reasonText("reason", why, !confirmed); err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	var settled bool
	err = tx.QueryRow(ctx, `
SELECT m.family, m.person, m.confirmed_by IS NOT NULL OR m.ended_why IS NOT NULL
  FROM membership m JOIN family f ON f.id = m.family
 WHERE m.id = $1 AND f.partnership = $2 FOR UPDATE OF m`, id, s.Partnership).Scan(asBytes(&family), asBytes(&person), &settled)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return uuid.Nil, uuid.Nil, ErrUnknown
	case err != nil:
		return uuid.Nil, uuid.Nil, fmt.Errorf("find membership: %w", postgres.Redact(err))
	case settled:
		return uuid.Nil, uuid.Nil, ErrOver
	case confirmed:
		_, err = tx.Exec(ctx, `UPDATE membership SET confirmed_by = $2, confirmed_at = $3 WHERE id = $1`, id, s.Agency, s.Now)
	default:
		_, err = tx.Exec(ctx, `UPDATE membership SET valid_until = greatest(valid_from, $2), ended_why = $3 WHERE id = $1`, id, day(s.Now).AddDate(0, 0, -1), why)
	}
	if err != nil {
		return uuid.Nil, uuid.Nil, fmt.Errorf("settle membership: %w", postgres.Redact(err))
	}
	return family, person, nil
}

// InvolvementsOf lists an agency's live involvements with some people.
func InvolvementsOf(ctx context.Context, db *pgxpool.Pool, agency string, people []uuid.UUID, now time.Time, limit int) ([]Work, error) {
	rows, _ := db.Query(ctx, `
SELECT i.id, i.person, i.worker, coalesce(w.name, ''), coalesce(i.team, ''), i.role, i.source, i.reason, i.valid_from, i.valid_until
  FROM involvement i LEFT JOIN worker w ON w.id = i.worker
 WHERE i.agency = $1 AND i.person = ANY ($2) AND (i.valid_until IS NULL OR i.valid_until > $3)
 ORDER BY i.valid_from, i.id LIMIT $4`, agency, people, now, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Work])
	if err != nil {
		return nil, fmt.Errorf("list involvements: %w", postgres.Redact(err))
	}
	return list, nil
}
