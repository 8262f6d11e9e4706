package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// floors is the import order of doc.go: a package may import lower floors only.
var floors = map[string]int{
	"postgres": 1, "outbox": 2, "audit": 3, "identity": 4, "agreement": 5, "policy": 6, "family": 7, "disclosure": 8, "api": 9, "web": 9, "demo": 10,
}

// fences say who alone may import a library.
var fences = map[string]func(dir string) bool{
	"github.com/open-policy-agent/opa": inside("policy", "../policies"),
	"golang.org/x/mod/sumdb":           inside("audit"),
	"github.com/go-chi/chi":            inside("api", "web"),
	"github.com/coreos/go-oidc":        inside("identity"),
	"github.com/jackc/pgx":             outside("api", "web", "audit/proof"),
	"kith/internal/policy":             outside("audit"),
}

func inside(dirs ...string) func(string) bool {
	return func(dir string) bool {
		for _, d := range dirs {
			if dir == d || strings.HasPrefix(dir, d+"/") {
				return true
			}
		}
		return false
	}
}

func outside(dirs ...string) func(string) bool {
	in := inside(dirs...)
	return func(dir string) bool { return !in(dir) }
}

type source struct {
	dir, path string
	file      *ast.File
}

func sources(t *testing.T, root string) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, source{dir: filepath.ToSlash(filepath.Dir(path)), path: path, file: f})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatalf("no Go files below %s: the test looks at the wrong place", root)
	}
	return all
}

func TestImportsGoDown(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t, ".") {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		own := floors[strings.SplitN(s.dir, "/", 2)[0]]
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			rest, ok := strings.CutPrefix(path, "kith/internal/")
			if !ok {
				continue
			}
			room := strings.SplitN(rest, "/", 2)[0]
			floor, known := floors[room]
			if !known {
				t.Errorf("%s imports %s, which has no place in the order of doc.go", s.path, path)
			}
			if room != strings.SplitN(s.dir, "/", 2)[0] && floor >= own {
				t.Errorf("%s imports %s: imports go down only", s.path, path)
			}
		}
	}
}

func TestFences(t *testing.T) {
	t.Parallel()
	for _, root := range []string{".", "../cmd", "../policies", "../migrations"} {
		for _, s := range sources(t, root) {
			if strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			for _, imp := range s.file.Imports {
				path, _ := strconv.Unquote(imp.Path.Value)
				for library, allowed := range fences {
					if strings.HasPrefix(path, library) && !allowed(s.dir) {
						t.Errorf("%s imports %s, which is fenced", s.path, path)
					}
				}
			}
		}
	}
}

func TestEveryPackageSaysWhatItHides(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	for _, root := range []string{".", "../cmd", "../policies", "../migrations"} {
		for _, s := range sources(t, root) {
			if strings.HasSuffix(s.path, "_test.go") {
				continue
			}
			documented[s.dir] = documented[s.dir] || s.file.Doc != nil
		}
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package in %s has no package comment", dir)
		}
	}
}

// kith-verify must stay checkable by somebody who trusts neither our database
// nor our policy engine: it stands on audit/proof alone.
func TestTheVerifierStandsAlone(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("../cmd/kith-verify"); err != nil {
		t.Skip("kith-verify is not built yet")
	}
	for _, s := range sources(t, "../cmd/kith-verify") {
		for _, imp := range s.file.Imports {
			path, _ := strconv.Unquote(imp.Path.Value)
			if strings.HasPrefix(path, "kith/") && path != "kith/internal/audit/proof" {
				t.Errorf("%s imports %s; the verifier imports internal/audit/proof alone", s.path, path)
			}
		}
	}
}
