package policy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// onCondition is the shipped version in which children's social care sees, of
// housing's entries, one part of the record for each condition on entries and
// only where that holds. It gives the part for each.
func onCondition(t *testing.T) (*Active, map[string]string) {
	t.Helper()
	v := shippedVersion(t)
	v.Matrix = nil
	parts := map[string]string{}
	// Parts of the record about which the kernel has no more to say.
	free := []string{"identity", "family-links", "equality", "childs-story", "care-status", "assessment-plan", "workbook", "group-supervision", "mh-risk", "sm-risk",
		"da-risk", "police-events", "police-offences", "child-health", "education", "probation", "housing"}
	for _, c := range Conditions() {
		if !c.OnEntry {
			continue
		}
		if len(free) == 0 {
			t.Fatal("there are more conditions than parts of the record")
		}
		parts[c.Code] = free[0]
		v.Matrix = append(v.Matrix, Row{Section: free[0], To: "CSC", Purposes: []string{"CN"}, Level: "full", Conditions: []string{c.Code}, Clause: "isa-family-safeguarding 4.1"})
		free = free[1:]
	}
	for id := range v.Agreements { // housing gives under another
		if a := &v.Agreements[id]; a.ID == "isa-family-safeguarding" && !a.Party("HOU") {
			a.Parties = append(slices.Clone(a.Parties), PartyText{Agency: "HOU"})
		}
	}
	active, err := Compile(v, nil, Options{Deadline: testDeadline, Keep: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return active, parts
}

// holding asks the kernel which conditions hold for an entry in a family.
func holding(t *testing.T, a *Active, parts map[string]string, q question, entry Tuple) []string {
	t.Helper()
	in := Input{V: 1, Date: testDay, Caller: Caller{Agency: "CSC", Kind: "CSC", Roles: []string{"social-worker", "practitioner"}, Active: true},
		Request: Request{Purpose: "CN", Children: []string{spaceChild}, Reason: true}, Agreements: inForce(a.version),
		Parties: map[string]Party{"HOU": {Kind: "HOU"}}, People: q.people}
	codes := sortedKeys(parts)
	for _, code := range codes {
		s, _ := a.version.Section(parts[code])
		x := entry
		x.Section, x.Owner, x.Sensitivity, x.Source, x.Tagged, x.Full, x.Summary, x.Schema = s.Code, "HOU", s.Sensitivity, "fact", true, true, true, s.Schema
		in.Tuples = append(in.Tuples, x)
	}
	d := mustDecide(t, a, in)
	if !d.Allow {
		t.Fatalf("refused: %s", d.Refusal)
	}
	var out []string
	for i, e := range d.Entries {
		switch e.Level {
		case Full:
			out = append(out, codes[i])
		case Hidden:
			if want := []string{unmetReason(codes[i])}; !slices.Equal(e.Reasons, want) {
				t.Errorf("%s does not hold, because of %v", codes[i], e.Reasons)
			}
		default:
			t.Errorf("%s: %s %v", codes[i], e.Level, e.Reasons)
		}
	}
	return out
}

// The walk of the decision space knows by itself which facts make which
// conditions hold. The kernel says the same, of each fact and of all together.
func TestTheKernelHoldsWhatTheWalkExpects(t *testing.T) {
	t.Parallel()
	a, parts := onCondition(t)
	var rows []Row
	for _, c := range Conditions() {
		if c.OnEntry {
			rows = append(rows, Row{Conditions: []string{c.Code}})
		}
	}
	variants := variantsOf(rows)
	if want := 2 * 2 * 2 * 3 * 3 * 6; len(variants) != want {
		t.Errorf("%d variants of single conditions, want %d", len(variants), want)
	}
	for i, v := range variants {
		for _, about := range []string{spaceChild, spaceAdult} {
			if (i+len(about))%3 > 0 { // each of some hundreds once, and not for both
				continue
			}
			q := question{people: spaceFamily()}
			v.people(&q)
			want := v.holds
			if about == spaceChild {
				want = sortedSet(append(slices.Clone(want), "about-child"))
			}
			if diff := cmp.Diff(want, holding(t, a, parts, q, v.entry(Tuple{About: []string{about}}))); diff != "" && len(want)+len(diff) > 0 {
				t.Fatalf("%+v about the %s (-expected +kernel):\n%s", q.people[about], about, diff)
			}
		}
	}
}

// Only as many variants are asked about as rows can be told apart by.
func TestVariantsAreFew(t *testing.T) {
	t.Parallel()
	row := func(conditions ...string) Row { return Row{Conditions: conditions} }
	for _, c := range []struct {
		rows []Row
		want []string
	}{
		{nil, []string{""}},
		{[]Row{row("family-team"), row("about-child")}, []string{""}},
		{[]Row{row("handling-p", "family-team")}, []string{"", "handling-p"}},
		{[]Row{row("consent", "under-16")}, []string{"", "consent", "consent+under-16"}},
		{[]Row{row("told"), row("not-told-with-reason")}, []string{"", "told", "not-told-with-reason"}},
		{[]Row{row("under-18"), row("under-13")}, []string{"", "under-18", "under-13+under-18"}},
		{[]Row{row("told", "from-16"), row("told", "under-16")}, []string{"", "from-16+told", "told+under-16"}},
	} {
		var got []string
		for _, v := range variantsOf(c.rows) {
			got = append(got, v.name())
		}
		slices.Sort(got)
		slices.Sort(c.want)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%+v:\n%s", c.rows, diff)
		}
	}
}

func TestAgeBand(t *testing.T) {
	t.Parallel()
	day := func(s string) *time.Time {
		if s == "" {
			return nil
		}
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return &at
	}
	for _, c := range []struct{ born, died, on, want string }{
		{"", "", testDay, ""},
		{"2027-01-01", "", testDay, ""},
		{"2026-11-20", "", testDay, "under-13"},
		{"2013-11-21", "", testDay, "under-13"},
		{"2013-11-20", "", testDay, "13-15"},
		{"2010-11-21", "", testDay, "13-15"},
		{"2010-11-20", "", testDay, "16-17"},
		{"2008-11-21", "", testDay, "16-17"},
		{"2008-11-20", "", testDay, "18-24"},
		{"2001-11-21", "", testDay, "18-24"},
		{"2001-11-20", "", testDay, "25-over"},
		{"1926-11-20", "", testDay, "25-over"},
		{"2008-02-29", "", "2026-02-28", "16-17"},
		{"2008-02-29", "", "2026-03-01", "18-24"},
		{"2010-11-20", "2020-01-01", testDay, "under-13"},
		{"2010-11-20", "2030-01-01", testDay, "16-17"},
	} {
		if got := AgeBand(day(c.born), day(c.died), *day(c.on)); got != c.want {
			t.Errorf("born %s, died %s, on %s: %q, want %q", c.born, c.died, c.on, got, c.want)
		}
	}
}

// A kept decision is that of its input: another answer, another age, another day
// is another question.
func TestKeptDecisionsHoldNoConditionTooLong(t *testing.T) {
	t.Parallel()
	a, parts := onCondition(t)
	entry := Tuple{About: []string{spaceAdult}}
	with := func(change func(*Person)) []string {
		q := question{people: spaceFamily()}
		q.people[spaceAdult] = withPerson(q.people[spaceAdult], change)
		return holding(t, a, parts, q, entry)
	}
	const before = "2010-11-21" // of whom testDay is the day before the birthday
	age := func(on string) string {
		born, _ := time.Parse(time.DateOnly, before)
		day, _ := time.Parse(time.DateOnly, on)
		return AgeBand(&born, nil, day)
	}
	for range 2 { // first decided, then kept
		for _, c := range []struct {
			change func(*Person)
			code   string
			want   bool
		}{
			{func(p *Person) { p.Agreed = "agreed" }, "consent", true},
			{func(p *Person) { p.Agreed = "withdrawn" }, "consent", false},
			{func(p *Person) { p.Informed = "told" }, "told", true},
			{func(p *Person) { p.Informed = "not-told" }, "told", false},
			{func(p *Person) { p.Age = age(testDay) }, "under-16", true},
			{func(p *Person) { p.Age = age("2026-11-21") }, "under-16", false},
			{func(p *Person) { p.Ours = false }, "own-client", false},
		} {
			if got := with(c.change); slices.Contains(got, c.code) != c.want {
				t.Errorf("%s: %v, want it to hold: %t", c.code, got, c.want)
			}
		}
	}
}

const schoolsSee = "{to: SCH, purposes: [CN], level: summary, conditions: [consent], clause: isa-family-safeguarding 4.11}"

// What a condition does to a change is said in words.
func TestConditionsInTheWordsOfAChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		before, after string // rows of housing
		who           string
		want          []string // each in some line about it
		not           string
		needs         string
	}{
		{name: "schools gain on consent", after: schoolsSee, who: "SCH", needs: "HOU",
			want: []string{"gain the shared summary of housing", ", where everyone whom the entry is about agreed to sharing for this purpose"}, not: "unless"},
		{name: "schools lose unless agreed", before: "{to: SCH, purposes: [CN], level: summary, clause: isa-family-safeguarding 4.11}", after: schoolsSee, who: "SCH", needs: "SCH SCH2",
			want: []string{"lose the shared summary of housing", ", unless everyone whom the entry is about agreed to sharing for this purpose"}, not: "where everyone"},
		{name: "more where told and young", before: schoolsSee, who: "SCH", needs: "HOU",
			after: schoolsSee + "\n  - {to: SCH, purposes: [CN], level: full, conditions: [told, under-16], clause: isa-family-safeguarding 4.11}",
			want:  []string{"gain the whole of housing", "was told of sharing for this purpose", ", and everyone whom the entry is about is under 16 today"}},
		{name: "this school and not that one", before: schoolsSee, after: schoolsSee + "\n  - {to: SCH2, purposes: [CN], level: hidden}", who: "SCH2", needs: "SCH2",
			want: []string{"SCH2 lose the shared summary of housing"}, not: "Schools lose"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bundle := func(rows string) Bundle {
				change := map[string]func(string) string{}
				if rows != "" {
					change["matrix/housing.yaml"] = withRow(rows)
				}
				return edited(t, change)
			}
			r, err := Compare(t.Context(), bundle(c.before), bundle(c.after), "CSC", Space{Date: testDay, Agencies: map[string]string{
				"CSC": "CSC", "HOU": "HOU", "SCH": "SCH", "SCH2": "SCH", "HUB": "HUB"}})
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, x := range r.Changes {
				if x.Section == "housing" && slices.Contains(x.Agencies, c.who) && !x.Terms && len(x.Situations) == 0 {
					lines = append(lines, x.Words)
				}
			}
			said := strings.Join(lines, "\n")
			for _, want := range c.want {
				if !strings.Contains(said, want) {
					t.Errorf("not said: %q in\n%s", want, said)
				}
			}
			if c.not != "" && strings.Contains(said, c.not) {
				t.Errorf("said: %q in\n%s", c.not, said)
			}
			if got := agenciesOf(r.Needs); got != c.needs {
				t.Errorf("%q must approve, want %q", got, c.needs)
			}
		})
	}
}

