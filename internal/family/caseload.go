package family

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Case is a family in which the caller works with somebody: a fact, not yet a
// decision. What of it may be told is for the one door to say.
type Case struct {
	Family     uuid.UUID
	Open       []string   // kinds of open work of the family's children, sorted
	CoverUntil *time.Time // where the caller only covers, until then
}

// caseload lists families through the caller's own live involvements: by name,
// or through a team in which the caller sits today, cover included.
const caseload = `
WITH mine AS MATERIALIZED (
  SELECT i.person, CASE WHEN i.source = 'cover' THEN i.valid_until END AS cover
    FROM involvement i
   WHERE i.worker = $1 AND i.agency = $2 AND i.valid_from <= $3 AND (i.valid_until IS NULL OR i.valid_until > $3)
  UNION ALL
  SELECT i.person, CASE WHEN t.cover THEN t.valid_until END
    FROM worker_team t
    JOIN involvement i ON i.agency = t.agency AND i.team = t.team
   WHERE t.worker = $1 AND t.agency = $2 AND t.valid_from <= $3 AND (t.valid_until IS NULL OR t.valid_until > $3)
     AND i.valid_from <= $3 AND (i.valid_until IS NULL OR i.valid_until > $3)),
held AS (
  SELECT m.family, CASE WHEN bool_and(mine.cover IS NOT NULL) THEN max(mine.cover) END AS cover
    FROM mine
    JOIN membership m ON m.person = mine.person
   WHERE m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= $4) AND (m.valid_until IS NULL OR m.valid_until >= $4)
     AND ($6::uuid IS NULL OR m.family = $6)
   GROUP BY m.family)
SELECT held.family, work.kinds, held.cover
  FROM held
  CROSS JOIN LATERAL (
    SELECT array_agg(DISTINCT e.kind ORDER BY e.kind) AS kinds
      FROM membership m JOIN episode e ON e.person = m.person
     WHERE m.family = held.family AND m.role = 'child' AND m.confirmed_by IS NOT NULL
       AND NOT e.withdrawn AND e.valid_from <= $4 AND (e.valid_until IS NULL OR e.valid_until >= $4)) work
 WHERE work.kinds IS NOT NULL
 ORDER BY held.family
 LIMIT $5`

// Caseload reads the caller's open cases, at most so many. With one family
// given it says whether that is among them.
func Caseload(ctx context.Context, db *pgxpool.Pool, c Caller, of uuid.UUID, most int) ([]Case, error) {
	var only *uuid.UUID
	if of != uuid.Nil {
		only = &of
	}
	rows, _ := db.Query(ctx, caseload, c.Worker, c.Agency, c.Now.UTC(), day(c.Now), most, only)
	cases, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Case])
	if err != nil {
		return nil, fmt.Errorf("read caseload: %w", postgres.Redact(err))
	}
	return cases, nil
}
