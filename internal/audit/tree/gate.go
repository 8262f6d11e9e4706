package tree

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// ErrStopped: the log is not what it must be for anything to be read.
var ErrStopped = errors.New("reads are stopped: the log cannot be trusted as it stands")

// Reason is why the gate is shut.
type Reason string

// The reasons.
const (
	ReasonUnchecked  Reason = "unchecked"   // nobody has compared the log yet
	ReasonRolledBack Reason = "rolled-back" // it is shorter than, or another than, what was published
	ReasonBroken     Reason = "broken"      // the stored tree contradicts itself
	ReasonLag        Reason = "lag"         // events have waited too long for their leaf
	ReasonQuorum     Reason = "quorum"      // too few witnesses have cosigned, and configuration asks for them
)

// Gate is what the one door asks before each read. The zero value and nil are
// shut. It is safe for concurrent use.
type Gate struct {
	mu      sync.RWMutex
	checked bool
	reasons map[Reason]string
}

func newGate() *Gate { return &Gate{reasons: map[Reason]string{}} }

// Check gives nil while reads may go on, else an error that wraps ErrStopped
// and says why in words for the operator.
func (g *Gate) Check() error {
	if g == nil {
		return fmt.Errorf("%w: %s", ErrStopped, ReasonUnchecked)
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if !g.checked {
		return fmt.Errorf("%w: %s", ErrStopped, ReasonUnchecked)
	}
	if len(g.reasons) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrStopped, strings.Join(g.list(), "; "))
}

// Reasons lists why the gate is shut.
func (g *Gate) Reasons() []string {
	g.mu.RLock()
	defer g.mu.RUnlock()
	list := g.list()
	if !g.checked {
		list = append(list, string(ReasonUnchecked))
	}
	return list
}

func (g *Gate) list() []string {
	list := make([]string, 0, len(g.reasons))
	for r, words := range g.reasons {
		list = append(list, string(r)+" ("+words+")")
	}
	slices.Sort(list)
	return list
}

func (g *Gate) stop(r Reason, words string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reasons[r] = words
}

func (g *Gate) clear(reasons ...Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range reasons {
		delete(g.reasons, r)
	}
}

func (g *Gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checked = true
}

func (g *Gate) why(r Reason) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	_, ok := g.reasons[r]
	return ok
}

func (g *Gate) compared() bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.checked
}

// wrong: the log is not the one that was published, or not one at all.
func (g *Gate) wrong() bool { return g.why(ReasonRolledBack) || g.why(ReasonBroken) }
