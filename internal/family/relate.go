package family

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// member is one confirmed membership; a person may have several.
type member struct {
	person               uuid.UUID
	role                 string
	from, until          *time.Time
	born, expected, died *time.Time
	told                 bool
}

// live tells whether the membership holds on that day.
func (m member) live(today time.Time) bool { return m.until == nil || !m.until.Before(today) }

// tie is one confirmed relationship between two members.
type tie struct {
	from, to     uuid.UUID
	kind         string
	since, until *time.Time
}

// Kinds of nearness, as the policy knows them.
const (
	nearParent    = "parent"
	nearCarer     = "carer"
	nearHousehold = "household"
	nearContact   = "contact"
)

// nearness says what a relationship to a child amounts to; "" is nothing: a
// sibling, a twin or a parent's partner is near only where somebody said that
// they share a household. A step-parent is a carer for the time stated, never a
// parent for good.
func nearness(kind string) string {
	switch kind {
	case "parent":
		return nearParent
	case "carer", "step-parent", "foster-carer":
		return nearCarer
	case "household":
		return nearHousehold
	case "contact", "grandparent":
		return nearContact
	default:
		return ""
	}
}

// relate turns memberships and relationships into people and into who is near
// which child. A purpose belongs to a child, not to a family (domain.md §1), so
// a parent with a known child here is a parent of that child alone.
func relate(members []member, ties []tie, today time.Time) ([]PersonFacts, []NearFacts) {
	people := peopleOf(members, today)
	child := make(map[uuid.UUID]bool, len(people)) // now
	everChild := make(map[uuid.UUID]bool, len(people))
	for _, p := range people {
		child[p.ID] = p.Child
		everChild[p.ID] = slices.Contains(p.Roles, "child")
	}
	var near []NearFacts
	tied := make(map[[2]uuid.UUID]bool, 2*len(ties))
	parentOfKnown := make(map[uuid.UUID]bool)
	for _, t := range ties {
		tied[[2]uuid.UUID{t.from, t.to}], tied[[2]uuid.UUID{t.to, t.from}] = true, true
		parentOfKnown[t.from] = parentOfKnown[t.from] || everChild[t.to]
		parentOfKnown[t.to] = parentOfKnown[t.to] || everChild[t.from]
		kind := nearness(t.kind)
		if kind == "" {
			continue
		}
		if child[t.to] {
			near = append(near, NearFacts{Child: t.to, Other: t.from, Kind: kind, From: t.since, Until: t.until})
		}
		if kind == nearHousehold && child[t.from] {
			near = append(near, NearFacts{Child: t.from, Other: t.to, Kind: kind, From: t.since, Until: t.until})
		}
	}
	for _, p := range people {
		if p.Child {
			near = append(near, nearByMembership(p.ID, members, everChild, tied, parentOfKnown)...)
		}
	}
	return people, near
}

// nearByMembership gives who is near a child for no better reason than a role
// in the family: only where no relationship between the two says more.
func nearByMembership(of uuid.UUID, members []member, everChild map[uuid.UUID]bool, tied map[[2]uuid.UUID]bool, parentOfKnown map[uuid.UUID]bool) []NearFacts {
	var near []NearFacts
	for _, m := range members {
		// Between two children nothing is assumed: half-siblings have
		// other parents and other homes.
		if m.person == of || everChild[m.person] || tied[[2]uuid.UUID{m.person, of}] {
			continue
		}
		switch m.role {
		case nearParent:
			if parentOfKnown[m.person] {
				continue
			}
		case nearCarer, nearHousehold, nearContact:
		default:
			continue
		}
		near = append(near, NearFacts{Child: of, Other: m.person, Kind: m.role, From: m.from, Until: m.until})
	}
	return near
}

// peopleOf folds the memberships of each person into one; members come sorted
// by person.
func peopleOf(members []member, today time.Time) []PersonFacts {
	var people []PersonFacts
	for _, m := range members {
		if n := len(people); n == 0 || people[n-1].ID != m.person {
			people = append(people, PersonFacts{
				ID: m.person, Born: m.born, Died: m.died,
				Unborn: m.expected != nil && m.born == nil, PregnancyTold: m.told,
			})
		}
		p := &people[len(people)-1]
		if !slices.Contains(p.Roles, m.role) {
			p.Roles = append(p.Roles, m.role)
		}
		p.Child = p.Child || m.role == "child" && m.live(today)
	}
	return people
}
