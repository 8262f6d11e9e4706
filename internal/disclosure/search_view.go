package disclosure

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/policy"
)

// SearchView is what one search released. Nothing found and nothing that may be
// found look the same.
type SearchView struct {
	Purpose string        `json:"purpose"`
	People  []PersonFound `json:"people"`
	Notice  Notice        `json:"notice"`
	Policy  policy.Digest `json:"policy"`
	Receipt string        `json:"receipt"`
}

// PersonFound is one person as released identity tells. Where several agencies
// tell it differently, each account stands among the entries.
type PersonFound struct {
	ID          uuid.UUID     `json:"id"`
	Score       int           `json:"score"` // of 100, by released fields alone
	Name        string        `json:"name"`
	KnownAs     string        `json:"known_as,omitempty"`
	DateOfBirth string        `json:"date_of_birth,omitempty"`
	Expected    string        `json:"expected_date,omitempty"`
	Died        string        `json:"date_of_death,omitempty"`
	Sex         string        `json:"sex,omitempty"`
	NHSNumber   string        `json:"nhs_number,omitempty"`
	UPN         string        `json:"upn,omitempty"`
	Families    []FamilyFound `json:"families"`
	Entries     []EntryFound  `json:"entries"` // identity, and what else matched
}

// FamilyFound is a family through which the caller may know of the person.
type FamilyFound struct {
	ID  uuid.UUID `json:"id"`
	Ref string    `json:"ref"`
}

// EntryFound is one released entry by which a person is known or was found.
type EntryFound struct {
	Section string `json:"section"`
	EntryView
}

// view puts the hits together from released bodies. A hit whose identity is no
// longer there (erased in between) is left out.
func (s *searching) view(hits []hit, bodies map[int64]json.RawMessage, receipt audit.Receipt) SearchView {
	out := SearchView{Purpose: s.req.Purpose, People: []PersonFound{}, Notice: s.desk.Notice, Policy: s.active.Digest(), Receipt: receipt.String()}
	for _, h := range hits {
		p := PersonFound{ID: h.person, Score: h.score, Families: []FamilyFound{}, Entries: []EntryFound{}}
		slices.SortFunc(h.entries, func(a, b shown) int {
			return cmp.Or(cmp.Compare(b2i(b.facts.Section == "identity"), b2i(a.facts.Section == "identity")),
				b.facts.RecordedOn.Compare(a.facts.RecordedOn), bytes.Compare(a.facts.Entry[:], b.facts.Entry[:]))
		})
		for _, x := range h.entries {
			body := bodies[x.part]
			if body == nil {
				continue // the row policy of the database closed it
			}
			if x.facts.Section == "identity" {
				p.tell(body)
			}
			e := EntryFound{Section: x.facts.Section, EntryView: entryView(x, body, s.now)}
			e.AccountOf = nil // a lone account would tell of another
			p.Entries = append(p.Entries, e)
		}
		if p.Name == "" {
			continue
		}
		for _, f := range h.families {
			p.Families = append(p.Families, FamilyFound{ID: f.facts.Family, Ref: f.facts.Ref})
		}
		slices.SortFunc(p.Families, func(a, b FamilyFound) int { return bytes.Compare(a.ID[:], b.ID[:]) })
		out.People = append(out.People, p)
	}
	return out
}

// tell fills what is still empty from one released identity.
func (p *PersonFound) tell(body json.RawMessage) {
	var x struct {
		KnownAs  string `json:"known_as"`
		Born     string `json:"date_of_birth"`
		Expected string `json:"expected_date"`
		Died     string `json:"date_of_death"`
		Sex      string `json:"sex"`
		NHS      string `json:"nhs_number"`
		UPN      string `json:"upn"`
	}
	if json.Unmarshal(body, &x) != nil {
		return
	}
	p.Name = cmp.Or(p.Name, nameIn(body))
	p.KnownAs, p.DateOfBirth, p.Expected = cmp.Or(p.KnownAs, x.KnownAs), cmp.Or(p.DateOfBirth, x.Born), cmp.Or(p.Expected, x.Expected)
	p.Died, p.Sex, p.NHSNumber, p.UPN = cmp.Or(p.Died, x.Died), cmp.Or(p.Sex, x.Sex), cmp.Or(p.NHSNumber, x.NHS), cmp.Or(p.UPN, x.UPN)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
