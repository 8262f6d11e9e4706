// Package private is the PostgreSQL that the hub brings along when it is given
// none. It hides where the binaries come from, who may run them, where the
// cluster lies, and what is left over after a crash: Start gives back a server
// that is up, durable and reachable from this machine alone, whatever happened
// before.
package private

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Admin is the name of the private server's superuser.
const Admin = "kith_admin"

// ErrInUse means that another process runs the server of this directory.
var ErrInUse = errors.New("another Kith is using this directory")

// Config of a private server.
type Config struct {
	// Dir keeps everything: the cluster, the superuser's password, the port.
	Dir string
	// Log takes one line for each start, stop and restart. Nil: none.
	Log *slog.Logger
	// Fast asks for a small server that starts quickly, for tests. It is as
	// durable as the other.
	Fast bool
	// Random makes the superuser's password.
	Random io.Reader
}

// Server is a running private PostgreSQL. Its methods may be called by several
// goroutines.
type Server struct {
	cfg      Config
	place    place
	bin      binaries
	password string
	port     int
	lock     *os.File

	mu      sync.Mutex // guards proc and stopped
	proc    *process
	stopped bool
}

// Start finds a PostgreSQL of version 15 or newer, makes the cluster at the
// first call, recovers it after a crash, and returns when it takes connections.
// It returns ErrInUse while another process runs the same directory's server,
// and ErrNoBinaries when no PostgreSQL is installed.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("private database: %w", err)
	}
	cfg.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("private database: make its directory: %w", err)
	}
	s := &Server{cfg: cfg}
	if s.lock, err = lockFile(filepath.Join(dir, "postgres.lock")); err != nil {
		return nil, fmt.Errorf("private database %s: %w", dir, err)
	}
	if err := s.start(ctx); err != nil {
		unlockFile(s.lock)
		return nil, fmt.Errorf("private database %s: %w", dir, err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context) error {
	var err error
	if s.place, err = settle(s.cfg.Dir); err != nil {
		return err
	}
	if err := s.place.stopLeftover(ctx, s.cfg.Log); err != nil {
		return err
	}
	if s.bin, err = findBinaries(s.place.major()); err != nil {
		return err
	}
	if s.bin, err = s.bin.readyFor(s.place); err != nil {
		return err
	}
	if s.password, err = s.place.initialise(ctx, s.bin, s.cfg); err != nil {
		return err
	}
	if s.port, err = keptPort(filepath.Join(s.cfg.Dir, "postgres.port")); err != nil {
		return err
	}
	if err := s.place.configure(s.port, s.cfg.Fast); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.launch(ctx)
}

// launch starts the postmaster and waits until it answers. After a kill -9 the
// old server's children hold its shared memory for a moment, and PostgreSQL
// refuses to start: it is tried again.
func (s *Server) launch(ctx context.Context) error {
	began := time.Now()
	var err error
	for try := range 5 {
		if try > 0 && !wait(ctx, time.Second) {
			break
		}
		if err = s.place.stopLeftover(ctx, s.cfg.Log); err != nil {
			return err
		}
		var p *process
		if p, err = s.place.spawn(s.bin); err != nil {
			return err
		}
		if err = s.untilReady(ctx, p); err == nil {
			s.proc = p
			s.cfg.Log.InfoContext(ctx, "private database is up", "version", s.bin.version,
				"after", time.Since(began).Round(time.Millisecond))
			return nil
		}
		p.end(2 * time.Second)
		if ctx.Err() != nil {
			break
		}
	}
	return fmt.Errorf("%w\n%s", err, s.place.logTail())
}

func (s *Server) untilReady(ctx context.Context, p *process) error {
	// Recovery after a crash takes as long as there is WAL to replay.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var last error
	for {
		conn, err := pgx.Connect(ctx, s.AdminDSN("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		last = err
		select {
		case <-p.done:
			return errors.New("the server ended while it was starting")
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", last)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Watch starts the server again whenever it dies, until ctx ends or Stop is
// called. restarted, if not nil, is called after each restart.
func (s *Server) Watch(ctx context.Context, restarted func()) {
	for {
		s.mu.Lock()
		p, stopped := s.proc, s.stopped
		s.mu.Unlock()
		if stopped {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-p.done:
		}
		s.mu.Lock()
		if s.stopped {
			s.mu.Unlock()
			return
		}
		if s.proc != p { // somebody else has restarted it
			s.mu.Unlock()
			continue
		}
		s.cfg.Log.WarnContext(ctx, "private database died, starting it again", "status", p.status())
		err := s.launch(ctx)
		s.mu.Unlock()
		switch {
		case err == nil && restarted != nil:
			restarted()
		case err != nil:
			s.cfg.Log.ErrorContext(ctx, "private database does not start", "error", err)
			if !wait(ctx, 2*time.Second) {
				return
			}
		}
	}
}

// Restart starts the server if it does not run, and stops it before if it does.
func (s *Server) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return errors.New("private database: it was stopped")
	}
	s.proc.end(20 * time.Second)
	if err := s.launch(ctx); err != nil {
		return fmt.Errorf("private database: restart: %w", err)
	}
	return nil
}

// Kill ends the server as a power cut would: SIGKILL to the postmaster and its
// children, one of which could otherwise still answer. For tests: Watch,
// Restart or the next Start recover.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proc.kill()
	for _, pid := range serversIn(s.place.data()) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// Running tells whether the server's process lives.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.alive()
}

// Pid of the postmaster, of the last one if it does not run.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.proc.pid
}

// Stop ends the server: open transactions are rolled back and everything is
// written; when ctx ends sooner the server is stopped at once, and the next
// Start recovers. The directory is free for another process afterwards.
func (s *Server) Stop(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.stopped = true
	grace := 30 * time.Second
	if end, ok := ctx.Deadline(); ok {
		grace = min(grace, max(0, time.Until(end)))
	}
	s.proc.end(grace)
	unlockFile(s.lock)
	s.cfg.Log.InfoContext(ctx, "private database stopped")
}

// DSN is the address of database for user. It leads through the socket where
// its path is short enough for the system, else through the loopback.
func (s *Server) DSN(user, password, database string) string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Path: "/" + database}
	q := url.Values{"sslmode": {"disable"}}
	if sock := s.place.sockets(); sock != "" {
		q.Set("host", sock)
		q.Set("port", strconv.Itoa(s.port))
	} else {
		u.Host = s.Addr()
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// AdminDSN is the superuser's address of database.
func (s *Server) AdminDSN(database string) string { return s.DSN(Admin, s.password, database) }

// Addr is the server's TCP address on the loopback.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// EnsureDatabase creates the database if it is not there.
func (s *Server) EnsureDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.AdminDSN("postgres"))
	if err != nil {
		return fmt.Errorf("private database: connect: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	if err != nil {
		return fmt.Errorf("private database: look for %s: %w", name, err)
	}
	if exists {
		return nil
	}
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return fmt.Errorf("private database: create %s: %w", name, err)
	}
	return nil
}

