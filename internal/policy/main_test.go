package policy

import (
	"context"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	// The test binary is the program that drafts are run in.
	if len(os.Args) > 1 && os.Args[1] == SandboxCommand {
		os.Exit(SandboxMain(context.Background(), os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == misbehave {
		os.Exit(misbehaving(os.Args[2]))
	}
	os.Exit(m.Run())
}
