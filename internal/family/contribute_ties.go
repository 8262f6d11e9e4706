package family

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// membership puts a person of the sender's into a family that goes by the
// sender's own name. It opens records at once only where children's social
// care says so; another agency's waits to be confirmed.
func (in *intake) membership(ctx context.Context, field, person string, m PersonMembership) (Result, error) {
	if err := label(field+".family", m.Family, true); err != nil {
		return Result{}, err
	}
	if err := oneOf(field+".role", m.Role, "child", "parent", "carer", "household", "contact"); err != nil {
		return Result{}, err
	}
	from, until, err := days(field, m.From, m.Until, "from", "until")
	if err != nil {
		return Result{}, err
	}
	k, err := in.resolve(ctx, field+".person", person)
	if err != nil {
		return Result{}, err
	}
	if k.about != "child" {
		in.adults = append(in.adults, adult{k.person, field + ".person"})
	}
	family, err := in.namedFamily(ctx, m.Family, k.person)
	if err != nil {
		return Result{}, err
	}

	var id uuid.UUID
	var oldFrom, oldUntil *time.Time
	var confirmed bool
	err = in.tx.QueryRow(ctx, `
SELECT m.id, m.valid_from, m.valid_until, m.confirmed_by IS NOT NULL
  FROM membership m WHERE m.family = $1 AND m.person = $2 AND m.role = $3 AND m.supplied_by = $4
 ORDER BY m.valid_until DESC NULLS FIRST LIMIT 1`, family, k.person, m.Role, in.Agency).Scan(asBytes(&id), &oldFrom, &oldUntil, &confirmed)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		id, err := in.addMember(ctx, family, k.person, m.Role, from, until)
		return Result{New, id}, err
	case err != nil:
		return Result{}, fmt.Errorf("find membership: %w", err)
	case sameDay(from, oldFrom) && sameDay(until, oldUntil) && (confirmed || !in.social()):
		return Result{Unchanged, id}, nil
	}
	_, err = in.tx.Exec(ctx, `
UPDATE membership SET valid_from = $2, valid_until = $3, confirmed_by = coalesce(confirmed_by, $4),
       confirmed_at = CASE WHEN confirmed_by IS NULL AND $4::text IS NOT NULL THEN $5::timestamptz ELSE confirmed_at END
 WHERE id = $1`, id, from, until, in.confirms(), in.Now)
	if err != nil {
		return Result{}, fmt.Errorf("change membership: %w", err)
	}
	return Result{Changed, id}, nil
}

// confirms is the agency that may confirm by sending, or NULL.
func (in *intake) confirms() *string {
	if in.social() {
		return &in.Agency
	}
	return nil
}

func (in *intake) addMember(ctx context.Context, family, person uuid.UUID, role string, from, until *time.Time) (uuid.UUID, error) {
	id, err := in.newID()
	if err != nil {
		return uuid.Nil, err
	}
	_, err = in.tx.Exec(ctx, `
INSERT INTO membership (id, family, person, role, valid_from, valid_until, supplied_by, confirmed_by, confirmed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, CASE WHEN $8::text IS NOT NULL THEN $9::timestamptz END)`,
		id, family, person, role, from, until, in.Agency, in.confirms(), in.Now)
	if err != nil {
		return uuid.Nil, fmt.Errorf("add member: %w", err)
	}
	return id, nil
}

// namedFamily finds or makes the family that the sender knows by that name. A
// child who was alone so far brings the family of one along: it gets the name
// or, where the name has a family already, the child leaves it for that one.
func (in *intake) namedFamily(ctx context.Context, name string, person uuid.UUID) (uuid.UUID, error) {
	var family uuid.UUID
	err := in.tx.QueryRow(ctx, `SELECT l.family FROM family_local l WHERE l.agency = $1 AND l.local_id = $2`, in.Agency, name).Scan(asBytes(&family))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("find family: %w", err)
	}
	found := err == nil

	var alone, membership uuid.UUID
	err = in.tx.QueryRow(ctx, `
SELECT m.family, m.id FROM membership m
 WHERE m.person = $1 AND m.role = 'child' AND m.supplied_by = $2 AND m.valid_until IS NULL
   AND NOT EXISTS (SELECT 1 FROM membership o WHERE o.family = m.family AND o.id <> m.id)
   AND NOT EXISTS (SELECT 1 FROM family_local l WHERE l.family = m.family)
 LIMIT 1`, person, in.Agency).Scan(asBytes(&alone), asBytes(&membership))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("find family of one: %w", err)
	}
	wasAlone := err == nil

	switch {
	case found && !wasAlone:
		return family, nil
	case found:
		_, err := in.tx.Exec(ctx, `UPDATE membership SET valid_until = $2, ended_why = 'joined a family' WHERE id = $1`, membership, in.today.AddDate(0, 0, -1))
		if err != nil {
			return uuid.Nil, fmt.Errorf("leave family of one: %w", err)
		}
		return family, nil
	case wasAlone:
		family = alone
	default:
		if family, err = in.newFamily(ctx); err != nil {
			return uuid.Nil, err
		}
	}
	if _, err := in.tx.Exec(ctx, `INSERT INTO family_local (agency, local_id, family) VALUES ($1, $2, $3)`, in.Agency, name, family); err != nil {
		return uuid.Nil, fmt.Errorf("name family: %w", err)
	}
	return family, nil
}

