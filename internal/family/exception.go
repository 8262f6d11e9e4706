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

// GrantDraft is a named exception: one worker, one person, one part of the
// record, until a day.
type GrantDraft struct {
	Person  uuid.UUID
	Agency  string // of the worker
	Worker  uuid.UUID
	Section string
	Level   string
	Until   time.Time
	Reason  string
}

// GiveGrant makes a grant. The caller has decided that s may give one of this
// section. Errors: ErrUnknown, *FieldError.
func GiveGrant(ctx context.Context, tx pgx.Tx, s Sender, g GrantDraft) (uuid.UUID, error) {
	if err := oneOf("level", g.Level, "existence", "summary", "full"); err != nil {
		return uuid.Nil, err
	}
	if err := reasonText("reason", g.Reason, true); err != nil {
		return uuid.Nil, err
	}
	switch {
	case g.Worker == uuid.Nil:
		return uuid.Nil, &FieldError{"worker", "is needed: a grant is given by name"}
	case !g.Until.After(s.Now):
		return uuid.Nil, &FieldError{"until", "must lie in the future"}
	case g.Until.Sub(s.Now) > grantAtMost:
		return uuid.Nil, &FieldError{"until", "is more than 90 days ahead"}
	}
	if err := speaksFor(ctx, tx, "worker", g.Worker, g.Agency, s.Partnership, s.Now); err != nil {
		return uuid.Nil, err
	}
	if err := agencyKnows(ctx, tx, s.Agency, g.Person, s.Now); err != nil {
		return uuid.Nil, err
	}
	id, err := newIntake(tx, s, Catalogue{}).newID()
	if err != nil {
		return uuid.Nil, err
	}
	_, err = tx.Exec(ctx, `
INSERT INTO access_grant (id, person, agency, worker, section, level, reason, given_by, giver, valid_from, valid_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		id, g.Person, g.Agency, g.Worker, g.Section, g.Level, g.Reason, orNull(s.Worker), s.Agency, s.Now, g.Until)
	if err != nil {
		return uuid.Nil, fmt.Errorf("give grant: %w", postgres.Redact(err))
	}
	return id, nil
}

// RevokeGrant ends a grant that the sender's agency gave, or holds: whoever
// gave it may take it back, whoever holds it may give it up. Errors:
// ErrUnknown, ErrOver, *FieldError.
func RevokeGrant(ctx context.Context, tx pgx.Tx, s Sender, id uuid.UUID, why string) (person uuid.UUID, err error) {
	if err := reasonText("reason", why, true); err != nil {
		return uuid.Nil, err
	}
	var over bool
	err = tx.QueryRow(ctx, `
SELECT g.person, g.revoked_at IS NOT NULL OR g.valid_until <= $3 FROM access_grant g
 WHERE g.id = $1 AND (g.giver = $2 OR g.agency = $2) FOR UPDATE`, id, s.Agency, s.Now).Scan(asBytes(&person), &over)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return uuid.Nil, ErrUnknown
	case err != nil:
		return uuid.Nil, fmt.Errorf("find grant: %w", postgres.Redact(err))
	case over:
		return uuid.Nil, ErrOver
	}
	if _, err := tx.Exec(ctx, `UPDATE access_grant SET revoked_at = $2, revoked_by = $3, revoked_why = $4 WHERE id = $1`, id, s.Now, orNull(s.Worker), why); err != nil {
		return uuid.Nil, fmt.Errorf("revoke grant: %w", postgres.Redact(err))
	}
	return person, nil
}

// Granted is one live grant, as the agencies that gave and hold it list it.
type Granted struct {
	ID        uuid.UUID  `json:"id"`
	Person    uuid.UUID  `json:"person"`
	Agency    string     `json:"agency"`
	Worker    *uuid.UUID `json:"worker,omitempty"`
	Section   string     `json:"section,omitempty"`
	Level     string     `json:"level"`
	Emergency bool       `json:"emergency,omitempty"`
	Reason    string     `json:"reason"`
	Giver     string     `json:"giver"`
	From      time.Time  `json:"from"`
	Until     time.Time  `json:"until"`
}

// Grants lists live grants that an agency gave or holds; a worker narrows it to
// what that worker holds.
func Grants(ctx context.Context, db *pgxpool.Pool, agency string, worker uuid.UUID, now time.Time, after uuid.UUID, limit int) ([]Granted, error) {
	rows, _ := db.Query(ctx, `
SELECT g.id, g.person, g.agency, g.worker, coalesce(g.section, ''), g.level, g.break_glass, g.reason, g.giver, g.valid_from, g.valid_until
  FROM access_grant g
 WHERE (($2::uuid IS NULL AND (g.giver = $1 OR g.agency = $1)) OR (g.agency = $1 AND g.worker = $2))
   AND g.revoked_at IS NULL AND g.valid_until > $3 AND g.id > $4
 ORDER BY g.id LIMIT $5`, agency, orNull(worker), now, after, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Granted])
	if err != nil {
		return nil, fmt.Errorf("list grants: %w", postgres.Redact(err))
	}
	return list, nil
}

// RestrictionDraft closes a person: to all but the listed workers
// (restriction; an empty list is nobody), or to those listed (exclusion).
type RestrictionDraft struct {
	Kind     string      `json:"kind"`
	Workers  []uuid.UUID `json:"workers"`
	Agencies []string    `json:"agencies"`
	Reason   string      `json:"reason"`
	ReviewOn string      `json:"review_on"`
	Until    *time.Time  `json:"until"`
}

// SetRestriction closes a person. Errors: ErrUnknown, *FieldError.
func SetRestriction(ctx context.Context, tx pgx.Tx, s Sender, person uuid.UUID, r RestrictionDraft) (uuid.UUID, error) {
	if err := oneOf("kind", r.Kind, "restriction", "exclusion"); err != nil {
		return uuid.Nil, err
	}
	if err := reasonText("reason", r.Reason, true); err != nil {
		return uuid.Nil, err
	}
	review, err := reviewDay(s.Now, r.ReviewOn)
	if err != nil {
		return uuid.Nil, err
	}
	switch {
	case r.Kind == "restriction" && len(r.Agencies) > 0:
		return uuid.Nil, &FieldError{"agencies", "belong to an exclusion: a restriction names the workers who stay"}
	case r.Kind == "exclusion" && len(r.Workers)+len(r.Agencies) == 0:
		return uuid.Nil, &FieldError{"workers", "must name somebody to be kept out, or agencies must"}
	case len(r.Workers) > 200 || len(r.Agencies) > 50:
		return uuid.Nil, &FieldError{"workers", "names too many"}
	case r.Until != nil && !r.Until.After(s.Now):
		return uuid.Nil, &FieldError{"until", "must lie in the future"}
	}
	var known bool
	err = tx.QueryRow(ctx, `
SELECT (SELECT count(*) FROM worker w WHERE w.id = ANY ($1) AND w.partnership = $3) = cardinality($1::uuid[])
   AND (SELECT count(*) FROM agency a WHERE a.code = ANY ($2) AND a.partnership = $3) = cardinality($2::text[])`,
		notNil(r.Workers), notNil(r.Agencies), s.Partnership).Scan(&known)
	if err != nil {
		return uuid.Nil, fmt.Errorf("look for workers: %w", postgres.Redact(err))
	}
	if !known {
		return uuid.Nil, &FieldError{"workers", "or agencies name somebody who is not in the directory, or twice"}
	}
	if err := agencyKnows(ctx, tx, s.Agency, person, s.Now); err != nil {
		return uuid.Nil, err
	}
	id, err := newIntake(tx, s, Catalogue{}).newID()
	if err != nil {
		return uuid.Nil, err
	}
	_, err = tx.Exec(ctx, `
INSERT INTO restriction (id, person, kind, workers, agencies, reason, set_by, valid_from, review_on, valid_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		id, person, r.Kind, notNil(r.Workers), notNil(r.Agencies), r.Reason, orNull(s.Worker), s.Now, review, r.Until)
	if err != nil {
		return uuid.Nil, fmt.Errorf("set restriction: %w", postgres.Redact(err))
	}
	return id, nil
}

func notNil[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// reviewDay reads the day of the next review: after today, within 90 days.
func reviewDay(now time.Time, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, &FieldError{"review_on", "is missing"}
	}
	review, err := dayOf("review_on", text)
	if err != nil {
		return time.Time{}, err
	}
	if !review.After(day(now)) || review.Sub(day(now)) > reviewWithin {
		return time.Time{}, &FieldError{"review_on", "must lie within the next 90 days"}
	}
	return *review, nil
}

// Restricted is one live restriction or exclusion.
type Restricted struct {
	ID       uuid.UUID   `json:"id"`
	Person   uuid.UUID   `json:"person"`
	Kind     string      `json:"kind"`
	Workers  []uuid.UUID `json:"workers"`
	Agencies []string    `json:"agencies"`
	Reason   string      `json:"reason"`
	ReviewOn time.Time   `json:"review_on"`
	From     time.Time   `json:"from"`
	Until    *time.Time  `json:"until,omitempty"`
}

// KeepsOut tells whether it closes the person to a worker.
func (r Restricted) KeepsOut(worker uuid.UUID, agency string) bool {
	listed := false
	for _, w := range r.Workers {
		listed = listed || w == worker
	}
	if r.Kind != "exclusion" {
		return !listed
	}
	for _, a := range r.Agencies {
		listed = listed || a == agency
	}
	return listed
}

const liveRestrictions = `
SELECT r.id, r.person, r.kind, r.workers, r.agencies, r.reason, r.review_on, r.valid_from, r.valid_until FROM restriction r
 WHERE (r.valid_until IS NULL OR r.valid_until > $2)`

// Restrictions lists the live ones of a person.
func Restrictions(ctx context.Context, db *pgxpool.Pool, person uuid.UUID, now time.Time) ([]Restricted, error) {
	rows, _ := db.Query(ctx, liveRestrictions+` AND r.person = $1 ORDER BY r.valid_from, r.id LIMIT 200`, person, now)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Restricted])
	if err != nil {
		return nil, fmt.Errorf("list restrictions: %w", postgres.Redact(err))
	}
	return list, nil
}

