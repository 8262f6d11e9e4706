package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// play puts each question of a story to the version and tells what came out
// otherwise than the story wants.
func (s story) play(ctx context.Context, a *Active) []Failure {
	var failures []Failure
	for i, ask := range s.Asks {
		name := fmt.Sprintf("%s: ask %d (%s)", s.Title, i+1, ask.Who)
		problems := s.ask(ctx, a, ask)
		if len(problems) > 0 {
			failures = append(failures, Failure{File: s.file, Name: name, Problem: strings.Join(problems, "; ")})
		}
	}
	return failures
}

func (s story) ask(ctx context.Context, a *Active, ask storyAsk) []string {
	in, entries, problems := s.input(a.version, ask)
	problems = append(problems, s.unknown(entries, ask)...)
	if len(problems) > 0 {
		return problems
	}
	d, err := a.Decide(ctx, in)
	if err != nil {
		return []string{err.Error()}
	}
	if d.Refusal != ask.Refused {
		problems = append(problems, fmt.Sprintf("refused %q, want %q", d.Refusal, ask.Refused))
	}
	if ask.Alerts != nil || len(d.Alerts) > 0 {
		problems = append(problems, differ("alerts", d.Alerts, ask.Alerts)...)
	}
	if ask.Answered != nil {
		problems = append(problems, differ("answered", d.Children, ask.Answered)...)
	}
	if ask.Declared != nil && d.Declared != *ask.Declared {
		problems = append(problems, fmt.Sprintf("declared %t, want %t", d.Declared, *ask.Declared))
	}
	if !d.Allow {
		if d.Entries != nil {
			problems = append(problems, "entries beside a refusal")
		}
		return problems
	}
	for i, name := range entries {
		e := d.Entries[i]
		want := ask.Want[name]
		if want == "" {
			want = Hidden.String()
		}
		if e.Level.String() != want {
			problems = append(problems, fmt.Sprintf("%s: %s %v, want %s", name, e.Level, e.Reasons, want))
		}
		if detail, ok := ask.Detail[name]; ok {
			problems = append(problems, detail.compare(name, e)...)
		}
	}
	return problems
}

// unknown names what an ask expects of entries that the story does not have.
func (s story) unknown(entries []string, ask storyAsk) []string {
	var problems []string
	for _, name := range append(sortedKeys(ask.Want), sortedKeys(ask.Detail)...) {
		if !slices.Contains(entries, name) {
			problems = append(problems, fmt.Sprintf("no entry %q", name))
		}
	}
	for name, level := range ask.Want {
		if _, err := ParseLevel(level); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", name, err))
		}
	}
	if ask.Refused != "" && (len(ask.Want) > 0 || len(ask.Detail) > 0) {
		problems = append(problems, "refused, yet something is wanted")
	}
	return problems
}

func (d storyDetail) compare(name string, e Entry) []string {
	var problems []string
	if d.Part != nil && e.Part != *d.Part {
		problems = append(problems, fmt.Sprintf("%s: part %q, want %q", name, e.Part, *d.Part))
	}
	if d.Grant != nil && e.Grant != *d.Grant {
		problems = append(problems, fmt.Sprintf("%s: grant %q, want %q", name, e.Grant, *d.Grant))
	}
	if d.Named != nil && e.Named != *d.Named {
		problems = append(problems, fmt.Sprintf("%s: named %t, want %t", name, e.Named, *d.Named))
	}
	for _, list := range []struct {
		what      string
		got, want []string
	}{
		{"masked", e.Masked, d.Masked}, {"keep", e.Keep, d.Keep},
		{"labels", e.Labels, d.Labels}, {"clauses", e.Clauses, d.Clauses},
	} {
		if list.want != nil {
			problems = append(problems, differ(name+": "+list.what, list.got, list.want)...)
		}
	}
	for _, code := range d.Reasons {
		if !slices.Contains(e.Reasons, code) {
			problems = append(problems, fmt.Sprintf("%s: reasons %v, want %s among them", name, e.Reasons, code))
		}
	}
	return problems
}

