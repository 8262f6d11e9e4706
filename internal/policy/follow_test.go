package policy

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// shelf stands for the database of one partnership: a head, stored versions, and
// whether it answers.
type shelf struct {
	mu     sync.Mutex
	head   Digest
	stored map[Digest][]byte
	down   error
}

func (s *shelf) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *shelf) QueryRow(_ context.Context, sql string, args ...any) pgx.Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return oneValue{err: s.down}
	}
	if strings.Contains(sql, "policy_head") {
		return oneValue{value: s.head[:]}
	}
	of, _ := args[0].([]byte)
	value, ok := s.stored[Digest(of)]
	if !ok {
		return oneValue{err: pgx.ErrNoRows}
	}
	return oneValue{value: value}
}

type oneValue struct {
	value []byte
	err   error
}

func (r oneValue) Scan(into ...any) error {
	if r.err == nil {
		*into[0].(*[]byte) = append([]byte(nil), r.value...)
	}
	return r.err
}

func (s *shelf) put(t *testing.T, b Bundle) Digest {
	t.Helper()
	encoded, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	s.set(func() { s.stored[b.Digest()] = encoded; s.head = b.Digest() })
	return b.Digest()
}

// hands is a clock that is set by hand.
type hands struct {
	mu sync.Mutex
	at time.Time
}

func (c *hands) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *hands) on(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func following(t *testing.T) (*shelf, *hands, *Follower, chan Digest) {
	t.Helper()
	db, clock, alarms := &shelf{stored: map[Digest][]byte{}}, &hands{at: time.Unix(1_800_000_000, 0)}, make(chan Digest, 10)
	f := NewFollower(NewVersions(db, Options{Deadline: testDeadline}, 4), db, "northby", clock.now, func(_ context.Context, d Digest, _ error) { alarms <- d })
	return db, clock, f, alarms
}

// A replica that cannot ask which version is active stops after five seconds,
// and goes on when it can.
func TestAReplicaThatIsBehindStops(t *testing.T) {
	t.Parallel()
	db, clock, f, _ := following(t)
	good := db.put(t, edited(t, nil))
	if err := f.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	clock.on(time.Hour) // nothing is late by having nothing to do
	if err := f.Gate(); err != nil {
		t.Fatal(err)
	}
	db.set(func() { db.down = errors.New("connection refused") })
	if err := f.Check(t.Context()); err != nil {
		t.Errorf("at once: %v", err)
	}
	clock.on(4 * time.Second)
	if err := f.Gate(); err != nil {
		t.Errorf("after 4 s: %v", err)
	}
	clock.on(2 * time.Second)
	if err := f.Gate(); !errors.Is(err, ErrBehind) {
		t.Errorf("after 6 s: %v", err)
	}
	if err := f.Check(t.Context()); !errors.Is(err, ErrBehind) || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("readiness: %v", err)
	}
	db.set(func() { db.down = nil })
	if err := f.Check(t.Context()); err != nil || f.Gate() != nil || f.Status().Good != good {
		t.Errorf("when it can ask again: %v, %v", err, f.Gate())
	}
}

// A version that is active and broken is not decided by: the last good one
// stays, readiness says so, and one alarm is raised.
func TestABrokenVersionLeavesTheLastGoodOne(t *testing.T) {
	t.Parallel()
	db, clock, f, alarms := following(t)
	good := db.put(t, edited(t, nil))
	if _, err := f.Active(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, bytes := range map[string]string{"no archive": "nonsense", "another's content": string(db.stored[good])} {
		bad := Digest{1, byte(len(bytes))}
		db.set(func() { db.stored[bad] = []byte(bytes); db.head = bad })
		for range 2 {
			got, err := f.At(t.Context(), bad)
			if err != nil || got.Digest() != good {
				t.Errorf("%s: decided by %v, %v", name, got, err)
			}
		}
		clock.on(time.Minute)
		if err := f.Check(t.Context()); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), bad.String()) {
			t.Errorf("%s: readiness says %v", name, err)
		}
		if err := f.Gate(); err != nil {
			t.Errorf("%s: the last good one does not stay: %v", name, err)
		}
		if got := <-alarms; got != bad {
			t.Errorf("%s: the alarm is about %s", name, got)
		}
	}
	// An old answer is not explained by a version that did not decide it.
	other := Digest{9}
	db.set(func() { db.stored[other] = []byte("nonsense"); db.head = good })
	if _, err := f.At(t.Context(), other); !errors.Is(err, ErrBroken) {
		t.Errorf("a broken version that is not active: %v", err)
	}
	if err := f.Check(t.Context()); err != nil || f.Status().Broken != (Digest{}) {
		t.Errorf("when it is mended: %v", err)
	}
	if n := len(alarms); n > 0 {
		t.Errorf("%d alarms too many", n)
	}
}

// Whoever is not told finds out by asking, and whoever is told does not wait.
func TestTheFollowerHearsAndAsks(t *testing.T) {
	t.Parallel()
	db, _, f, _ := following(t)
	db.put(t, edited(t, nil))
	tick, heard := make(chan time.Time), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); f.Run(ctx, tick, heard) }()
	heard <- struct{}{}
	next := db.put(t, edited(t, map[string]func(string) string{"README.md": func(s string) string { return s + "more\n" }}))
	tick <- time.Time{}
	tick <- time.Time{} // taken when the first was done with
	if s := f.Status(); s.Good != next || s.Told != 1 || s.Behind != 0 {
		t.Errorf("%+v", s)
	}
	cancel()
	<-ended
}
