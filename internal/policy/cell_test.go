package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const cellFile = `section: mh-risk
rows:
  - {to: MH, purposes: [EH, FD, CN, CP], level: own}
  # The team: they work side by side.
  - {to: [CSC, SM], purposes: [CN, CP], level: full, clause: isa-family-safeguarding 4.5}
  - {to: POL, purposes: [CP], level: summary, clause: isa-family-safeguarding 4.5}
`

// A cell is taken out of the rows that speak of it among others; every other
// cell says what it said, and comments stay.
func TestEditCell(t *testing.T) {
	t.Parallel()
	row := func(to, level string) Row {
		return Row{Section: "mh-risk", To: to, Level: level, Clause: "isa-family-safeguarding 4.5"}
	}
	for name, c := range map[string]struct {
		edit CellEdit
		want []string
	}{
		"one of several receivers and purposes": {
			CellEdit{Section: "mh-risk", Letter: "CN", Receivers: []string{"SM"}, Rows: []Row{row("SM", "summary")}},
			[]string{"  - {to: CSC, purposes: [CN, CP], level: full, clause: isa-family-safeguarding 4.5}", "  - {to: SM, purposes: [CP], level: full, clause: isa-family-safeguarding 4.5}",
				"  - {to: SM, purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}",
				"  - {to: POL, purposes: [CP], level: summary, clause: isa-family-safeguarding 4.5}"},
		},
		"the only one": {
			CellEdit{Section: "mh-risk", Letter: "CP", Receivers: []string{"POL"}, Rows: []Row{row("POL", "existence")}},
			[]string{"  - {to: [CSC, SM], purposes: [CN, CP], level: full, clause: isa-family-safeguarding 4.5}", "  - {to: POL, purposes: [CP], level: existence, clause: isa-family-safeguarding 4.5}"},
		},
		"nothing stood there": {
			CellEdit{Section: "mh-risk", Letter: "CN", Receivers: []string{"SCH", "SCH2"}, Rows: []Row{row("SCH2", "summary")}},
			[]string{"  - {to: [CSC, SM], purposes: [CN, CP], level: full, clause: isa-family-safeguarding 4.5}", "  - {to: POL, purposes: [CP], level: summary, clause: isa-family-safeguarding 4.5}",
				"  - {to: SCH2, purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}"},
		},
		"taken away": {
			CellEdit{Section: "mh-risk", Letter: "CP", Receivers: []string{"POL"}},
			[]string{"  - {to: [CSC, SM], purposes: [CN, CP], level: full, clause: isa-family-safeguarding 4.5}"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := editCell([]byte(cellFile), c.edit)
			if err != nil {
				t.Fatal(err)
			}
			head := strings.Join(strings.Split(cellFile, "\n")[:4], "\n") // the comment among it
			want := head + "\n" + strings.Join(c.want, "\n") + "\n"
			if diff := cmp.Diff(want, string(text)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			there, err := cellOf(text, c.edit)
			if err != nil || Fingerprint(there) != Fingerprint(c.edit.Rows) {
				t.Errorf("the cell says %v (%v)", there, err)
			}
			before, err := cellOf([]byte(cellFile), c.edit)
			if err != nil {
				t.Fatal(err)
			}
			c.edit.Rows = before
			back, err := editCell(text, c.edit)
			if err != nil || !sameTable(back, []byte(cellFile)) {
				t.Errorf("put back it says another thing (%v):\n%s", err, back)
			}
		})
	}
}

func TestStandingAndChange(t *testing.T) {
	t.Parallel()
	section := Section{Code: "mh-risk", Owners: []string{"MH"}}
	full := Row{To: "CSC", Level: "full", Clause: "a 1"}
	summary := Row{To: "CSC", Level: "summary", Clause: "a 1"}
	team := Row{To: "CSC", Level: "full", Conditions: []string{"family-team"}, Clause: "a 1"}
	masked := Row{To: "CSC", Level: "full", Masks: []string{"crisis_plan"}, Clause: "a 1"}
	hidden := Row{To: "CSC", Level: "hidden", Why: "not needed"}
	for _, c := range []struct {
		name          string
		before, after []Row
		want          Standing // after
		widens        int
		same          bool
	}{
		{"opened", nil, []Row{summary}, Standing{Level: "summary"}, 1, false},
		{"closed", []Row{full}, nil, Standing{Level: "hidden"}, -1, false},
		{"closed with a reason", nil, []Row{hidden}, Standing{Level: "hidden"}, 0, true},
		{"for some", []Row{summary}, []Row{team}, Standing{Level: "full", Limited: true}, 1, false},
		{"more for some", []Row{summary}, []Row{summary, team}, Standing{Level: "summary", More: true}, 1, false},
		{"a field kept back", []Row{full}, []Row{masked}, Standing{Level: "full"}, -1, false},
		{"another clause", []Row{full}, []Row{{To: "CSC", Level: "full", Clause: "a 2"}}, Standing{Level: "full"}, 0, false},
	} {
		if got := StandingOf(section, "CSC", c.after); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if widens, same := CellChange(section, "CSC", c.before, c.after); widens != c.widens || same != c.same {
			t.Errorf("%s: widens %d, same %t", c.name, widens, same)
		}
	}
	if got := StandingOf(section, "MH", nil); got.Level != "own" {
		t.Errorf("an owner without a row: %+v", got)
	}
	if got := StandingOf(Section{Never: true}, "CSC", nil); got.Level != "never" {
		t.Errorf("never shown: %+v", got)
	}
}
