package disclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/policy"
)

// ReplayResult is what deciding an event again came to.
type ReplayResult string

// The results. The zero value proves nothing.
const (
	ReplaySame      ReplayResult = "same"
	ReplayDifferent ReplayResult = "different"       // an alarm
	ReplayErased    ReplayResult = "erased"          // the recorded input is gone: it cannot be replayed
	ReplayFailed    ReplayResult = "failed-then"     // the rules could not be evaluated then, so nothing was shown: nothing to compare
	ReplayNone      ReplayResult = "nothing-decided" // the event rests on no decision of the policy
)

// Why a replay differs. Each is an alarm of its own.
const (
	differsDamaged  = "event-damaged"    // header and payload contradict one another
	differsInput    = "input-altered"    // the recorded input is not the one that the header names
	differsVersion  = "version-missing"  // the recorded policy version is not stored, or is not what its digest says
	differsDecision = "decision-differs" // the same input and version give another decision
	differsOutcome  = "outcome-differs"  // the decision allows what the event refused, or the other way round
	differsReleased = "released-differs" // the event says that it released what the decision does not allow
)

// Replay is one event decided again.
type Replay struct {
	Event    uuid.UUID
	Kind     audit.Kind
	Occurred time.Time
	Result   ReplayResult
	Why      string // a code, where Result is ReplayDifferent

	policy  policy.Digest
	version *policy.Version // that decided; nil where it was not needed
	again   []decided
}

// decided is one recorded input with its decision, made again.
type decided struct {
	in       policy.Input
	decision policy.Decision
}

// owns says whether the answer depended on anything of an agency's.
func (r *Replay) owns(agency string) bool {
	return slices.ContainsFunc(r.again, func(d decided) bool {
		return slices.ContainsFunc(d.in.Tuples, func(t policy.Tuple) bool { return t.Owner == agency })
	})
}

// Replayer decides recorded events again. It is safe for concurrent use.
type Replayer struct {
	Past *audit.Past // role kith_replay
	// Versions gives the stored version of a digest with the kernel that it was
	// approved with, and keeps a few. It must not have a hub's short deadline: a
	// replay on a busy machine is not another decision.
	Versions func(context.Context, policy.Digest) (*policy.Active, error)
	Recorder *audit.Recorder // raises the alarm
	Log      *slog.Logger

	same, different, not atomic.Int64
	mu                   sync.Mutex
	alarmed              map[uuid.UUID]bool
}

// Counts are how many events this replica has found the same, different, and
// not to be replayed.
func (r *Replayer) Counts() (same, different, not int64) {
	return r.same.Load(), r.different.Load(), r.not.Load()
}

// Event decides one event again. Error: audit.ErrNotFound.
func (r *Replayer) Event(ctx context.Context, id uuid.UUID) (Replay, error) {
	a, err := r.Past.Answer(ctx, id)
	if err != nil {
		return Replay{}, err
	}
	return r.settle(ctx, &a)
}

// Tally counts the results of a range.
type Tally struct {
	Total, Done                               int64
	Same, Different, NotReplayable, Undecided int64
}

func (t *Tally) add(result ReplayResult) {
	t.Done++
	switch result {
	case ReplaySame:
		t.Same++
	case ReplayNone:
		t.Undecided++
	case ReplayErased, ReplayFailed:
		t.NotReplayable++
	default:
		t.Different++
	}
}

// Range decides all events of [from, until) again, oldest first, and says every
// few hundred how far it is and which of them differ. Memory stays flat. An
// error of progress ends it.
func (r *Replayer) Range(ctx context.Context, from, until time.Time, progress func(Tally, []Replay) error) (Tally, error) {
	var t Tally
	var err error
	if t.Total, err = r.Past.Count(ctx, from, until); err != nil {
		return t, err
	}
	err = r.Past.Walk(ctx, from, until, func(events []audit.Answered) error {
		replays, err := r.each(ctx, events)
		if err != nil {
			return err
		}
		var differ []Replay
		for _, x := range replays {
			t.add(x.Result)
			if x.Result == ReplayDifferent {
				differ = append(differ, x)
			}
		}
		t.Total = max(t.Total, t.Done) // what was committed late
		return progress(t, differ)
	})
	return t, err
}

// each decides some events side by side, and answers in their order.
func (r *Replayer) each(ctx context.Context, events []audit.Answered) ([]Replay, error) {
	out, errs := make([]Replay, len(events)), make([]error, len(events))
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(events)) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(events)); i = next.Add(1) - 1 {
				if out[i], errs[i] = r.settle(ctx, &events[i]); errs[i] != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	return out, errors.Join(errs...)
}

