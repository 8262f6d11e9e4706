package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// behindMost is how long a replica may know that it cannot decide by the active
// version, or fail to ask which one that is, before it stops.
const behindMost = 5 * time.Second

// askLimit bounds one question after the active version.
const askLimit = 3 * time.Second

// HeadChannel is where the schema tells of an activation.
const HeadChannel = "kith_policy"

// ErrBehind: this replica cannot decide by the version that is active.
var ErrBehind = errors.New("this replica is behind the active policy version")

// Follower keeps one replica at the active version: it compiles a new one
// before the first read asks for it, and knows when it cannot. A read decides
// by the version that stood beside its facts and asserts it when it is logged,
// so being late never lets an old version answer; what follows from being late
// is that reads wait, and then stop.
//
// A version that is active and broken (somebody changed it behind the hub's
// back) is not decided by: the last good one stays, and Check and Status say so.
type Follower struct {
	versions    *Versions
	db          Querier // role kith_app
	partnership string
	now         func() time.Time
	alarm       func(context.Context, Digest, error)

	mu      sync.RWMutex
	good    *Active   // the last active version that could be decided by
	head    Digest    // the active version, as it was seen last
	late    time.Time // since when good is not head, or nobody could be asked; zero: it is in time
	cause   error     // why
	broken  Digest    // the head, where nobody can decide by it
	told    uint64    // notifications heard
	changes uint64    // versions that became active
}

// NewFollower follows the active version of a partnership. alarm is called once
// for each version that is found broken.
func NewFollower(versions *Versions, db Querier, partnership string, now func() time.Time, alarm func(context.Context, Digest, error)) *Follower {
	return &Follower{versions: versions, db: db, partnership: partnership, now: now, alarm: alarm}
}

// Active gives the active version as it is now, or the last good one where that
// is broken. Errors: ErrNoActive, ErrBroken where there never was a good one.
func (f *Follower) Active(ctx context.Context) (*Active, error) {
	digest, err := Head(ctx, f.db, f.partnership)
	if err != nil {
		return nil, err
	}
	return f.follow(ctx, digest)
}

// At gives the version of a digest. In place of an active version that is
// broken it gives the last good one; the event names the one that decided.
func (f *Follower) At(ctx context.Context, digest Digest) (*Active, error) {
	if good := f.inPlaceOf(digest); good != nil {
		return good, nil
	}
	active, err := f.versions.At(ctx, digest)
	if !errors.Is(err, ErrBroken) {
		return active, err
	}
	// Only what is active is stood in for: an old answer is explained by its own
	// version or not at all.
	if head, err := Head(ctx, f.db, f.partnership); err != nil || head != digest {
		return nil, errors.Join(fmt.Errorf("policy version %s: %w", digest, ErrBroken), err)
	}
	return f.follow(ctx, digest)
}

func (f *Follower) inPlaceOf(digest Digest) *Active {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if digest == f.broken && !digest.IsZero() {
		return f.good
	}
	return nil
}

// follow makes ready what was seen to be active.
func (f *Follower) follow(ctx context.Context, digest Digest) (*Active, error) {
	f.mu.Lock()
	if digest != f.head {
		f.head, f.late = digest, f.now()
		f.changes++
	}
	f.mu.Unlock()
	active, err := f.versions.At(ctx, digest)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case err == nil:
		if f.head == digest {
			f.good, f.late, f.cause, f.broken = active, time.Time{}, nil, Digest{}
		}
		return active, nil
	case !errors.Is(err, ErrBroken):
		return nil, err
	}
	f.cause = err
	if f.broken != digest {
		f.broken = digest
		if f.alarm != nil {
			go f.alarm(context.WithoutCancel(ctx), digest, err) // it may write: not under the lock
		}
	}
	if f.good == nil {
		return nil, err
	}
	return f.good, nil
}

// Run asks for the active version at every tick and whenever one is heard of,
// until ctx ends.
func (f *Follower) Run(ctx context.Context, tick <-chan time.Time, heard <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-heard:
			f.mu.Lock()
			f.told++
			f.mu.Unlock()
		}
		f.ask(ctx)
	}
}

// ask is one question, with what it failed by kept.
func (f *Follower) ask(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	_, err := f.Active(ctx)
	if err == nil || errors.Is(err, ErrBroken) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late.IsZero() {
		f.late = f.now()
	}
	f.cause = err
}

// Check asks now whether this replica decides by the active version. Error:
// what stands in the way, for the operator.
func (f *Follower) Check(ctx context.Context) error {
	f.ask(ctx)
	s := f.Status()
	if !s.Broken.IsZero() {
		return fmt.Errorf("the active policy version %s is broken; deciding by the last good one, %s: %w", s.Broken, s.Good, s.Cause)
	}
	return f.Gate()
}

// Gate stops the reads of a replica that has been behind for too long. Error:
// ErrBehind.
func (f *Follower) Gate() error {
	s := f.Status()
	if s.Behind > behindMost && s.Broken.IsZero() {
		return fmt.Errorf("%w, by %s: %w", ErrBehind, s.Behind.Round(time.Second), errors.Join(s.Cause))
	}
	return nil
}

// FollowerStatus is what the metrics show.
type FollowerStatus struct {
	Good, Head, Broken Digest
	Behind             time.Duration // since when good is not head, or nobody could be asked
	Cause              error
	Told, Changes      uint64
}

// Status tells where this replica is.
func (f *Follower) Status() FollowerStatus {
	f.mu.RLock()
	defer f.mu.RUnlock()
	s := FollowerStatus{Head: f.head, Broken: f.broken, Cause: f.cause, Told: f.told, Changes: f.changes}
	if f.good != nil {
		s.Good = f.good.Digest()
	}
	if !f.late.IsZero() {
		s.Behind = f.now().Sub(f.late)
	}
	return s
}

// Listen hears of activations on a connection of its own and signals each on
// heard, until ctx ends. A connection that breaks is made again; whatever was
// missed meanwhile is found out by asking.
func Listen(ctx context.Context, dsn string, heard chan<- struct{}) {
	for ctx.Err() == nil {
		if err := listen(ctx, dsn, heard); err == nil || ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func listen(ctx context.Context, dsn string, heard chan<- struct{}) error {
	conn, err := postgres.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "LISTEN "+pgx.Identifier{HeadChannel}.Sanitize()); err != nil {
		return fmt.Errorf("listen for activations: %w", postgres.Redact(err))
	}
	for first := true; ; first = false {
		if !first {
			if _, err := conn.WaitForNotification(ctx); err != nil {
				return fmt.Errorf("listen for activations: %w", err)
			}
		}
		select { // once listening, too: what came before was not heard
		case heard <- struct{}{}:
		default:
		}
	}
}
