//go:build !linux

package private

import (
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }

// isServerOf asks ps, since there is no /proc: the postmaster's command line
// names its data directory.
func isServerOf(pid int, data string) bool {
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(out), "postgres") && strings.Contains(string(out), data)
}

// serversIn knows no orphans here: PostgreSQL's own check of the shared memory
// makes launch try again until they are gone.
func serversIn(string) []int { return nil }
