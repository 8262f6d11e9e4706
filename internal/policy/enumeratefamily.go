package policy

import "slices"

// situation is one way in which a caller may stand to the family.
type situation struct {
	name   string
	change func(*question)
}

func (c *comparison) situations(agency, kind, purpose string) []situation {
	plain := situation{"", func(*question) {}}
	all := []situation{plain}
	for _, code := range c.conditions {
		all = append(all, situation{code, func(q *question) { meet(&q.caller, code) }})
	}
	if len(c.conditions) > 1 {
		all = append(all, situation{"with every condition met", func(q *question) {
			for _, code := range c.conditions {
				meet(&q.caller, code)
			}
		}})
	}
	add := func(wanted bool, name string, change func(*question)) {
		if wanted {
			all = append(all, situation{name, change})
		}
	}
	var inside, consent, emergency, lead, marac, byClient bool
	for _, v := range c.versions() {
		p, _ := v.Purpose(purpose)
		k, _ := v.Kind(kind)
		inside = inside || p.Inside != ""
		consent = consent || p.Consent
		emergency = emergency || p.Relationship == ByBreakGlass
		lead = lead || p.Relationship == ByNamedLead
		marac = marac || p.Relationship == ByMaracList
		byClient = byClient || k.Wall != "never"
	}
	add(lead && !slices.Contains(c.conditions, "named-lead"), "named-lead", func(q *question) { q.caller.Lead = true })
	add(marac && !slices.Contains(c.conditions, "marac-member"), "marac-member", func(q *question) { q.caller.Marac = true })
	add(inside, "contact rated red, inside the MASH", func(q *question) {
		q.people[spaceChild] = withPerson(q.people[spaceChild], func(p *Person) { p.Rating = "red" })
	})
	add(byClient, "works with the alleged abuser alone", walledFamily)
	add(consent, "the family declined", func(q *question) {
		for name, p := range q.people {
			q.people[name] = withPerson(p, func(p *Person) { p.Agreed = "declined" })
		}
	})
	add(emergency, "emergency access, approved twice", func(q *question) {
		for _, name := range []string{spaceChild, spaceAdult} {
			q.grants = append(q.grants, Grant{ID: name, Person: name, Level: "full", BreakGlass: true, Approved: true})
		}
	})
	// A row carries a named grant's clause and masks, and says where there is none.
	grantable := c.changedRows(agency, kind)
	add(!emergency && len(grantable) > 0, "named grant", func(q *question) {
		for _, section := range grantable {
			for _, name := range []string{spaceChild, spaceAdult} {
				for _, giver := range c.givers(section, agency) {
					q.grants = append(q.grants, Grant{ID: section + "/" + name + "/" + giver, Section: section, Person: name, Level: "full",
						Giver: giver, GiverKind: c.space.Agencies[giver]})
				}
			}
		}
	})
	if !c.global {
		return all
	}
	add(emergency, "emergency access", func(q *question) {
		for _, name := range []string{spaceChild, spaceAdult} {
			q.grants = append(q.grants, Grant{ID: name, Person: name, Level: "full", BreakGlass: true})
		}
	})
	// What no matrix row turns on, but a purpose, a kind or a section may.
	add(true, "no open work", func(q *question) {
		q.people[spaceChild] = withPerson(q.people[spaceChild], func(p *Person) { p.Open = nil })
	})
	add(true, "no reason given", func(q *question) { q.reason = false })
	add(true, "no relationship", func(q *question) {
		for name, p := range q.people {
			q.people[name] = withPerson(p, func(p *Person) { p.Mine, p.Ours, p.Allocated = false, false, false })
		}
	})
	add(true, "protected address", func(q *question) {
		for name, p := range q.people {
			q.people[name] = withPerson(p, func(p *Person) { p.Protected = "0001-01-01" })
		}
	})
	add(true, "unborn, not told", func(q *question) {
		q.people[spaceChild] = withPerson(q.people[spaceChild], func(p *Person) { p.Unborn, p.Told = true, false })
	})
	return all
}

// givers lists who has a say over what is asked of a section: the owners of its
// entries, and one agency of each kind that owns the section.
func (c *comparison) givers(section, receiver string) []string {
	found := map[string]bool{}
	for _, p := range c.points {
		if p.tuple.Section == section {
			found[c.owned(p, receiver).tuple.Owner] = true
		}
	}
	for _, v := range c.versions() {
		s, _ := v.Section(section)
		for _, kind := range s.OwningKinds() {
			at := slices.IndexFunc(c.agencies, func(agency string) bool { return c.space.Agencies[agency] == kind })
			if at >= 0 {
				found[c.agencies[at]] = true
			}
		}
	}
	return sortedKeys(found)
}

// changedRows lists the sections whose rows differ for a receiver.
func (c *comparison) changedRows(agency, kind string) []string {
	rows := func(v *Version, section string) []Row {
		var out []Row
		for _, r := range v.Matrix {
			if r.Section == section && (r.To == agency || r.To == kind) {
				out = append(out, r)
			}
		}
		return out
	}
	var out []string
	for _, section := range c.sections() {
		if !equalJSON(rows(c.before.version, section), rows(c.after.version, section)) {
			out = append(out, section)
		}
	}
	return out
}

func meet(c *Caller, condition string) {
	switch condition {
	case "family-team":
		c.FamilyTeam = true
	case "marac-member":
		c.Marac = true
	case "named-lead":
		c.Lead = true
	}
}

func withPerson(p Person, change func(*Person)) Person {
	change(&p)
	return p
}

// spaceFamily is a child with every kind of open work, a parent, and another
// parent, all of whom the caller works with.
func spaceFamily() map[string]Person {
	return map[string]Person{
		spaceChild: {Child: true, Mine: true, Ours: true, Open: openWork(), Agreed: "agreed", Parents: []string{spaceAdult, spaceAbuser},
			Near: map[string][]Span{spaceAdult: {{Kind: "parent"}}, spaceAbuser: {{Kind: "parent"}}}},
		spaceAdult:  {Mine: true, Ours: true, Agreed: "agreed"},
		spaceAbuser: {Mine: true, Ours: true, Agreed: "agreed"},
	}
}

func walledFamily(q *question) {
	for name, p := range q.people {
		q.people[name] = withPerson(p, func(p *Person) {
			p.Mine = name == spaceAbuser
			p.Ours = p.Mine
			if name != spaceAbuser {
				p.HarmedBy = []string{spaceAbuser}
			}
		})
	}
}
