package disclosure

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/identity"
)

// LookLimits says how much one caller looks up within an hour at each replica
// before whatever is more is held back, and an alarm is raised. Nobody is
// refused: a busy night in the MASH is not a theft. The zero value of a field
// means its default; a negative number is no limit.
type LookLimits struct {
	FamiliesPerHour int           // asked for; default 60
	SearchesPerHour int           // of different terms; default 120
	FoundPerHour    int           // families that the answers of searches name; default 400
	SlowDown        time.Duration // by how much each further one is held back; default 2 s
}

func (l LookLimits) withDefaults() LookLimits {
	for limit, standard := range map[*int]int{&l.FamiliesPerHour: 60, &l.SearchesPerHour: 120, &l.FoundPerHour: 400} {
		if *limit == 0 {
			*limit = standard
		}
	}
	if l.SlowDown == 0 {
		l.SlowDown = 2 * time.Second
	}
	return l
}

// Looks counts what each caller looks up, through whichever face. The counts
// live in memory: a restart forgets them, and a caller who spreads over replicas
// has the limit of each. What counts for the log is in the log. It is safe for
// concurrent use; a nil Looks counts nothing.
type Looks struct {
	limits   LookLimits
	recorder *audit.Recorder
	now      func() time.Time

	mu      sync.Mutex
	callers map[string]*looking
	swept   time.Time
}

// NewLooks makes one that has counted nothing.
func NewLooks(limits LookLimits, recorder *audit.Recorder, now func() time.Time) *Looks {
	return &Looks{limits: limits.withDefaults(), recorder: recorder, now: now, callers: map[string]*looking{}}
}

// What is counted; the code stands in the event of the alarm.
const (
	lookFamilies = "families"
	lookSearches = "searches"
	lookFound    = "families-found"
)

// looking is what one caller looked up, by what is counted.
type looking struct {
	seen    map[string]map[uuid.UUID]time.Time
	alarmed map[string]time.Time
}

const (
	lookWindow = time.Hour
	mostLook   = 100_000 // callers remembered before those are swept who look no more
)

// family notes that a caller asks for a family, whether there is such a family
// or not, and holds back whoever asks for one after the other.
func (l *Looks) family(ctx context.Context, p identity.Principal, request string, id uuid.UUID) error {
	if l == nil {
		return nil
	}
	return l.holdBack(ctx, p, request, lookFamilies, l.limits.FamiliesPerHour, id)
}

// search notes a search before it is made, whether it finds anybody or not. The
// same terms again are one search. They are kept as a digest.
func (l *Looks) search(ctx context.Context, p identity.Principal, req SearchRequest) error {
	if l == nil {
		return nil
	}
	terms, err := json.Marshal(req.Terms.Given())
	if err != nil {
		return fmt.Errorf("count search: %w", err)
	}
	digest := sha256.Sum256(terms)
	return l.holdBack(ctx, p, req.RequestID, lookSearches, l.limits.SearchesPerHour, uuid.UUID(digest[:16]))
}

// found notes the families that an answer names, before it is given.
func (l *Looks) found(ctx context.Context, p identity.Principal, request string, people []PersonFound) error {
	if l == nil {
		return nil
	}
	var ids []uuid.UUID
	for _, person := range people {
		for _, f := range person.Families {
			ids = append(ids, f.ID)
		}
	}
	return l.holdBack(ctx, p, request, lookFound, l.limits.FoundPerHour, ids...)
}

// count says whether one of these is one too many this hour, and whether to
// raise the alarm: once an hour for each thing that is counted.
func (l *Looks) count(p identity.Principal, what string, perHour int, ids []uuid.UUID, now time.Time) (slow, alarm bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.caller(p, now)
	if c.seen[what] == nil {
		c.seen[what] = map[uuid.UUID]time.Time{}
	}
	seen := c.seen[what]
	for _, id := range ids {
		_, again := seen[id]
		if !again && len(seen) < 16*perHour { // whoever goes on is slow enough, and need not fill the memory
			seen[id] = now
		}
		slow = slow || !again && len(seen) > perHour
	}
	if alarm = slow && now.Sub(c.alarmed[what]) >= lookWindow; alarm {
		c.alarmed[what] = now
	}
	return slow, alarm
}

func (l *Looks) caller(p identity.Principal, now time.Time) *looking {
	if now.Sub(l.swept) > time.Minute || len(l.callers) >= mostLook {
		for key, c := range l.callers {
			if c.forget(now); len(c.seen) == 0 {
				delete(l.callers, key)
			}
		}
		l.swept = now
	}
	key := p.Worker.String()
	if p.Worker == uuid.Nil {
		key = p.Issuer + "\x00" + p.Client
	}
	c := l.callers[key]
	if c == nil {
		c = &looking{seen: map[string]map[uuid.UUID]time.Time{}, alarmed: map[string]time.Time{}}
		l.callers[key] = c
	}
	c.forget(now)
	return c
}

func (c *looking) forget(now time.Time) {
	for what, seen := range c.seen {
		for id, at := range seen {
			if now.Sub(at) > lookWindow {
				delete(seen, id)
			}
		}
		if len(seen) == 0 {
			delete(c.seen, what)
		}
	}
}

func (l *Looks) holdBack(ctx context.Context, p identity.Principal, request, what string, perHour int, ids ...uuid.UUID) error {
	if perHour < 0 {
		return nil
	}
	slow, alarm := l.count(p, what, perHour, ids, l.now())
	if !slow {
		return nil
	}
	if alarm {
		e := eventOf(p, audit.KindForbidden, request, "held-back", "")
		e.Refusal, e.Details[what] = "bulk-look-up", strconv.Itoa(perHour)
		receipt, err := l.recorder.Append(ctx, e)
		if err != nil {
			return fmt.Errorf("log bulk look-up: %w", err)
		}
		if err := l.recorder.Raise(ctx, "bulk-look-up", receipt.Event()); err != nil {
			return fmt.Errorf("alarm of bulk look-up: %w", err)
		}
	}
	t := time.NewTimer(l.limits.SlowDown)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("held back: %w", ctx.Err())
	}
}
