package tree

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// Errors of the tree.
var (
	// ErrNoTile: there is no such tile, or it is not that wide.
	ErrNoTile = errors.New("no such tile")
	// ErrNoLeaf: the event has no leaf under a published checkpoint yet, or is unknown.
	ErrNoLeaf = errors.New("the event has no leaf yet")
	// ErrNoCheckpoint: nothing was published yet.
	ErrNoCheckpoint = errors.New("the log has no checkpoint yet")
	// ErrFenced: another sequencer has moved the head.
	ErrFenced = errors.New("another sequencer has moved the log's head")
)

// Config is what a tree is made of.
type Config struct {
	Pool        *pgxpool.Pool // role kith_sequencer
	Partnership string
	Origin      string             // of the first log; a resumed one adds "/2", "/3", …
	LogKey      ed25519.PrivateKey // of the log; not in the database
	// NextKey is the key that takes over: while it is set both keys sign every
	// checkpoint, so that the new one is announced under the old, and who has
	// only the one or only the other verifies. Then it becomes LogKey.
	NextKey ed25519.PrivateKey
	// Replicas gives the keys that may have signed receipts.
	Replicas func() proof.Keys
	// File is where the newest checkpoint is kept outside the database. It is
	// this replica's own memory of how far the log was.
	File string
	// Recorder appends the first event of a resumed log.
	Recorder *audit.Recorder

	Witnesses         []Witness
	Quorum            int           // cosignatures that a checkpoint should have; default 0
	StopWithoutQuorum bool          // else a missing quorum is an alarm alone
	QuorumWait        time.Duration // how long a quorum may be missing; default 10 min

	AlarmLag   time.Duration // default 10 min
	StopLag    time.Duration // default 60 min
	CheckEvery time.Duration // comparison with file and witnesses; default 1 h
	Pace       time.Duration // from one round to the next while there is no work; default 1 s
	Batch      int           // leaves in one transaction; default 4096

	Now    func() time.Time
	Random io.Reader
	Client *http.Client // for the witnesses; default one with a limit of 5 s
	Log    *slog.Logger
}

// Tree is one replica's share in the log's tree.
type Tree struct {
	Config
	gate   *Gate
	public proof.NoteKey // of the first origin

	mu        sync.Mutex
	seen      proof.Checkpoint // newest that this replica has found good
	found     proof.Checkpoint // head of the database that the witnesses say is too old, where there is no file
	longest   int64            // entries that the quorum of witnesses then named
	quorumAt  time.Time        // when a quorum was last had
	witnessed map[string]int64 // size that each witness has cosigned last
	answered  map[string]Answered

	asking     atomic.Bool // a question to the witnesses is under way
	alarmed    atomic.Bool // the log was found wrong, and somebody was told
	background sync.WaitGroup

	leading atomic.Bool
	lag     atomic.Int64
	leaves  atomic.Int64
	forged  atomic.Int64
}