// differ compares two lists as sets.
func differ(what string, got, want []string) []string {
	if slices.Equal(sortedSet(got), sortedSet(want)) {
		return nil
	}
	return []string{fmt.Sprintf("%s %v, want %v", what, got, want)}
}

// input makes the facts of one question, and the entries in the order of the tuples.
func (s story) input(v *Version, ask storyAsk) (Input, []string, []string) {
	b := storyBuilder{story: s, v: v, ask: ask}
	in := Input{
		V: 1, Date: s.Date,
		Caller:     b.caller(),
		Request:    Request{Purpose: ask.Purpose, Children: ask.Children, Reason: ask.Reason == nil || *ask.Reason},
		Agreements: b.agreements(),
		Parties:    map[string]Party{},
		People:     b.people(),
	}
	for _, g := range ask.Grants {
		b.known(in, g.Person)
		grant := Grant{ID: g.ID, Section: g.Section, Person: g.Person, Level: g.Level, Giver: g.Giver, BreakGlass: g.BreakGlass, Approved: g.Approved}
		if g.Giver != "" {
			grant.GiverKind = b.kind(g.Giver)
		}
		in.Grants = append(in.Grants, grant)
	}
	entries := sortedKeys(s.Entries)
	for _, name := range entries {
		t := b.tuple(name, s.Entries[name])
		in.Parties[t.Owner] = Party{Kind: b.kind(t.Owner)}
		in.Tuples = append(in.Tuples, t)
	}
	for _, child := range ask.Children {
		b.known(in, child)
	}
	return in, entries, b.problems
}

type storyBuilder struct {
	story    story
	v        *Version
	ask      storyAsk
	problems []string
}

func (b *storyBuilder) wrong(format string, args ...any) {
	b.problems = append(b.problems, fmt.Sprintf(format, args...))
}

func (b *storyBuilder) known(in Input, name string) {
	if _, ok := in.People[name]; !ok && !absent(name) {
		b.wrong("nobody is called %q", name)
	}
}

// absent tells whether a story means somebody, or a section, that is not there.
func absent(name string) bool {
	return strings.HasPrefix(name, "nobody") || strings.HasPrefix(name, "no-such")
}

func (b *storyBuilder) kind(agency string) string {
	if kind := b.story.Agencies[agency]; kind != "" {
		return kind
	}
	return agency
}

func (b *storyBuilder) caller() Caller {
	c := Caller{Agency: b.ask.Agency, Kind: b.ask.Kind, Roles: b.ask.Roles, Active: true}
	if c.Kind == "" {
		c.Kind = b.kind(c.Agency)
	}
	for _, fact := range b.ask.Is {
		switch fact {
		case "named":
			c.Named = true
		case "family-team":
			c.FamilyTeam = true
		case "marac":
			c.Marac = true
		case "lead":
			c.Lead = true
		case "inactive":
			c.Active = false
		default:
			b.wrong("unknown fact %q on the caller", fact)
		}
	}
	return c
}

// agreements is the live state: every party signed and the text's dates, but
// for what the story and the ask change.
func (b *storyBuilder) agreements() map[string]Agreement {
	live := map[string]Agreement{}
	for _, text := range b.v.Agreements {
		a := Agreement{From: text.From, Review: text.Review, End: text.End, Parties: map[string]string{}}
		for _, party := range text.Parties {
			a.Parties[party.Agency] = "signed"
		}
		live[text.ID] = a
	}
	for _, changes := range []map[string]storyAgreement{b.story.Agreements, b.ask.Agreements} {
		for id, change := range changes {
			a, ok := live[id]
			if !ok {
				b.wrong("no agreement %q", id)
				continue
			}
			if change.From != "" {
				a.From = change.From
			}
			if change.Review != "" {
				a.Review = change.Review
			}
			if change.End != "" {
				a.End = change.End
			}
			for agency, state := range change.Parties {
				a.Parties[agency] = state
			}
			live[id] = a
		}
	}
	return live
}

