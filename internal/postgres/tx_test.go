package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
)

func TestInTxRepeatsAfterSerializationFailure(t *testing.T) {
	t.Parallel()
	pool := pgtest.NewWith(t, nil).Pool(t, "admin")
	ctx := t.Context()
	if _, err := pool.Exec(ctx, `CREATE TABLE counter AS SELECT 0 AS n`); err != nil {
		t.Fatal(err)
	}
	// Each writer reads, waits for the other to have read, and writes: one of
	// the two must fail the first time.
	var both sync.WaitGroup
	both.Add(2)
	var done sync.WaitGroup
	for range 2 {
		done.Go(func() {
			first := true
			err := postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				var n int
				if _, err := tx.Exec(ctx, `SET TRANSACTION ISOLATION LEVEL REPEATABLE READ`); err != nil {
					return err
				}
				if err := tx.QueryRow(ctx, `SELECT n FROM counter`).Scan(&n); err != nil {
					return err
				}
				if first {
					first = false
					both.Done()
					both.Wait()
				}
				_, err := tx.Exec(ctx, `UPDATE counter SET n = $1`, n+1)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	var n int
	if err := pool.QueryRow(ctx, `SELECT n FROM counter`).Scan(&n); err != nil || n != 2 {
		t.Errorf("counter is %d (%v), want 2: a write was lost", n, err)
	}
}

func TestInTxGivesUp(t *testing.T) {
	t.Parallel()
	pool := pgtest.NewWith(t, nil).Pool(t, "admin")
	tries := 0
	deadlock := &pgconn.PgError{Code: "40P01", Message: "deadlock detected"}
	err := postgres.InTx(t.Context(), pool, func(pgx.Tx) error { tries++; return deadlock })
	if !errors.Is(err, deadlock) || tries != 5 {
		t.Errorf("%d tries, %v", tries, err)
	}
	other := errors.New("no")
	tries = 0
	err = postgres.InTx(t.Context(), pool, func(pgx.Tx) error { tries++; return other })
	if !errors.Is(err, other) || tries != 1 {
		t.Errorf("an error of ours was tried %d times: %v", tries, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tries = 0
	err = postgres.InTx(ctx, pool, func(pgx.Tx) error { tries++; cancel(); return deadlock })
	if err == nil || tries != 1 {
		t.Errorf("after its caller was gone it was tried %d times: %v", tries, err)
	}
}

// A session that turned synchronous_commit off still commits durably in InTx.
func TestInTxPinsDurability(t *testing.T) {
	t.Parallel()
	db := pgtest.NewWith(t, nil)
	pool, err := postgres.Open(t.Context(), db.DSN("admin"), postgres.Options{
		AfterConnect: func(ctx context.Context, c *pgx.Conn) error {
			_, err := c.Exec(ctx, `SET synchronous_commit = off`)
			return err
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	var inside, outside string
	err = postgres.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT current_setting('synchronous_commit')`).Scan(&inside)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := pool.QueryRow(t.Context(), `SELECT current_setting('synchronous_commit')`).Scan(&outside); err != nil {
		t.Fatal(err)
	}
	if inside != "on" || outside != "off" {
		t.Errorf("inside %q, outside %q", inside, outside)
	}
	if err := postgres.CheckDurable(t.Context(), pool); !errors.Is(err, postgres.ErrNotDurable) {
		t.Errorf("CheckDurable with synchronous_commit off: %v", err)
	}
}

func TestTypesOfRows(t *testing.T) {
	t.Parallel()
	pool := pgtest.NewWith(t, nil).Pool(t, "app")
	ids := []uuid.UUID{uuid.New(), uuid.New()}
	want := time.Date(2026, 3, 29, 1, 30, 0, 0, time.UTC)
	var one uuid.UUID
	var many []uuid.UUID
	var at time.Time
	err := pool.QueryRow(t.Context(), `SELECT $1::uuid, $2::uuid[], $3::timestamptz`, ids[0], ids, want).Scan(&one, &many, &at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids, many); diff != "" || one != ids[0] {
		t.Error(one, diff)
	}
	if at.Location() != time.UTC || !at.Equal(want) {
		t.Errorf("time came back as %v", at)
	}
}

func TestOpenRefusesSimpleProtocol(t *testing.T) {
	t.Parallel()
	db := pgtest.NewWith(t, nil)
	_, err := postgres.Open(t.Context(), db.DSN("app")+"&default_query_exec_mode=simple_protocol", postgres.Options{})
	if !errors.Is(err, postgres.ErrSimpleProtocol) {
		t.Errorf("got %v", err)
	}
}
