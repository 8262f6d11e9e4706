package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Replayed is how two versions answer one recorded question.
type Replayed struct {
	Flips []Flip `json:"flips,omitempty"` // none: nobody would notice
	// Late: the second version could not decide, or not in time. It denies.
	Late bool `json:"late,omitempty"`
	// Bad: what was recorded is no input. Nothing was asked.
	Bad bool `json:"bad,omitempty"`
}

// Flip is what the second version gives or takes against the first. Several
// entries of one part of the record and one owner are one flip.
type Flip struct {
	Section string `json:"section,omitempty"` // "": the request as a whole
	Owner   string `json:"owner,omitempty"`
	Gain    bool   `json:"gain,omitempty"`
	Before  string `json:"before"` // a level; of a whole request "answered" or "refused"
	After   string `json:"after"`
	Tuples  []int  `json:"tuples,omitempty"` // of the input
}

// What a request as a whole comes to.
const (
	wholeAnswered = "answered"
	wholeRefused  = "refused"
)

// replayDeadline bounds one evaluation of a replay. A hub's own deadline is
// shorter; but whether a draft is too slow for a hub must not depend on how busy
// the machine is that weighs it.
const replayDeadline = time.Second

// What was not decided in time is asked once more with patientDeadline, some
// times in all: one starved moment must not be told as an access that somebody
// loses, and a draft that never ends must not take for ever.
const (
	patientDeadline = 10 * time.Second
	patientTimes    = 32
)

// replayer puts recorded questions to two versions. Callers between whose
// versions nothing differs that a decision can turn on are not asked, for the
// reason for which the walk of the decision space leaves them out.
type replayer struct {
	differ  comparison
	patient [2]*Active
	asked   atomic.Int64 // patiently
}

func newReplayer(before, after *Active) *replayer {
	r := replayer{differ: comparison{before: before, after: after}, patient: [2]*Active{before.within(patientDeadline), after.within(patientDeadline)}}
	for i, v := range r.differ.versions() {
		r.differ.live[i] = inForce(v)
	}
	r.differ.pruning()
	return &r
}

// concerns tells whether anything can be decided otherwise for a caller.
func (r *replayer) concerns(c Caller) bool {
	return r.differ.global || r.differ.changed[c.Agency] || r.differ.changed[c.Kind]
}

// sideBySide does n things, as many at a time as there are processors.
func sideBySide(n int, do func(i int)) {
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
}

// replay puts as many questions at a time as there are processors.
func (r *replayer) replay(ctx context.Context, inputs []json.RawMessage) ([]Replayed, error) {
	out := make([]Replayed, len(inputs))
	errs := make([]error, len(inputs))
	sideBySide(len(inputs), func(i int) { out[i], errs[i] = r.one(ctx, inputs[i]) })
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *replayer) one(ctx context.Context, raw json.RawMessage) (Replayed, error) {
	var in Input
	if err := json.Unmarshal(raw, &in); err != nil || in.check() != nil {
		return Replayed{Bad: true}, nil
	}
	if !r.concerns(in.Caller) {
		return Replayed{}, nil
	}
	decisions, errs := r.differ.decide(ctx, [2]Input{in, in})
	for i, err := range errs {
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil && r.asked.Add(1) <= patientTimes {
			decisions[i], errs[i] = r.patient[i].Decide(ctx, in)
		}
	}
	if ctx.Err() != nil {
		return Replayed{}, ctx.Err()
	}
	if errors.Is(errs[0], context.DeadlineExceeded) { // against no answer everything would look like a gain
		return Replayed{Bad: true}, nil
	}
	return Replayed{Flips: flipsBetween(in, decisions[0], decisions[1]), Late: errs[1] != nil}, nil
}

// flipsBetween lists what the second decision gives or takes, in a stable order.
func flipsBetween(in Input, old, fresh Decision) []Flip {
	var flips []Flip
	if old.Allow != fresh.Allow {
		f := Flip{Gain: fresh.Allow, Before: wholeAnswered, After: wholeRefused}
		if f.Gain {
			f.Before, f.After = wholeRefused, wholeAnswered
		}
		flips = append(flips, f)
	}
	entry := func(d Decision, i int) Entry {
		if !d.Allow || i >= len(d.Entries) {
			return Entry{}
		}
		return d.Entries[i]
	}
	at := map[string]int{}
	for i, t := range in.Tuples {
		was, is := entry(old, i), entry(fresh, i)
		for _, gain := range []bool{true, false} {
			a, b := was, is
			if !gain {
				a, b = b, a
			}
			if !gains(a, b) {
				continue
			}
			f := Flip{Section: t.Section, Owner: t.Owner, Gain: gain, Before: was.Level.String(), After: is.Level.String()}
			key := fmt.Sprint(f.Section, "|", f.Owner, "|", f.Gain, f.Before, f.After)
			n, ok := at[key]
			if !ok {
				n = len(flips)
				at[key] = n
				flips = append(flips, f)
			}
			flips[n].Tuples = append(flips[n].Tuples, i)
		}
	}
	slices.SortStableFunc(flips, func(a, b Flip) int {
		return strings.Compare(a.Section+"\x00"+a.Owner+"\x00"+a.Before+"\x00"+a.After, b.Section+"\x00"+b.Owner+"\x00"+b.Before+"\x00"+b.After)
	})
	return flips
}
