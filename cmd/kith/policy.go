package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"kith/internal/policy"
)

const policyUsage = `usage: kith policy test DIR   run the Rego tests and the stories of a policy version
       kith policy lint DIR   name what is wrong or serves nobody in its files
`

// policyCommand is `kith policy …`: exit status 0 good, 1 the check failed, 2 usage.
func policyCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		fmt.Fprint(stderr, policyUsage)
		return 2
	}
	folder := args[1]
	if info, err := os.Stat(folder); err != nil || !info.IsDir() {
		fmt.Fprintf(stderr, "kith policy: %s is not a folder\n", folder)
		return 2
	}
	switch args[0] {
	case "test":
		return policyTest(ctx, folder, stdout, stderr)
	case "lint":
		return policyLint(folder, stdout, stderr)
	default:
		fmt.Fprint(stderr, policyUsage)
		return 2
	}
}

func policyTest(ctx context.Context, folder string, stdout, stderr io.Writer) int {
	report, err := policy.RunTests(ctx, os.DirFS(folder))
	if err != nil {
		fmt.Fprintf(stderr, "kith policy test: %v\n", err)
		return 1
	}
	for _, f := range report.Failures {
		fmt.Fprintf(stdout, "FAIL %s: %s: %s\n", f.File, f.Name, f.Problem)
	}
	for _, line := range report.NotCovered {
		fmt.Fprintf(stdout, "not covered: %s\n", line)
	}
	fmt.Fprintf(stdout, "%d Rego tests (%.1f %% of the kernel covered), %d stories with %d questions, %d failures\n",
		report.RegoTests, report.KernelCoverage, report.Stories, report.Asks, len(report.Failures))
	if !report.Passed() {
		return 1
	}
	return 0
}

func policyLint(folder string, stdout, stderr io.Writer) int {
	found, err := policy.Lint(os.DirFS(folder))
	if err != nil {
		fmt.Fprintf(stderr, "kith policy lint: %v\n", err)
		return 1
	}
	for _, line := range found {
		fmt.Fprintln(stdout, line)
	}
	if len(found) > 0 {
		return 1
	}
	fmt.Fprintln(stdout, "nothing found")
	return 0
}