// settle decides again, counts, and raises the alarm.
func (r *Replayer) settle(ctx context.Context, a *audit.Answered) (Replay, error) {
	x, err := r.decide(ctx, a)
	if err != nil {
		return Replay{}, fmt.Errorf("decide event %s again: %w", a.Event, err)
	}
	switch x.Result {
	case ReplaySame:
		r.same.Add(1)
	case ReplayDifferent:
		r.different.Add(1)
		err = r.alarm(ctx, &x)
	case ReplayErased, ReplayFailed:
		r.not.Add(1)
	}
	return x, err
}

// alarmedMost bounds what is remembered of alarms that were raised already.
const alarmedMost = 10_000

// alarm says once that an event differs: whoever looks at it again and again
// does not fill the list of alerts.
func (r *Replayer) alarm(ctx context.Context, x *Replay) error {
	r.mu.Lock()
	known := r.alarmed[x.Event]
	if r.alarmed == nil || len(r.alarmed) >= alarmedMost {
		r.alarmed = map[uuid.UUID]bool{}
	}
	r.alarmed[x.Event] = true
	r.mu.Unlock()
	if known {
		return nil
	}
	r.Log.LogAttrs(ctx, slog.LevelError, "decided again, an event differs", slog.String("event", x.Event.String()), slog.String("why", x.Why))
	if err := r.Recorder.Raise(ctx, "replay-differs", x.Event); err != nil {
		r.mu.Lock()
		delete(r.alarmed, x.Event)
		r.mu.Unlock()
		return err
	}
	return nil
}

func (r *Replayer) decide(ctx context.Context, a *audit.Answered) (Replay, error) {
	x := Replay{Event: a.Event, Kind: a.Kind, Occurred: a.Occurred, policy: policy.Digest(a.Header.Policy)}
	differs := func(why string) (Replay, error) {
		x.Result, x.Why = ReplayDifferent, why
		return x, nil
	}
	switch {
	case a.Damaged:
		return differs(differsDamaged)
	case a.State() == audit.PastNone:
		x.Result = ReplayNone
		return x, nil
	case a.State() == audit.PastErased:
		x.Result = ReplayErased
		return x, nil
	}
	inputs, err := a.Inputs()
	if err != nil {
		return differs(differsInput)
	}
	active, err := r.Versions(ctx, x.policy)
	switch {
	case errors.Is(err, pgx.ErrNoRows), errors.Is(err, policy.ErrDamaged), errors.Is(err, policy.ErrNoActive):
		return differs(differsVersion)
	case err != nil:
		return Replay{}, err
	}
	x.version = active.Version()
	if a.Outcome == audit.OutcomeFailed {
		x.Result = ReplayFailed
		return x, nil
	}
	for _, raw := range inputs {
		var in policy.Input
		if json.Unmarshal(raw, &in) != nil {
			return differs(differsInput)
		}
		decision, err := active.Decide(ctx, in)
		if errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return Replay{}, err // late is not different
		}
		// Another failure is a decision: it denies, and will not be the same.
		if decision.Allow && len(decision.Entries) != len(in.Tuples) {
			decision = policy.Decision{Refusal: policy.RefusalError, Reasons: []string{policy.RefusalError}}
		}
		x.again = append(x.again, decided{in, decision})
	}
	switch {
	case a.Header.Decision != proof.Digest{} && !x.same(a):
		return differs(differsDecision)
	case a.Kind == audit.KindRead && len(x.again) == 1 && x.again[0].decision.Allow != (a.Outcome == audit.OutcomeReleased):
		return differs(differsOutcome)
	case !slices.ContainsFunc(a.Terms, func(t proof.Terms) bool { return !x.allows(&t) }):
		x.Result = ReplaySame
		return x, nil
	}
	return differs(differsReleased)
}

// same compares with the recorded digest. A list or a search records the
// decisions of several families as one.
func (x *Replay) same(a *audit.Answered) bool {
	list := make([]policy.Decision, len(x.again))
	for i := range x.again {
		list[i] = x.again[i].decision
	}
	if len(list) == 1 {
		if one, err := json.Marshal(list[0]); err == nil && a.SameDecision(one) {
			return true
		}
	}
	several, err := json.Marshal(list)
	return err == nil && a.SameDecision(several)
}

// allows says whether some decision releases on these terms.
func (x *Replay) allows(t *proof.Terms) bool {
	for _, d := range x.again {
		for i, v := range d.decision.Entries {
			tuple := &d.in.Tuples[i]
			if tuple.Section != t.Section || tuple.Owner != t.Owner || tuple.Sensitivity != t.Sensitivity ||
				v.Grant != t.Grant || !slices.Equal(v.Clauses, t.Clauses) {
				continue
			}
			if t.Part == "" && t.Level == proof.Existence && v.Holder {
				return true
			}
			if t.Part != "" && v.Part == t.Part && proof.Level(v.Level) == t.Level && slices.Equal(v.Masked, t.Masked) && slices.Equal(v.Labels, t.Labels) {
				return true
			}
		}
	}
	return false
}