func (b *storyBuilder) people() map[string]Person {
	people := map[string]Person{}
	for name, told := range b.story.People {
		if patch, ok := b.ask.People[name]; ok {
			if err := patch.node.Decode(&told); err != nil {
				b.wrong("%s: %v", name, err)
			}
		}
		b.oneOf(name, "agreed", told.Agreed, "agreed", "declined", "withdrawn", "not-asked")
		b.oneOf(name, "informed", told.Informed, "told", "not-told")
		p := Person{
			Child: told.Child, Unborn: told.Unborn, Told: told.Told, Open: told.Open, Rating: told.Rating,
			Protected: told.Protected, Agreed: told.Agreed, Informed: told.Informed, Age: b.age(name, told.Born), HarmedBy: told.HarmedBy, Parents: told.Parents,
			Mine:       slices.Contains(b.ask.Mine, name) || slices.Contains(b.ask.Allocated, name),
			Allocated:  slices.Contains(b.ask.Allocated, name),
			Restricted: slices.Contains(b.ask.Restricted, name),
		}
		p.Ours = p.Mine || slices.Contains(b.ask.Ours, name)
		for near, spans := range told.Near {
			if p.Near == nil {
				p.Near = map[string][]Span{}
			}
			p.Near[near] = spans
			if told.Parents == nil && slices.ContainsFunc(spans, b.parental) {
				p.Parents = append(p.Parents, near)
			}
		}
		slices.Sort(p.Parents)
		people[name] = p
	}
	for _, list := range [][]string{b.ask.Mine, b.ask.Ours, b.ask.Allocated, b.ask.Restricted, sortedKeys(b.ask.People)} {
		for _, name := range list {
			if _, ok := b.story.People[name]; !ok {
				b.wrong("nobody is called %q", name)
			}
		}
	}
	return people
}

// oneOf refuses a word that the facts do not have: it would mean nothing.
func (b *storyBuilder) oneOf(name, what, said string, words ...string) {
	if said != "" && !slices.Contains(words, said) {
		b.wrong("%s: %s %q is none of %s", name, what, said, strings.Join(words, ", "))
	}
}

// age is somebody's band of age on the day of the story.
func (b *storyBuilder) age(name, born string) string {
	if born == "" {
		return ""
	}
	from, err := time.Parse(time.DateOnly, born)
	if err != nil {
		b.wrong("%s: born %q is no day", name, born)
		return ""
	}
	on, err := time.Parse(time.DateOnly, b.story.Date)
	if err != nil {
		b.wrong("date %q is no day", b.story.Date)
		return ""
	}
	return AgeBand(&from, nil, on)
}

func (b *storyBuilder) parental(s Span) bool {
	return (s.Kind == "parent" || s.Kind == "carer") &&
		s.From <= b.story.Date && (s.Until == "" || b.story.Date <= s.Until)
}

func (b *storyBuilder) tuple(name string, e storyEntry) Tuple {
	section, ok := b.v.Section(e.Section)
	if !ok && !absent(e.Section) {
		b.wrong("%s: no section %q", name, e.Section)
	}
	for _, person := range append(slices.Clone(e.About), e.Mentions...) {
		if _, ok := b.story.People[person]; !ok && !absent(person) {
			b.wrong("%s: nobody is called %q", name, person)
		}
	}
	t := Tuple{
		Section: e.Section, Owner: e.Owner, Sensitivity: e.Sensitivity, Source: e.Source,
		Handling: e.Handling, Existence: e.Existence, About: e.About, Mentions: e.Mentions,
		Narrative: either(e.Narrative, section.Narrative), Tagged: either(e.Tagged, true),
		Contains: e.Contains, Flags: e.Flags, From: e.From, Until: e.Until,
		Full: either(e.Full, true), Summary: either(e.Summary, true),
		Schema: either(e.Schema, section.Schema), Fields: e.Fields,
	}
	if t.Sensitivity == 0 {
		t.Sensitivity = section.Sensitivity
	}
	if t.Source == "" {
		t.Source = "fact"
	}
	return t
}

// either gives what was told, else the default.
func either[T any](told *T, standard T) T {
	if told != nil {
		return *told
	}
	return standard
}
