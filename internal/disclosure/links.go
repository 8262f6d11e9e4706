package disclosure

import (
	"encoding/json"
	"sort"

	"github.com/google/uuid"
)

// Link says how an adult belongs to a child, as a released family-links entry
// tells it. Both ends are released members: a link to somebody who is not
// listed would be a stub that tells of them.
type Link struct {
	From           uuid.UUID `json:"from"`
	To             uuid.UUID `json:"to"`
	Relation       string    `json:"relation"`
	Household      bool      `json:"household,omitempty"`
	Responsibility bool      `json:"parental_responsibility,omitempty"`
	Note           string    `json:"note,omitempty"`
	Owner          string    `json:"owner"`
}

// links reads the released family-links entries. An entry is about children and
// mentions the one adult whom it ties to them.
func links(released []shown, bodies map[int64]json.RawMessage, members []Member) []Link {
	listed := map[uuid.UUID]bool{}
	for _, m := range members {
		listed[m.ID] = true
	}
	out := []Link{}
	for _, s := range released {
		e := s.facts
		if e.Section != "family-links" || len(e.Mentions) != 1 || !listed[e.Mentions[0]] {
			continue
		}
		var body struct {
			Relation       string `json:"relation"`
			Household      bool   `json:"household"`
			Responsibility bool   `json:"parental_responsibility"`
			Note           string `json:"note"`
		}
		if json.Unmarshal(bodies[s.part], &body) != nil || body.Relation == "" {
			continue
		}
		for _, to := range e.About {
			if listed[to] {
				out = append(out, Link{From: e.Mentions[0], To: to, Relation: body.Relation, Household: body.Household,
					Responsibility: body.Responsibility, Note: body.Note, Owner: e.Owner})
			}
		}
	}
	sortLinks(out)
	return out
}

func sortLinks(all []Link) {
	key := func(l Link) string { return l.To.String() + l.From.String() + l.Relation + l.Owner }
	sort.Slice(all, func(i, j int) bool { return key(all[i]) < key(all[j]) })
}
