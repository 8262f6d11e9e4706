package disclosure_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Whoever gets hold of the app's database role (an SQL injection) meets
// PostgreSQL itself: content opens only by a committed event of the same
// connection, seconds old. Each case bypasses our code and wants nothing.
func TestTheAppsRoleReadsNothingWithoutACommittedEvent(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	ctx := context.Background()
	story := h.open(t, "social-worker", "FS")
	if _, err := h.read("social-worker", story, "FS"); err != nil {
		t.Fatal(err)
	}
	connect := func(t *testing.T) *pgx.Conn {
		c, err := pgx.Connect(ctx, h.db.DSN("app"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close(ctx) })
		return c
	}
	// a row as our code writes it, copied so that its parts are real
	var parts []int64
	var genuine uuid.UUID
	if err := h.admin.QueryRow(ctx, `SELECT id, released FROM kith.access_event WHERE cardinality(released) > 3 ORDER BY occurred_at DESC LIMIT 1`).Scan(&genuine, &parts); err != nil {
		t.Fatal(err)
	}
	const forge = `INSERT INTO kith.access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt, kind, outcome, released, family)
VALUES ($1, 'access', clock_timestamp() + $3::interval, 'northby', 'x', '\x00', decode(repeat('00', 32), 'hex'), decode(repeat('00', 64), 'hex'), 'read', 'released', $2, NULL)`
	count := func(t *testing.T, q interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}) int {
		t.Helper()
		var n int
		if err := q.QueryRow(ctx, `SELECT count(*) FROM kith.content`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	set := func(t *testing.T, c *pgx.Conn, event uuid.UUID) {
		t.Helper()
		if _, err := c.Exec(ctx, `SELECT set_config('kith.event', $1, false)`, event.String()); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("plain read", func(t *testing.T) {
		c := connect(t)
		if n := count(t, c); n != 0 {
			t.Errorf("%d parts", n)
		}
	})
	t.Run("an event of another connection", func(t *testing.T) {
		c := connect(t)
		set(t, c, genuine)
		if n := count(t, c); n != 0 {
			t.Errorf("%d parts", n)
		}
	})
	t.Run("insert, read, ROLLBACK", func(t *testing.T) {
		c := connect(t)
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		id := uuid.New()
		if _, err := tx.Exec(ctx, forge, id, parts, "0 s"); err != nil {
			t.Fatal(err)
		}
		set(t, c, id)
		if n := count(t, tx); n != 0 {
			t.Errorf("%d parts by an event that was never committed", n)
		}
		if err := tx.Rollback(ctx); err != nil {
			t.Fatal(err)
		}
		if n := count(t, c); n != 0 {
			t.Errorf("%d parts after the rollback", n)
		}
	})
	t.Run("insert in a savepoint, read, ROLLBACK", func(t *testing.T) {
		c := connect(t)
		tx, err := c.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tx.Rollback(ctx) }()
		id := uuid.New()
		inner, err := tx.Begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := inner.Exec(ctx, forge, id, parts, "0 s"); err != nil {
			t.Fatal(err)
		}
		if err := inner.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		set(t, c, id)
		if n := count(t, tx); n != 0 {
			t.Errorf("%d parts by a released savepoint: a subtransaction's id is not the event's", n)
		}
	})
	t.Run("a temporary table named like the log", func(t *testing.T) {
		c := connect(t)
		if _, err := c.Exec(ctx, `CREATE TEMP TABLE access_event (id uuid, released bigint[])`); err == nil {
			t.Error("the app's role made a temporary table")
		}
	})
	t.Run("an old event", func(t *testing.T) {
		c := connect(t)
		id := uuid.New()
		if _, err := c.Exec(ctx, forge, id, parts, "-6 s"); err == nil {
			t.Error("an event of six seconds ago was taken")
		}
		if _, err := c.Exec(ctx, forge, id, parts, "0 s"); err != nil {
			t.Fatal(err)
		}
		if _, err := h.admin.Exec(ctx, `UPDATE kith.access_event SET recorded_at = recorded_at - interval '6 s' WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
		set(t, c, id)
		if n := count(t, c); n != 0 {
			t.Errorf("%d parts by an event recorded six seconds ago", n)
		}
	})
	t.Run("a committed event opens its parts and leaves its row", func(t *testing.T) {
		c := connect(t)
		id := uuid.New()
		if _, err := c.Exec(ctx, forge, id, parts, "0 s"); err != nil {
			t.Fatal(err)
		}
		set(t, c, id)
		if n := count(t, c); n != len(parts) {
			t.Errorf("%d parts, the event names %d", n, len(parts))
		}
		var left int
		if err := h.admin.QueryRow(ctx, `SELECT count(*) FROM kith.access_event WHERE id = $1`, id).Scan(&left); err != nil || left != 1 {
			t.Errorf("%d rows are left, %v", left, err)
		}
		for _, sql := range []string{
			`DELETE FROM kith.access_event`, `UPDATE kith.access_event SET outcome = 'denied'`, `TRUNCATE kith.access_event`,
			`SELECT count(*) FROM kith.access_event`, `SELECT count(*) FROM kith.access_event_access`, `SET ROLE kith_owner`,
			`UPDATE kith.content SET body = '{}'`, `DELETE FROM kith.content`, `ALTER TABLE kith.content DISABLE ROW LEVEL SECURITY`,
			`SELECT bytes FROM kith.source_record_version LIMIT 1`, `SELECT digest FROM kith.entry_version LIMIT 1`,
		} {
			if _, err := c.Exec(ctx, sql); err == nil {
				t.Errorf("the app's role may: %s", sql)
			}
		}
	})
}
