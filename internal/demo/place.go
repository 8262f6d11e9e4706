package demo

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"kith/internal/postgres"
)

// Errors of a demo's place and of those who look for a running one.
var (
	ErrRunning    = errors.New("another demo is running on this data directory")
	ErrNotRunning = errors.New("no demo is running on this data directory")
)

// Place is the directory under which everything of a demo lies: the database,
// ports, passwords and keys. Whatever is secret has mode 0600 in a directory
// of mode 0700.
type Place struct {
	Dir    string
	random io.Reader
	lock   *os.File
}

// DefaultDir is where a demo lies when it is not told: root's in /var/lib,
// since PostgreSQL runs as another user there and must not pass through root's
// home.
func DefaultDir(getenv func(string) string, uid int) (string, error) {
	if uid == 0 {
		return "/var/lib/kith-demo", nil
	}
	if data := getenv("XDG_DATA_HOME"); filepath.IsAbs(data) {
		return filepath.Join(data, "kith-demo"), nil
	}
	if home := getenv("HOME"); filepath.IsAbs(home) {
		return filepath.Join(home, ".kith-demo"), nil
	}
	return "", errors.New("neither HOME nor XDG_DATA_HOME is set: name a directory with --data")
}

// Claim makes the directory and locks it for this process. The lock goes with
// the process, however it ends. Error: ErrRunning.
func Claim(dir string, random io.Reader) (*Place, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	// PostgreSQL may run as another user below it, so it can be passed through.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w (%s)", ErrRunning, dir)
		}
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	return &Place{Dir: dir, random: random, lock: lock}, nil
}

// Release gives the directory up.
func (p *Place) Release() {
	_ = os.Remove(p.path(runningFile))
	_ = p.lock.Close()
}

func (p *Place) has(name string) bool {
	_, err := os.Stat(p.path(name))
	return err == nil
}

func (p *Place) path(name string) string { return filepath.Join(p.Dir, name) }

// Clear removes keys, passwords and ports; the database is removed by its
// server's package.
func (p *Place) Clear() error {
	for _, name := range []string{rolesFile, receiptFile, logFile, referenceFile, portsFile, runningFile, checkpointFile} {
		if err := os.Remove(p.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear data directory: %w", err)
		}
	}
	return nil
}

// Files of a place.
const (
	rolesFile      = "database-roles.json"
	receiptFile    = "receipt.key"
	logFile        = "log.key"
	referenceFile  = "reference.key"
	portsFile      = "ports.json"
	runningFile    = "running.json"
	checkpointFile = "checkpoint"
)

// Checkpoint is where the published head of the log is kept, outside the database.
func (p *Place) Checkpoint() string { return p.path(checkpointFile) }

// keep reads a file, or makes it with what fresh gives. It is written aside
// and renamed, so that a crash leaves no half of it.
func (p *Place) keep(name string, fresh func() ([]byte, error)) ([]byte, error) {
	raw, err := os.ReadFile(p.path(name))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return raw, err
	}
	if raw, err = fresh(); err != nil {
		return nil, err
	}
	return raw, p.write(name, raw)
}

func (p *Place) write(name string, raw []byte) error {
	aside := p.path(name + ".new")
	if err := os.WriteFile(aside, raw, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(aside, p.path(name)); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (p *Place) secret(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.random, b); err != nil {
		return nil, fmt.Errorf("make a secret: %w", err)
	}
	return b, nil
}

// roles are the database roles' passwords.
func (p *Place) roles() (postgres.Roles, error) {
	raw, err := p.keep(rolesFile, func() ([]byte, error) {
		made := map[string]string{}
		for _, name := range postgres.LoginRoles() {
			b, err := p.secret(24)
			if err != nil {
				return nil, err
			}
			made[name] = base64.RawURLEncoding.EncodeToString(b)
		}
		return json.MarshalIndent(made, "", "  ")
	})
	if err != nil {
		return postgres.Roles{}, fmt.Errorf("passwords of the database roles: %w", err)
	}
	var m map[string]string
	if err := json.Unmarshal(raw, &m); err != nil {
		return postgres.Roles{}, fmt.Errorf("passwords of the database roles: %w", err)
	}
	return postgres.Roles{Migrate: m[postgres.RoleMigrate], App: m[postgres.RoleApp], Sequencer: m[postgres.RoleSequencer],
		Auditor: m[postgres.RoleAuditor], Replay: m[postgres.RoleReplay], Retention: m[postgres.RoleRetention]}, nil
}

// receiptKey signs this demo's receipts.
func (p *Place) receiptKey() (ed25519.PrivateKey, error) {
	seed, err := p.keepSecret(receiptFile, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("receipt key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// LogOrigin names the demo's log in its checkpoints.
const LogOrigin = "kith-demo.example/log"

// logKey signs this demo's checkpoints.
func (p *Place) logKey() (ed25519.PrivateKey, error) {
	seed, err := p.keepSecret(logFile, ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

func (p *Place) keepSecret(name string, n int) ([]byte, error) {
	raw, err := p.keep(name, func() ([]byte, error) {
		b, err := p.secret(n)
		if err != nil {
			return nil, err
		}
		return []byte(base64.StdEncoding.EncodeToString(b) + "\n"), nil
	})
	if err != nil {
		return nil, err
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(raw)))
	if err != nil || len(b) != n {
		return nil, fmt.Errorf("%s is damaged; start with --fresh", p.path(name))
	}
	return b, nil
}

// ports are the free ports that the demo found, kept so that issuer addresses
// are the same at the next start.
type ports struct {
	Issuers int `json:"issuers"`
	Private int `json:"private"`
}

func (p *Place) ports() (ports, error) {
	raw, err := os.ReadFile(p.path(portsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return ports{}, nil
	}
	if err != nil {
		return ports{}, fmt.Errorf("read ports: %w", err)
	}
	var k ports
	if json.Unmarshal(raw, &k) != nil {
		return ports{}, nil // others are found
	}
	return k, nil
}

func (p *Place) keepPorts(k ports) error {
	raw, err := json.Marshal(k)
	if err != nil {
		return fmt.Errorf("keep ports: %w", err)
	}
	return p.write(portsFile, raw)
}

// Running says where a running demo can be reached.
type Running struct {
	Hub     string `json:"hub"`
	Issuers string `json:"issuers"`
	Private string `json:"private"`
	Seed    uint64 `json:"seed"`
	Pid     int    `json:"pid"`
}

// Announce lets the other commands find this demo.
func (p *Place) Announce(r Running) error {
	r.Pid = os.Getpid()
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("announce the demo: %w", err)
	}
	return p.write(runningFile, raw)
}

// Find reads where the demo of a directory runs. Error: ErrNotRunning.
func Find(dir string) (Running, error) {
	raw, err := os.ReadFile(filepath.Join(dir, runningFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Running{}, fmt.Errorf("%w (%s)", ErrNotRunning, dir)
	}
	if err != nil {
		return Running{}, fmt.Errorf("find the running demo: %w", err)
	}
	var r Running
	if err := json.Unmarshal(raw, &r); err != nil {
		return Running{}, fmt.Errorf("find the running demo: %w", err)
	}
	// After a crash the file stays; the lock does not.
	lock, err := os.Open(filepath.Join(dir, "lock"))
	if err != nil {
		return Running{}, fmt.Errorf("%w (%s)", ErrNotRunning, dir)
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return Running{}, fmt.Errorf("%w (%s)", ErrNotRunning, dir)
	}
	return r, nil
}
