package policy

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// families is how many random families each property is tried on.
const families = 120

// dice makes random but reproducible inputs of the shipped version.
type dice struct {
	*rand.Rand
	v *Version
}

func (d dice) often(percent int) bool { return d.IntN(100) < percent }

func pick[T any](d dice, from []T) T { return from[d.IntN(len(from))] }

func some(d dice, from []string, percent int) []string {
	var chosen []string
	for _, one := range from {
		if d.often(percent) {
			chosen = append(chosen, one)
		}
	}
	return chosen
}

func (d dice) input() Input {
	kind := pick(d, d.v.Kinds)
	var roles []string
	for _, r := range d.v.Roles {
		if slices.Contains(r.Kinds, kind.Code) && d.often(60) {
			roles = append(roles, r.Code)
		}
	}
	in := Input{
		V: 1, Date: testDay,
		Caller: Caller{
			Agency: kind.Code, Kind: kind.Code, Roles: roles, Active: d.often(97), Named: d.often(2),
			FamilyTeam: d.often(50), Marac: d.often(50), Lead: d.often(50),
		},
		Request:    Request{Purpose: pick(d, d.v.Purposes).Code, Reason: true},
		Agreements: signedByAll(d.v),
		Parties:    map[string]Party{},
		People:     map[string]Person{},
	}
	for _, k := range d.v.Kinds {
		in.Parties[k.Code] = Party{Kind: k.Code}
	}
	names := []string{"kim", "tom", "mum", "dad", "gran"}
	for _, name := range names {
		in.People[name] = d.person(name, names)
	}
	if d.often(40) {
		giver := pick(d, d.v.Kinds).Code
		in.Grants = append(in.Grants, Grant{ID: "g1", Person: pick(d, names), Section: pick(d, d.v.Sections).Code, Level: pick(d, []string{"existence", "summary", "full"}),
			Giver: giver, GiverKind: giver})
	}
	if d.often(40) {
		in.Grants = append(in.Grants, Grant{ID: "g2", Person: pick(d, names), Level: "full", BreakGlass: true, Approved: d.often(50)})
	}
	for range 25 {
		in.Tuples = append(in.Tuples, d.tuple(names))
	}
	return in
}

func (d dice) person(name string, names []string) Person {
	p := Person{
		Child: name == "kim" || name == "tom", Mine: d.often(45), Restricted: d.often(4),
		Agreed: pick(d, []string{"", "agreed", "declined"}), Informed: pick(d, []string{"", "told", "not-told"}),
		Age: pick(d, []string{"", "under-13", "16-17", "25-over"}),
	}
	p.Ours = p.Mine || d.often(20)
	if d.often(20) {
		p.Protected = pick(d, []string{"2026-01-01", "2026-06-01"})
	}
	if d.often(25) {
		p.HarmedBy = []string{pick(d, names)}
	}
	if p.Child {
		p.Open = some(d, []string{"early-help", "contact", "child-in-need", "section-47", "care", "marac", "encompass"}, 60)
		p.Rating = pick(d, []string{"", "green", "red"})
		p.Unborn, p.Told = d.often(10), d.often(50)
		p.Near, p.Parents = map[string][]Span{"mum": {{Kind: "parent"}}}, []string{"mum"}
		if d.often(70) {
			p.Near["dad"] = []Span{{Kind: pick(d, []string{"parent", "carer", "contact"})}}
		}
		if d.often(50) {
			p.Near["gran"] = []Span{{Kind: "household", From: "2026-03-01", Until: pick(d, []string{"", "2026-05-01"})}}
		}
	}
	return p
}

