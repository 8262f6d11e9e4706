package policy

import (
	"fmt"
	"os/exec"
	"syscall"
)

// contain makes the child die with the hub, in a group of its own.
func contain(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitSelf bounds this process's address space, and leaves no core behind,
// which would hold the draft.
func limitSelf(memory uint64) error {
	for _, l := range []struct {
		what  int
		limit uint64
	}{{syscall.RLIMIT_AS, memory}, {syscall.RLIMIT_CORE, 0}} {
		if err := syscall.Setrlimit(l.what, &syscall.Rlimit{Cur: l.limit, Max: l.limit}); err != nil {
			return fmt.Errorf("limit the sandbox: %w", err)
		}
	}
	return nil
}
