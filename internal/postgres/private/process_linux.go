package private

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: fastStop}
}

// isServerOf tells whether the process works in the data directory: every
// process of a PostgreSQL server does, and hardly anything else.
func isServerOf(pid int, data string) bool {
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	if err != nil {
		return false
	}
	if real, err := filepath.EvalSymlinks(data); err == nil {
		data = real
	}
	exe, _ := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe")
	return cwd == data && filepath.Base(exe) == "postgres"
}

// serversIn lists the processes of the cluster's server, the orphaned children
// of a killed postmaster among them.
func serversIn(data string) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil && isServerOf(pid, data) {
			pids = append(pids, pid)
		}
	}
	return pids
}
