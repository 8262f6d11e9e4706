package tree

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"math"
	"os"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

func TestEveryCommittedEventIsProvable(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t, func(c *Config) { c.Batch = 7 })
	s := lead(t, tree)
	var all []audit.Receipt
	for _, n := range []int{1, 6, 7, 14, 30} {
		all = append(all, b.append(t, n)...)
		round(t, s)
		b.provable(t, tree, all...)
	}
	open(t, tree)
	if got := tree.Status(); got.Leaves != int64(len(all)) || got.Forged != 0 || got.Lag != 0 || !got.Leading || got.Size != int64(len(all)) {
		t.Errorf("status %+v", got)
	}
	file, err := os.ReadFile(tree.File)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := NewReader(b.auditor).Checkpoint(t.Context())
	if err != nil || !bytes.Equal(file, stored) {
		t.Errorf("file and database differ: %v\n%s\n%s", err, file, stored)
	}
}

// The case that a cursor over ids or times loses.
func TestLateCommitsAndLongTransactions(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	s := lead(t, tree)

	// A write transaction of another role stays open the whole time.
	long, err := b.admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = long.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := long.Exec(t.Context(), `SELECT pg_current_xact_id()`); err != nil {
		t.Fatal(err)
	}
	// An event that is written early and committed late.
	late, err := b.app.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = late.Rollback(context.WithoutCancel(t.Context())) }()
	promise, err := b.recorder.AppendTx(t.Context(), late, event())
	if err != nil {
		t.Fatal(err)
	}
	early := b.append(t, 20)
	round(t, s)
	b.provable(t, tree, early...) // no stall behind either
	if n := b.count(t, `SELECT count(*) FROM log_leaf WHERE event = $1`, promise.Event); n != 0 {
		t.Fatalf("an event that is not committed has a leaf")
	}
	if err := late.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	more := b.append(t, 5)
	round(t, s)
	b.provable(t, tree, more...)
	if n := b.count(t, `SELECT count(*) FROM log_leaf WHERE event = $1`, promise.Event); n != 1 {
		t.Errorf("the late event has %d leaves", n)
	}
	if err := long.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	round(t, s)
	if n := b.count(t, `SELECT count(*) FROM access_event e WHERE NOT EXISTS (SELECT FROM log_leaf l WHERE l.event = e.id)`); n != 0 {
		t.Errorf("%d events without a leaf", n)
	}
}

func TestOnlyOneIsElected(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first, second := b.tree(t), b.tree(t)
	one := lead(t, first)
	two := lead(t, second)
	b.append(t, 3)
	round(t, two)
	if n := b.count(t, `SELECT count(*) FROM log_leaf`); n != 0 {
		t.Fatalf("who was not elected gave %d leaves", n)
	}
	if !first.Status().Leading || second.Status().Leading {
		t.Errorf("leading: %v, %v", first.Status().Leading, second.Status().Leading)
	}
	one.resign()
	// The server lets go of the lock when it has seen the session end.
	for start := time.Now(); !second.Status().Leading && time.Since(start) < 3*time.Second; {
		round(t, two)
		time.Sleep(20 * time.Millisecond)
	}
	if n := b.count(t, `SELECT count(*) FROM log_leaf`); n != 3 || !second.Status().Leading {
		t.Errorf("after the first resigned: %d leaves, leading %v", n, second.Status().Leading)
	}
}

// A leader that is frozen loses its session, and so the election, in time for
// another to take over within 5 s.
func TestTakeOverFromAFrozenLeader(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	frozen := lead(t, b.tree(t)) // it does nothing from here on
	second := b.tree(t)
	two := lead(t, second)
	receipts := b.append(t, 2)
	start := time.Now()
	for !second.Status().Leading {
		if time.Since(start) > 6*time.Second {
			t.Fatal("nobody took over")
		}
		time.Sleep(100 * time.Millisecond)
		round(t, two)
	}
	b.provable(t, second, receipts...)
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took over after %s", took)
	}
	b.append(t, 1)
	if err := frozen.round(t.Context()); err == nil {
		t.Error("the frozen leader went on")
	}
}

func TestTwoSequencersForcedAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var list []*sequencer
	for range 2 {
		s := &sequencer{tree: b.tree(t, func(c *Config) { c.Batch = 3 }), unelected: true}
		if err := s.tree.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.resign)
		list = append(list, s)
	}
	done := make(chan int, len(list))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const events = 120
	for _, s := range list {
		go func() {
			fenced := 0
			for ctx.Err() == nil && s.tree.leaves.Load()+1 > 0 {
				if err := s.round(ctx); err != nil && ctx.Err() == nil {
					if !errors.Is(err, ErrFenced) {
						t.Errorf("round: %v", err)
					}
					fenced++
				}
				if h, err := readHead(ctx, s.tree.Pool); err == nil && h.Size == events {
					break
				}
			}
			done <- fenced
		}()
	}
	receipts := b.append(t, events)
	fenced := <-done + <-done
	if fenced == 0 {
		t.Log("the two never met")
	}
	b.provable(t, list[0].tree, receipts...)
	h := b.head(t)
	root, err := tilesOf(t.Context(), b.admin, h.Number).Root(h.Size)
	if err != nil || root != h.Root || h.Size != events {
		t.Errorf("head of %d: %v, root %v", h.Size, err, root == h.Root)
	}
	if n := b.count(t, `SELECT count(DISTINCT index) FROM log_leaf`); n != events {
		t.Errorf("%d places for %d events", n, events)
	}
}

func TestForgedRowsAreMarkedAndRaiseAnAlarm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := lead(t, b.tree(t))
	b.append(t, 2)
	_, key, _ := ed25519.GenerateKey(rand.Reader)
	foreign := &audit.Signer{Partnership: "borough", Replica: "hub-1", Key: key, Now: time.Now, Random: rand.Reader}
	forger, err := audit.NewRecorder(b.app, foreign) // has the database, has not the replica's key
	if err != nil {
		t.Fatal(err)
	}
	forged, err := forger.Append(t.Context(), event())
	if err != nil {
		t.Fatal(err)
	}
	// A genuine row copied under another time: its id has a leaf already.
	copied := b.append(t, 1)[0].Event()
	b.exec(t, `INSERT INTO access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt, common, common_salt,
		subjects, subject_salts, subject_parts, kind, outcome)
		SELECT id, retention, occurred_at + interval '1 s', partnership, replica, header, commitments, receipt, common, common_salt,
		subjects, subject_salts, subject_parts, kind, outcome FROM access_event WHERE id = $1`, copied)
	round(t, s)
	if n := b.count(t, `SELECT count(*) FROM log_leaf`); n != 5 {
		t.Errorf("%d leaves for 5 rows", n)
	}
	if n := b.count(t, `SELECT count(*) FROM log_leaf WHERE forged AND event IN ($1, $2)`, forged.Event(), copied); n != 2 {
		t.Errorf("%d leaves are marked", n)
	}
	if n := b.count(t, `SELECT count(*) FROM alert WHERE kind = 'forged-receipt' AND event IN ($1, $2)`, forged.Event(), copied); n != 2 {
		t.Errorf("%d alarms", n)
	}
	if got := s.tree.Status().Forged; got != 2 {
		t.Errorf("metric says %d", got)
	}
}

// After dump and restore on another server, xids begin anew: rows that came
// along may carry greater ones, and the stored horizon means nothing.
func TestAnotherServerForcesAFullScan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := lead(t, b.tree(t))
	b.append(t, 3)
	round(t, s)
	s.resign()
	left := b.append(t, 2)
	b.exec(t, `UPDATE access_event SET xid = (xid::text::bigint + 1000000000)::text::xid8`)
	b.exec(t, `UPDATE log_head SET scanned = '900000000', system_identifier = 7`)
	round(t, s)
	b.provable(t, s.tree, left...)
	fresh := b.append(t, 2) // of small xids
	round(t, s)
	b.provable(t, s.tree, fresh...)
	if n := b.count(t, `SELECT count(*) FROM log_leaf`); n != 7 {
		t.Errorf("%d leaves for 7 events", n)
	}
}

