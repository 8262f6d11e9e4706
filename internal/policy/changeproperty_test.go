package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// smallVersion keeps a few parts of the record and purposes of the shipped
// version, so that all of its decision space can be asked.
func smallVersion(t testing.TB) *Version {
	t.Helper()
	v := shippedVersion(t)
	sections := []string{"identity", "mh-involvement", "police-events", "workbook"}
	v.Sections = slices.DeleteFunc(v.Sections, func(s Section) bool { return !slices.Contains(sections, s.Code) })
	v.Purposes = slices.DeleteFunc(v.Purposes, func(p Purpose) bool { return !slices.Contains([]string{"EH", "FD", "CN", "VI"}, p.Code) })
	v.Matrix = slices.DeleteFunc(v.Matrix, func(r Row) bool { return !slices.Contains(sections, r.Section) || smallSpace.Agencies[r.To] == "" })
	return v
}

var smallSpace = Space{Date: testDay, Agencies: map[string]string{"CSC": "CSC", "MH": "MH", "POL": "POL"}}

// amended copies a version with rows of its matrix changed at random: some of
// the changes matter to nobody in the space.
func (d dice) amended(v *Version) (*Version, string) {
	out := *v
	out.Matrix = slices.Clone(v.Matrix)
	out.Digest = Digest{}
	var what []string
	for range 1 + d.IntN(2) {
		i := d.IntN(len(out.Matrix))
		r := out.Matrix[i]
		switch d.IntN(9) {
		case 0:
			if r.Clause != "" {
				r.Level = pick(d, []string{"existence", "summary", "full"})
			}
		case 1:
			out.Matrix = slices.Delete(out.Matrix, i, i+1)
			what = append(what, fmt.Sprintf("without %+v", r))
			continue
		case 2:
			r.Why = "said otherwise" // nothing but words
		case 3:
			r.Roles = []string{pick(d, v.Roles).Code}
		case 4:
			r.Conditions = []string{pick(d, Conditions()).Code}
			if d.often(50) {
				r.Conditions = sortedSet(append(r.Conditions, pick(d, Conditions()).Code))
			}
		case 5:
			if s, ok := v.Section(r.Section); ok && len(s.Fields) > 0 && r.Clause != "" {
				r.Masks = []string{pick(d, s.Fields).Name}
			}
		case 6:
			r.Until = pick(d, []string{"2026-01-01", "2027-01-01"})
		case 7:
			r.To = pick(d, []string{"CSC", "MH", "POL", "HV"})
		case 8:
			r.Purposes = []string{pick(d, []string{"EH", "FD", "CN"})}
		}
		what = append(what, fmt.Sprintf("%+v becomes %+v", out.Matrix[i], r))
		out.Matrix[i] = r
	}
	return &out, fmt.Sprint(what)
}

// crowd is who, beside the child and the adult of the walk, entries are about
// where a row asks what is known of people: children and adults who differ in
// it, so that each two facts meet.
func crowd() map[string]func(Person) Person {
	ages := []string{"", "under-13", "13-15", "16-17", "18-24", "25-over"}
	answers := []string{"", "agreed", "not-asked", "declined", "withdrawn"}
	words := []string{"", "told", "not-told"}
	all := map[string]func(Person) Person{}
	for i := range len(ages) * len(answers) {
		k := i / len(ages)
		all[fmt.Sprint("one", i)] = func(p Person) Person {
			p.Age, p.Agreed, p.Informed = ages[i%len(ages)], answers[k], words[(i+k)%len(words)]
			if (i/3+k)%2 > 0 {
				p.Mine, p.Ours = false, false
			}
			return p
		}
	}
	return all
}

// crowded adds them to the family of the walk, every third as a child.
func crowded() map[string]Person {
	all := spaceFamily()
	near := all[spaceChild].Near
	for name, vary := range crowd() {
		if (len(name)+int(name[len(name)-1]))%3 == 0 {
			child := all[spaceChild]
			child.Parents = nil
			all[name] = vary(child)
			continue
		}
		all[name] = vary(all[spaceAdult])
		near[name] = []Span{{Kind: "parent"}}
	}
	return all
}

// asksOfPeople tells whether a row of a section, or of the one that may tell of
// an owner, asks what is known of people.
func asksOfPeople(section string, versions ...*Version) bool {
	for _, v := range versions {
		for _, r := range v.Matrix {
			if r.Section != section && r.Section != "mh-involvement" {
				continue
			}
			for _, code := range r.Conditions {
				if !slices.Contains([]string{"family-team", "marac-member", "named-lead", "encompass-event", "handling-p", "about-child"}, code) {
					return true
				}
			}
		}
	}
	return false
}

