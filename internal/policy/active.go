// Package policy decides what one caller may see of one family. It hides the
// policy engine: a Version of the sharing policy is compiled once into an
// Active, whose Decide answers an Input by one bounded evaluation of the
// kernel. Nothing but the input and the version is read, so that a decision can
// be replayed; every failure is a denial.
package policy

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// entryPoint is the kernel's one entry point.
const entryPoint = "data.kith.kernel.decision"

// defaultDeadline bounds one evaluation.
const defaultDeadline = 50 * time.Millisecond

// Options of Compile and Activate; the zero value is what a hub runs with.
type Options struct {
	// Deadline of one evaluation; 0 means 50 ms.
	Deadline time.Duration
	// Keep is how many decisions are kept for equal inputs; 0 keeps none.
	Keep int
	// Kernel replaces the embedded kernel's modules (file name to text): a
	// stored version decides with the kernel that was approved with it.
	Kernel map[string]string
}

// Active is a compiled version, ready to decide. It is safe for concurrent use
// and never changes.
type Active struct {
	version  *Version
	engine   string
	deadline time.Duration
	query    rego.PreparedEvalQuery
	store    storage.Store
	names    *names
	fields   map[string]map[string]bool // section → its fields
	kept     *lru.Cache[[sha256.Size]byte, Decision]
	modules  Digest // of the kernel's and the local rules' text
	kernel   map[string]string
	compiler *ast.Compiler
	ruled    bool // there are local rules
}

// Compile makes a version ready to decide. local holds the local rules' modules
// by file name; tests among them are left out. The version gets its digest if
// it has none: over its content, the modules and the engine. Versions that are
// stored or approved are compiled by Activate, whose digest covers every file.
func Compile(version *Version, local map[string]string, opts Options) (*Active, error) {
	kernel := opts.Kernel
	if kernel == nil {
		embedded, err := embeddedKernel()
		if err != nil {
			return nil, err
		}
		kernel = embedded
	}
	modules, err := policyModules(kernel, local)
	if err != nil {
		return nil, err
	}
	return compileActive(version, kernel, local, modules, opts)
}

// compileActive is Compile for modules that were checked; nil: those of the
// kernel and of local, which is then not an officer's.
func compileActive(version *Version, kernel, local map[string]string, modules map[string]*ast.Module, opts Options) (*Active, error) {
	if modules == nil {
		var err error
		if modules, err = parseAll(moduleFiles(kernel, local)); err != nil {
			return nil, err
		}
	}
	compiler, err := compileModules(modules)
	if err != nil {
		return nil, err
	}

	data := compiled(version)
	size, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode policy data: %w", err)
	}
	if len(size) > maxDataBytes {
		return nil, fmt.Errorf("policy data of %d bytes, at most %d", len(size), maxDataBytes)
	}

	pinned := *version
	if pinned.Digest.IsZero() {
		if pinned.Digest, err = contentDigest(version, kernel, local); err != nil {
			return nil, err
		}
	}
	a := &Active{
		version:  &pinned,
		engine:   Engine(),
		deadline: opts.Deadline,
		store:    inmem.NewFromObjectWithOpts(document{"version": data}, inmem.OptReturnASTValuesOnRead(true)),
		names:    newNames(),
		fields:   knownFields(version),
		modules:  moduleDigest(kernel, local),
		kernel:   kernel,
		compiler: compiler,
		ruled:    len(local) > 0,
	}
	if a.deadline <= 0 {
		a.deadline = defaultDeadline
	}
	if opts.Keep > 0 {
		if a.kept, err = lru.New[[sha256.Size]byte, Decision](opts.Keep); err != nil {
			return nil, fmt.Errorf("keep %d decisions: %w", opts.Keep, err)
		}
	}
	a.query, err = rego.New(
		rego.Query(entryPoint),
		rego.Compiler(compiler),
		rego.Store(a.store),
		rego.Capabilities(capabilities()),
		rego.StrictBuiltinErrors(true),
		rego.GenerateJSON(func(term *ast.Term, _ *rego.EvalContext) (any, error) { return term.Value, nil }),
	).PrepareForEval(context.Background())
	if err != nil {
		return nil, fmt.Errorf("prepare policy query: %w", err)
	}
	return a, nil
}

