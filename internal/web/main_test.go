package web_test

import (
	"context"
	"os"
	"testing"

	"kith/internal/policy"
	"kith/internal/postgres/pgtest"
)

func TestMain(m *testing.M) {
	// The test binary is the program that drafts are run in.
	if len(os.Args) > 1 && os.Args[1] == policy.SandboxCommand {
		os.Exit(policy.SandboxMain(context.Background(), os.Stdin, os.Stdout))
	}
	pgtest.Main(m)
}