// anyDiffers asks both versions everything, without leaving anything out and
// without taking anything for the same as something else: each agency and role,
// purpose, day, owner and section, in families that differ in all that the
// space speaks of.
func anyDiffers(t *testing.T, before, after *Active) (string, bool) {
	t.Helper()
	days := map[string]bool{testDay: true}
	for _, a := range []*Active{before, after} {
		for _, r := range a.version.Matrix {
			if r.From > testDay {
				days[r.From] = true
			}
			if r.Until >= testDay {
				days[dayAfter(r.Until)] = true
			}
		}
	}
	family := spaceFamily
	var tuples []Tuple
	for _, s := range before.version.Sections {
		named := []string{spaceChild, spaceAdult}
		if asksOfPeople(s.Code, before.version, after.version) {
			family = crowded
			named = append(named, sortedKeys(crowd())...)
		}
		for owner := range smallSpace.Agencies {
			for _, about := range named {
				t := Tuple{Section: s.Code, Owner: owner, Sensitivity: s.Sensitivity, Source: "fact", About: []string{about},
					Narrative: s.Narrative, Tagged: true, Full: true, Summary: true, Schema: s.Schema}
				tuples = append(tuples, t)
				if owner == "POL" {
					t.Handling = "P"
					tuples = append(tuples, t)
					t.Flags = []string{"encompass"}
					tuples = append(tuples, t)
					t.Handling = ""
					tuples = append(tuples, t)
				}
			}
		}
	}
	var children []string
	for name, p := range family() {
		if p.Child {
			children = append(children, name)
		}
	}
	live := signedByAll(before.version)
	parties := map[string]Party{}
	for agency, kind := range smallSpace.Agencies {
		parties[agency] = Party{Kind: kind}
	}
	for agency, kind := range smallSpace.Agencies {
		for _, role := range before.version.Roles {
			if !slices.Contains(role.Kinds, kind) {
				continue
			}
			for _, purpose := range before.version.Purposes {
				for day := range days {
					for _, circumstance := range []int{0, 1, 2, 3, 4, 5, 8} {
						in := Input{V: 1, Date: day, Agreements: live, Parties: parties, People: family(), Tuples: tuples,
							Caller:  Caller{Agency: agency, Kind: kind, Roles: []string{role.Code}, Active: true, FamilyTeam: circumstance&1 > 0, Marac: circumstance&1 > 0, Lead: circumstance&1 > 0},
							Request: Request{Purpose: purpose.Code, Children: children, Reason: true}}
						if circumstance&2 > 0 {
							for _, child := range children {
								in.People[child] = withPerson(in.People[child], func(p *Person) { p.Rating = "red" })
							}
						}
						if circumstance&4 > 0 {
							q := question{people: in.People}
							walledFamily(&q)
						}
						if circumstance&8 > 0 {
							for name := range in.People {
								in.Grants = append(in.Grants, Grant{ID: "emergency/" + name, Person: name, Level: "full", BreakGlass: true, Approved: true})
							}
						}
						if what, ok := differsAt(t, before, after, in); ok {
							return what, true
						}
					}
				}
			}
		}
	}
	return "", false
}

func differsAt(t *testing.T, before, after *Active, in Input) (string, bool) {
	t.Helper()
	a, b := mustDecide(t, before, in), mustDecide(t, after, in)
	for i, tuple := range in.Tuples {
		var x, y Entry
		if a.Allow {
			x = a.Entries[i]
		}
		if b.Allow {
			y = b.Entries[i]
		}
		if tuple.Owner != in.Caller.Agency && differs(x, y) {
			return fmt.Sprintf("%s %v for %s on %s, %+v: %+v then, %+v now", in.Caller.Agency, in.Caller.Roles, in.Request.Purpose, in.Date, tuple, x, y), true
		}
	}
	return "", false
}

