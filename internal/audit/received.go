package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Receiver is somebody who was shown some parts of the content.
type Receiver struct {
	Worker uuid.UUID
	Agency string // for which they asked
	Name   string // as the log has it
	Parts  []int64
}

// Received tells who was shown any of these parts since a time. about are the
// people whom the parts are about: an event that opened one concerns them.
func (l *Log) Received(ctx context.Context, parts []int64, about []uuid.UUID, since time.Time) ([]Receiver, error) {
	rows, _ := l.pool.Query(ctx, `
SELECT e.worker, e.agency, max(e.principal), array_agg(DISTINCT p.part ORDER BY p.part)
  FROM kith.access_event e CROSS JOIN LATERAL unnest(e.released) AS p (part)
 WHERE e.partnership = $1 AND e.retention = 'access' AND e.occurred_at >= $2 AND e.worker IS NOT NULL
   AND e.subjects && $3 AND e.released && $4 AND p.part = ANY ($4)
 GROUP BY e.worker, e.agency ORDER BY e.agency, e.worker`, l.partnership, since, about, parts)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Receiver])
	if err != nil {
		return nil, fmt.Errorf("look for who was shown %d parts: %w", len(parts), postgres.Redact(err))
	}
	return list, nil
}
