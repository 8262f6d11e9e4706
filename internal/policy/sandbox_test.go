package policy

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// misbehave makes the test binary a child that does what a draft must not.
const misbehave = "policy-misbehave"

func misbehaving(how string) int {
	if err := limitSelf(sandboxMemory); err != nil {
		return 3
	}
	switch how {
	case "memory":
		var kept [][]byte
		for range 256 { // 8 GiB
			b := make([]byte, 32<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			kept = append(kept, b)
		}
		runtime.KeepAlive(kept)
	case "time":
		select {} // the runtime calls this a deadlock and ends: sleep as well
	case "sleep":
		time.Sleep(time.Hour)
	case "output":
		line := bytes.Repeat([]byte("x"), 1<<20)
		for {
			if _, err := os.Stdout.Write(line); err != nil {
				return 0
			}
		}
	case "environment":
		if len(os.Getenv("KITH_TEST_SECRET")) > 0 || len(os.Environ()) > 5 {
			return 0 // it saw what it should not, and answers nothing: the caller finds no JSON
		}
		return 4
	}
	return 0
}

func TestTheSandboxStopsADraftThatTakesTooMuch(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"memory", "time", "sleep", "output", "environment"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			s := Sandbox{Command: []string{os.Args[0], misbehave, how}, Wall: 15 * time.Second}
			if how == "sleep" {
				s.Wall = time.Second
			}
			_, err := s.Check(t.Context(), edited(t, nil))
			if !errors.Is(err, ErrSandboxLimit) {
				t.Errorf("got %v", err)
			}
			if took := time.Since(start); took > 60*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestASandboxWithoutAProgramRunsNothing(t *testing.T) {
	t.Parallel()
	if _, err := (Sandbox{}).Check(t.Context(), edited(t, nil)); !errors.Is(err, ErrNoSandbox) {
		t.Errorf("got %v", err)
	}
}

func TestTheSandboxChecksADraft(t *testing.T) {
	t.Parallel()
	s := Sandbox{Command: []string{os.Args[0], SandboxCommand}}
	good, err := s.Check(t.Context(), edited(t, nil))
	if err != nil || !good.Tests.Passed() {
		t.Fatalf("the shipped version: %v %+v", err, good)
	}
	bad, err := s.Check(t.Context(), edited(t, map[string]func(string) string{"matrix/mh-risk.yaml": withRow("{to: POL, purposes: [CN], level: everything}")}))
	if err != nil || !strings.Contains(strings.Join(bad.Problems, "\n"), "unknown \"everything\"") || bad.Tests.Passed() {
		t.Errorf("a draft that does not load: %v %+v", err, bad)
	}
	_, err = s.Compare(t.Context(), edited(t, nil), edited(t, map[string]func(string) string{"matrix/mh-risk.yaml": withRow("{to: POL, purposes: [CN], level: everything}")}), "CSC", spaceOf(shippedVersion(t)))
	var draft *DraftError
	if !errors.As(err, &draft) {
		t.Errorf("got %v", err)
	}
}
