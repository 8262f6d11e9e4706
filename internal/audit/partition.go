package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// monthsAhead is how far ahead partitions are made.
const monthsAhead = 3

// EnsurePartitions makes the month partitions that are missing and says how
// many those were. The pool is one of kith_sequencer or kith_retention.
func EnsurePartitions(ctx context.Context, pool *pgxpool.Pool) (int, error) {
	var made int
	if err := pool.QueryRow(ctx, `SELECT kith.make_event_partitions($1)`, monthsAhead).Scan(&made); err != nil {
		return 0, fmt.Errorf("make event partitions: %w", postgres.Redact(err))
	}
	return made, nil
}

// PartitionsUntil is the end of the last month that can be written to; the
// hub's readiness warns 14 days before it.
func PartitionsUntil(ctx context.Context, pool *pgxpool.Pool) (time.Time, error) {
	var until time.Time
	if err := pool.QueryRow(ctx, `SELECT kith.event_partitions_until()`).Scan(&until); err != nil {
		return time.Time{}, fmt.Errorf("find last event partition: %w", postgres.Redact(err))
	}
	return until, nil
}
