package private_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
	"kith/internal/postgres/private"
)

// childDir makes the test binary play a hub that is then killed.
const childDir = "KITH_PRIVATE_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		srv, err := private.Start(context.Background(), config(dir))
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("pid", srv.Pid())
		select {} // until it is killed
	}
	os.Exit(m.Run())
}

func config(dir string) private.Config {
	return private.Config{Dir: dir, Fast: true, Random: rand.Reader}
}

// directory is one that the server's account may enter also when we are root,
// which t.TempDir is not.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kith-private-test-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := private.Remove(context.Background(), dir); err != nil {
			t.Error(err)
		}
		_ = os.RemoveAll(dir)
	})
	return dir
}

func start(t *testing.T, dir string) *private.Server {
	t.Helper()
	srv, err := private.Start(t.Context(), config(dir))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Stop(context.Background()) })
	return srv
}

func connect(t *testing.T, srv *private.Server) *pgx.Conn {
	t.Helper()
	conn, err := postgres.Connect(t.Context(), srv.AdminDSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func exec1(t *testing.T, srv *private.Server, sql string) {
	t.Helper()
	if _, err := connect(t, srv).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func rowsOf(t *testing.T, srv *private.Server) int {
	t.Helper()
	var n int
	if err := connect(t, srv).QueryRow(t.Context(), `SELECT count(*) FROM kept`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestSettings(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	srv := start(t, dir)
	conn := connect(t, srv)
	if err := postgres.CheckDurable(t.Context(), conn); err != nil {
		t.Error(err)
	}
	if advice, err := postgres.LoggingAdvice(t.Context(), conn); err != nil || len(advice) > 0 {
		t.Error(advice, err)
	}
	var checksums, addresses, encoding, upper string
	err := conn.QueryRow(t.Context(), `
		SELECT current_setting('data_checksums'), current_setting('listen_addresses'),
		       current_setting('server_encoding'), upper('é')`).Scan(&checksums, &addresses, &encoding, &upper)
	if err != nil || checksums != "on" || addresses != "127.0.0.1" || encoding != "UTF8" || upper != "É" {
		t.Error(checksums, addresses, encoding, upper, err)
	}
	for file, want := range map[string]os.FileMode{"postgres.password": 0o600, "postgres/run": 0o700, "postgres/data": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v, want %o", file, info.Mode(), err, want)
		}
	}
	// Nobody gets in without the password, over neither way.
	for _, dsn := range []string{
		srv.DSN(private.Admin, "wrong", "postgres"),
		"postgres://" + private.Admin + "@" + srv.Addr() + "/postgres?sslmode=disable",
	} {
		if conn, err := postgres.Connect(t.Context(), dsn); err == nil {
			_ = conn.Close(t.Context())
			t.Errorf("%s was let in", dsn)
		}
	}
}

func TestStopAndStartAgain(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	srv := start(t, dir)
	exec1(t, srv, `CREATE TABLE kept AS SELECT 1 AS n`)
	if err := srv.EnsureDatabase(t.Context(), "kith"); err != nil {
		t.Fatal(err)
	}
	if err := srv.EnsureDatabase(t.Context(), "kith"); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := private.Start(t.Context(), config(dir)); !errors.Is(err, private.ErrInUse) {
		t.Fatalf("a second server in the same directory: %v", err)
	}
	if err := private.Remove(t.Context(), dir); !errors.Is(err, private.ErrInUse) {
		t.Fatalf("removed while it runs: %v", err)
	}
	dsn := srv.AdminDSN("postgres")
	srv.Stop(t.Context())
	srv.Stop(t.Context()) // harmless
	if srv.Running() {
		t.Error("it still runs")
	}
	again := start(t, dir)
	if got := again.AdminDSN("postgres"); got != dsn {
		t.Errorf("the address changed from %s to %s", dsn, got)
	}
	if n := rowsOf(t, again); n != 1 {
		t.Errorf("%d rows", n)
	}
	again.Stop(t.Context())
	if err := private.Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "postgres", "data")); !os.IsNotExist(err) {
		t.Error("the cluster is still there")
	}
}

func TestKilledServer(t *testing.T) {
	t.Parallel()
	srv := start(t, directory(t))
	exec1(t, srv, `CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)`)
	srv.Kill()
	if srv.Running() {
		t.Fatal("it still runs")
	}
	if err := srv.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := rowsOf(t, srv); n != 1 {
		t.Errorf("%d rows: a committed row was lost", n)
	}
	// While Watch looks after it, nobody has to.
	ctx, cancel := context.WithCancel(t.Context())
	restarted := make(chan struct{}, 1)
	ended := make(chan struct{})
	go func() { srv.Watch(ctx, func() { restarted <- struct{}{} }); close(ended) }()
	for range 2 {
		srv.Kill()
		select {
		case <-restarted:
		case <-time.After(60 * time.Second):
			t.Fatal("Watch did not restart it")
		}
		if n := rowsOf(t, srv); n != 1 {
			t.Errorf("%d rows", n)
		}
	}
	cancel()
	<-ended
	srv.Stop(t.Context())
}

// kill -9 of the hub takes the server along, and the next start recovers.
func TestKilledHub(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	for _, also := range []string{"hub", "hub and server"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		pid, convErr := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
		if err != nil || convErr != nil {
			t.Fatalf("child said %q, %v", line, err)
		}
		if also == "hub and server" {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		srv := start(t, dir)
		if srv.Pid() == pid {
			t.Error("the same process")
		}
		if also == "hub" {
			exec1(t, srv, `CREATE TABLE kept AS SELECT 1 AS n`)
		} else if n := rowsOf(t, srv); n != 1 {
			t.Errorf("%d rows", n)
		}
		// Not by kill(pid, 0): nobody may have collected the dead process yet.
		if exe, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/exe"); err == nil {
			t.Errorf("the killed hub's server %d still runs (%s)", pid, exe)
		}
		srv.Stop(t.Context())
	}
}

// A pid file that names a living process of somebody else does not keep the
// server from starting.
func TestStalePidFile(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	srv := start(t, dir)
	pidFile := filepath.Join(dir, "postgres", "data", "postmaster.pid")
	left, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	exec1(t, srv, `CREATE TABLE kept AS SELECT 1 AS n`)
	srv.Stop(t.Context())
	_, rest, _ := strings.Cut(string(left), "\n")
	for _, first := range []string{strconv.Itoa(os.Getpid()), ""} {
		if err := os.WriteFile(pidFile, []byte(first+"\n"+rest), 0o644); err != nil {
			t.Fatal(err)
		}
		srv = start(t, dir)
		if n := rowsOf(t, srv); n != 1 {
			t.Errorf("%d rows", n)
		}
		srv.Stop(t.Context())
	}
}

// An interrupted initdb leaves no cluster that looks like one.
func TestInterruptedFirstStart(t *testing.T) {
	t.Parallel()
	dir := directory(t)
	half := filepath.Join(dir, "postgres", "data.new")
	if err := os.MkdirAll(half, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(half, "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if srv, err := private.Start(ctx, config(dir)); err == nil {
		srv.Stop(t.Context()) // a fast machine
	}
	start(t, dir)
}

// A port that somebody else took in the meantime is replaced.
func TestPortTaken(t *testing.T) {
	t.Parallel()
	dir, other := directory(t), directory(t)
	srv := start(t, dir)
	if err := os.WriteFile(filepath.Join(other, "postgres.port"), []byte(srv.Addr()[len("127.0.0.1:"):]), 0o600); err != nil {
		t.Fatal(err)
	}
	if second := start(t, other); second.Addr() == srv.Addr() {
		t.Error("two servers on one port")
	}
}

// In a directory that the server's account cannot enter, as all of root's home
// is, the cluster lies elsewhere, and Remove finds it.
func TestClosedDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root hands the server to another account")
	}
	outer := directory(t)
	dir := filepath.Join(outer, "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = private.Remove(context.Background(), dir) })
	srv := start(t, dir)
	exec1(t, srv, `CREATE TABLE kept AS SELECT 1 AS n`)
	pointer, err := os.ReadFile(filepath.Join(dir, "postgres.location"))
	if err != nil {
		t.Fatal(err)
	}
	srv.Stop(t.Context())
	srv = start(t, dir)
	if n := rowsOf(t, srv); n != 1 {
		t.Errorf("%d rows", n)
	}
	srv.Stop(t.Context())
	if err := private.Remove(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(strings.TrimSpace(string(pointer))); !os.IsNotExist(err) {
		t.Errorf("the cluster at %s is still there: %v", pointer, err)
	}
}
