package tree

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

func TestTheGateIsShutUntilSomebodyLooked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	if err := tree.Gate().Check(); !errors.Is(err, ErrStopped) {
		t.Errorf("an unchecked log: %v", err)
	}
	if err := (*Gate)(nil).Check(); !errors.Is(err, ErrStopped) {
		t.Errorf("no gate at all: %v", err)
	}
	s := &sequencer{tree: tree}
	defer s.resign()
	b.append(t, 1)
	if err := s.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := b.count(t, `SELECT count(*) FROM log_leaf`); n != 0 {
		t.Errorf("%d leaves in a log that nobody has compared", n)
	}
	if err := tree.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, tree)
}

// dump and restore turn the log's tables back to what they were.
func (b *bench) dump(t *testing.T) {
	t.Helper()
	for _, table := range []string{"access_event", "log_head", "log_tile", "log_checkpoint", "log_leaf"} {
		b.exec(t, `CREATE TABLE yesterday_`+table+` AS TABLE `+table)
	}
}

func (b *bench) restore(t *testing.T) {
	t.Helper()
	b.exec(t, `SET session_replication_role = replica; TRUNCATE log_leaf, log_tile, log_checkpoint, log_head CASCADE; DELETE FROM access_event;
		INSERT INTO log_head SELECT * FROM yesterday_log_head; INSERT INTO log_tile SELECT * FROM yesterday_log_tile;
		INSERT INTO log_checkpoint SELECT * FROM yesterday_log_checkpoint; INSERT INTO log_leaf SELECT * FROM yesterday_log_leaf;
		INSERT INTO access_event SELECT * FROM yesterday_access_event; SET session_replication_role = DEFAULT`)
}

func TestADatabaseOfYesterdayStopsTheReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	s := lead(t, tree)
	b.append(t, 5)
	round(t, s)
	b.dump(t)
	b.append(t, 5)
	round(t, s)
	b.restore(t)
	b.append(t, 1)
	_ = s.round(t.Context()) // it finds that it is fenced, or that the head is older
	if err := tree.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, tree, ReasonRolledBack)
	if err := tree.Gate().Check(); err == nil || !strings.Contains(err.Error(), "the log had 10 entries, the database has 5: it was rolled back") {
		t.Errorf("message: %v", err)
	}
	if n := b.count(t, `SELECT count(*) FROM alert WHERE kind = 'log-rolled-back'`); n != 1 {
		t.Errorf("%d alarms", n)
	}
	round(t, s)
	if h := b.head(t); h.Size != 5 {
		t.Errorf("the log went on from %d", h.Size)
	}

	// The same after a restart, with the file as the only memory.
	again := b.tree(t, func(c *Config) { c.File = tree.File })
	if err := again.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, again, ReasonRolledBack)

	// A replica without a file trusts what it finds, and says so.
	fresh := b.tree(t)
	if err := fresh.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, fresh)
	if n := b.count(t, `SELECT count(*) FROM alert WHERE kind = 'checkpoint-file-missing'`); n != 1 {
		t.Errorf("%d alarms about the missing file", n)
	}
}

func TestAnEmptyDatabaseIsNotANewLog(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	s := lead(t, tree)
	b.append(t, 2)
	round(t, s)
	s.resign()
	b.exec(t, `TRUNCATE log_leaf, log_tile, log_checkpoint, log_head CASCADE`)
	round(t, s)
	stopped(t, tree, ReasonRolledBack)
	if n := b.count(t, `SELECT count(*) FROM log_head`); n != 0 {
		t.Error("a new log was begun over the old one")
	}
}

func TestARewrittenTreeStopsTheReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	s := lead(t, tree)
	b.append(t, 300)
	round(t, s)
	s.resign()
	b.exec(t, `UPDATE log_tile SET hashes = overlay(hashes PLACING decode(repeat('00', 32), 'hex') FROM 1) WHERE level = 0 AND n = 1`)
	if err := tree.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, tree, ReasonBroken)
	round(t, s) // it does not go on, and does not fail
	// A rewrite that is whole in itself contradicts the file.
	var e edge
	tiles := e.append([]proof.Digest{proof.Leaf([]byte("another")), proof.Leaf([]byte("history"))})
	root := e.root()
	b.exec(t, `TRUNCATE log_tile`)
	b.exec(t, `INSERT INTO log_tile VALUES (1, 0, 0, $1)`, tiles[0].hashes)
	b.exec(t, `UPDATE log_head SET size = 2, root = $1`, root[:])
	if err := tree.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, tree, ReasonRolledBack)
}

func TestLagAlarmsAndStops(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	if err := tree.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := lead(t, tree)
	s.resign() // the sequencer is gone, the replica watches on
	receipts := b.append(t, 1)
	for _, c := range []struct {
		pass       time.Duration
		late, stop bool
	}{{9 * time.Minute, false, false}, {2 * time.Minute, true, false}, {48 * time.Minute, true, false}, {2 * time.Minute, true, true}} {
		b.clock.pass(c.pass)
		if err := tree.watch(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := tree.Status()
		if got.Late != c.late || got.Stopped != c.stop || (tree.Gate().Check() != nil) != c.stop {
			t.Errorf("after %s: late %v, stopped %v (%v)", got.Lag, got.Late, got.Stopped, tree.Gate().Reasons())
		}
	}
	round(t, s)
	b.provable(t, tree, receipts...)
	open(t, tree)
}

func (b *bench) officer(t *testing.T, worker uuid.UUID, last proof.Checkpoint) {
	t.Helper()
	e := event()
	e.Principal.Worker, e.Reason = worker, "restored from the backup of Tuesday"
	if _, err := (Officer{Pool: b.app, Recorder: b.recorder}).Ask(t.Context(), e, last); err != nil {
		t.Fatal(err)
	}
}

func TestTwoOfficersResume(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	follower := b.tree(t)
	s := lead(t, tree)
	b.append(t, 5)
	round(t, s)
	if err := follower.Check(t.Context()); err != nil { // its file knows 5
		t.Fatal(err)
	}
	b.dump(t)
	b.append(t, 5)
	round(t, s)
	if err := follower.watch(t.Context()); err != nil { // its file knows 10
		t.Fatal(err)
	}
	b.restore(t)
	s.resign()
	round(t, s)
	stopped(t, tree, ReasonRolledBack)

	last, err := tree.LastKnown()
	if err != nil || last.Size != 10 {
		t.Fatalf("last known head: %+v, %v", last, err)
	}
	one, two := uuid.New(), uuid.New()
	b.officer(t, one, last)
	b.officer(t, one, last) // twice the same is one
	round(t, s)
	stopped(t, tree, ReasonRolledBack)
	wrong := last
	wrong.Size = 7
	b.officer(t, two, wrong) // another head is not the same word
	round(t, s)
	stopped(t, tree, ReasonRolledBack)
	// A row that nobody's receipt stands behind does not count.
	b.exec(t, `INSERT INTO log_resumption (event, worker, reason, origin, size, root) VALUES (gen_random_uuid(), gen_random_uuid(), 'made by hand', $1, $2, $3)`,
		last.Origin, last.Size, last.Root[:])
	round(t, s)
	stopped(t, tree, ReasonRolledBack)
	// An hour later the first word no longer stands.
	b.clock.pass(2 * time.Hour)
	b.officer(t, two, last)
	round(t, s)
	stopped(t, tree, ReasonRolledBack)
	b.clock.pass(-2 * time.Hour)

	round(t, s)
	open(t, tree)
	receipts := b.append(t, 3)
	round(t, s)
	b.provable(t, tree, receipts...)
	h := b.head(t)
	if h.Origin != origin+"/2" || h.Number != 2 {
		t.Errorf("the new log is %d %q", h.Number, h.Origin)
	}
	log, err := audit.NewLog(b.auditor, "borough", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	var first uuid.UUID
	if err := b.admin.QueryRow(t.Context(), `SELECT event FROM log_leaf WHERE number = 2 AND index = 0`).Scan(&first); err != nil {
		t.Fatal(err)
	}
	rec, err := log.Get(t.Context(), audit.AuditorScope(), first)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Details["last_size"] != "10" || rec.Details["restored_size"] != "5" || rec.Details["gap"] != "5" || rec.Details["last_root"] != last.Root.String() {
		t.Errorf("the first leaf says %v", rec.Details)
	}
	// The other replica accepts the new log for the officers' sake.
	if err := follower.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, follower)
}

// witness is a partner's, over HTTP, with a fault to order.
type witness struct {
	*httptest.Server
	book  *proof.Witness
	anew  func() (*proof.Witness, error) // a book that remembers nothing
	fault atomic.Int32                   // 0 none, 1 status 500, 2 slow, 3 lies about the size, 4 signs with another key, 5 refuses with 422, 6 says 409 for another root
}

func newWitness(t *testing.T, b *bench, name string) *witness {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	public, _ := b.key.Public().(ed25519.PublicKey)
	log, err := proof.NewLogKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(string, []byte) error { return nil }
	w := &witness{anew: func() (*proof.Witness, error) {
		return proof.NewWitness(name, key, []proof.NoteKey{log}, time.Now, nothing)
	}}
	if w.book, err = w.anew(); err != nil {
		t.Fatal(err)
	}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a := w.book.Add(body)
		switch w.fault.Load() {
		case 1:
			a = proof.Answer{Status: 500}
		case 2:
			time.Sleep(400 * time.Millisecond)
		case 3:
			a = proof.Answer{Status: 409, Type: "text/x.tlog.size", Body: "1000000\n"}
		case 4:
			if req, err := proof.ParseAddCheckpoint(body); err == nil {
				text, _, _ := strings.Cut(string(req.Checkpoint), "\n\n")
				line, _ := proof.Cosign(text+"\n", w.book.Key(), foreign, time.Now())
				a.Body = string(line)
			}
		case 5:
			a = proof.Answer{Status: 422, Body: "no\n"}
		case 6:
			a = proof.Answer{Status: 409, Body: "another root was cosigned for this size\n"}
		}
		rw.Header().Set("Content-Type", a.Type)
		rw.WriteHeader(a.Status)
		_, _ = io.WriteString(rw, a.Body)
	}))
	t.Cleanup(w.Close)
	return w
}

