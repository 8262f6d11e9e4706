package policy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"kith/policies"
)

// Failure is one test or one question of a story that came out wrong.
type Failure struct {
	File    string
	Name    string
	Problem string
}

// Report is what the tests of a version gave.
type Report struct {
	RegoTests int // tests beside the kernel's and the local rules
	Stories   int
	Asks      int // questions in the stories
	Failures  []Failure
	// KernelCoverage is the part of the kernel's lines that its tests run, in per cent.
	KernelCoverage float64
	// NotCovered names the kernel's lines that no test runs, as file:row.
	NotCovered []string
	// Local tells of each local rule's module how much of it the tests run.
	Local []FileCoverage
}

// FileCoverage is how much of a module its tests run.
type FileCoverage struct {
	File       string  `json:"file"`
	Percent    float64 `json:"percent"`
	NotCovered []int   `json:"not_covered"` // lines
}

// Passed tells whether everything came out as told. A version without a story
// has not been tested.
func (r Report) Passed() bool {
	return len(r.Failures) == 0 && r.Stories > 0 && len(r.NotCovered) == 0
}

// RunTests compiles the version in a folder and runs the kernel's tests, the
// tests of its local rules and its stories. The error is of a version that
// cannot be loaded or compiled; what came out wrong stands in the report.
func RunTests(ctx context.Context, fsys fs.FS) (Report, error) {
	bundle, err := Pack(fsys)
	if err != nil {
		return Report{}, err
	}
	active, err := Activate(bundle, Options{Deadline: testDeadline})
	if err != nil {
		return Report{}, err
	}
	stories, err := loadStories(fsys)
	if err != nil {
		return Report{}, err
	}

	var report Report
	kernel, err := regoFiles(policies.Kernel(), ".", true)
	if err != nil {
		return Report{}, err
	}
	files := map[string]string{}
	for name, text := range kernel {
		files[kernelFolder+name] = text
	}
	if err := report.rego(ctx, files, active.store, true); err != nil {
		return Report{}, err
	}

	local, err := regoFiles(fsys, "local", true)
	if err != nil {
		return Report{}, err
	}
	if len(local) > 0 {
		for name, text := range bundle.modules(kernelFolder) {
			local[kernelFolder+name] = text
		}
		if err := report.rego(ctx, local, active.store, false); err != nil {
			return Report{}, err
		}
	}

	for _, s := range stories {
		report.Stories++
		report.Asks += len(s.Asks)
		report.Failures = append(report.Failures, s.play(ctx, active)...)
	}
	return report, nil
}

// rego runs the test rules among the modules, and where asked adds which lines
// of the others they reached.
func (r *Report) rego(ctx context.Context, files map[string]string, store storage.Store, covered bool) error {
	modules, err := parseAll(files)
	if err != nil {
		return err
	}
	rules := map[string]*ast.Module{}
	for name, module := range modules {
		if !isTest(name) {
			rules[name] = module
		}
	}
	txn, err := store.NewTransaction(ctx)
	if err != nil {
		return fmt.Errorf("open policy data: %w", err)
	}
	defer store.Abort(ctx, txn)

	coverage := cover.New()
	runner := tester.NewRunner().
		SetCompiler(newCompiler().WithRewriteTestRules(true)).
		SetStore(store).
		RaiseBuiltinErrors(true).
		SetModules(maps.Clone(modules)).
		SetTimeout(testDeadline)
	if covered {
		runner = runner.SetCoverageQueryTracer(coverage)
	}
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		return fmt.Errorf("compile policy tests: %w", err)
	}
	for result := range results {
		r.RegoTests++
		if result.Pass() {
			continue
		}
		failure := Failure{File: result.Location.File, Name: result.Name, Problem: "failed"}
		if result.Error != nil {
			failure.Problem = result.Error.Error()
		} else if result.Skip {
			failure.Problem = "skipped"
		}
		r.Failures = append(r.Failures, failure)
	}
	if !covered {
		return nil
	}
	report := coverage.Report(rules)
	r.KernelCoverage = report.Coverage
	for _, name := range sortedKeys(report.Files) {
		found := FileCoverage{File: name, Percent: report.Files[name].Coverage, NotCovered: []int{}}
		for _, lines := range report.Files[name].NotCovered {
			r.NotCovered = append(r.NotCovered, fmt.Sprintf("%s:%d", name, lines.Start.Row))
			found.NotCovered = append(found.NotCovered, lines.Start.Row)
		}
		if strings.HasPrefix(name, localFolder) {
			r.Local = append(r.Local, found)
		}
	}
	return nil
}
