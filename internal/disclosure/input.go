package disclosure

import (
	"encoding/json"
	"fmt"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// question is a decision input together with what is needed to turn the
// answer back: who the local names are, and which tuple each entry is.
type question struct {
	input  policy.Input
	local  map[uuid.UUID]string
	people map[string]uuid.UUID
	tuple  []int // index into input.Tuples by entry, same order as facts.Entries
	text   []byte
}

// recorded is the input as the log holds it.
func (q *question) recorded() ([]byte, error) {
	if q.text == nil {
		var err error
		if q.text, err = json.Marshal(q.input); err != nil {
			return nil, fmt.Errorf("record input: %w", err)
		}
	}
	return q.text, nil
}

// ask turns facts into what the policy may know. It is pure: the same facts,
// caller and request give the same input, byte for byte, whatever the order in
// which the database returned them.
func ask(p identity.Principal, req Request, f family.Facts, now time.Time) (question, error) {
	q := question{
		local:  make(map[uuid.UUID]string, len(f.People)),
		people: make(map[string]uuid.UUID, len(f.People)),
	}
	day := func(t *time.Time) string {
		if t == nil {
			return ""
		}
		return t.Format(time.DateOnly)
	}
	// Local names follow the order of the random ids: they tell no age, no role
	// and no order of arrival, and are stable for a family whose members are.
	people := append([]family.PersonFacts(nil), f.People...)
	sort.Slice(people, func(i, j int) bool { return less(people[i].ID, people[j].ID) })
	for i, person := range people {
		name := "p" + strconv.Itoa(i+1)
		q.local[person.ID] = name
		q.people[name] = person.ID
	}
	// A subject who is not (or no longer) a confirmed member has no name here;
	// the kernel finds them out of reach.
	outside := 0
	name := func(id uuid.UUID) string {
		if n, ok := q.local[id]; ok {
			return n
		}
		outside++
		n := "x" + strconv.Itoa(outside)
		q.local[id] = n
		q.people[n] = id
		return n
	}

	in := policy.Input{
		V:    1,
		Date: now.UTC().Format(time.DateOnly),
		Caller: policy.Caller{
			Agency: p.Agency, Kind: p.Kind, Roles: append([]string{}, p.Roles...),
			Active: p.System || f.Worker.Active,
			Named:  f.Named, FamilyTeam: f.FamilyTeam, Marac: f.Marac, Lead: f.Lead,
		},
		Request:    policy.Request{Purpose: req.Purpose, Children: []string{}, Reason: strings.TrimSpace(req.Reason) != ""},
		Agreements: make(map[string]policy.Agreement, len(f.Agreements)),
		Parties:    make(map[string]policy.Party, len(f.Kinds)),
		People:     make(map[string]policy.Person, len(people)),
	}
	sort.Strings(in.Caller.Roles)
	for _, a := range f.Agreements {
		in.Agreements[a.ID] = policy.Agreement{
			From: a.From.Format(time.DateOnly), Review: a.Review.Format(time.DateOnly), End: a.End.Format(time.DateOnly),
			Parties: a.Parties,
		}
	}
	for agency, kind := range f.Kinds {
		in.Parties[agency] = policy.Party{Kind: kind}
	}
	for _, child := range req.Children {
		in.Request.Children = append(in.Request.Children, name(child))
	}
	sort.Strings(in.Request.Children)

	thisDay := now.UTC().Truncate(24 * time.Hour)
	facts := make(map[uuid.UUID]*policy.Person, len(people))
	for _, person := range people {
		facts[person.ID] = &policy.Person{
			Child: person.Child, Unborn: person.Unborn, Told: person.PregnancyTold, Age: policy.AgeBand(person.Born, person.Died, thisDay),
		}
	}
	// each of these names somebody who may not be a member: such a row says nothing here
	on := func(id uuid.UUID, change func(*policy.Person)) {
		if person := facts[id]; person != nil {
			change(person)
		}
	}
	for _, i := range f.Involvements {
		on(i.Person, func(x *policy.Person) {
			x.Ours = true
			if !i.Mine {
				return
			}
			declared := i.Source == "declared"
			x.Declared = declared && (x.Declared || !x.Mine)
			x.Mine = true
			x.Allocated = x.Allocated || (i.ByName && !declared && i.Source != "duty" && i.Source != "cover")
		})
	}
	for _, e := range f.Episodes {
		on(e.Person, func(x *policy.Person) {
			x.Open = append(x.Open, e.Kind)
			x.Rating = worse(x.Rating, e.Rating)
		})
	}
	for _, id := range f.Restricted {
		on(id, func(x *policy.Person) { x.Restricted = true })
	}
	for _, pr := range f.Protected {
		on(pr.Person, func(x *policy.Person) {
			if since := pr.Since.Format(time.DateOnly); x.Protected == "" || since < x.Protected {
				x.Protected = since
			}
		})
	}
	for _, t := range f.Told {
		on(t.Person, func(x *policy.Person) { x.Agreed, x.Informed = weaker(x.Agreed, t.Agreed), untold(x.Informed, t.Told) })
	}
	for _, h := range f.Harm {
		if _, member := facts[h.By]; !member {
			continue
		}
		on(h.To, func(x *policy.Person) { x.HarmedBy = append(x.HarmedBy, q.local[h.By]) })
	}
	for _, n := range f.Near {
		if _, member := facts[n.Other]; !member {
			continue
		}
		on(n.Child, func(x *policy.Person) {
			if x.Near == nil {
				x.Near = map[string][]policy.Span{}
			}
			other := q.local[n.Other]
			x.Near[other] = append(x.Near[other], policy.Span{Kind: n.Kind, From: day(n.From), Until: day(n.Until)})
			today := in.Date
			if (n.Kind == "parent" || n.Kind == "carer") && (n.From == nil || day(n.From) <= today) && (n.Until == nil || day(n.Until) >= today) {
				x.Parents = append(x.Parents, other)
			}
		})
	}
	for id, x := range facts {
		x.Open = sorted(x.Open)
		x.HarmedBy = sorted(x.HarmedBy)
		x.Parents = sorted(x.Parents)
		for _, spans := range x.Near {
			sort.Slice(spans, func(i, j int) bool {
				return spans[i].Kind+spans[i].From+spans[i].Until < spans[j].Kind+spans[j].From+spans[j].Until
			})
		}
		in.People[q.local[id]] = *x
	}
	for _, g := range f.Grants {
		if _, member := facts[g.Person]; !member {
			continue
		}
		in.Grants = append(in.Grants, policy.Grant{
			ID: g.ID.String(), Section: g.Section, Person: q.local[g.Person], Level: g.Level, Giver: g.Giver, GiverKind: g.GiverKind,
			BreakGlass: g.BreakGlass, Approved: g.Approved,
		})
	}
	sort.Slice(in.Grants, func(i, j int) bool { return in.Grants[i].ID < in.Grants[j].ID })

	err := q.tuples(&in, f.Entries, name)
	q.input = in
	return q, err
}

// tuples gives each entry its tuple, equal ones once. What lies behind an
// entry (its id, its dates beyond the day, who wrote it) stays out.
func (q *question) tuples(in *policy.Input, entries []family.EntryFacts, name func(uuid.UUID) string) error {
	seen := make(map[string]int, len(entries))
	q.tuple = make([]int, len(entries))
	names := func(ids []uuid.UUID) []string {
		out := make([]string, 0, len(ids))
		for _, id := range ids {
			out = append(out, name(id))
		}
		sort.Strings(out)
		return out
	}
	for i, e := range entries {
		t := policy.Tuple{
			Section: e.Section, Owner: e.Owner, Sensitivity: e.Sensitivity, Source: e.SourceKind, Handling: e.Handling, Existence: e.ExistenceOK,
			About: names(e.About), Mentions: names(e.Mentions), Narrative: e.Narrative, Tagged: e.Tagged,
			Contains: sorted(append([]string(nil), e.Contains...)), Flags: sorted(append([]string(nil), e.Flags...)),
			Full: e.FullPart != 0 && e.Held == "held", Summary: e.SummaryPart != 0 && e.Held == "held",
			Schema: e.Schema, Fields: sorted(append([]string(nil), e.Fields...)),
		}
		if e.EventFrom != nil {
			t.From = e.EventFrom.Format(time.DateOnly)
		}
		if e.EventUntil != nil {
			t.Until = e.EventUntil.Format(time.DateOnly)
		}
		key, err := json.Marshal(t)
		if err != nil {
			return fmt.Errorf("tuple of entry %s: %w", e.Entry, err)
		}
		at, ok := seen[string(key)]
		if !ok {
			at = len(in.Tuples)
			seen[string(key)] = at
			in.Tuples = append(in.Tuples, t)
		}
		q.tuple[i] = at
	}
	return nil
}

func less(a, b uuid.UUID) bool {
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

func sorted(s []string) []string {
	if len(s) == 0 {
		return nil
	}
	sort.Strings(s)
	out := s[:1]
	for _, v := range s[1:] {
		if v != out[len(out)-1] {
			out = append(out, v)
		}
	}
	return out
}

// worse keeps the higher rating of two open contacts.
func worse(a, b string) string {
	rank := map[string]int{"": 0, "green": 1, "amber": 2, "red": 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// weaker keeps the answer that opens less: one agency that was told no
// outweighs another that was told yes.
func weaker(a, b string) string {
	rank := map[string]int{"": 0, "agreed": 1, "not-asked": 2, "declined": 3, "withdrawn": 4}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// untold keeps that somebody was not told: one agency that had its reason not to
// outweighs another that told.
func untold(a, b string) string {
	if b == "" || a == "not-told" {
		return a
	}
	return b
}