func (d dice) tuple(names []string) Tuple {
	s := pick(d, d.v.Sections)
	t := Tuple{
		Section: s.Code, Owner: pick(d, d.v.Kinds).Code, Sensitivity: s.Sensitivity, Source: "fact",
		About: []string{pick(d, names)}, Narrative: s.Narrative, Tagged: d.often(85), Schema: s.Schema,
		Full: d.often(90), Summary: d.often(80), From: pick(d, []string{"", "2026-02-01", "2026-04-01", "2026-10-01"}),
		Flags: some(d, []string{"do-not-inform", "court", "legal", "new-name", "places", "encompass"}, 6),
	}
	if len(s.Owners) > 0 && d.often(70) {
		t.Owner = s.Owners[0]
	}
	if d.often(15) {
		t.Mentions = []string{pick(d, names)}
	}
	if d.often(15) {
		t.Contains = []string{pick(d, d.v.Sections).Code}
	}
	if d.often(10) {
		t.Handling, t.Existence = pick(d, []string{"P", "C"}), d.often(50)
	}
	if d.often(5) {
		t.Schema = "other/9"
	}
	return t
}

// eachFamily runs a property on random families; it fails if hardly any of
// them were answered, since then it would have tested nothing.
func eachFamily(t *testing.T, seed uint64, check func(t *testing.T, a *Active, d dice, in Input, got Decision)) {
	t.Helper()
	a := compileDefault(t)
	d := dice{Rand: rand.New(rand.NewPCG(seed, 2)), v: a.Version()}
	answered := 0
	for tries := 0; answered < families && tries < 40*families; tries++ {
		in := d.input()
		got := mustDecide(t, a, in)
		if !got.Allow {
			if len(got.Entries) > 0 || len(got.Children) > 0 {
				t.Fatalf("a refusal shows something: %+v", got)
			}
			continue
		}
		answered++
		check(t, a, d, in, got)
		if t.Failed() {
			t.Fatalf("family %d: %+v\ncaller %+v, %s, grants %+v", tries, in.People, in.Caller, in.Request.Purpose, in.Grants)
		}
	}
	if answered < families {
		t.Fatalf("only %d families were answered", answered)
	}
}

// The widest level that the matrix has for a reader, whatever its conditions.
func matrixLevel(v *Version, kind, section string, letters ...string) Level {
	widest := Hidden
	for _, row := range v.Matrix {
		if row.To == kind && row.Section == section && slices.ContainsFunc(letters, func(l string) bool { return slices.Contains(row.Purposes, l) }) {
			widest = max(widest, Level(rank(row.Level)))
		}
	}
	return widest
}

func TestDecisionNeverExceedsTheMatrix(t *testing.T) {
	t.Parallel()
	eachFamily(t, 11, func(t *testing.T, a *Active, _ dice, in Input, got Decision) {
		p, _ := a.Version().Purpose(in.Request.Purpose)
		letters := []string{p.Code, p.Letter, p.Inside}
		for i, e := range got.Entries {
			tuple := in.Tuples[i]
			s, _ := a.Version().Section(tuple.Section)
			switch {
			case tuple.Owner == in.Caller.Agency:
				continue
			case e.Level == Hidden:
				if e.Part != "" || e.Holder || e.Named || len(e.Clauses) > 0 || len(e.Masked) > 0 || len(e.Labels) > 0 {
					t.Errorf("hidden entry %d shows something: %+v", i, e)
				}
				continue
			case s.Never:
				t.Errorf("entry %d: %s is never shared, got %s", i, tuple.Section, e.Level)
			case e.Grant == "" && e.Level > matrixLevel(a.Version(), in.Caller.Kind, tuple.Section, letters...):
				t.Errorf("entry %d: %s at %s to %s exceeds the matrix", i, tuple.Section, e.Level, in.Caller.Kind)
			case e.Grant != "" && !slices.ContainsFunc(in.Grants, func(g Grant) bool { return g.ID == e.Grant }):
				t.Errorf("entry %d: no grant %q", i, e.Grant)
			case e.Grant != "" && !mayHaveGiven(in.Grants, e.Grant, tuple.Owner, s):
				t.Errorf("entry %d: %s of %s, opened by a grant of neither its owner nor, where no kind owns it, the host", i, tuple.Section, tuple.Owner)
			case len(e.Clauses) != 1:
				t.Errorf("entry %d: clauses %v", i, e.Clauses)
			}
			for _, code := range e.Reasons {
				if Reasons()[code] == "" {
					t.Errorf("entry %d: no sentence for %q", i, code)
				}
			}
		}
	})
}

