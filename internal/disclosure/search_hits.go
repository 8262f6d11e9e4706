package disclosure

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/policy"
)

// searched is one family with what was decided about it for this caller.
type searched struct {
	facts    family.Facts
	q        question
	decision policy.Decision
	entries  []shown // whatever the decision releases, by any part
	alerts   []string
}

// hit is somebody whom the caller may know of, by released entries alone.
type hit struct {
	person   uuid.UUID
	score    int
	families []*searched
	entries  []shown // identity, and what matched
}

// hits decides candidates, best first, until the twenty best are certain: who
// comes later cannot score higher than the keys say. What is hidden may make
// somebody a candidate and makes nobody a hit.
func (s *searching) hits(ctx context.Context, found []family.Candidate) ([]hit, error) {
	var best []hit
	for len(found) > 0 && len(s.opened) < familiesMost {
		n := min(decidedAtOnce, len(found))
		if err := s.open(ctx, found[:n]); err != nil {
			return nil, err
		}
		for i := range found[:n] {
			if h, ok := s.hit(&found[i]); ok {
				best = append(best, h)
			}
		}
		found = found[n:]
		slices.SortFunc(best, func(a, b hit) int { return before(a.score, a.person, b.score, b.person) })
		best = best[:min(len(best), searchMost)]
		if len(best) == searchMost && len(found) > 0 && before(best[searchMost-1].score, best[searchMost-1].person, found[0].Best, found[0].Person) < 0 {
			break
		}
	}
	for _, f := range s.opened {
		for _, alert := range f.alerts {
			if !slices.Contains(s.alerts, alert) {
				s.alerts = append(s.alerts, alert)
			}
		}
	}
	return best, nil
}

// before orders by score and then by id, which is random and tells nothing.
func before(score int, id uuid.UUID, other int, than uuid.UUID) int {
	if c := cmp.Compare(other, score); c != 0 {
		return c
	}
	return slices.Compare(id[:], than[:])
}

// open decides the families of these candidates that were not decided yet.
func (s *searching) open(ctx context.Context, of []family.Candidate) error {
	var ids []uuid.UUID
	for _, c := range of {
		for _, id := range c.Families {
			if s.opened[id] == nil && !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	opened := make([]*searched, len(ids))
	errs := make([]error, len(ids))
	var wait sync.WaitGroup
	turn := make(chan struct{}, loadsAtOnce)
	for i := range ids {
		wait.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			opened[i], errs[i] = s.openOne(ctx, ids[i])
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, id := range ids {
		s.opened[id] = opened[i]
	}
	return nil
}

func (s *searching) openOne(ctx context.Context, id uuid.UUID) (*searched, error) {
	facts, err := family.Load(ctx, s.door.Pool, id, s.who())
	if err != nil {
		return nil, fmt.Errorf("load facts: %w", err)
	}
	if facts.Policy != s.facts.Policy || facts.AgreementStamp != s.facts.AgreementStamp || facts.Worker.Stamp != s.facts.Worker.Stamp {
		return nil, audit.ErrStale // changed between two families
	}
	out := &searched{facts: facts}
	var decision policy.Decision
	if out.q, decision, err = s.decide(ctx, facts); err != nil {
		return nil, err
	}
	out.decision, out.alerts = decision, decision.Alerts
	if decision.Allow {
		out.entries = opened(out.facts, out.q, decision)
	}
	return out, nil
}

// hit scores a candidate by what is released, and tells whether there is one.
// Somebody of whom no identity is released is nobody to this caller.
func (s *searching) hit(c *family.Candidate) (hit, bool) {
	h := hit{person: c.Person}
	terms := map[string]int{}
	seen := map[uuid.UUID]bool{}
	for _, id := range c.Families {
		f := s.opened[id]
		if f == nil || !slices.ContainsFunc(f.entries, func(x shown) bool { return identifies(x, c.Person) }) {
			continue
		}
		h.families = append(h.families, f)
		for _, x := range f.entries {
			if !slices.Contains(x.facts.About, c.Person) {
				continue
			}
			use := identifies(x, c.Person)
			for _, m := range c.Matches {
				if s.counts(m, x) {
					terms[m.Term] = max(terms[m.Term], m.Score)
					use = use || m.Version != 0
				}
			}
			if use && !seen[x.facts.Entry] {
				seen[x.facts.Entry] = true
				h.entries = append(h.entries, x)
			}
		}
	}
	h.score = s.query.Score(terms)
	return h, h.score > 0
}

// identifies tells whether an entry is the identity of that person alone.
func identifies(x shown, person uuid.UUID) bool {
	return x.facts.Section == "identity" && len(x.facts.About) == 1 && x.facts.About[0] == person
}

// counts tells whether a match may count by this released entry: by its own
// key, or, of a case-system number, because it is the caller's agency's own or
// that of an agency whose entry about the person is shown.
func (s *searching) counts(m family.Match, x shown) bool {
	if m.Term == family.TermIdentifier {
		scheme := s.req.Terms.Identifier.Scheme
		return scheme == s.caller.Agency || scheme == x.facts.Owner
	}
	return m.Version == x.facts.VersionID && (len(x.facts.About) == 1 || x.facts.Section == "usual-address") && s.shows(x, m.Fields)
}

// shows tells whether a verdict lets every one of these fields out.
func (s *searching) shows(x shown, fields []string) bool {
	summary := s.active.Version().SummaryFields(x.facts.Section)
	for _, f := range fields {
		switch {
		case slices.Contains(x.verdict.Masked, f),
			len(x.verdict.Keep) > 0 && !slices.Contains(x.verdict.Keep, f),
			x.verdict.Part != "full" && !slices.Contains(summary, f):
			return false
		}
	}
	return len(fields) > 0
}