// Remove deletes the cluster of dir, also where it had to lie elsewhere. It
// returns ErrInUse while a process runs it. What else lies in dir stays.
func Remove(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("remove private database: %w", err)
	}
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	lock, err := lockFile(filepath.Join(dir, "postgres.lock"))
	if err != nil {
		return fmt.Errorf("remove private database %s: %w", dir, err)
	}
	defer unlockFile(lock)
	p, err := settle(dir)
	if err != nil {
		return fmt.Errorf("remove private database %s: %w", dir, err)
	}
	if err := p.stopLeftover(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return fmt.Errorf("remove private database %s: %w", dir, err)
	}
	if err := os.RemoveAll(p.root); err != nil {
		return fmt.Errorf("remove private database: %w", err)
	}
	for _, f := range []string{"postgres.password", "postgres.port", "postgres.location"} {
		if err := os.Remove(filepath.Join(dir, f)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove private database: %w", err)
		}
	}
	return nil
}

// keptPort returns the port noted in file if it is free, else a free one, and
// notes it: addresses stay the same from start to start.
func keptPort(file string) (int, error) {
	if b, err := os.ReadFile(file); err == nil {
		if port, err := strconv.Atoi(string(b)); err == nil && port > 0 && free(port) {
			return port, nil
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	if err := os.WriteFile(file, []byte(strconv.Itoa(port)), 0o600); err != nil {
		return 0, fmt.Errorf("note the port: %w", err)
	}
	return port, nil
}

func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
