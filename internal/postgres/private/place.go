package private

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// account is the unprivileged user that runs the server when the hub is root,
// because PostgreSQL refuses to run as root. Nil otherwise.
type account struct {
	name     string
	uid, gid int
}

// place is where a cluster lies and who runs it.
type place struct {
	dir  string // the hub's directory: password, port, lock
	root string // data, sockets and the server's log
	as   *account
}

func (p place) data() string    { return filepath.Join(p.root, "data") }
func (p place) logFile() string { return filepath.Join(p.root, "postgres.log") }

// sockets is the directory of the Unix socket; empty where the socket's path
// would be longer than the system's limit of 103 (macOS) characters.
func (p place) sockets() string {
	d := filepath.Join(p.root, "run")
	if len(filepath.Join(d, ".s.PGSQL.65535.lock")) > 100 {
		return ""
	}
	return d
}

// settle decides where the cluster of dir lies and makes the directories. For
// root that may be elsewhere: nobody but root can enter /root, so the cluster
// then lies in /var/lib/kith-private, and dir keeps a pointer.
func settle(dir string) (place, error) {
	p := place{dir: dir, root: filepath.Join(dir, "postgres")}
	if os.Geteuid() == 0 {
		var err error
		if p.as, err = unprivileged(); err != nil {
			return place{}, err
		}
		if !reachable(dir, p.as) {
			base, err := sharedBase()
			if err != nil {
				return place{}, err
			}
			sum := sha256.Sum256([]byte(dir))
			p.root = filepath.Join(base, hex.EncodeToString(sum[:8]))
			if err := os.WriteFile(filepath.Join(dir, "postgres.location"), []byte(p.root+"\n"), 0o600); err != nil {
				return place{}, fmt.Errorf("note where the cluster lies: %w", err)
			}
		}
	}
	// The socket's directory is closed to everyone else.
	for _, d := range []string{p.root, filepath.Join(p.root, "run")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return place{}, fmt.Errorf("make the cluster's directory: %w", err)
		}
		if err := os.Chmod(d, 0o700); err != nil {
			return place{}, fmt.Errorf("close the cluster's directory: %w", err)
		}
		if err := p.give(d); err != nil {
			return place{}, err
		}
	}
	return p, nil
}

// give hands a file to the account that runs the server.
func (p place) give(path string) error {
	if p.as == nil {
		return nil
	}
	if err := os.Lchown(path, p.as.uid, p.as.gid); err != nil {
		return fmt.Errorf("hand over to %s: %w", p.as.name, err)
	}
	return nil
}

// credential makes a child process run as the account.
func (p place) credential() *syscall.Credential {
	if p.as == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(p.as.uid), Gid: uint32(p.as.gid)}
}

// unprivileged finds somebody to run the server: the account that PostgreSQL's
// packages make, else nobody.
func unprivileged() (*account, error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err1 == nil && err2 == nil && uid > 0 {
			return &account{name: name, uid: uid, gid: gid}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
}

// reachable tells whether the account may enter dir and everything above it.
func reachable(dir string, as *account) bool {
	if as == nil {
		return true
	}
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		bit := fs.FileMode(0o001)
		switch {
		case int(st.Uid) == as.uid:
			bit = 0o100
		case int(st.Gid) == as.gid:
			bit = 0o010
		}
		if info.Mode().Perm()&bit == 0 {
			return false
		}
		up := filepath.Dir(dir)
		if up == dir {
			return true
		}
		dir = up
	}
}

// sharedBase is a directory outside root's home, owned by root.
func sharedBase() (string, error) {
	var last error
	for _, base := range []string{"/var/lib/kith-private", filepath.Join(os.TempDir(), "kith-private")} {
		if last = os.MkdirAll(base, 0o755); last != nil {
			continue
		}
		info, err := os.Lstat(base)
		if err != nil {
			last = err
			continue
		}
		// In a directory that everyone may write, somebody else could have
		// been first.
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Uid != 0 || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
			last = fmt.Errorf("%s does not belong to root alone", base)
			continue
		}
		return base, nil
	}
	return "", fmt.Errorf("find a place outside root's home: %w", last)
}

// major is the PostgreSQL version of the cluster; 0 where there is none yet.
func (p place) major() int {
	b, err := os.ReadFile(filepath.Join(p.data(), "PG_VERSION"))
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0
	}
	return n
}

// logTail is the end of the server's own log, for an error message. It holds
// no row data: log_error_verbosity is terse and no statement is logged.
func (p place) logTail() string {
	b, err := os.ReadFile(p.logFile())
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return strings.Join(lines, "\n")
}
