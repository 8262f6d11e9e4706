package policy

import (
	"context"
	"io/fs"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"kith/policies"
)

// TestDefaultVersion runs what `kith policy test` runs on the shipped version:
// every Rego test, full coverage of the kernel, every story.
func TestDefaultVersion(t *testing.T) {
	t.Parallel()
	report, err := RunTests(context.Background(), policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Failures {
		t.Errorf("%s: %s: %s", f.File, f.Name, f.Problem)
	}
	for _, line := range report.NotCovered {
		t.Errorf("no test runs %s", line)
	}
	if !report.Passed() {
		t.Errorf("%d Rego tests, %d stories, %.1f %% of the kernel covered", report.RegoTests, report.Stories, report.KernelCoverage)
	}
}

func TestDefaultVersionLints(t *testing.T) {
	t.Parallel()
	found, err := Lint(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range found {
		t.Error(line)
	}
}

// Every cause that the kernel can name has a plain sentence, and a version's
// cells name no other.
func TestReasonsHaveSentences(t *testing.T) {
	t.Parallel()
	text, err := fs.ReadFile(policies.Kernel(), "answer.rego")
	if err != nil {
		t.Fatal(err)
	}
	module, err := parseModule("answer.rego", string(text))
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"own", "never", "needs-grant", "not-shared", "no-agreement", "no-subject", "no-summary", "wall-holder"}
	for _, rule := range module.Rules {
		if rule.Head.Ref().String() != "ceilings" {
			continue
		}
		for _, key := range rule.Head.Value.Value.(ast.Object).Keys() {
			codes = append(codes, string(key.Value.(ast.String)))
		}
	}
	if len(codes) < 25 {
		t.Fatalf("only %d codes found", len(codes))
	}
	for _, code := range append(codes, refusals()...) {
		if Reasons()[code] == "" {
			t.Errorf("no sentence for %q", code)
		}
	}
}
