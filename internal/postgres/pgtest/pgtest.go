// Package pgtest gives each test a real PostgreSQL database of its own, made
// from a template that holds the migrated schema. It hides the server behind
// it: one private server for each test process, or the one that
// KITH_TEST_ADMIN_DSN names.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		db := pgtest.New(t)
//		app := db.Pool(t, "app")
//		…
//	}
package pgtest

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
	"kith/internal/postgres/private"
	"kith/migrations"
)

// adminDSN is the environment's variable for a server of the developer's own.
// Main sets it to the private server's address, so that New finds the server
// without a variable of the package.
const adminDSN = "KITH_TEST_ADMIN_DSN"

// Main is the body of TestMain: it starts the server, runs the tests, and
// leaves nothing behind. It exits the process.
func Main(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Getenv(adminDSN) != "" {
		return m.Run()
	}
	ctx := context.Background()
	dir, err := tempDir()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	srv, err := private.Start(ctx, private.Config{Dir: dir, Fast: true, Random: rand.Reader})
	if err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	defer srv.Stop(ctx)
	if err := os.Setenv(adminDSN, srv.AdminDSN("postgres")); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		return 1
	}
	return m.Run()
}

// DB is one test's database.
type DB struct {
	// Name of the database on its server.
	Name  string
	admin string
}

// New makes a database with the present schema, dropped when the test ends.
func New(t testing.TB) *DB {
	t.Helper()
	return newDB(t, serverOf(t), migrations.FS)
}

// NewWith makes a database with the schema of other migration files; with nil
// it has the roles and empty schemas only.
func NewWith(t testing.TB, files fs.FS) *DB {
	t.Helper()
	return newDB(t, serverOf(t), files)
}

// Server is a PostgreSQL of one test's own, which it may kill and restart.
type Server struct{ *private.Server }

// NewServer starts a server for this test alone.
func NewServer(t testing.TB) Server {
	t.Helper()
	dir, err := tempDir()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	srv, err := private.Start(t.Context(), private.Config{Dir: dir, Fast: true, Random: rand.Reader})
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() { srv.Stop(context.Background()) })
	return Server{srv}
}

// New makes a database with the present schema on this server.
func (s Server) New(t testing.TB) *DB {
	t.Helper()
	return newDB(t, s.AdminDSN("postgres"), migrations.FS)
}

// DSN is the database's address for a role: "admin" (the server's superuser),
// or "app", "migrate", "sequencer", "auditor", "replay", "retention", with or
// without the "kith_" in front.
func (d *DB) DSN(role string) string {
	dsn, err := d.dsn(role)
	if err != nil {
		panic(err) // a misspelt role in a test
	}
	return dsn
}

func (d *DB) dsn(role string) (string, error) {
	if role == "admin" {
		cfg, err := pgx.ParseConfig(d.admin)
		if err != nil {
			return "", fmt.Errorf("pgtest: %w", err)
		}
		dsn, err := postgres.WithRole(d.admin, cfg.User, cfg.Password, d.Name)
		if err != nil {
			return "", fmt.Errorf("pgtest: %w", err)
		}
		return withOption(dsn, "search_path", postgres.SearchPath), nil
	}
	name := "kith_" + strings.TrimPrefix(role, "kith_")
	password := passwords(d.admin).Password(name)
	if password == "" {
		return "", fmt.Errorf("pgtest: there is no role %q", role)
	}
	return postgres.WithRole(d.admin, name, password, d.Name)
}

// withOption adds a session's setting to either form of a DSN.
func withOption(dsn, key, value string) string {
	if !strings.Contains(dsn, "://") {
		return dsn + " " + key + "='" + value + "'"
	}
	join := "?"
	if strings.Contains(dsn, "?") {
		join = "&"
	}
	return dsn + join + key + "=" + url.PathEscape(value)
}

// Pool connects as a role (see DSN) until the test ends.
func (d *DB) Pool(t testing.TB, role string) *pgxpool.Pool {
	t.Helper()
	dsn, err := d.dsn(role)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), dsn, postgres.Options{MaxConns: 8, ApplicationName: "kith test"})
	if err != nil {
		t.Fatalf("pgtest: connect as %s: %v", role, err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("pgtest: a connection of %s was never given back to its pool", role)
		}
	})
	return pool
}

func serverOf(t testing.TB) string {
	t.Helper()
	dsn := os.Getenv(adminDSN)
	if dsn == "" {
		t.Fatal("pgtest: this package's TestMain must call pgtest.Main")
	}
	return dsn
}

