package api

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/identity"
)

// pace counts what each caller asks of this replica: requests, and families.
// The counts live in memory: a restart forgets them, and a caller who spreads
// over replicas has the limit of each. What counts for the log is in the log.
type pace struct {
	mu      sync.Mutex
	callers map[string]*callerPace
	swept   time.Time
}

// callerPace is one caller. due is the moment at which the requests made so far
// would be used up at the allowed rate (the generic cell rate algorithm).
type callerPace struct {
	due      time.Time
	told     time.Time // when a refusal was last logged
	families map[uuid.UUID]time.Time
	alarmed  time.Time
}

const (
	paceWindow = time.Minute
	lookWindow = time.Hour
	mostPaced  = 100_000 // callers remembered at once
)

func newPace() *pace { return &pace{callers: map[string]*callerPace{}} }

// who names a caller for as long as they are counted.
func who(p identity.Principal) string {
	if p.Worker != uuid.Nil {
		return p.Worker.String()
	}
	return p.Issuer + "\x00" + p.Client
}

func (x *pace) of(p identity.Principal, now time.Time) *callerPace {
	if now.Sub(x.swept) > paceWindow || len(x.callers) >= mostPaced {
		for key, c := range x.callers {
			c.forget(now)
			if c.due.Before(now) && len(c.families) == 0 && now.Sub(c.told) > paceWindow {
				delete(x.callers, key)
			}
		}
		x.swept = now
	}
	c := x.callers[who(p)]
	if c == nil {
		c = &callerPace{families: map[uuid.UUID]time.Time{}}
		x.callers[who(p)] = c
	}
	return c
}

func (c *callerPace) forget(now time.Time) {
	for id, at := range c.families {
		if now.Sub(at) > lookWindow {
			delete(c.families, id)
		}
	}
}

// request takes one request of a caller who may make so many a minute, all at
// once or spread. Over that it says how long to wait, and whether the refusal
// is to be logged: once a minute.
func (x *pace) request(p identity.Principal, perMinute int, now time.Time) (wait time.Duration, log bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.of(p, now)
	step := paceWindow / time.Duration(perMinute)
	due := c.due
	if due.Before(now) {
		due = now
	}
	if due = due.Add(step); due.Sub(now) > paceWindow {
		if log = now.Sub(c.told) >= paceWindow; log {
			c.told = now
		}
		return due.Sub(now) - paceWindow, log
	}
	c.due = due
	return 0, false
}

// family notes that a caller asks for a family, and says whether that is one
// too many this hour, and whether to raise the alarm: once an hour. It counts
// what was asked for, whether there is such a family or not.
func (x *pace) family(p identity.Principal, id uuid.UUID, perHour int, now time.Time) (slow, alarm bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.of(p, now)
	c.forget(now)
	_, again := c.families[id]
	if !again && len(c.families) < 16*perHour { // whoever goes on is slow enough, and need not fill the memory
		c.families[id] = now
	}
	if again || len(c.families) <= perHour {
		return false, false
	}
	if alarm = now.Sub(c.alarmed) >= lookWindow; alarm {
		c.alarmed = now
	}
	return true, alarm
}

// keepPace refuses a caller who asks too often.
func (s *Server) keepPace(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if s.Limits.RequestsPerMinute < 0 {
		return nil
	}
	wait, log := s.pace.request(p, s.Limits.RequestsPerMinute, s.Now())
	if wait == 0 {
		return nil
	}
	if log {
		e := eventBy(r.Context(), p, audit.KindForbidden, audit.OutcomeDenied)
		e.Refusal = "too-many-requests"
		if _, err := s.Recorder.Append(r.Context(), e); err != nil {
			return unavailable(err)
		}
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
	return problem(http.StatusTooManyRequests, "too-many-requests", "Too many requests",
		"You made more than "+strconv.Itoa(s.Limits.RequestsPerMinute)+" requests in a minute. Wait as Retry-After says. If it is urgent, ring the MASH or the out-of-hours team.")
}

// slowDown holds back a caller who looks one family up after the other, and
// raises an alarm. Nobody is refused: a busy night in the MASH is not a theft.
func (s *Server) slowDown(ctx context.Context, p identity.Principal, id uuid.UUID) error {
	if s.Limits.FamiliesPerHour < 0 {
		return nil
	}
	slow, alarm := s.pace.family(p, id, s.Limits.FamiliesPerHour, s.Now())
	if !slow {
		return nil
	}
	if alarm {
		e := eventBy(ctx, p, audit.KindForbidden, audit.OutcomeDone)
		e.Refusal, e.Details = "bulk-look-up", map[string]string{"families": strconv.Itoa(s.Limits.FamiliesPerHour)}
		receipt, err := s.Recorder.Append(ctx, e)
		if err != nil {
			return unavailable(err)
		}
		if err := s.Recorder.Raise(ctx, "bulk-look-up", receipt.Event()); err != nil {
			return unavailable(err)
		}
	}
	t := time.NewTimer(s.Limits.SlowDown)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}
