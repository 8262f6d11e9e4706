package disclosure

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// FamilyRefs gives the references of the families in a list of the log, to
// whoever may see that list: a family that is none has no reference, so of a
// refused request the auditor alone is told (as in Explain).
func (x *Explainer) FamilyRefs(ctx context.Context, p identity.Principal, s audit.Scope, list []audit.Record) (map[uuid.UUID]string, error) {
	var ids []uuid.UUID
	for i := range list {
		if r := &list[i]; r.Family != uuid.Nil && (s.All() || r.Outcome == audit.OutcomeReleased) {
			ids = append(ids, r.Family)
		}
	}
	refs := map[uuid.UUID]string{}
	if len(ids) == 0 {
		return refs, nil
	}
	rows, _ := x.Door.Pool.Query(ctx, `SELECT id, ref FROM family WHERE id = ANY ($1) AND partnership = $2`, ids, p.Partnership)
	var id uuid.UUID
	var ref string
	_, err := pgx.ForEachRow(rows, []any{&id, &ref}, func() error { refs[id] = ref; return nil })
	if err != nil {
		return nil, fmt.Errorf("references of families: %w", postgres.Redact(err))
	}
	return refs, nil
}

// FamilyByRef finds a family by its reference; uuid.Nil is none. The caller
// narrows a list of the log with it, and finds nothing either way where the
// family is none or nothing of it is within the scope.
func (x *Explainer) FamilyByRef(ctx context.Context, p identity.Principal, ref string) (uuid.UUID, error) {
	var id uuid.UUID
	err := x.Door.Pool.QueryRow(ctx, `SELECT id FROM family WHERE ref = $1 AND partnership = $2`, ref, p.Partnership).Scan(&id)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("family by reference: %w", postgres.Redact(err))
	}
	return id, nil
}
