package disclosure

import (
	"sort"
	"time"

	"github.com/google/uuid"

	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// Couple is how two adults are, or were, together. It is told only where
// released family links tie both to the same child and one of those who told
// these links told this too.
type Couple struct {
	A      uuid.UUID `json:"a"`
	B      uuid.UUID `json:"b"`
	Status string    `json:"status,omitempty"` // married, together, separated, divorced
	Since  string    `json:"since,omitempty"`
	Until  string    `json:"until,omitempty"`
	Owner  string    `json:"owner"`
}

// AllegedHarm is an allegation, as an entry tells it that was released whole.
type AllegedHarm struct {
	By    uuid.UUID `json:"by"`
	To    uuid.UUID `json:"to"`
	Entry uuid.UUID `json:"entry"`
	Owner string    `json:"owner"`
	On    string    `json:"on"`
}

// Told is what one agency last told a person about sharing for this purpose,
// and what the person agreed to. Why stays with the agency.
type Told struct {
	Person uuid.UUID `json:"person"`
	Agency string    `json:"agency"`
	Agreed string    `json:"agreed"` // agreed, declined, withdrawn, not-asked
	Told   string    `json:"told"`   // told, not-told
	At     string    `json:"at,omitempty"`
	Review string    `json:"review,omitempty"`
}

// sectionsOfHarm are those whose entries say who harmed whom.
func sectionsOfHarm() []string { return []string{sectionOfHarm, "police-events", "police-offences"} }

func couples(f family.Facts, released []Link, members []Member) []Couple {
	type end struct{ child, adult uuid.UUID }
	tied := map[end]bool{}
	told := map[string]bool{}
	for _, l := range released {
		tied[end{l.To, l.From}] = true
		told[l.Owner] = true
	}
	out := []Couple{}
	for _, c := range f.Couples {
		if !told[c.Source] {
			continue
		}
		for _, m := range members {
			if tied[end{m.ID, c.A}] && tied[end{m.ID, c.B}] {
				out = append(out, Couple{A: c.A, B: c.B, Status: c.Status, Since: dayOf(c.Since), Until: dayOf(c.Until), Owner: c.Source})
				break
			}
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].A.String()+out[i].B.String()+out[i].Since < out[j].A.String()+out[j].B.String()+out[j].Since
	})
	return out
}

// harms pairs the allegations that the decision knew with the newest released
// entry that names both people. Without such an entry nothing is said.
func harms(f family.Facts, released []shown, members []Member) []AllegedHarm {
	listed := map[uuid.UUID]bool{}
	for _, m := range members {
		listed[m.ID] = true
	}
	out := []AllegedHarm{}
	for _, h := range f.Harm {
		if !listed[h.By] || !listed[h.To] {
			continue
		}
		var best *family.EntryFacts
		for _, s := range released {
			e := s.facts
			if s.verdict.Level != policy.Full || !within(sectionsOfHarm(), e.Section) || !names(e, h.By) || !names(e, h.To) {
				continue
			}
			if best == nil || e.RecordedOn.After(best.RecordedOn) || e.RecordedOn.Equal(best.RecordedOn) && less(e.Entry, best.Entry) {
				best = e
			}
		}
		if best != nil {
			out = append(out, AllegedHarm{By: h.By, To: h.To, Entry: best.Entry, Owner: best.Owner, On: best.RecordedOn.Format(time.DateOnly)})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].By.String()+out[i].To.String() < out[j].By.String()+out[j].To.String()
	})
	return out
}

func names(e *family.EntryFacts, id uuid.UUID) bool {
	return within(e.About, id) || within(e.Mentions, id)
}

func within[T comparable](list []T, one T) bool {
	for _, x := range list {
		if x == one {
			return true
		}
	}
	return false
}

// told lists what people were told and agreed to. An agency's row would say
// that it works with the person, so another's stands only where an entry of
// that agency about the person was released; and whoever may be walled from a
// person hears it of those with whom the own agency works.
func told(p identity.Principal, f family.Facts, v *policy.Version, released []shown, members []Member) []Told {
	type pair struct {
		agency string
		person uuid.UUID
	}
	known, listed, ours := map[pair]bool{}, map[uuid.UUID]bool{}, map[uuid.UUID]bool{}
	for _, s := range released {
		for _, id := range s.facts.About {
			known[pair{s.facts.Owner, id}] = true
		}
	}
	for _, m := range members {
		listed[m.ID] = true
	}
	for _, i := range f.Involvements {
		ours[i.Person] = true
	}
	kind, _ := v.Kind(p.Kind)
	out := []Told{}
	for _, t := range f.Told {
		if !listed[t.Person] || t.Agency != p.Agency && (!known[pair{t.Agency, t.Person}] || kind.Wall != "never" && !ours[t.Person]) {
			continue
		}
		out = append(out, Told{Person: t.Person, Agency: t.Agency, Agreed: t.Agreed, Told: t.Told, At: dayOf(t.At), Review: dayOf(t.Review)})
	}
	sort.Slice(out, func(i, j int) bool {
		return out[i].Person.String()+out[i].Agency < out[j].Person.String()+out[j].Agency
	})
	return out
}