// New refuses an incomplete configuration. The gate is shut until Check has
// found the log good.
func New(c Config) (*Tree, error) {
	if c.Pool == nil || c.Partnership == "" || c.Replicas == nil || c.File == "" || c.Now == nil || c.Random == nil {
		return nil, errors.New("tree: pool, partnership, replicas' keys, file, clock and randomness must be given")
	}
	if len(c.LogKey) != ed25519.PrivateKeySize {
		return nil, errors.New("tree: no log key")
	}
	public, _ := c.LogKey.Public().(ed25519.PublicKey)
	key, err := proof.NewLogKey(c.Origin, public)
	if err != nil {
		return nil, fmt.Errorf("tree: origin: %w", err)
	}
	if n := len(c.NextKey); n != 0 && n != ed25519.PrivateKeySize {
		return nil, errors.New("tree: the next log key is not one")
	}
	for _, w := range c.Witnesses {
		if _, err := w.key(); err != nil {
			return nil, fmt.Errorf("tree: witness %q: %w", w.URL, err)
		}
	}
	if c.Quorum < 0 || c.Quorum > len(c.Witnesses) {
		return nil, fmt.Errorf("tree: a quorum of %d of %d witnesses", c.Quorum, len(c.Witnesses))
	}
	c.AlarmLag = orElse(c.AlarmLag, 10*time.Minute)
	c.StopLag = orElse(c.StopLag, time.Hour)
	c.CheckEvery = orElse(c.CheckEvery, time.Hour)
	c.Pace = orElse(c.Pace, time.Second)
	c.QuorumWait = orElse(c.QuorumWait, 10*time.Minute)
	if c.Batch <= 0 {
		c.Batch = 4096
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Tree{Config: c, gate: newGate(), public: key, witnessed: map[string]int64{}, answered: map[string]Answered{}, quorumAt: c.Now()}, nil
}

func orElse(d, other time.Duration) time.Duration {
	if d <= 0 {
		return other
	}
	return d
}

// Gate says whether the log is good enough for reads.
func (t *Tree) Gate() *Gate { return t.gate }

// Key is the log's public key under its present origin.
func (t *Tree) Key(origin string) proof.NoteKey {
	k := t.public
	k.Name = origin
	return k
}

// LogKeys are the keys that sign this log's checkpoints at present: two while
// one takes over from the other.
func (t *Tree) LogKeys(origin string) []proof.NoteKey {
	list := []proof.NoteKey{t.Key(origin)}
	if len(t.NextKey) > 0 {
		public, _ := t.NextKey.Public().(ed25519.PublicKey)
		list = append(list, proof.NoteKey{Name: origin, Public: public})
	}
	return list
}

func (t *Tree) sign(cp proof.Checkpoint) ([]byte, error) {
	if len(t.NextKey) > 0 {
		return proof.SignCheckpoint(cp, t.LogKey, t.NextKey)
	}
	return proof.SignCheckpoint(cp, t.LogKey)
}

// Status is what the metrics show.
type Status struct {
	Leading bool
	Lag     time.Duration // age of the oldest committed event without a leaf
	Leaves  int64         // given by this replica
	Forged  int64         // of them without a good receipt
	Size    int64         // of the newest checkpoint seen
	Stopped bool
	Late    bool // lag over the alarm's limit
	Quorum  bool // a quorum of witnesses was had lately
}

// Status tells how the log is.
func (t *Tree) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	lag := time.Duration(t.lag.Load())
	return Status{
		Leading: t.leading.Load(), Lag: lag, Leaves: t.leaves.Load(), Forged: t.forged.Load(), Size: t.seen.Size,
		Stopped: t.gate.Check() != nil, Late: lag > t.AlarmLag,
		Quorum: t.Quorum == 0 || t.Now().Sub(t.quorumAt) <= t.QuorumWait,
	}
}

// Tick is how often Run wants to be woken: at work it gives leaves, and signs
// them, at each tick, so that an event waits for a part of a second; idle, and
// for all else, at the tree's pace.
const Tick = 500 * time.Millisecond

// Run sequences when elected, watches always, until ctx ends. Each tick may be
// one round.
func (t *Tree) Run(ctx context.Context, tick <-chan time.Time) {
	s := &sequencer{tree: t}
	defer t.background.Wait()
	defer s.resign()
	var checked, watched, before time.Time
	var took time.Duration
	pace := t.Pace - Tick/2 // ticks are not exact
	for {
		now := t.Now()
		if checked.IsZero() || now.Sub(checked) >= t.CheckEvery {
			if err := t.Check(ctx); err != nil {
				t.report(ctx, "the log's head could not be compared", err)
			} else {
				checked = now
			}
		}
		// A round that takes long, such as one that looks at all since an open transaction began, must not take up the machine.
		if since := now.Sub(before); since >= pace || s.busy && since >= 8*took {
			before = now
			if err := s.round(ctx); err != nil {
				t.report(ctx, "the log was not sequenced", err)
			}
			took = t.Now().Sub(now)
		}
		if now.Sub(watched) >= pace {
			watched = now
			if err := t.watch(ctx); err != nil {
				t.report(ctx, "the log was not watched", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

func (t *Tree) report(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		t.Log.ErrorContext(ctx, what, "cause", err.Error())
	}
}

const insertAlert = `INSERT INTO kith.alert (id, partnership, kind, event) VALUES ($1, $2, $3, $4)`

// raise inserts an alarm: a code and a reference, never a name.
func (t *Tree) raise(ctx context.Context, q execer, kind string, event *uuid.UUID) error {
	id, err := uuid.NewRandomFromReader(t.Random)
	if err != nil {
		return fmt.Errorf("raise alert: randomness: %w", err)
	}
	if _, err := q.Exec(ctx, insertAlert, id, t.Partnership, kind, event); err != nil {
		return fmt.Errorf("raise alert %s: %w", kind, err)
	}
	return nil
}

// originName is the name of the n-th log of this hub.
func (t *Tree) originName(n int) string {
	if n == 1 {
		return t.Origin
	}
	return t.Origin + "/" + strconv.Itoa(n)
}

// keys verify this hub's own checkpoints, whatever their origin.
func (t *Tree) keys(origin string) []proof.NoteKey {
	list := t.LogKeys(origin)
	for _, w := range t.Witnesses {
		if k, err := w.key(); err == nil {
			list = append(list, k)
		}
	}
	return list
}
