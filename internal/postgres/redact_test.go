package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
)

// canary stands for a family's words in every value that PostgreSQL may quote.
const canary = "canary-7f3a"

func canaryTable(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.NewWith(t, nil).Pool(t, "admin")
	_, err := pool.Exec(t.Context(), `
		CREATE TABLE note (
			id   text CONSTRAINT note_once UNIQUE,
			text text CONSTRAINT note_short CHECK (length(text) < 5),
			n    int
		)`)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

// Whatever way a statement takes, its error names the constraint and quotes no
// value: not in its text, not in %#v, not in PgError's fields.
func TestErrorsCarryNoValues(t *testing.T) {
	t.Parallel()
	pool := canaryTable(t)
	ctx := t.Context()
	if _, err := pool.Exec(ctx, `INSERT INTO note (id) VALUES ($1)`, canary); err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO note (id, text) VALUES ($1, $2)`
	ways := map[string]func() error{
		"exec check": func() error {
			_, err := pool.Exec(ctx, insert, "a", canary)
			return err
		},
		"exec unique": func() error {
			_, err := pool.Exec(ctx, insert, canary, nil)
			return err
		},
		"query row": func() error {
			return pool.QueryRow(ctx, insert+` RETURNING id`, "a", canary).Scan(new(string))
		},
		"query rows": func() error {
			rows, err := pool.Query(ctx, insert+` RETURNING id`, "a", canary)
			if err != nil {
				return err
			}
			_, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		},
		"batch": func() error {
			var b pgx.Batch
			b.Queue(`SELECT 1`)
			b.Queue(insert, "a", canary)
			br := pool.SendBatch(ctx, &b)
			_, err1 := br.Exec()
			_, err2 := br.Exec()
			return errors.Join(err1, err2, br.Close())
		},
		"batch close only": func() error {
			var b pgx.Batch
			b.Queue(insert, "a", canary)
			return pool.SendBatch(ctx, &b).Close()
		},
		"batch with callback": func() error {
			var b pgx.Batch
			b.Queue(insert+` RETURNING id`, "a", canary).QueryRow(func(row pgx.Row) error {
				return row.Scan(new(string))
			})
			return pool.SendBatch(ctx, &b).Close()
		},
		"copy": func() error {
			_, err := pool.CopyFrom(ctx, pgx.Identifier{"note"}, []string{"id", "text"},
				pgx.CopyFromRows([][]any{{"a", canary}}))
			return err
		},
		"data exception": func() error {
			return pool.QueryRow(ctx, `SELECT $1::text::uuid`, canary).Scan(new([16]byte))
		},
		"transaction": func() error {
			return postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, insert, "a", canary)
				return fmt.Errorf("write note: %w", err)
			})
		},
		"argument": func() error {
			_, err := pool.Exec(ctx, `INSERT INTO note (n) VALUES ($1)`, canary)
			return postgres.Redact(err)
		},
		"column": func() error {
			return postgres.Redact(pool.QueryRow(ctx, `SELECT $1::text`, canary).Scan(new(int)))
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			err := way()
			if err == nil {
				t.Fatal("no error")
			}
			shown := err.Error() + fmt.Sprintf("%+v %#v", err, err)
			var pg *pgconn.PgError
			if errors.As(err, &pg) {
				shown += fmt.Sprintf("%#v", *pg)
			}
			if strings.Contains(shown, canary) {
				t.Errorf("the error quotes the value: %s", shown)
			}
		})
	}
}

func TestRedactKeepsWhatCallersDecideBy(t *testing.T) {
	t.Parallel()
	pool := canaryTable(t)
	ctx := t.Context()
	for range 2 {
		_, err := pool.Exec(ctx, `INSERT INTO note (id) VALUES ('x')`)
		if err == nil {
			continue
		}
		err = postgres.Redact(fmt.Errorf("write: %w", err))
		if !postgres.IsUnique(err, "note_once") || !postgres.IsUnique(err, "") || postgres.IsUnique(err, "other") {
			t.Errorf("constraint not recognised in %v", err)
		}
		if !strings.Contains(err.Error(), "note_once") {
			t.Errorf("%v does not name the constraint", err)
		}
		return
	}
	t.Fatal("the unique constraint did not hold")
}

func TestRedactLeavesOtherErrors(t *testing.T) {
	t.Parallel()
	if postgres.Redact(nil) != nil {
		t.Error("nil became an error")
	}
	if !errors.Is(postgres.Redact(fmt.Errorf("x: %w", pgx.ErrNoRows)), pgx.ErrNoRows) {
		t.Error("ErrNoRows was lost")
	}
}
