package policy

import (
	"slices"
	"strings"
)

// trait is one way in which an entry, or those whom it is about, can be in the
// eyes of the matrix: which conditions then hold, and the facts that make it so.
// An entry that no condition looks at has none, and a family is as it is.
type trait struct {
	holds  []string
	entry  func(*Tuple)
	people func(*Person)
}

// traits lists, for each fact on which conditions turn, how it can be. That each
// makes those conditions hold and no other is the kernel's to say, and a test
// asks it.
func traits() [][]trait {
	agreed := func(word string) func(*Person) { return func(p *Person) { p.Agreed = word } }
	informed := func(word string) func(*Person) { return func(p *Person) { p.Informed = word } }
	age := func(band string) func(*Person) { return func(p *Person) { p.Age = band } }
	return [][]trait{
		{{}, {holds: []string{"handling-p"}, entry: func(t *Tuple) { t.Handling = "P" }}},
		{{}, {holds: []string{"encompass-event"}, entry: func(t *Tuple) { t.Flags = []string{"encompass"} }}},
		{{holds: []string{"own-client"}, people: func(p *Person) { p.Ours = true }}, {people: func(p *Person) { p.Ours, p.Mine = false, false }}},
		{{holds: []string{"consent"}, people: agreed("agreed")}, {people: agreed("")}, {holds: []string{"not-asked-with-reason"}, people: agreed("not-asked")}},
		{{people: informed("")}, {holds: []string{"told"}, people: informed("told")}, {holds: []string{"not-told-with-reason"}, people: informed("not-told")}},
		{
			{people: age("")},
			{holds: []string{"under-13", "under-16", "under-18", "under-25"}, people: age("under-13")},
			{holds: []string{"under-16", "under-18", "under-25"}, people: age("13-15")},
			{holds: []string{"from-16", "under-18", "under-25"}, people: age("16-17")},
			{holds: []string{"from-16", "from-18", "under-25"}, people: age("18-24")},
			{holds: []string{"from-16", "from-18"}, people: age("25-over")},
		},
	}
}

// variant is a choice of traits that some row can tell from the others.
type variant struct {
	holds  []string // conditions of rows, sorted
	traits []trait
	key    string // of what they say about people
}

// name is how differences refer to it: its conditions, "" for none.
func (v variant) name() string { return strings.Join(v.holds, "+") }

// variantsOf gives the variants of an entry whose decision turns on these rows:
// one for each set of rows whose conditions on entries can hold together, since
// entries for which the same rows hold are decided alike. They are few, as the
// rows on conditions of one part of the record are.
func variantsOf(rows []Row) []variant {
	used := map[string]bool{}
	var asked [][]string // the conditions of each row that speak of these traits
	// Consent and having to do with somebody bear on more than rows.
	for _, code := range []string{"consent", "own-client"} {
		if slices.ContainsFunc(rows, func(r Row) bool { return slices.Contains(r.Conditions, code) }) {
			asked = append(asked, []string{code})
		}
	}
	for _, r := range rows {
		var of []string
		for _, dimension := range traits() {
			for _, t := range dimension {
				for _, code := range t.holds {
					if slices.Contains(r.Conditions, code) && !slices.Contains(of, code) {
						of = append(of, code)
					}
				}
			}
		}
		if len(of) > 0 {
			asked = append(asked, of)
		}
		for _, code := range of {
			used[code] = true
		}
	}
	variants := []variant{{}}
	for n, dimension := range traits() {
		if !slices.ContainsFunc(dimension, func(t trait) bool { return slices.ContainsFunc(t.holds, func(code string) bool { return used[code] }) }) {
			continue
		}
		var longer []variant
		seen := map[string]bool{}
		for i, t := range dimension {
			holds := slices.DeleteFunc(slices.Clone(t.holds), func(code string) bool { return !used[code] })
			if sig := strings.Join(holds, "+"); !seen[sig] {
				seen[sig] = true
				for _, v := range variants {
					longer = append(longer, v.with(n, i, t, holds))
				}
			}
		}
		variants = longer
	}
	// Of those for which the same rows hold, the one with the fewest conditions.
	slices.SortStableFunc(variants, func(a, b variant) int { return len(a.holds) - len(b.holds) })
	seen := map[string]bool{}
	return slices.DeleteFunc(variants, func(v variant) bool {
		var fits strings.Builder
		for _, of := range asked {
			if missing(of, v.holds) {
				fits.WriteByte('0')
			} else {
				fits.WriteByte('1')
			}
		}
		twice := seen[fits.String()]
		seen[fits.String()] = true
		return twice
	})
}

func (v variant) with(dimension, choice int, t trait, holds []string) variant {
	v.holds = sortedSet(append(slices.Clone(v.holds), holds...))
	v.traits = append(slices.Clone(v.traits), t)
	if t.people != nil {
		v.key += string([]byte{'a' + byte(dimension), '0' + byte(choice)})
	}
	return v
}

// entry makes an entry of this variant.
func (v variant) entry(t Tuple) Tuple {
	for _, x := range v.traits {
		if x.entry != nil {
			x.entry(&t)
		}
	}
	return t
}

// people makes a family of this variant, whatever its situation. A reader still
// has to do with the one parent through whom they had.
func (v variant) people(q *question) {
	for name, p := range q.people {
		mine, ours := p.Mine, p.Ours
		for _, x := range v.traits {
			if x.people != nil {
				x.people(&p)
			}
		}
		if name == spaceAbuser {
			p.Mine, p.Ours = mine, ours
		}
		q.people[name] = p
	}
}
