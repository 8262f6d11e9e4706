package policy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each file of testdata/hostile is a local rule that must not get in; its first
// line says what the refusal must tell. Adding a case is adding a file.
func TestHostileLocalModules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/hostile/*.rego")
	if err != nil || len(files) == 0 {
		t.Fatal("no hostile modules", err)
	}
	version := shippedVersion(t)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".rego"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(text), "\n")
			want, ok := strings.CutPrefix(first, "# refused: ")
			if !ok {
				t.Fatal("the first line must be # refused: …")
			}
			_, err = Compile(version, map[string]string{"rule.rego": string(text)}, Options{})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		})
	}
}

func TestHostileModuleSizes(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	const head = "package local.rule\n\n"
	many := map[string]string{}
	for i := range maxModules + 1 {
		many[fmt.Sprintf("m%d.rego", i)] = fmt.Sprintf("package local.m%d\n\nx := 1\n", i)
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"10 MB":         {map[string]string{"a.rego": head + strings.Repeat("# padding\n", 1<<20)}, "at most"},
		"NUL":           {map[string]string{"a.rego": head + "x := \"\x00\"\n"}, "UTF-8"},
		"invalid UTF-8": {map[string]string{"a.rego": head + "x := \"\xff\"\n"}, "UTF-8"},
		"deep nesting":  {map[string]string{"a.rego": head + "x := " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "\n"}, "recursion"},
		"too many":      {many, "modules, at most"},
		"empty":         {map[string]string{"a.rego": ""}, "a.rego"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(version, c.files, Options{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
}

// The list of builtins is positive: nothing of the engine that reaches outside
// the input, or that cannot be cancelled, is on it.
func TestBuiltinsAreNarrow(t *testing.T) {
	t.Parallel()
	for _, b := range capabilities().Builtins {
		if b.IsNondeterministic() {
			t.Errorf("%s is not deterministic", b.Name)
		}
	}
	if got, want := len(capabilities().Builtins), len(allowedBuiltins()); got != want {
		t.Errorf("%d of the %d listed builtins exist", got, want)
	}
	if caps := capabilities(); caps.AllowNet == nil || len(caps.AllowNet) != 0 {
		t.Error("AllowNet must be empty and not nil")
	}
}

const loops = `package local.rule

lower contains {"entry": 0, "level": "hidden"} if {
	some a in input.tuples
	some b in input.tuples
	some c in input.tuples
	some d in input.tuples
	some e in input.tuples
	count({a, b, c, d, e}) == 0
}
`

// A rule that never ends hits the deadline, and nothing is shown.
func TestDeadlineDenies(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	active, err := Compile(version, map[string]string{"loops.rego": loops}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	d, err := active.Decide(context.Background(), typicalInput(version))
	if err == nil || d.Allow || d.Entries != nil || d.Refusal != RefusalError {
		t.Errorf("got %+v, %v", d, err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the deadline of %v acted after %v", defaultDeadline, took)
	}
}

func TestCancelledRequestDenies(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	active := compileDefault(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d, err := active.Decide(ctx, typicalInput(version))
	if err == nil || d.Allow || d.Refusal != RefusalError {
		t.Errorf("got %+v, %v", d, err)
	}
}

// A panic of the engine is a denial, not the end of the hub.
func TestPanicDenies(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	active := compileDefault(t)
	active.names = nil // whatever breaks inside
	d, err := active.Decide(context.Background(), typicalInput(version))
	if err == nil || !strings.Contains(err.Error(), "panicked") || d.Allow || d.Refusal != RefusalError {
		t.Errorf("got %+v, %v", d, err)
	}
}

// Local rules lower, mask and label, and whatever they say never widens.
func TestLocalRulesOnlyNarrow(t *testing.T) {
	t.Parallel()
	version := shippedVersion(t)
	in := typicalInput(version)
	plain := mustDecide(t, compileDefault(t), in)
	for name, c := range map[string]struct {
		rule   string
		denied bool
	}{
		"everything full":     {rule: `lower contains {"entry": i, "level": "full"} if some i, _ in input.tuples`, denied: true},
		"full, looked up":     {rule: `lower contains {"entry": i, "level": ["full"][0]} if some i, _ in input.tuples`},
		"no level, looked up": {rule: `lower contains {"entry": i, "level": ["most"][0]} if some i, _ in input.tuples`},
		"mental health hidden": {rule: `lower contains {"entry": i, "level": "hidden"} if {
	some i, t in input.tuples
	startswith(t.section, "mh-")
}`},
		"labels":         {rule: `label contains {"entry": i, "label": "onward"} if some i, _ in input.tuples`},
		"unknown level":  {rule: `lower contains {"entry": i, "level": "most"} if some i, _ in input.tuples`, denied: true},
		"unknown label":  {rule: `label contains {"entry": i, "label": "secret"} if some i, _ in input.tuples`, denied: true},
		"unknown mask":   {rule: `mask contains {"entry": i, "field": "no_such_field"} if some i, _ in input.tuples`, denied: true},
		"no such entry":  {rule: `lower contains {"entry": 4000, "level": "hidden"}`, denied: true},
		"builtin error":  {rule: `lower contains {"entry": 0, "level": lower_case} if lower_case := lower(input.people)`, denied: true},
		"forges a grant": {rule: `grants contains {"section": "marac"}`},
		"forges a row":   {rule: `sources := {0: {"level": 3}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			active, err := Compile(version, map[string]string{"rule.rego": "package local.rule\n\n" + c.rule + "\n"}, Options{Deadline: testDeadline})
			if err != nil {
				if c.denied {
					return // refused even earlier
				}
				t.Fatal(err)
			}
			d, err := active.Decide(context.Background(), in)
			if c.denied {
				if err == nil || d.Allow {
					t.Errorf("got %+v, %v: want a denial", d, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if problem := wider(d, plain); problem != nil {
				t.Error(problem)
			}
		})
	}
}

// wider tells where a decision shows more than another.
func wider(d, than Decision) error {
	var problems []error
	for i, e := range d.Entries {
		if !than.Allow || e.Level > than.Entries[i].Level {
			problems = append(problems, fmt.Errorf("entry %d: %s %v", i, e.Level, e.Reasons))
		}
	}
	return errors.Join(problems...)
}

func mustDecide(t testing.TB, a *Active, in Input) Decision {
	t.Helper()
	d, err := a.Decide(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