// mayHaveGiven tells whether a grant's giver has a say over an owner's entries
// of a section.
func mayHaveGiven(grants []Grant, id, owner string, s Section) bool {
	return slices.ContainsFunc(grants, func(g Grant) bool {
		return g.ID == id && (g.BreakGlass || g.Giver == owner || len(s.Owners) == 0 && g.GiverKind == hostKind)
	})
}

// Taking away a relationship, an agreement, a role or a grant never shows more.
// The children are named, since without names a caller who loses one child may
// be answered about another.
func TestTakingAwayNeverShowsMore(t *testing.T) {
	t.Parallel()
	eachFamily(t, 12, func(t *testing.T, a *Active, d dice, in Input, got Decision) {
		in.Request.Children = got.Children
		before := mustDecide(t, a, in)
		p, _ := a.Version().Purpose(in.Request.Purpose)
		type loss struct {
			name string
			in   Input
		}
		var losses []loss
		for _, name := range slices.Sorted(maps.Keys(in.People)) {
			// By role or list nobody needs a client, and the wall is a duty that a
			// client brings: without the client there is no wall.
			if person := in.People[name]; person.Mine && p.Relationship == ByInvolvement {
				less := in
				less.People = maps.Clone(in.People)
				person.Mine, person.Allocated = false, false
				less.People[name] = person
				losses = append(losses, loss{"relationship with " + name, less})
			}
			less := in
			less.People = maps.Clone(in.People)
			person := in.People[name]
			person.Restricted = true
			less.People[name] = person
			losses = append(losses, loss{"sight of " + name, less})
		}
		for id, agreement := range in.Agreements {
			for _, agency := range []string{in.Caller.Agency, pick(d, d.v.Kinds).Code} {
				less := in
				less.Agreements = maps.Clone(in.Agreements)
				less.Agreements[id] = Agreement{From: agreement.From, Review: agreement.Review, End: agreement.End, Parties: maps.Clone(agreement.Parties)}
				less.Agreements[id].Parties[agency] = "ended"
				losses = append(losses, loss{fmt.Sprintf("%s's part of %s", agency, id), less})
			}
		}
		for i := range in.Caller.Roles {
			less := in
			less.Caller.Roles = slices.Delete(slices.Clone(in.Caller.Roles), i, i+1)
			losses = append(losses, loss{"role " + in.Caller.Roles[i], less})
		}
		for i := range in.Grants {
			less := in
			less.Grants = slices.Delete(slices.Clone(in.Grants), i, i+1)
			losses = append(losses, loss{"grant " + in.Grants[i].ID, less})
		}
		for _, l := range losses[:min(len(losses), 1+d.IntN(6))] {
			if err := wider(mustDecide(t, a, l.in), before); err != nil {
				t.Errorf("without %s more is shown: %v", l.name, err)
			}
		}
	})
}

// An entry's answer depends on its tuple alone: what else the family has, and
// in which order, changes nothing. This is what lets a hidden entry vanish.
func TestEntriesAreDecidedAlone(t *testing.T) {
	t.Parallel()
	eachFamily(t, 13, func(t *testing.T, a *Active, d dice, in Input, got Decision) {
		if again := mustDecide(t, a, in); !cmp.Equal(got, again) {
			t.Error("the same input twice:", cmp.Diff(got, again))
		}
		order := d.Perm(len(in.Tuples))[:len(in.Tuples)/2]
		part := in
		part.Tuples = nil
		for _, i := range order {
			part.Tuples = append(part.Tuples, in.Tuples[i])
		}
		alone := mustDecide(t, a, part)
		for at, i := range order {
			if !cmp.Equal(got.Entries[i], alone.Entries[at]) {
				t.Errorf("entry %d among others and alone: %s", i, cmp.Diff(got.Entries[i], alone.Entries[at]))
			}
		}
	})
}
