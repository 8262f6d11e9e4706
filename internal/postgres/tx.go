package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// triesOfTx bounds how often a transaction is begun anew. Five losers in a row
// mean that something else is wrong, and that the caller must hear of it.
const triesOfTx = 5

// beginDurable pins synchronous_commit for the transaction, in the round trip
// that BEGIN takes anyway: any role could have turned it off for its session.
const beginDurable = "BEGIN; SET LOCAL synchronous_commit = on"

// InTx runs fn in one transaction and commits it. fn may run several times: it
// is repeated, in a new transaction, when PostgreSQL reports a serialization
// failure or a deadlock (40001, 40P01), so it must do nothing that ROLLBACK
// does not undo. Any other error rolls back and is returned redacted. An error
// of COMMIT whose outcome is unknown is returned, never retried.
func InTx(ctx context.Context, pool *pgxpool.Pool, fn func(tx pgx.Tx) error) error {
	var err error
	for try := range triesOfTx {
		if try > 0 {
			// The winner needs a moment to be done: 2, 4, 8, 16 ms.
			if !sleep(ctx, time.Millisecond<<try) {
				return fmt.Errorf("wait to repeat transaction: %w", context.Cause(ctx))
			}
		}
		err = Redact(pgx.BeginTxFunc(ctx, pool, pgx.TxOptions{BeginQuery: beginDurable}, fn))
		if !hasCode(err, codeSerialization, codeDeadlock) {
			return err
		}
	}
	return fmt.Errorf("transaction repeated %d times: %w", triesOfTx, err)
}

// sleep waits d, or less when ctx ends; it tells whether d has passed.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
