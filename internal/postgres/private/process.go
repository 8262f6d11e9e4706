package private

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The signals that PostgreSQL understands: fast rolls open transactions back
// and writes everything, immediate leaves the rest to recovery.
const (
	fastStop      = syscall.SIGINT
	immediateStop = syscall.SIGQUIT
)

// process is one postmaster. Its zero value and nil are processes that ended.
type process struct {
	pid  int
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

// spawn starts the postmaster in a process group of its own, so that Ctrl-C
// reaches the hub alone, which then stops the server in order. If the hub is
// killed, the system sends the server its fast stop (Linux); elsewhere the next
// start finds it and stops it.
func (p place) spawn(bin binaries) (*process, error) {
	log, err := openLog(p.logFile())
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own
	if err := p.give(p.logFile()); err != nil {
		return nil, err
	}
	cmd := exec.Command(bin.path("postgres"), "-D", p.data())
	cmd.Dir = p.root
	cmd.Env = p.environment()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Credential = p.credential()

	proc := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// The system's signal comes when the *thread* that made the child
		// ends, so this goroutine keeps its thread as long as the child lives.
		runtime.LockOSThread()
		err := cmd.Start()
		if err == nil {
			proc.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // what matters stands in ProcessState
		}
		close(proc.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", bin.path("postgres"), err)
	}
	return proc, nil
}

func (p *process) alive() bool {
	if p == nil || p.done == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// status says how it ended.
func (p *process) status() string {
	if p.alive() || p == nil || p.cmd == nil || p.cmd.ProcessState == nil {
		return "unknown"
	}
	return p.cmd.ProcessState.String()
}

func (p *process) kill() {
	if p.alive() {
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// end stops the process: fast, after grace at once, at last by force.
func (p *process) end(grace time.Duration) {
	if !p.alive() {
		return
	}
	for _, step := range []struct {
		signal syscall.Signal
		wait   time.Duration
	}{{fastStop, grace}, {immediateStop, 5 * time.Second}} {
		_ = p.cmd.Process.Signal(step.signal)
		select {
		case <-p.done:
			return
		case <-time.After(step.wait):
		}
	}
	p.kill()
}

// stopLeftover deals with what an earlier hub left behind: a server of this
// cluster that still runs is stopped (the directory's lock says that nobody
// uses it), its children are waited for, and a postmaster.pid that names a
// process of somebody else is removed. One that names no living process is
// PostgreSQL's own affair: it checks the shared memory first.
func (p place) stopLeftover(ctx context.Context, log *slog.Logger) error {
	pidFile := filepath.Join(p.data(), "postmaster.pid")
	deadline := time.Now().Add(60 * time.Second)
	signals := []syscall.Signal{fastStop, immediateStop, syscall.SIGKILL}
	next := time.Now()
	for {
		postmaster, stale := p.postmaster(pidFile)
		rest := serversIn(p.data())
		if postmaster == 0 && len(rest) == 0 {
			if stale {
				log.InfoContext(ctx, "removing the pid file of a dead server")
				if err := os.Remove(pidFile); err != nil && !errors.Is(err, os.ErrNotExist) {
					return fmt.Errorf("remove a stale pid file: %w", err)
				}
			}
			return nil
		}
		if postmaster != 0 && !time.Now().Before(next) && len(signals) > 0 {
			log.WarnContext(ctx, "stopping a server that an earlier run left behind", "pid", postmaster)
			_ = syscall.Kill(postmaster, signals[0])
			signals, next = signals[1:], time.Now().Add(15*time.Second)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes of an earlier server do not end: %v", append(rest, postmaster))
		}
		if !wait(ctx, 50*time.Millisecond) {
			return fmt.Errorf("wait for an earlier server to end: %w", context.Cause(ctx))
		}
	}
}

// postmaster is the running server that the pid file names, or 0; stale tells
// that the file names a living process which is no server of this cluster.
func (p place) postmaster(pidFile string) (pid int, stale bool) {
	b, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, false
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err = strconv.Atoi(strings.TrimSpace(first))
	if err != nil || pid <= 1 {
		return 0, true // cut short by a crash
	}
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return 0, false
	}
	if !isServerOf(pid, p.data()) {
		return 0, true
	}
	return pid, false
}

// openLog opens the server's log, setting a big one aside.
func openLog(path string) (*os.File, error) {
	if info, err := os.Stat(path); err == nil && info.Size() > 8<<20 {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("set the server's log aside: %w", err)
		}
	}
	// For root the directory belongs to the server's account: follow no link.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the server's log: %w", err)
	}
	return f, nil
}

// unlockFile gives the lock back at once. Closing alone would not: a child that
// this process is just starting holds a copy of the file until it runs its own
// program, and the lock would stay as long.
func unlockFile(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
	_ = f.Close()
}

// lockFile takes an exclusive lock that ends with this process.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrInUse
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	return f, nil
}
