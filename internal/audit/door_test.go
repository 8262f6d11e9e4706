package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

func TestQueueOpensWhatWasCommitted(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	conn := h.acquire(t)
	for range 3 { // prepared and cached statements alike
		a := h.open(t.Context(), t, conn, h.read(), h.guard())
		if a.err != nil || a.readErr != nil || !a.receipt.Committed() {
			t.Fatalf("append: %v, read: %v", a.err, a.readErr)
		}
		if diff := cmp.Diff([]string{"one", "two"}, a.content); diff != "" {
			t.Errorf("content (-want +got): %s", diff)
		}
		key, err := h.signer.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		r, err := proof.ParseReceipt(a.receipt.String())
		if err == nil {
			err = r.Verify(proof.NewKeys(key))
		}
		if err != nil {
			t.Errorf("receipt %q: %v", a.receipt, err)
		}
	}
	// The pipeline left nothing behind by which the next borrower could read.
	var event string
	if err := conn.QueryRow(t.Context(), `SELECT current_setting('kith.event', true)`).Scan(&event); err != nil || event != "" {
		t.Errorf("kith.event is %q (%v)", event, err)
	}
	var n int
	if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM kith.content`).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d parts readable after the pipeline (%v)", n, err)
	}
	if h.events(t) != 3 {
		t.Errorf("%d events", h.events(t))
	}
}

func TestQueueStale(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	conn := h.acquire(t)
	for name, change := range map[string]func(*audit.Guard){
		"family stamp":    func(g *audit.Guard) { g.Families[0].Stamp++ },
		"unknown family":  func(g *audit.Guard) { g.Families[0].Family = uuid.New() },
		"policy":          func(g *audit.Guard) { g.Policy[0] ^= 1 },
		"agreement stamp": func(g *audit.Guard) { g.AgreementStamp++ },
		"worker stamp":    func(g *audit.Guard) { g.WorkerStamp++ },
		"no worker":       func(g *audit.Guard) { g.Worker = uuid.Nil },
		"zero value":      func(g *audit.Guard) { *g = audit.Guard{} },
		"one of two families": func(g *audit.Guard) {
			g.Families = append(g.Families, audit.FamilyStamp{Family: h.other, Stamp: 2})
		},
	} {
		g := h.guard()
		change(&g)
		a := h.open(t.Context(), t, conn, h.read(), g)
		if !errors.Is(a.err, audit.ErrStale) || a.receipt.Committed() {
			t.Errorf("%s: %v", name, a.err)
		}
		if len(a.content) != 0 || a.readErr != nil {
			t.Errorf("%s: read %v, %v", name, a.content, a.readErr)
		}
	}
	if n := h.events(t); n != 0 {
		t.Errorf("%d events logged", n)
	}
	two := h.guard()
	two.Families = append(two.Families, audit.FamilyStamp{Family: h.other, Stamp: 1})
	none := h.guard()
	none.Families = nil
	for _, g := range []audit.Guard{two, none} {
		if a := h.open(t.Context(), t, conn, h.read(), g); a.err != nil || len(a.content) != 2 {
			t.Errorf("%d families: %v, read %v", len(g.Families), a.err, a.content)
		}
	}
}

// Whatever fails on the way to the committed row, nothing is released, and the
// connection serves again afterwards.
func TestQueueFailureReleasesNothing(t *testing.T) {
	t.Parallel()
	const refuse = `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$`
	for name, sql := range map[string]string{
		"failing INSERT":   `CREATE TRIGGER no BEFORE INSERT ON access_event FOR EACH ROW EXECUTE FUNCTION refuse()`,
		"failing COMMIT":   `CREATE CONSTRAINT TRIGGER no AFTER INSERT ON access_event DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`,
		"back-dated event": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHub(t)
			conn := h.acquire(t)
			if a := h.open(t.Context(), t, conn, h.read(), h.guard()); a.err != nil { // statements are prepared
				t.Fatal(a.err)
			}
			e := h.read()
			if sql == "" {
				h.signer.Now = func() time.Time { return time.Now().Add(-6 * time.Second) }
			} else {
				h.exec(t, refuse)
				h.exec(t, sql)
			}
			a := h.open(t.Context(), t, conn, e, h.guard())
			if !errors.Is(a.err, audit.ErrNotLogged) || a.receipt.Committed() || a.receipt.String() != "" {
				t.Errorf("append: %v", a.err)
			}
			if len(a.content) != 0 {
				t.Errorf("read %v", a.content)
			}
			if h.events(t) != 1 {
				t.Errorf("%d events", h.events(t))
			}
			if err := audit.Reset(t.Context(), conn.Conn()); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := conn.QueryRow(t.Context(), `SELECT count(*) FROM kith.content`).Scan(&n); err != nil || n != 0 {
				t.Errorf("%d parts readable after the failure (%v)", n, err)
			}
		})
	}
}

func TestQueueCancelled(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := h.open(ctx, t, h.acquire(t), h.read(), h.guard())
	if !errors.Is(a.err, audit.ErrNotLogged) || a.receipt.Committed() || len(a.content) != 0 {
		t.Errorf("append: %v, read %v", a.err, a.content)
	}
}

// The app's role, left alone with SQL, gets no content without a committed
// event of its own connection.
func TestContentStaysShut(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	first, second := h.acquire(t), h.acquire(t)
	count := func(q interface {
		QueryRow(context.Context, string, ...any) pgx.Row
	}) (n int) {
		if err := q.QueryRow(t.Context(), `SELECT count(*) FROM kith.content`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	row, err := h.recorder.Seal(h.read())
	if err != nil {
		t.Fatal(err)
	}
	b := &pgx.Batch{}
	queued := row.Queue(b, h.guard())
	results := first.SendBatch(t.Context(), b)
	if _, err := queued.Result(results); err != nil {
		t.Fatal(err)
	}
	if err := results.Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(first); n != 2 {
		t.Errorf("own committed event opens %d parts, want 2", n)
	}
	if _, err := second.Exec(t.Context(), `SELECT set_config('kith.event', $1, false)`, row.ID().String()); err != nil {
		t.Fatal(err)
	}
	if n := count(second); n != 0 {
		t.Errorf("another connection's event opens %d parts", n)
	}
	if err := audit.Reset(t.Context(), first.Conn()); err != nil {
		t.Fatal(err)
	}
	if n := count(first); n != 0 {
		t.Errorf("%d parts after the reset", n)
	}
	// Insert, read, ROLLBACK.
	tx, err := second.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	row, err = h.recorder.Seal(h.read())
	if err != nil {
		t.Fatal(err)
	}
	inside := &pgx.Batch{}
	row.Queue(inside, h.guard())
	inside.QueuedQueries = inside.QueuedQueries[1:3] // neither BEGIN nor COMMIT
	if err := tx.SendBatch(t.Context(), inside).Close(); err != nil {
		t.Fatal(err)
	}
	if n := count(tx); n != 0 {
		t.Errorf("an uncommitted event opens %d parts", n)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A session that turned synchronous_commit off still commits durably.
func TestQueuePinsDurability(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	h.exec(t, `CREATE TABLE seen (value text)`)
	h.exec(t, `GRANT INSERT ON seen TO kith_app`)
	h.exec(t, `CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO kith.seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$`)
	h.exec(t, `CREATE TRIGGER look AFTER INSERT ON access_event FOR EACH ROW EXECUTE FUNCTION look()`)
	h.exec(t, `ALTER ROLE kith_app IN DATABASE `+h.db.Name+` SET synchronous_commit = off`)
	h.app.Reset()
	if a := h.open(t.Context(), t, h.acquire(t), h.read(), h.guard()); a.err != nil {
		t.Fatal(a.err)
	}
	if _, err := h.recorder.Append(t.Context(), audit.Event{Kind: audit.KindSignIn, Outcome: audit.OutcomeDone}); err != nil {
		t.Fatal(err)
	}
	rows, err := h.admin.Query(t.Context(), `SELECT value FROM seen`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if diff := cmp.Diff([]string{"on", "on"}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}
