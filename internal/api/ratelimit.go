package api

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/identity"
)

// pace counts the requests of each caller at this replica.
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
	due  time.Time
	told time.Time // when a refusal was last logged
}

const (
	paceWindow = time.Minute
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
			if c.due.Before(now) && now.Sub(c.told) > paceWindow {
				delete(x.callers, key)
			}
		}
		x.swept = now
	}
	c := x.callers[who(p)]
	if c == nil {
		c = &callerPace{}
		x.callers[who(p)] = c
	}
	return c
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