// policyModules parses kernel and local modules and checks the local ones.
func policyModules(kernel, local map[string]string) (map[string]*ast.Module, error) {
	if len(kernel) == 0 {
		return nil, errors.New("policy has no kernel modules")
	}
	parsed, err := parseAll(moduleFiles(kernel, local))
	if err != nil {
		return nil, err
	}
	var problems []error
	for _, file := range sortedKeys(local) {
		if module := parsed["local/"+file]; module != nil {
			problems = append(problems, gateLocal("local/"+file, module))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return parsed, nil
}

// moduleFiles are the modules under the names that messages give them, without
// tests.
func moduleFiles(kernel, local map[string]string) map[string]string {
	files := make(map[string]string, len(kernel)+len(local))
	for file, text := range kernel {
		if !isTest(file) {
			files["kernel/"+file] = text
		}
	}
	for file, text := range local {
		if !isTest(file) {
			files["local/"+file] = text
		}
	}
	return files
}

// Version gives the catalogue, agreements and matrix that this decides by.
// The caller must not change it.
func (a *Active) Version() *Version { return a.version }

// Digest names the version, its kernel and the engine's version.
func (a *Active) Digest() Digest { return a.version.Digest }

// Decide answers one input. A failure of any kind (a malformed input, the
// deadline, an error or a panic of the engine, an answer that is not
// understood) gives a decision that shows nothing, with RefusalError, beside
// the error.
func (a *Active) Decide(ctx context.Context, in Input) (Decision, error) {
	return a.DecideRecorded(ctx, in, nil)
}

// DecideRecorded is Decide for a caller who has the input's JSON at hand, as the
// log will hold it: kept decisions are found by it. nil = it is written here.
func (a *Active) DecideRecorded(ctx context.Context, in Input, recorded []byte) (d Decision, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			d, err = Decision{Refusal: RefusalError}, fmt.Errorf("policy evaluation panicked: %v", cause)
		}
	}()
	if err := in.check(); err != nil {
		return Decision{Refusal: RefusalError}, fmt.Errorf("policy input: %w", err)
	}
	var key [sha256.Size]byte
	if a.kept != nil {
		if recorded != nil {
			key = a.keyOf(recorded)
		} else if key, err = a.key(in); err != nil {
			return Decision{Refusal: RefusalError}, err
		}
		if kept, ok := a.kept.Get(key); ok {
			return kept.clone(), nil
		}
	}
	d, err = a.evaluate(ctx, in)
	if err != nil {
		return Decision{Refusal: RefusalError}, err
	}
	if a.kept != nil {
		a.kept.Add(key, d.clone())
	}
	return d, nil
}

func (a *Active) evaluate(ctx context.Context, in Input) (Decision, error) {
	return a.evaluateInput(ctx, in, a.names.input(in))
}

// within is the same version with another deadline.
func (a *Active) within(deadline time.Duration) *Active {
	b := *a
	b.deadline = deadline
	return &b
}

// evaluateInput is evaluate for an input that is written already.
func (a *Active) evaluateInput(ctx context.Context, in Input, written ast.Value) (Decision, error) {
	ctx, cancel := context.WithTimeout(ctx, a.deadline)
	defer cancel()
	results, err := a.query.Eval(ctx, rego.EvalParsedInput(written))
	if ctx.Err() != nil {
		err = ctx.Err() // the engine looks at it now and then; late means deny
	}
	if err != nil {
		return Decision{}, fmt.Errorf("evaluate policy %s: %w", a.version.Digest, err)
	}
	if len(results) != 1 || len(results[0].Expressions) != 1 {
		return Decision{}, fmt.Errorf("policy %s gave %d results", a.version.Digest, len(results))
	}
	value, ok := results[0].Expressions[0].Value.(ast.Value)
	if !ok {
		return Decision{}, fmt.Errorf("policy %s gave %T", a.version.Digest, results[0].Expressions[0].Value)
	}
	d, err := a.decode(value, in)
	if err != nil {
		return Decision{}, fmt.Errorf("read the decision of policy %s: %w", a.version.Digest, err)
	}
	return d, nil
}

// key names an input under this version: the whole input and the digest, since
// a key that leaves out part of the input serves one caller another's answer.
func (a *Active) key(in Input) ([sha256.Size]byte, error) {
	canonical, err := json.Marshal(in)
	if err != nil {
		return [sha256.Size]byte{}, fmt.Errorf("encode policy input: %w", err)
	}
	return a.keyOf(canonical), nil
}

func (a *Active) keyOf(canonical []byte) [sha256.Size]byte {
	sum := sha256.New()
	sum.Write(a.version.Digest[:])
	sum.Write(canonical)
	return [sha256.Size]byte(sum.Sum(nil))
}
