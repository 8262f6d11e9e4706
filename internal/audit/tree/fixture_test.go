package tree

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const origin = "borough.example/log"

// clock is passed in; it goes with the real one, plus what the test adds.
type clock struct {
	mu  sync.Mutex
	add time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.add)
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add += d
}

// bench is a database with an agency, a recorder and a log key.
type bench struct {
	db        *pgtest.DB
	admin     *pgxpool.Pool
	app       *pgxpool.Pool
	sequencer *pgxpool.Pool
	auditor   *pgxpool.Pool
	recorder  *audit.Recorder
	replica   proof.Key
	// replicaKey signs the receipts of recorder.
	replicaKey ed25519.PrivateKey
	key        ed25519.PrivateKey
	clock      *clock
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{db: pgtest.New(t), clock: &clock{}}
	b.admin, b.app, b.sequencer, b.auditor = b.db.Pool(t, "admin"), b.db.Pool(t, "app"), b.db.Pool(t, "sequencer"), b.db.Pool(t, "auditor")
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours) VALUES ('borough', 'Borough', 'Desk', '1', '2', '3')`)
	batch.Queue(`INSERT INTO agency (code, partnership, kind, name, legal_controller, ico) VALUES ('NHFT', 'borough', 'MH', 'Trust', 'Trust', 'Z1')`)
	if err := b.admin.SendBatch(t.Context(), batch).Close(); err != nil {
		t.Fatalf("fixture: %v", err)
	}
	_, replica, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, b.key, err = ed25519.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	b.replicaKey = replica
	signer := &audit.Signer{Partnership: "borough", Replica: "hub-1", Key: replica, Now: time.Now, Random: rand.Reader}
	if b.replica, err = signer.PublicKey(); err != nil {
		t.Fatal(err)
	}
	if b.recorder, err = audit.NewRecorder(b.app, signer); err != nil {
		t.Fatal(err)
	}
	return b
}

// tree is one replica; each has a file of its own.
func (b *bench) tree(t testing.TB, change ...func(*Config)) *Tree {
	t.Helper()
	c := Config{
		Pool: b.sequencer, Partnership: "borough", Origin: origin, LogKey: b.key, Recorder: b.recorder,
		Replicas: func() proof.Keys { return proof.NewKeys(b.replica) },
		File:     filepath.Join(t.TempDir(), "checkpoint"), Now: b.clock.now, Random: rand.Reader,
	}
	for _, f := range change {
		f(&c)
	}
	tree, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// event of a worker who looked at their own accesses.
func event() audit.Event {
	return audit.Event{
		Kind: audit.KindLogView, Outcome: audit.OutcomeDone, Agency: "NHFT",
		Principal: proof.Principal{Worker: uuid.MustParse("9a3c1a52-9f0e-4a51-8d5b-0a4c2f7be0cc"), Name: "Ada"},
		Subjects:  []uuid.UUID{uuid.New()},
	}
}

func (b *bench) append(t testing.TB, n int) []audit.Receipt {
	t.Helper()
	list := make([]audit.Receipt, n)
	for i := range list {
		var err error
		if list[i], err = b.recorder.Append(t.Context(), event()); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// lead gives a sequencer that has checked and sequenced once.
func lead(t testing.TB, tree *Tree) *sequencer {
	t.Helper()
	s := &sequencer{tree: tree}
	t.Cleanup(func() { s.resign(); tree.background.Wait() })
	round(t, s)
	return s
}

// round is what Run does on a tick.
func round(t testing.TB, s *sequencer) {
	t.Helper()
	if !s.tree.gate.compared() {
		if err := s.tree.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.round(t.Context()); err != nil {
		// A machine so busy that the session was idle for too long: the next tick stands again.
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.tree.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func (b *bench) count(t testing.TB, sql string, args ...any) (n int) {
	t.Helper()
	if err := b.admin.QueryRow(t.Context(), sql, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (b *bench) head(t testing.TB) head {
	t.Helper()
	h, err := readHead(t.Context(), b.admin)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// provable fails unless every receipt is in the log under the newest checkpoint.
func (b *bench) provable(t testing.TB, tree *Tree, receipts ...audit.Receipt) {
	t.Helper()
	reader := NewReader(b.auditor)
	for _, r := range receipts {
		receipt, err := proof.ParseReceipt(r.String())
		if err != nil {
			t.Fatal(err)
		}
		if err := receipt.Verify(proof.NewKeys(b.replica)); err != nil {
			t.Fatal(err)
		}
		p, err := reader.Prove(context.WithoutCancel(t.Context()), r.Event())
		if err != nil {
			t.Errorf("prove: %v", err)
			continue
		}
		if _, err := p.Verify(receipt.Leaf, proof.KeyFile{Logs: []proof.NoteKey{tree.Key(origin)}}); err != nil {
			t.Errorf("event %s: %v", r.Event(), err)
		}
	}
}

func stopped(t testing.TB, tree *Tree, want Reason) {
	t.Helper()
	err := tree.Gate().Check()
	if !errors.Is(err, ErrStopped) || !tree.gate.why(want) {
		t.Errorf("gate: %v, want it shut for %s", err, want)
	}
}

func open(t testing.TB, tree *Tree) {
	t.Helper()
	if err := tree.Gate().Check(); err != nil {
		t.Errorf("gate: %v, want it open", err)
	}
}