func (w *witness) config() Witness { return Witness{URL: w.URL, Key: w.book.Key().String()} }

func cosigners(t *testing.T, b *bench, tree *Tree, names ...*witness) []string {
	t.Helper()
	tree.background.Wait()
	signed, err := NewReader(b.auditor).Checkpoint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	keys := []proof.NoteKey{tree.Key(origin)}
	for _, w := range names {
		keys = append(keys, w.book.Key())
	}
	cp, err := proof.OpenCheckpoint(signed, keys)
	if err != nil {
		t.Fatal(err)
	}
	return cp.Witnesses
}

func TestWitnesses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := newWitness(t, b, "witness.police.example"), newWitness(t, b, "witness.trust.example")
	tree := b.tree(t, func(c *Config) {
		c.Witnesses, c.Quorum, c.StopWithoutQuorum = []Witness{one.config(), two.config()}, 2, true
		c.Client = &http.Client{Timeout: 200 * time.Millisecond}
	})
	s := lead(t, tree)
	next := func() []string {
		b.append(t, 3)
		round(t, s)
		return cosigners(t, b, tree, one, two)
	}
	if got := next(); len(got) != 2 {
		t.Fatalf("cosigned by %v", got)
	}
	for fault := int32(1); fault <= 6; fault++ {
		two.fault.Store(fault)
		if got := next(); len(got) != 1 || got[0] != "witness.police.example" {
			t.Errorf("fault %d: cosigned by %v", fault, got)
		}
		open(t, tree) // a moment without a quorum is not a stop
		two.fault.Store(0)
		if got := next(); len(got) != 2 {
			t.Errorf("after fault %d: cosigned by %v", fault, got)
		}
	}
	if n := b.count(t, `SELECT count(*) FROM alert WHERE kind = 'witness-disagrees'`); n != 3 {
		t.Errorf("%d alarms for a liar and two refusals", n)
	}

	two.fault.Store(1)
	b.clock.pass(11 * time.Minute)
	next()
	if err := tree.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, tree, ReasonQuorum)
	if tree.Status().Quorum {
		t.Error("the metric says that there is a quorum")
	}
	two.fault.Store(0)
	next()
	if err := tree.watch(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, tree)
}

