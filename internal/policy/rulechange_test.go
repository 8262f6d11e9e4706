package policy

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// localRules are rules of every sort: by entry, by caller, by what else is
// there, broken ones, and one that says nothing new.
func localRules() map[string]string {
	rule := func(body string) string { return "# METADATA\n# title: t\npackage local.a\n\n" + body }
	return map[string]string{
		"by section": rule("lower contains {\"entry\": i, \"level\": \"summary\"} if {\n\tsome i, t in input.tuples\n\tt.section in {\"identity\", \"mh-risk\"}\n}\n"),
		"by caller":  rule("lower contains {\"entry\": i, \"level\": \"existence\"} if {\n\tinput.caller.kind == \"POL\"\n\tsome i, _ in input.tuples\n}\n"),
		"by company": rule("lower contains {\"entry\": i, \"level\": \"hidden\"} if {\n\tcount(input.tuples) > 2\n\tsome i, t in input.tuples\n\tt.owner == \"MH\"\n}\n"),
		"masks":      rule("mask contains {\"entry\": i, \"field\": \"date_of_birth\"} if {\n\tsome i, t in input.tuples\n\tt.section == \"identity\"\n}\n"),
		"labels":     rule("label contains {\"entry\": i, \"label\": \"local-care\"} if {\n\tsome i, t in input.tuples\n\tt.sensitivity > 1\n}\n"),
		"misses":     rule("lower contains {\"entry\": 999, \"level\": \"hidden\"} if {\n\tinput.caller.kind == \"HV\"\n}\n"),
		"no field":   rule("mask contains {\"entry\": 0, \"field\": 7} if {\n\tinput.caller.kind == \"SCH\"\n}\n"),
		"silent":     rule("lower contains {\"entry\": i, \"level\": \"summary\"} if {\n\tinput.date == \"1999-01-01\"\n\tsome i, _ in input.tuples\n}\n"),
	}
}

// Where two versions differ in their local rules alone, asking the rules first
// gives what asking both versions whole gives, for every question of every story.
func TestAskingTheRulesFirstIsTheSame(t *testing.T) {
	t.Parallel()
	versions := map[string]*Active{"none": activeWith(t, nil)}
	for name, text := range localRules() {
		versions[name] = activeWith(t, map[string]func(string) string{"local/a.rego": func(string) string { return text }})
	}
	inputs := storyInputs(t, versions["none"])
	random := rand.New(rand.NewPCG(5, 20261122))
	names := slices.Sorted(maps.Keys(versions))
	touched := 0
	for k, before := range names {
		for _, after := range []string{"none", names[(k+1)%len(names)], names[(k+4)%len(names)]} {
			if before == after {
				continue
			}
			r := newReplayer(versions[before], versions[after])
			if r.differ.rules == nil {
				t.Fatalf("%s to %s: the rules are not asked first", before, after)
			}
			for _, i := range random.Perm(len(inputs))[:8] {
				raw, err := json.Marshal(inputs[i])
				if err != nil {
					t.Fatal(err)
				}
				got, err := r.one(context.Background(), raw)
				if err != nil {
					t.Fatal(err)
				}
				old, _ := versions[before].Decide(context.Background(), inputs[i])
				fresh, _ := versions[after].Decide(context.Background(), inputs[i])
				want := flipsBetween(inputs[i], old, fresh)
				touched += len(want)
				if diff := cmp.Diff(want, got.Flips); diff != "" {
					t.Errorf("%s to %s, as %s for %s: whole (-) and by the rules (+) differ:\n%s", before, after, inputs[i].Caller.Agency, inputs[i].Request.Purpose, diff)
				}
			}
		}
	}
	if touched < 25 {
		t.Errorf("only %d things differ: the rules say too little", touched)
	}
}

func activeWith(t *testing.T, files map[string]func(string) string) *Active {
	t.Helper()
	a, err := Activate(edited(t, files), Options{Deadline: testDeadline})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// storyInputs are the questions of all stories of the shipped version.
func storyInputs(t *testing.T, a *Active) []Input {
	t.Helper()
	files, err := edited(t, nil).FS()
	if err != nil {
		t.Fatal(err)
	}
	stories, err := loadStories(files)
	if err != nil {
		t.Fatal(err)
	}
	var out []Input
	for _, s := range stories {
		for _, ask := range s.Asks {
			if in, _, problems := s.input(a.version, ask); len(problems) == 0 {
				out = append(out, in)
			}
		}
	}
	return out
}