// The report is empty exactly when no decision differs: it is compared with
// asking everything, on a space that is small enough for that.
func TestTheReportIsEmptyExactlyWhenNothingDiffers(t *testing.T) {
	t.Parallel()
	v := smallVersion(t)
	before, err := Compile(v, nil, Options{Deadline: time.Minute, Keep: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	d := dice{Rand: rand.New(rand.NewPCG(31, 7)), v: v}
	var empty, full int
	for range 12 {
		changed, what := d.amended(v)
		after, err := Compile(changed, nil, Options{Deadline: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		found, _, err := compare(context.Background(), before, after, smallSpace)
		if err != nil {
			t.Fatal(err)
		}
		lines := changesOf(found, v, changed, smallSpace)
		if (len(found) == 0) != (len(lines) == 0) {
			t.Fatalf("%d differences make %d lines: %s", len(found), len(lines), what)
		}
		where, differ := anyDiffers(t, before, after)
		switch {
		case differ && len(lines) == 0:
			t.Errorf("the report is empty, and %s\nfor %s", where, what)
		case !differ && len(lines) > 0:
			// What it found was decided by both versions: asking everything was too narrow.
			t.Errorf("asking everything finds nothing, the report %s\nfor %s", lines[0].Words, what)
		case differ:
			full++
		default:
			empty++
		}
	}
	if empty < 2 || full < 3 {
		t.Errorf("%d changes matter to nobody and %d to somebody: the test tests too little", empty, full)
	}
}

// randomMatrix gives a version a matrix that nobody would agree to.
func (d dice) randomMatrix(v *Version) *Version {
	out := *v
	out.Digest, out.Matrix = Digest{}, slices.Clone(v.Matrix)
	for i := range out.Matrix {
		r := &out.Matrix[i]
		if r.Clause == "" || !d.often(60) {
			continue
		}
		r.Level = pick(d, []string{"existence", "summary", "full", "grant"})
		if s, ok := v.Section(r.Section); ok && len(s.Fields) > 0 && d.often(30) && (r.Level == "full" || r.Level == "summary") {
			r.Masks = []string{pick(d, s.Fields).Name}
		}
		if d.often(20) {
			r.Conditions = []string{pick(d, Conditions()).Code}
		}
	}
	return &out
}

// randomRule writes a local rule: what it lowers, masks and labels is drawn, and
// some of it is what no rule may say.
func (d dice) randomRule(n int) string {
	when := func() string {
		s := pick(d, d.v.Sections)
		return pick(d, []string{
			fmt.Sprintf("input.tuples[i].section == %q", s.Code), fmt.Sprintf("input.caller.kind == %q", pick(d, d.v.Kinds).Code),
			"input.tuples[i].sensitivity >= 2", "input.date >= \"2026-01-01\"", fmt.Sprintf("input.request.purpose == %q", pick(d, d.v.Purposes).Code),
			"count(input.tuples) > 3",
		})
	}
	text := fmt.Sprintf("package local.r%d\n", n)
	for range 1 + d.IntN(3) {
		level := pick(d, []string{"hidden", "existence", "summary", "full", "full", "everything"})
		// The gate refuses a level above summary that stands there by itself; one
		// that is looked up goes past it, and the kernel must hold.
		text += fmt.Sprintf("\nlower contains {\"entry\": i, \"level\": [%q][0]} if {\n\tsome i, _ in input.tuples\n\t%s\n}\n", level, when())
	}
	if d.often(60) {
		// A field that is none of the section's would deny the whole request: only real ones.
		s := pick(d, d.v.Sections)
		if len(s.Fields) > 0 {
			text += fmt.Sprintf("\nmask contains {\"entry\": i, \"field\": %q} if {\n\tsome i, t in input.tuples\n\tt.section == %q\n}\n", pick(d, s.Fields).Name, s.Code)
		}
	}
	if d.often(40) {
		text += fmt.Sprintf("\nlabel contains {\"entry\": i, \"label\": %q} if {\n\tsome i, _ in input.tuples\n\t%s\n}\n", pick(d, Labels()), when())
	}
	return text
}

// Whatever the matrix and whatever the local rules: with them nothing is shown
// that is not shown without them, no field more, and no obligation is lifted.
func TestLocalRulesNeverRaiseALevel(t *testing.T) {
	t.Parallel()
	shipped := shippedVersion(t)
	d := dice{Rand: rand.New(rand.NewPCG(47, 3)), v: shipped}
	answered, narrowed := 0, 0
	for range 16 {
		v := d.randomMatrix(shipped)
		plain, err := Compile(v, nil, Options{Deadline: testDeadline})
		if err != nil {
			t.Fatal(err)
		}
		rules := map[string]string{}
		for n := range 1 + d.IntN(3) {
			rules[fmt.Sprintf("r%d.rego", n)] = d.randomRule(n)
		}
		ruled, err := Compile(v, rules, Options{Deadline: testDeadline})
		if err != nil {
			t.Fatalf("%v\n%v", err, rules)
		}
		for range 60 {
			in := d.input()
			without, with := mustDecide(t, plain, in), mustDecide(t, ruled, in)
			if with.Allow && !without.Allow {
				t.Fatalf("local rules open a request: %v", rules)
			}
			if !with.Allow {
				continue
			}
			answered++
			for i, e := range with.Entries {
				u := without.Entries[i]
				if gains(u, e) {
					t.Fatalf("entry %d: %+v without local rules, %+v with them: %v", i, u, e, rules)
				}
				if e.Level < u.Level {
					narrowed++
				}
			}
		}
	}
	if answered < 100 || narrowed < 100 {
		t.Errorf("%d requests answered, %d entries narrowed: the test tests too little", answered, narrowed)
	}
}

// Who is not asked in a replay would not have been answered otherwise: random
// families and callers, random changes of the matrix.
func TestAReplayAsksEverybodyWhoIsConcerned(t *testing.T) {
	t.Parallel()
	v := shippedVersion(t)
	before, err := Compile(v, nil, Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	d := dice{Rand: rand.New(rand.NewPCG(53, 11)), v: v}
	left, flipped := 0, 0
	for range 8 {
		changed, what := d.amended(v)
		after, err := Compile(changed, nil, Options{Deadline: testDeadline})
		if err != nil {
			t.Fatal(err)
		}
		r := newReplayer(before, after)
		for range 60 {
			in := d.input()
			flips := flipsBetween(in, mustDecide(t, before, in), mustDecide(t, after, in))
			if len(flips) > 0 {
				flipped++
			}
			if r.concerns(in.Caller) {
				continue
			}
			left++
			if len(flips) > 0 {
				t.Errorf("%s is not asked, and would be answered otherwise: %+v\nfor %s", in.Caller.Kind, flips, what)
			}
		}
	}
	if left < 100 {
		t.Errorf("only %d of the callers were left out, %d answered otherwise: the test tests too little", left, flipped)
	}
}
