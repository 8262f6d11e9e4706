package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheOfficersWalkByCommands is the README's walk with the commands alone.
func TestTheOfficersWalkByCommands(t *testing.T) {
	t.Parallel()
	data, folder := t.TempDir(), filepath.Join(t.TempDir(), "ours")
	if err := os.Chmod(data, 0o755); err != nil {
		t.Fatal(err)
	}
	startDemo(t, "--data", data, "--listen", "127.0.0.1:0")
	kith := func(want int, as, verb string, args ...string) string {
		t.Helper()
		status, out, errs := command(t, append([]string{"policy", verb, "--as", as, "--data", data}, args...)...)
		if status != want {
			t.Fatalf("kith policy %s as %s: status %d, want %d\n%s%s", verb, as, status, want, out, errs)
		}
		return out + errs
	}
	kith(0, "ig-author-csc", "pull", folder)
	edit := func(path, old, fresh string) {
		t.Helper()
		raw, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(raw), old, fresh, 1)
		if text == string(raw) {
			t.Fatalf("%s: nothing to change", path)
		}
		if err := os.WriteFile(filepath.Join(folder, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	edit("matrix/mh-involvement.yaml", "rows:\n", "rows:\n  - {to: POL, roles: [detective], purposes: [CN], level: summary, clause: isa-family-safeguarding 4.5}\n")
	if out := kith(1, "ig-author-csc", "push", folder, "--why", "asked for"); !strings.Contains(out, "a police officer sees treatment only as a summary") {
		t.Errorf("the story that says otherwise is not named: %s", out)
	}
	edit("stories/police-and-treatment.yaml", "want: {name: full, event: full}\n    detail: {seen-by-nurse: {reasons: [owner-hidden]}}", "want: {name: full, event: full, seen-by-nurse: summary}")
	// What was refused is a draft that can be looked at, cell by cell and by its stories.
	draft := strings.Fields(kith(0, "ig-approver-mh", "drafts"))[0]
	if out := kith(0, "ig-author-csc", "cell", draft, "--section", "mh-involvement", "--to", "POL", "--purpose", "FS"); !strings.Contains(out, "mh-involvement to POL for CN: summary (today: hidden)") {
		t.Errorf("the cell says: %s", out)
	}
	if out := kith(1, "ig-author-csc", "cell", draft, "--section", "mh-involvement", "--to", "POL", "--purpose", "CN", "--level", "everything"); !strings.Contains(out, `row 1: level: unknown "everything"`) {
		t.Errorf("an unknown level: %s", out)
	}
	if out := kith(0, "ig-approver-mh", "try", draft, "--story", "police-and-treatment", "--agency", "POL", "--role", "detective", "--purpose", "CN"); !strings.Contains(out, "* seen-by-nurse") {
		t.Errorf("try says: %s", out)
	}
	if out := kith(0, "ig-approver-mh", "preview", draft); !strings.Contains(out, "POL (detective) gain the shared summary of mental health involvement") {
		t.Errorf("preview says: %s", out)
	}
	pushed := kith(0, "ig-author-csc", "push", folder, "--why", "asked for")
	if !strings.Contains(pushed, "Police gain the shared summary of mental health involvement") || !strings.Contains(pushed, "still to approve: MH") {
		t.Errorf("push says: %s", pushed)
	}
	found := regexp.MustCompile(`submission (\S+)  open\nversion    \S+\nin place of (\S+)`).FindStringSubmatch(pushed)
	if found == nil {
		t.Fatalf("no submission in: %s", pushed)
	}
	if out := kith(1, "ig-author-csc", "activate", found[1]); !strings.Contains(out, "still to approve: MH") {
		t.Errorf("activate says: %s", out)
	}
	kith(0, "ig-approver-mh", "refuse", found[1], "--why", "not before the board has met")
	if out := kith(0, "ig-author-csc", "show", found[1]); !strings.Contains(out, "for MH: not before the board has met") {
		t.Errorf("the refusal is not shown: %s", out)
	}
	kith(0, "ig-approver-mh", "approve", found[1], "--why", "agreed")
	kith(0, "ig-author-csc", "activate", found[1])
	if out := kith(0, "ig-approver-mh", "stop", "isa-family-safeguarding", "--why", "a breach"); !strings.Contains(out, "children with open work") {
		t.Errorf("stop says: %s", out)
	}
	back := kith(0, "ig-approver-mh", "return", found[2], "--why", "the trial is over")
	again := regexp.MustCompile(`submission (\S+)  open`).FindStringSubmatch(back)
	if again == nil {
		t.Fatalf("no submission in: %s", back)
	}
	kith(0, "ig-approver-mh", "activate", again[1])
}

func TestPolicyUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"nothing"}, {"push", "."}, {"versions", "x"}, {"test"}, {"diff", "/no/such/folder"}} {
		if status, _, _ := command(t, append([]string{"policy"}, args...)...); status != 2 {
			t.Errorf("kith policy %v: status %d, want 2", args, status)
		}
	}
}
