package main

import (
	"os"
	"testing"

	"kith/internal/policy"
	"kith/internal/postgres/pgtest"
)

// asCommand makes the test binary the command itself, so that a test can run a
// hub as a process of its own and kill it.
const asCommand = "KITH_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	if len(os.Args) > 1 && os.Args[1] == policy.SandboxCommand {
		main() // the test binary is the program that drafts are run in, with an empty environment
		return
	}
	pgtest.Main(m)
}
