package family

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Colleague is a live involvement of the caller's own agency, as those who work
// with the same person see it: who and since when, and no reason.
type Colleague struct {
	Work
	Roles []string // of the worker
}

// selectColleagues takes the people with whom the caller works today, by name
// or through a team, and who are not closed to the caller. $3 agency, $4
// caller, $5 now: as in closedTo.
const selectColleagues = `
WITH mine AS (
  SELECT DISTINCT i.person
    FROM involvement i
   WHERE i.agency = $3 AND i.person = ANY ($1) AND i.valid_from <= $5 AND (i.valid_until IS NULL OR i.valid_until > $5)
     AND (i.worker = $4 OR EXISTS (SELECT 1 FROM worker_team t
           WHERE t.worker = $4 AND t.agency = i.agency AND t.team = i.team AND t.valid_from <= $5 AND (t.valid_until IS NULL OR t.valid_until > $5)))
     AND NOT EXISTS (SELECT 1 FROM restriction r WHERE r.person = i.person AND ` + closedTo + `))
SELECT i.id, i.person, i.worker, coalesce(w.name, ''), coalesce(i.team, ''), i.role, i.source, '', i.valid_from, i.valid_until, coalesce(w.roles, '{}')
  FROM mine
  JOIN involvement i ON i.person = mine.person
  LEFT JOIN worker w ON w.id = i.worker
 WHERE i.agency = $3 AND i.valid_from <= $5 AND (i.valid_until IS NULL OR i.valid_until > $5)
 ORDER BY i.valid_from, i.id
 LIMIT $2`

// Colleagues lists who of the caller's agency works today with those of the
// people with whom the caller works too.
func Colleagues(ctx context.Context, db *pgxpool.Pool, c Caller, people []uuid.UUID, limit int) ([]Colleague, error) {
	rows, _ := db.Query(ctx, selectColleagues, people, limit, c.Agency, c.Worker, c.Now.UTC())
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Colleague])
	if err != nil {
		return nil, fmt.Errorf("list colleagues: %w", postgres.Redact(err))
	}
	return list, nil
}
