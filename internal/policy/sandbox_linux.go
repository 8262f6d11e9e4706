package policy

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// contain makes the child die with the hub, in a group of its own.
func contain(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// limitSelf bounds this process's address space, leaves no core behind, which
// would hold the draft, and gives way to everything else that wants to run: the
// hub beside it must not notice.
func limitSelf(memory uint64) error {
	if err := giveWay(); err != nil {
		return err
	}
	// Where memory runs out all the same, this is whom the kernel ends first.
	if err := os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0); err != nil {
		return fmt.Errorf("limit the sandbox: %w", err)
	}
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

// giveWay lowers the priority of every thread; those that begin later begin
// with that of the thread that made them. Twice, since one may have begun
// meanwhile.
func giveWay() error {
	for range 2 {
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("limit the sandbox: %w", err)
		}
		for _, t := range threads {
			id, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if err := syscall.Setpriority(syscall.PRIO_PROCESS, id, 10); err != nil && err != syscall.ESRCH {
				return fmt.Errorf("limit the sandbox: %w", err)
			}
		}
	}
	return nil
}
