package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/version"

	"kith/policies"
)

// Limits on what is compiled: user-edited Rego is code (faults.md §2).
const (
	maxModuleBytes = 256 << 10
	maxModules     = 64
	maxDataBytes   = 8 << 20
	maxErrors      = 20
	maxRecursion   = 200
)

// testDeadline bounds one test of a rule, or one question of a story: not a
// request's deadline, since tests run on busy machines.
const testDeadline = 5 * time.Second

// Engine names the evaluator and its version; it is part of the digest.
func Engine() string { return "opa " + version.Version }

// allowedBuiltins is the positive list: pure, cancellable, cheap in the size
// of their operands. What is not here does not exist for a module, whatever a
// later engine adds.
func allowedBuiltins() []string {
	return []string{
		"and", "or", "minus", "eq", "assign", "equal", "neq", "lt", "lte", "gt", "gte",
		"internal.member_2", "internal.member_3",
		"count", "max", "min", "sum", "sort",
		"array.concat", "object.get", "object.keys", "object.union",
		"contains", "startswith", "endswith", "lower", "upper",
		"is_string", "is_number", "is_boolean", "is_array", "is_set", "is_object",
	}
}

// capabilities is what parser and compiler are given. AllowNet is empty and
// not nil: nil would mean any host.
func capabilities() *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	narrow := &ast.Capabilities{
		FutureKeywords: []string{},
		Features:       all.Features,
		AllowNet:       []string{},
	}
	for _, b := range all.Builtins {
		if slices.Contains(allowedBuiltins(), b.Name) {
			narrow.Builtins = append(narrow.Builtins, b)
		}
	}
	return narrow
}

// parseModule reads one module within the limits. The first pass exists for
// its recursion limit alone, which ast.ParseModuleWithOpts does not take.
func parseModule(file, text string) (*ast.Module, error) {
	if len(text) > maxModuleBytes {
		return nil, fmt.Errorf("%s: module of %d bytes, at most %d", file, len(text), maxModuleBytes)
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, fmt.Errorf("%s: module is not plain UTF-8 text", file)
	}
	_, _, errs := ast.NewParser().
		WithFilename(file).
		WithReader(strings.NewReader(text)).
		WithCapabilities(capabilities()).
		WithRegoVersion(ast.RegoV1).
		WithMaxRecursionDepth(maxRecursion).
		Parse()
	if len(errs) > 0 {
		return nil, fmt.Errorf("parse %s: %w", file, firstErrors(errs))
	}
	module, err := ast.ParseModuleWithOpts(file, text, ast.ParserOptions{
		Capabilities:      capabilities(),
		ProcessAnnotation: true,
		RegoVersion:       ast.RegoV1,
	})
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", file, err)
	}
	return module, nil
}

func firstErrors(errs ast.Errors) error {
	if len(errs) > maxErrors {
		errs = errs[:maxErrors]
	}
	return errs
}

// parseAll reads modules by file name, within the limit on their number.
func parseAll(files map[string]string) (map[string]*ast.Module, error) {
	if len(files) > maxModules {
		return nil, fmt.Errorf("%d modules, at most %d", len(files), maxModules)
	}
	parsed := make(map[string]*ast.Module, len(files))
	var problems []error
	for _, file := range sortedKeys(files) {
		module, err := parseModule(file, files[file])
		if err != nil {
			problems = append(problems, err)
			continue
		}
		parsed[file] = module
	}
	return parsed, errors.Join(problems...)
}

// newCompiler is the one way in which modules are compiled: strictly, with the
// narrow capabilities.
func newCompiler() *ast.Compiler {
	return ast.NewCompiler().
		WithCapabilities(capabilities()).
		WithStrict(true).
		WithDefaultRegoVersion(ast.RegoV1).
		WithPathConflictsCheck(nil).
		SetErrorLimit(maxErrors)
}

func compileModules(modules map[string]*ast.Module) (*ast.Compiler, error) {
	compiler := newCompiler()
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, fmt.Errorf("compile policy modules: %w", firstErrors(compiler.Errors))
	}
	return compiler, nil
}

// embeddedKernel reads the kernel that this binary carries, without its tests.
func embeddedKernel() (map[string]string, error) {
	return regoFiles(policies.Kernel(), ".", false)
}

// regoFiles reads the modules below a folder; test modules only when asked.
// A missing folder has no modules.
func regoFiles(fsys fs.FS, folder string, tests bool) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(fsys, folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || path.Ext(name) != ".rego" || isTest(name) && !tests {
			return err
		}
		text, err := fs.ReadFile(fsys, name)
		files[name] = string(text)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return files, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read modules in %s: %w", folder, err)
	}
	return files, nil
}

func isTest(file string) bool { return strings.HasSuffix(file, "_test.rego") }

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