func newDB(t testing.TB, admin string, files fs.FS) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	template, err := ensureTemplate(ctx, admin, files)
	if err != nil {
		t.Fatalf("pgtest: template: %v", err)
	}
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails, says crypto/rand
	d := &DB{Name: "kith_test_" + hex.EncodeToString(b[:]), admin: admin}
	if err := command(ctx, admin, "CREATE DATABASE "+d.Name+" TEMPLATE "+template+" STRATEGY FILE_COPY"); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := command(ctx, admin, "DROP DATABASE IF EXISTS "+d.Name+" WITH (FORCE)"); err != nil {
			t.Logf("pgtest: %v", err) // the test's own server may be dead by intent
		}
	})
	conn, err := postgres.Connect(ctx, d.DSN("admin"))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return postgres.CloseDatabase(ctx, tx) }); err != nil {
		t.Fatalf("pgtest: close the database: %v", err)
	}
	return d
}

// ensureTemplate makes the template database of these files once. Several
// processes may share a server: an advisory lock lets one of them do it, and
// the database gets its name only when it is complete.
func ensureTemplate(ctx context.Context, admin string, files fs.FS) (string, error) {
	sum, err := digest(files)
	if err != nil {
		return "", err
	}
	name := "kith_template_" + sum
	conn, err := postgres.Connect(ctx, admin)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	const lock = 7_251_003 // any number, the same in every process
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, lock); err != nil {
		return "", fmt.Errorf("wait for the template: %w", err)
	}
	var exists bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&exists)
	if err != nil {
		return "", fmt.Errorf("look for the template: %w", err)
	}
	if exists {
		return name, nil
	}
	making := &DB{Name: name + "_new", admin: admin}
	for _, sql := range []string{
		"DROP DATABASE IF EXISTS " + making.Name + " WITH (FORCE)",
		"CREATE DATABASE " + making.Name,
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return "", fmt.Errorf("%s: %w", sql, err)
		}
	}
	dsn := making.DSN("admin")
	if err := postgres.Bootstrap(ctx, dsn, passwords(admin), rand.Reader); err != nil {
		return "", err
	}
	if files != nil {
		if err := postgres.Migrate(ctx, dsn, files, nil); err != nil {
			return "", err
		}
	}
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+making.Name+" RENAME TO "+name); err != nil {
		return "", fmt.Errorf("name the template: %w", err)
	}
	return name, nil
}

func command(ctx context.Context, dsn, sql string) error {
	conn, err := postgres.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

// passwords follow from the administrator's address, so that processes that
// share a server agree on them. The private server's are random, since its
// administrator's password is.
func passwords(admin string) postgres.Roles {
	of := func(role string) string {
		h := hmac.New(sha256.New, []byte(admin))
		h.Write([]byte(role))
		return hex.EncodeToString(h.Sum(nil)[:16])
	}
	return postgres.Roles{
		Migrate: of(postgres.RoleMigrate), App: of(postgres.RoleApp), Sequencer: of(postgres.RoleSequencer),
		Auditor: of(postgres.RoleAuditor), Replay: of(postgres.RoleReplay), Retention: of(postgres.RoleRetention),
	}
}

func digest(files fs.FS) (string, error) {
	h := sha256.New()
	if files != nil {
		names, err := fs.Glob(files, "*.sql")
		if err != nil {
			return "", fmt.Errorf("list migrations: %w", err)
		}
		for _, name := range names {
			b, err := fs.ReadFile(files, name)
			if err != nil {
				return "", fmt.Errorf("read migrations: %w", err)
			}
			fmt.Fprintf(h, "%s %d\n%s", name, len(b), b)
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// tempDir makes a directory for a server in memory where there is /dev/shm, and
// clears those that killed test processes left there.
func tempDir() (string, error) {
	base := "/dev/shm"
	if syscall.Access(base, 2) != nil { // W_OK
		base = os.TempDir()
	}
	const prefix = "kith-pgtest-"
	old, _ := filepath.Glob(filepath.Join(base, prefix+"*")) // the pattern is well formed
	for _, dir := range old {
		name, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "-")
		pid, err := strconv.Atoi(name)
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if private.Remove(ctx, dir) == nil {
			_ = os.RemoveAll(dir)
		}
		cancel()
	}
	dir, err := os.MkdirTemp(base, fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return "", fmt.Errorf("make a directory for the server: %w", err)
	}
	// MkdirTemp closes it; the account that runs the server must get through.
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("open the server's directory: %w", err)
	}
	return dir, nil
}