// mutual tells relationships that hold both ways and stand once.
func mutual(kind string) bool {
	return kind == "household" || kind == "sibling" || kind == "half-sibling" || kind == "twin" || kind == "partner"
}

// pair resolves two different people.
func (in *intake) pair(ctx context.Context, fieldA, a, fieldB, b string) (x, y known, err error) {
	if x, err = in.resolve(ctx, fieldA, a); err != nil {
		return known{}, known{}, err
	}
	if y, err = in.resolve(ctx, fieldB, b); err != nil {
		return known{}, known{}, err
	}
	if x.person == y.person {
		return known{}, known{}, &FieldError{fieldB, "is the same person"}
	}
	return x, y, nil
}

func (in *intake) relationship(ctx context.Context, r *RelationshipRecord) (Result, error) {
	const field = "relationship"
	if err := oneOf(field+".kind", r.Kind, "parent", "carer", "grandparent", "contact", "household", "sibling", "half-sibling", "twin", "partner", "step-parent", "foster-carer"); err != nil {
		return Result{}, err
	}
	if r.Status != "" {
		if err := oneOf(field+".status", r.Status, "married", "together", "separated", "divorced"); err != nil {
			return Result{}, err
		}
	}
	since, until, err := days(field, r.Since, r.Until, "since", "until")
	if err != nil {
		return Result{}, err
	}
	a, b, err := in.pair(ctx, field+".from", r.From, field+".to", r.To)
	if err != nil {
		return Result{}, err
	}
	var id uuid.UUID
	var same bool
	err = in.tx.QueryRow(ctx, `
SELECT r.id, (coalesce(r.status, ''), r.responsibility, r.valid_from, r.valid_until) IS NOT DISTINCT FROM ($6::text, $7::boolean, $8::date, $9::date)
             AND (r.confirmed_at IS NOT NULL OR NOT $10::boolean)
  FROM relationship r
 WHERE ((r.from_person = $1 AND r.to_person = $2) OR ($5 AND r.from_person = $2 AND r.to_person = $1)) AND r.kind = $3 AND r.supplied_by = $4
 ORDER BY r.valid_until DESC NULLS FIRST LIMIT 1`,
		a.person, b.person, r.Kind, in.Agency, mutual(r.Kind), r.Status, r.Responsibility, since, until, in.social()).Scan(asBytes(&id), &same)
	if err == nil && same {
		return Result{Unchanged, id}, nil
	}
	if err == nil {
		_, err = in.tx.Exec(ctx, `
UPDATE relationship SET status = $2, responsibility = $3, valid_from = $4, valid_until = $5,
       confirmed_at = coalesce(confirmed_at, CASE WHEN $6 THEN $7::timestamptz END)
 WHERE id = $1`, id, textOrNull(r.Status), r.Responsibility, since, until, in.social(), in.Now)
		if err != nil {
			return Result{}, fmt.Errorf("change relationship: %w", err)
		}
		return Result{Changed, id}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return Result{}, fmt.Errorf("find relationship: %w", err)
	}
	if id, err = in.newID(); err != nil {
		return Result{}, err
	}
	_, err = in.tx.Exec(ctx, `
INSERT INTO relationship (id, from_person, to_person, kind, status, responsibility, valid_from, valid_until, supplied_by, confirmed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $10 THEN $11::timestamptz END)`,
		id, a.person, b.person, r.Kind, textOrNull(r.Status), r.Responsibility, since, until, in.Agency, in.social(), in.Now)
	if err != nil {
		return Result{}, fmt.Errorf("add relationship: %w", err)
	}
	return Result{New, id}, nil
}

// harm takes an allegation. It opens nothing: it walls, so any agency's word
// counts until it is withdrawn.
func (in *intake) harm(ctx context.Context, h *HarmRecord) (Result, error) {
	const field = "alleged_harm"
	since, until, err := days(field, h.Since, h.Until, "since", "until")
	if err != nil {
		return Result{}, err
	}
	by, to, err := in.pair(ctx, field+".by", h.By, field+".to", h.To)
	if err != nil {
		return Result{}, err
	}
	var id uuid.UUID
	var oldUntil *time.Time
	err = in.tx.QueryRow(ctx, `
SELECT h.id, h.valid_until FROM alleged_harm h
 WHERE h.by_person = $1 AND h.to_person = $2 AND h.source = $3 AND h.withdrawn_at IS NULL AND h.valid_from IS NOT DISTINCT FROM $4
 LIMIT 1`, by.person, to.person, in.Agency, since).Scan(asBytes(&id), &oldUntil)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
	case err != nil:
		return Result{}, fmt.Errorf("find alleged harm: %w", err)
	case sameDay(until, oldUntil):
		return Result{Unchanged, id}, nil
	default:
		if _, err := in.tx.Exec(ctx, `UPDATE alleged_harm SET valid_until = $2 WHERE id = $1`, id, until); err != nil {
			return Result{}, fmt.Errorf("change alleged harm: %w", err)
		}
		return Result{Changed, id}, nil
	}
	if id, err = in.newID(); err != nil {
		return Result{}, err
	}
	_, err = in.tx.Exec(ctx, `INSERT INTO alleged_harm (id, by_person, to_person, valid_from, valid_until, source) VALUES ($1, $2, $3, $4, $5, $6)`,
		id, by.person, to.person, since, until, in.Agency)
	if err != nil {
		return Result{}, fmt.Errorf("add alleged harm: %w", err)
	}
	return Result{New, id}, nil
}