// ChangeRestriction reviews a live restriction, to be looked at again on a day,
// or ends it. may is asked about the restriction as it stands. Errors:
// ErrUnknown, *FieldError, and what may returns.
func ChangeRestriction(ctx context.Context, tx pgx.Tx, s Sender, id uuid.UUID, reviewOn, why string, may func(Restricted) error) (uuid.UUID, error) {
	if err := reasonText("reason", why, true); err != nil {
		return uuid.Nil, err
	}
	rows, _ := tx.Query(ctx, liveRestrictions+` AND r.id = $1 FOR UPDATE`, id, s.Now)
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Restricted])
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, ErrUnknown
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("find restriction: %w", postgres.Redact(err))
	}
	if err := may(r); err != nil {
		return uuid.Nil, err
	}
	if reviewOn != "" {
		review, err := reviewDay(s.Now, reviewOn)
		if err != nil {
			return uuid.Nil, err
		}
		_, err = tx.Exec(ctx, `UPDATE restriction SET review_on = $2 WHERE id = $1`, id, review)
		return r.Person, err
	}
	if _, err = tx.Exec(ctx, `UPDATE restriction SET valid_until = greatest(valid_from, $2), ended_by = $3, ended_why = $4 WHERE id = $1`, id, s.Now, orNull(s.Worker), why); err != nil {
		return uuid.Nil, fmt.Errorf("end restriction: %w", postgres.Redact(err))
	}
	return r.Person, nil
}