// Database and file are both of yesterday: only the witnesses remember.
func TestWitnessesRememberWhatTheHubForgot(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := newWitness(t, b, "one.example"), newWitness(t, b, "two.example")
	tree := b.tree(t, func(c *Config) { c.Witnesses, c.Quorum = []Witness{one.config(), two.config()}, 1 })
	s := lead(t, tree)
	b.append(t, 5)
	round(t, s)
	tree.background.Wait()
	b.dump(t)
	yesterday, err := os.ReadFile(tree.File)
	if err != nil {
		t.Fatal(err)
	}
	b.append(t, 5)
	round(t, s)
	tree.background.Wait()
	s.resign()
	b.restore(t)
	if err := os.WriteFile(tree.File, yesterday, 0o600); err != nil {
		t.Fatal(err)
	}
	again := b.tree(t, func(c *Config) {
		c.Witnesses, c.Quorum, c.File = []Witness{one.config(), two.config()}, 1, filepath.Clean(tree.File)
	})
	if err := again.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	stopped(t, again, ReasonRolledBack)
}

// A key is announced under the one before, and then stands alone.
func TestKeysRollOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	_, next, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old := b.tree(t)
	s := lead(t, old)
	b.append(t, 2)
	round(t, s)
	s.resign()
	verifies := func(k ed25519.PrivateKey) bool {
		public, _ := k.Public().(ed25519.PublicKey)
		signed, err := NewReader(b.auditor).Checkpoint(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = proof.OpenCheckpoint(signed, []proof.NoteKey{{Name: origin, Public: public}})
		return err == nil
	}
	for _, c := range []struct {
		name      string
		key, next ed25519.PrivateKey
		old, new  bool
	}{{"both", b.key, next, true, true}, {"the new one alone", next, nil, false, true}} {
		tree := b.tree(t, func(x *Config) { x.LogKey, x.NextKey, x.File = c.key, c.next, old.File })
		s := &sequencer{tree: tree}
		for start := time.Now(); !tree.Status().Leading && time.Since(start) < 5*time.Second; {
			round(t, s)
		}
		b.append(t, 1)
		round(t, s)
		s.resign()
		open(t, tree)
		if verifies(b.key) != c.old || verifies(next) != c.new {
			t.Errorf("%s: by the old key %v, by the new %v", c.name, verifies(b.key), verifies(next))
		}
	}
	// Straight to a key that nobody announced: the file is not a memory of it.
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	tree := b.tree(t, func(x *Config) { x.LogKey, x.File = foreign, old.File })
	if err := tree.Check(t.Context()); !errors.Is(err, proof.ErrUnsigned) {
		t.Errorf("an unannounced key: %v", err)
	}
}

// An operator's mistake must not be taken for a memory.
func TestAForeignFileIsNoMemory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	tree := b.tree(t)
	_, foreign, _ := ed25519.GenerateKey(rand.Reader)
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: origin, Size: 3}, foreign)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(tree.File, bytes.Clone(signed), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := tree.Check(t.Context()); !errors.Is(err, proof.ErrUnsigned) {
		t.Errorf("check: %v", err)
	}
	stopped(t, tree, ReasonRolledBack)
}