// Stories tell what is known of consent, telling and age, and of whose pupil a
// child is.
func TestStoriesOfConditions(t *testing.T) {
	t.Parallel()
	const told = `title: a school sees housing where the family agreed
agencies: {SCH2: SCH}
people:
  kim: {child: true, open: [child-in-need], near: {mum: parent}, born: 2010-11-21, informed: told}
  mum: {agreed: agreed, born: 1990-01-01}
entries:
  home: {section: housing, owner: HOU, about: [kim]}
asks:
  - {who: the lead of Kim's school, agency: SCH, roles: [safeguarding-lead], purpose: FS, mine: [kim], want: {home: summary}}
  - {who: the same where nobody agreed, agency: SCH, roles: [safeguarding-lead], purpose: FS, mine: [kim], people: {mum: {agreed: ""}}, detail: {home: {reasons: [unmet-consent]}}}
  - {who: the same where the mother withdrew, agency: SCH, roles: [safeguarding-lead], purpose: FS, mine: [kim], people: {mum: {agreed: withdrawn}}}
  - {who: the same where she was not told, agency: SCH, roles: [safeguarding-lead], purpose: FS, mine: [kim], people: {mum: {informed: not-told}}, detail: {home: {reasons: [unmet-told]}}}
  - {who: the same when Kim is 16, agency: SCH, roles: [safeguarding-lead], purpose: FS, mine: [kim], people: {kim: {born: 2010-11-20}}, detail: {home: {reasons: [unmet-under-16]}}}
  - {who: the same where nobody knows how old Kim is, agency: SCH, roles: [safeguarding-lead], purpose: FS, mine: [kim], people: {kim: {born: ""}}}
  - {who: the lead of another school who works with the mother, agency: SCH2, roles: [safeguarding-lead], purpose: FS, mine: [mum], detail: {home: {reasons: [unmet-own-client]}}}
`
	row := "{to: SCH, purposes: [CN], level: summary, conditions: [consent, told, under-16, own-client], clause: isa-family-safeguarding 4.11}"
	play := func(text string) []string {
		b := edited(t, map[string]func(string) string{"matrix/housing.yaml": withRow(row), "stories/conditions.yaml": func(string) string { return text }})
		files, err := b.FS()
		if err != nil {
			t.Fatal(err)
		}
		s, err := loadStory(files, "stories/conditions.yaml")
		if err != nil {
			t.Fatal(err)
		}
		active, err := Activate(b, Options{Deadline: testDeadline})
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, f := range s.play(t.Context(), active) {
			out = append(out, f.Name+": "+f.Problem)
		}
		return out
	}
	if failed := play(told); len(failed) > 0 {
		t.Error(strings.Join(failed, "\n"))
	}
	for old, want := range map[string]string{"agreed: agreed": "agreed \"yes\" is none of", "informed: told": "informed \"yes\" is none of", "born: 1990-01-01": "born \"yes\" is no day"} {
		key, _, _ := strings.Cut(old, ":")
		if failed := strings.Join(play(strings.Replace(told, old, key+": \"yes\"", 1)), "\n"); !strings.Contains(failed, want) {
			t.Errorf("%s: yes is taken: %s", key, failed)
		}
	}
}

// The list of conditions, its documentation and the kernel name the same.
func TestConditionsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../policies/default/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, line := range strings.Split(string(text), "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 4 {
			for _, code := range regexp.MustCompile("`([a-z0-9-]+)`").FindAllStringSubmatch(cells[1], -1) {
				documented = append(documented, code[1])
			}
		}
	}
	sentences := Reasons()
	for _, c := range Conditions() {
		if !slices.Contains(documented, c.Code) {
			t.Errorf("%s is not documented", c.Code)
		}
		if !strings.Contains(sentences[unmetReason(c.Code)], c.Meaning) {
			t.Errorf("no sentence says that %s does not hold", c.Code)
		}
	}
}