// Our checkpoint and tiles are what x/mod's own client code expects.
func TestInteropWithSumDBClientCode(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	s := lead(t, tree)
	b.append(t, 300)
	round(t, s)
	reader := NewReader(b.auditor)
	signed, err := reader.Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(tree.Key(origin).String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(signed, note.VerifierList(v))
	if err != nil {
		t.Fatal(err)
	}
	cp, err := proof.ParseCheckpoint(n.Text)
	if err != nil {
		t.Fatal(err)
	}
	client := tlog.TileHashReader(tlog.Tree{N: cp.Size, Hash: tlog.Hash(cp.Root)}, tileClient{t, reader})
	for _, index := range []int64{0, 255, 256, 299} {
		p, err := tlog.ProveRecord(cp.Size, index, client)
		if err != nil {
			t.Fatalf("prove %d: %v", index, err)
		}
		var hash []byte
		if err := b.admin.QueryRow(t.Context(), `SELECT hash FROM log_leaf WHERE index = $1`, index).Scan(&hash); err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckRecord(p, cp.Size, tlog.Hash(cp.Root), index, tlog.Hash(hash)); err != nil {
			t.Errorf("record %d: %v", index, err)
		}
	}
	for _, old := range []int64{1, 256, 299} {
		p, err := tlog.ProveTree(cp.Size, old, client)
		if err != nil {
			t.Fatal(err)
		}
		root, err := tilesOf(t.Context(), b.auditor, 1).Root(old)
		if err != nil {
			t.Fatal(err)
		}
		if err := tlog.CheckTree(p, cp.Size, tlog.Hash(cp.Root), old, tlog.Hash(root)); err != nil {
			t.Errorf("tree %d: %v", old, err)
		}
	}
	for _, c := range []struct {
		level int
		n     int64
		width int
	}{{0, 0, 257}, {0, 1, 45}, {0, 2, 1}, {1, 0, 2}, {-1, 0, 1}, {0, -1, 1}, {9, 0, 1}, {0, math.MaxInt64, 1}, {0, 0, 0}} {
		if _, err := reader.Tile(t.Context(), c.level, c.n, c.width); !errors.Is(err, ErrNoTile) {
			t.Errorf("tile %+v: %v", c, err)
		}
	}
}

// tileClient is a tile reader as a client of the log has one.
type tileClient struct {
	t      *testing.T
	reader *Reader
}

func (c tileClient) Height() int                     { return proof.TileHeight }
func (c tileClient) SaveTiles([]tlog.Tile, [][]byte) {}
func (c tileClient) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(list))
	for i, tile := range list {
		data, err := c.reader.Tile(c.t.Context(), tile.L, tile.N, tile.W)
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

func TestEdgeAgreesWithTlog(t *testing.T) {
	t.Parallel()
	var e edge
	stored := map[[2]int64][]byte{}
	var all []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, x := range indexes {
			out[i] = all[x]
		}
		return out, nil
	})
	count := int64(0)
	for _, n := range []int{1, 1, 2, 250, 1, 1, 255, 256, 257, 1000, 65000, 1200} {
		leaves := make([]proof.Digest, n)
		for i := range leaves {
			leaves[i] = proof.Leaf([]byte{byte(count), byte(count >> 8), byte(count >> 16)})
			h, err := tlog.StoredHashesForRecordHash(count, tlog.Hash(leaves[i]), reader)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, h...)
			count++
		}
		for _, tile := range e.append(leaves) {
			stored[[2]int64{int64(tile.level), tile.n}] = bytes.Clone(tile.hashes)
		}
		want, err := tlog.TreeHash(count, reader)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.root(); got != proof.Digest(want) || e.size != count {
			t.Fatalf("root of %d leaves differs", count)
		}
		tiles := proof.Tiles(func(level int, n int64, width int) ([]byte, error) { return stored[[2]int64{int64(level), n}], nil })
		if got, err := tiles.Root(count); err != nil || got != proof.Digest(want) {
			t.Fatalf("tiles of %d leaves: %v", count, err)
		}
	}
}

// Appending as another's role must not be possible for the app.
func TestTheAppCannotTouchTheTree(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, sql := range []string{
		`INSERT INTO kith.log_leaf (number, index, event, retention, occurred_at, xid, hash) VALUES (1, 0, gen_random_uuid(), 'log', now(), '1', '')`,
		`UPDATE kith.log_head SET size = 0`, `SELECT * FROM kith.log_leaf`, `DELETE FROM kith.log_tile`,
	} {
		if _, err := b.app.Exec(t.Context(), sql); err == nil {
			t.Errorf("the app may: %s", sql)
		}
	}
	for _, sql := range []string{`DELETE FROM kith.log_leaf`, `UPDATE kith.log_leaf SET index = 1`, `DELETE FROM kith.access_event`, `SELECT common FROM kith.access_event`} {
		if _, err := b.sequencer.Exec(t.Context(), sql); err == nil {
			t.Errorf("the sequencer may: %s", sql)
		}
	}
}
