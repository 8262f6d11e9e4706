package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kith/policies"
)

// spaceOf is the directory of the shipped version: one agency of each kind,
// and a second school.
func spaceOf(v *Version) Space {
	s := Space{Date: testDay, Agencies: map[string]string{"SCH2": "SCH"}}
	for _, k := range v.Kinds {
		s.Agencies[k.Code] = k.Code
	}
	return s
}

// edited packs the shipped version with some files changed; an empty content
// takes a file away.
func edited(t testing.TB, change map[string]func(string) string) Bundle {
	t.Helper()
	b, err := Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	for path, edit := range change {
		text := edit(string(b.Files[path]))
		if text == "" {
			delete(b.Files, path)
			continue
		}
		b.Files[path] = []byte(text)
	}
	return b
}

func withRow(row string) func(string) string {
	return func(text string) string { return strings.TrimRight(text, "\n") + "\n  - " + row + "\n" }
}

func without(line string) func(string) string {
	return func(text string) string { return strings.Replace(text, line+"\n", "", 1) }
}

const policeSummary = "{to: POL, purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}"

func report(t testing.TB, before, after Bundle, author string) ChangeReport {
	t.Helper()
	r, err := Compare(t.Context(), before, after, author, spaceOf(shippedVersion(t)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func agenciesOf(needs []Need) string {
	var out []string
	for _, n := range needs {
		out = append(out, n.Agency)
	}
	return strings.Join(out, " ")
}

func TestTheSameVersionChangesNothing(t *testing.T) {
	t.Parallel()
	b := edited(t, nil)
	r := report(t, b, b, "CSC")
	if len(r.Changes)+len(r.Files)+len(r.Rules)+len(r.Refused)+len(r.Needs) > 0 {
		t.Errorf("a version against itself: %+v", r)
	}
	if !r.Tests[0].Passed() || !r.Tests[1].Passed() {
		t.Errorf("the shipped stories do not pass: %+v", r.Tests[1].Failures)
	}
}

func TestPoliceGainASummaryOfMentalHealthInvolvement(t *testing.T) {
	t.Parallel()
	r := report(t, edited(t, nil), edited(t, map[string]func(string) string{"matrix/mh-involvement.yaml": withRow(policeSummary)}), "CSC")
	i := slices.IndexFunc(r.Changes, func(c Change) bool {
		return c.Gain && c.To == "POL" && c.Section == "mh-involvement" && c.After == "summary" && len(c.Situations) == 0
	})
	if i < 0 {
		t.Fatalf("the report does not say it: %+v", r.Changes)
	}
	c := r.Changes[i]
	if !slices.Contains(c.Purposes, "FS") || !slices.Contains(c.Purposes, "CN") || slices.Contains(c.Purposes, "EH") {
		t.Errorf("purposes %v", c.Purposes)
	}
	if !strings.Contains(c.Words, "Police gain the shared summary of") || !strings.Contains(c.Words, "clause 4.5 of isa-family-safeguarding") {
		t.Errorf("in words: %s", c.Words)
	}
	for _, c := range r.Changes {
		if c.Terms {
			continue // a named grant rests on the row's clause now
		}
		if !c.Gain || c.To != "POL" {
			t.Errorf("not only police gain: %s", c.Words)
		}
		// What mental health contributed elsewhere was hidden with its owner.
		if !slices.Contains(c.Owners, "MH") {
			t.Errorf("the information is not mental health's: %s", c.Words)
		}
	}
	if got := agenciesOf(r.Needs); got != "MH" {
		t.Errorf("%q must approve, want MH", got)
	}
}

func TestWhoMustApprove(t *testing.T) {
	t.Parallel()
	const probationSees = "  - {to: PRB, purposes: [CN], level: existence, clause: isa-family-safeguarding 4.5}"
	rule := func(string) string {
		return "# METADATA\n# title: nothing on Sundays\npackage local.sundays\n\nlower contains {\"entry\": i, \"level\": \"hidden\"} if {\n\tinput.date == \"2026-11-22\"\n\tsome i, _ in input.tuples\n}\n"
	}
	all := "CSC MH"
	for _, c := range []struct {
		name          string
		author        string
		before, after map[string]func(string) string
		want          string
		refused       bool
		everybody     bool
	}{
		{name: "the owner's own change needs another person of the owner", author: "MH",
			after: map[string]func(string) string{"matrix/mh-involvement.yaml": withRow(policeSummary)}, want: "MH"},
		{name: "an agency narrows alone what it owns", author: "MH",
			after: map[string]func(string) string{"matrix/mh-involvement.yaml": without(probationSees)}, want: ""},
		{name: "an agency narrows alone what it receives", author: "PRB",
			after: map[string]func(string) string{"matrix/mh-involvement.yaml": without(probationSees)}, want: ""},
		{name: "narrowing what a third sees needs that third", author: "CSC",
			after: map[string]func(string) string{"matrix/mh-involvement.yaml": without(probationSees)}, want: "PRB"},
		{name: "a new local rule needs a second person", author: "CSC", everybody: true,
			after: map[string]func(string) string{"local/sundays.rego": rule}, want: ""},
		{name: "a local rule that goes opens wider", author: "CSC", everybody: true,
			before: map[string]func(string) string{"local/sundays.rego": rule}, want: " " + all},
		{name: "a never-rule stays", author: "CSC", refused: true,
			after: map[string]func(string) string{"matrix/marac.yaml": without("  - {to: DP, purposes: [EH, FD, CN, CP, MR, OE], level: never}")}, want: ""},
		{name: "the officers' own rights stay", author: "CSC", refused: true,
			after: map[string]func(string) string{"roles.yaml": func(s string) string {
				return strings.Replace(s, "{code: ig-approver, name: policy approver, kinds: [CSC, ", "{code: ig-approver, name: policy approver, kinds: [HUB, CSC, ", 1)
			}}, want: ""},
		{name: "a field that joins the summary", author: "CSC", everybody: true,
			after: map[string]func(string) string{"sections/mh-risk.yaml": func(s string) string {
				return strings.Replace(s, "label: Risk to self, type: text}", "label: Risk to self, type: text, summary: true}", 1)
			}}, want: "MH"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before, after := edited(t, c.before), edited(t, c.after)
			few := Space{Date: testDay, Agencies: map[string]string{"CSC": "CSC", "MH": "MH", "POL": "POL", "PRB": "PRB", "SCH2": "SCH", "HUB": "HUB"}}
			if c.everybody { // everybody is asked about everything: two agencies are enough
				few.Agencies = map[string]string{"CSC": "CSC", "MH": "MH", "HUB": "HUB"}
			}
			r, err := Compare(t.Context(), before, after, c.author, few)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Files) == 0 {
				t.Fatal("nothing was changed: the test is wrong")
			}
			if (len(r.Refused) > 0) != c.refused {
				t.Errorf("refused: %v", r.Refused)
			}
			if got := agenciesOf(r.Needs); got != c.want && !c.refused {
				t.Errorf("%q must approve, want %q\n%+v", got, c.want, r.Needs)
			}
			if c.name == "a new local rule needs a second person" && (len(r.Needs) != 1 || r.Needs[0].Agency != "") {
				t.Errorf("needs %+v", r.Needs)
			}
		})
	}
}

// What is left out of the walk cannot differ: the report of the whole walk is
// the same, line by line.
func TestLeavingOutChangesNoReport(t *testing.T) {
	t.Parallel()
	few := Space{Date: testDay, Agencies: map[string]string{"CSC": "CSC", "MH": "MH", "POL": "POL", "HUB": "HUB"}}
	before := edited(t, nil)
	after := edited(t, map[string]func(string) string{
		"matrix/mh-involvement.yaml": withRow(policeSummary),
		"matrix/housing.yaml":        withRow("{to: POL, purposes: [CP], level: summary, roles: [detective], conditions: [family-team], clause: isa-family-safeguarding 4.11, from: 2027-01-01}"),
	})
	var reports []ChangeReport
	for _, whole := range []bool{false, true} {
		s := few
		s.Whole = whole
		r, err := Compare(t.Context(), before, after, "CSC", s)
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	if reports[0].Walked.Decisions >= reports[1].Walked.Decisions {
		t.Errorf("nothing was left out: %d and %d", reports[0].Walked.Decisions, reports[1].Walked.Decisions)
	}
	if diff := cmp.Diff(reports[1].Changes, reports[0].Changes); diff != "" {
		t.Errorf("the whole walk (-) and the short one (+) differ:\n%s", diff)
	}
	if len(reports[0].Changes) < 2 {
		t.Errorf("too little changed: %+v", reports[0].Changes)
	}
}
