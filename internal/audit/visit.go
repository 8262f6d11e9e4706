package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Visit is what one reader was shown of one family at one sitting.
type Visit struct {
	At      time.Time         // of its last read
	Entries map[uuid.UUID]int // the highest version that was shown of each entry
}

// visitsBack bounds how far back visits are looked for, and visitsMost how many
// reads are looked through: what a list of open cases costs must not grow with
// years of work.
const (
	visitsBack = 180 * 24 * time.Hour
	visitsMost = 3000
)

// selectVisits gives for each family the reads of the nearest sitting before
// the present one. It goes through narrow columns first: payloads are long, and
// most reads belong to the present sitting or to one long past. A read of one
// entry or for a form (details "only") continues a sitting and shows too little
// to count as one; the payload is canonical JSON, in which the quoted name and
// its colon stand nowhere else. Of the pages of a sitting the last under each
// purpose is enough: it shows what those before it did.
const selectVisits = `
WITH narrow AS (
  SELECT id, occurred_at, family, purpose
    FROM kith.access_event
   WHERE retention = $1 AND partnership = $2 AND worker = $3 AND kind = $4 AND outcome = $5 AND occurred_at >= $6
     AND ($7::uuid IS NULL OR family = $7)
   ORDER BY occurred_at DESC, id DESC
   LIMIT $8),
gaps AS (
  SELECT n.*, CASE WHEN coalesce(lag(occurred_at) OVER w, $9) - occurred_at >= $10::interval THEN 1 ELSE 0 END AS gap
    FROM narrow n
  WINDOW w AS (PARTITION BY family ORDER BY occurred_at DESC, id DESC)),
sittings AS (
  SELECT g.*, sum(gap) OVER (PARTITION BY family ORDER BY occurred_at DESC, id DESC) AS back
    FROM gaps g),
whole AS (
  SELECT s.id, s.family, s.purpose, s.occurred_at, s.back, min(s.back) OVER (PARTITION BY s.family) AS nearest
    FROM sittings s
    JOIN kith.access_event e ON e.retention = $1 AND e.occurred_at = s.occurred_at AND e.id = s.id
   WHERE s.back BETWEEN 1 AND 3 AND e.occurred_at >= $6 AND coalesce(position('"only":'::bytea IN e.common), 0) = 0)
SELECT DISTINCT ON (family, purpose) id, occurred_at
  FROM whole
 WHERE back = nearest
 ORDER BY family, purpose, occurred_at DESC, id DESC`

// LastVisits gives what a reader was shown before the present sitting, by
// family; with a family given, of that alone. So much quiet ends a sitting. It
// is no view of the log: it compares, and nothing of it is shown.
func (l *Log) LastVisits(ctx context.Context, reader, family uuid.UUID, now time.Time, quiet time.Duration) (map[uuid.UUID]Visit, error) {
	if reader == uuid.Nil {
		return nil, nil // nobody, and no system, visits
	}
	var of *uuid.UUID
	if family != uuid.Nil {
		of = &family
	}
	rows, _ := l.pool.Query(ctx, selectVisits, pgx.QueryExecModeCacheDescribe, ClassAccess, l.partnership, reader, string(KindRead), string(OutcomeReleased),
		now.Add(-visitsBack), of, visitsMost, now, quiet)
	type place struct {
		ID         uuid.UUID
		OccurredAt time.Time
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[place])
	if err != nil {
		return nil, fmt.Errorf("find last visits: %w", postgres.Redact(err))
	}
	if len(found) == 0 {
		return nil, nil
	}
	var ids []uuid.UUID
	from, until := found[0].OccurredAt, found[0].OccurredAt
	for _, p := range found {
		ids = append(ids, p.ID)
		if p.OccurredAt.Before(from) {
			from = p.OccurredAt
		}
		if p.OccurredAt.After(until) {
			until = p.OccurredAt
		}
	}
	reads, err := l.rowsOf(ctx, ids, from, until)
	if err != nil {
		return nil, err
	}
	visits := map[uuid.UUID]Visit{}
	for i := range reads {
		rec, _ := l.view(&reads[i], OwnScope(reader))
		v, ok := visits[rec.Family]
		if !ok {
			v.Entries = map[uuid.UUID]int{}
		}
		if rec.Occurred.After(v.At) {
			v.At = rec.Occurred
		}
		for _, released := range rec.Released {
			for _, e := range released.Entries {
				v.Entries[e.Entry] = max(v.Entries[e.Entry], e.Version)
			}
		}
		visits[rec.Family] = v
	}
	return visits, nil
}

// rowsOf reads events by their ids, all of which lie between two moments.
func (l *Log) rowsOf(ctx context.Context, ids []uuid.UUID, from, until time.Time) ([]storedRow, error) {
	rows, _ := l.pool.Query(ctx, selectRows+"id = ANY ($1) AND occurred_at BETWEEN $2 AND $3", pgx.QueryExecModeCacheDescribe, ids, from, until)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[storedRow])
	if err != nil {
		return nil, fmt.Errorf("read last visits: %w", postgres.Redact(err))
	}
	return list, nil
}
