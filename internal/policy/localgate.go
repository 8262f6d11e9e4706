package policy

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// localPackage is where a local rule may live: data.local.<name> and nothing deeper.
var localPackage = regexp.MustCompile(`^data\.local\.[a-z][a-z0-9_]*$`)

// localInputs is the closed list of inputs that local rules may read: facts in
// buckets, none of which names anybody.
func localInputs() map[string]bool {
	return map[string]bool{
		"date": true, "caller": true, "request": true, "parties": true, "people": true, "tuples": true,
	}
}

// localData is the closed list below data.version that local rules may read.
func localData() map[string]bool {
	return map[string]bool{"kinds": true, "roles": true, "purposes": true, "sections": true}
}

// gateLocal checks an editable module before it is compiled: own package only,
// references only to listed input and data, no `with`, nothing of the kernel.
// That it can only narrow does not rest on this gate: the kernel reads nothing
// of it but lowerings, masks and labels.
func gateLocal(file string, module *ast.Module) error {
	g := gate{file: file, own: module.Package.Path.String(), test: isTest(file)}
	if !localPackage.MatchString(g.own) {
		g.refuse(module.Package.Location, "package must be local.<name>, not %s", g.own)
	}
	for _, imported := range module.Imports {
		if ref, ok := imported.Path.Value.(ast.Ref); ok {
			g.ref(ref, imported.Location)
		}
	}
	for _, rule := range module.Rules {
		if rule.Default {
			g.refuse(rule.Location, "default %s: a local rule has no default, what it does not say changes nothing", rule.Head.Ref())
		}
	}
	for _, rule := range module.Rules {
		g.lowers(rule)
	}
	for _, note := range module.Annotations {
		if len(note.Schemas) > 0 {
			g.refuse(note.Location, "schema annotations are not allowed")
		}
	}
	for _, rule := range module.Rules {
		ast.NewGenericVisitor(g.visit).Walk(rule)
	}
	return errors.Join(g.problems...)
}

// lowers refuses a lowering to full or to what is no level: the kernel would
// change nothing, or hide, and its author would never know.
func (g *gate) lowers(rule *ast.Rule) {
	if g.test || rule.Head.Key == nil || ruleName(rule) != "lower" {
		return
	}
	entry, ok := rule.Head.Key.Value.(ast.Object)
	if !ok {
		return
	}
	level := entry.Get(ast.StringTerm("level"))
	if level == nil {
		g.refuse(rule.Location, `lower: {"entry": index, "level": level} is what the kernel reads`)
		return
	}
	if name, ok := level.Value.(ast.String); ok && !slices.Contains([]string{Hidden.String(), Existence.String(), Summary.String()}, string(name)) {
		g.refuse(level.Location, "lower to %q: a local rule can only narrow, to summary, existence or hidden", string(name))
	}
}

type gate struct {
	file     string
	own      string
	test     bool
	problems []error
}

func (g *gate) refuse(at *ast.Location, format string, args ...any) {
	row, column := 0, 0
	if at != nil {
		row, column = at.Row, at.Col
	}
	g.problems = append(g.problems, fmt.Errorf("%s:%d:%d: %s", g.file, row, column, fmt.Sprintf(format, args...)))
}

// visit looks at one node below a rule.
func (g *gate) visit(x any) bool {
	switch node := x.(type) {
	case *ast.With:
		if !g.test {
			g.refuse(node.Location, "with is for tests only")
		}
	case *ast.Term:
		switch value := node.Value.(type) {
		case ast.Ref:
			g.ref(value, node.Location)
			for _, operand := range value[1:] {
				ast.NewGenericVisitor(g.visit).Walk(operand)
			}
			return true
		case ast.Var:
			if value == "input" || value == "data" {
				g.refuse(node.Location, "%s as a whole", value)
			}
		}
	}
	return false
}

// ref refuses a reference that leaves the closed lists. The names on the way
// must be constants: input[x] would be everything.
func (g *gate) ref(ref ast.Ref, at *ast.Location) {
	switch {
	case ref.HasPrefix(ast.InputRootRef):
		if !localInputs()[constant(ref, 1)] && !g.test {
			g.refuse(at, "%s is not an input of local rules", ref)
		}
	case ref.HasPrefix(ast.DefaultRootRef):
		top, next := constant(ref, 1), constant(ref, 2)
		switch {
		case top == "version" && localData()[next]:
		case top == "local" && (g.test || "data.local."+next == g.own):
		case top == "version" && next == "" && g.test:
		default:
			g.refuse(at, "%s is not data of local rules", ref)
		}
	}
}

// constant is the name at a place of a reference, "" where it is none.
func constant(ref ast.Ref, i int) string {
	if len(ref) <= i {
		return ""
	}
	name, ok := ref[i].Value.(ast.String)
	if !ok {
		return ""
	}
	return string(name)
}
