package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// What the kernel reads of a local rule; everything else in the package is a
// helper of these.
var contributions = []string{"lower", "mask", "label"}

// lintLocal looks at all local modules together: what can have no effect, what
// reads as something else than it is, what no test evaluates, and what goes
// through a collection where a look-up would do.
func lintLocal(files map[string]string) []string {
	modules := map[string]*ast.Module{}
	for file, text := range files {
		if m, err := parseModule(localFolder+file, text); err == nil { // lintModule says why not
			modules[localFolder+file] = m
		}
	}
	// Who refers to which rule of which package, tests and rules apart.
	used, tested := map[string]bool{}, map[string]bool{}
	for file, m := range modules {
		to := used
		if isTest(file) {
			to = tested
		}
		for _, rule := range m.Rules {
			own := m.Package.Path.String() + "." + ruleName(rule)
			refer := func(name string) {
				if name != own { // a rule that speaks of itself alone is used by nobody
					to[name] = true
				}
			}
			ast.WalkRefs(rule, func(ref ast.Ref) bool {
				if ref.HasPrefix(ast.DefaultRootRef) && constant(ref, 1) == "local" {
					if name := constant(ref, 3); name != "" {
						refer("data.local." + constant(ref, 2) + "." + name)
					} else {
						refer("data.local." + constant(ref, 2))
					}
				}
				if head, ok := ref[0].Value.(ast.Var); ok {
					refer(m.Package.Path.String() + "." + string(head))
				}
				return false
			})
			ast.WalkVars(rule.Body, func(v ast.Var) bool {
				refer(m.Package.Path.String() + "." + string(v))
				return false
			})
		}
	}
	var found []string
	for _, file := range sortedKeys(modules) {
		m := modules[file]
		if isTest(file) {
			continue
		}
		own := m.Package.Path.String()
		names := map[string]bool{}
		for _, rule := range m.Rules {
			names[ruleName(rule)] = true
		}
		said := map[string]bool{}
		say := func(at *ast.Location, format string, args ...any) {
			line := fmt.Sprintf("%s:%d: ", file, at.Row) + fmt.Sprintf(format, args...)
			if !said[line] {
				said[line] = true
				found = append(found, line)
			}
		}
		for _, rule := range m.Rules {
			name := ruleName(rule)
			contributes := slices.Contains(contributions, name)
			switch {
			case contributes && !tested[own+"."+name] && !tested[own]:
				say(rule.Location, "no test evaluates %s: a *_test.rego beside it refers to %s.%s", name, own, name)
			case !contributes && !used[own+"."+name]:
				say(rule.Location, "rule %s has no effect: nothing uses it, and the kernel reads %s alone", name, strings.Join(contributions, ", "))
			}
			lintRule(rule, names, say)
		}
	}
	return found
}

func ruleName(rule *ast.Rule) string {
	if v, ok := rule.Head.Ref()[0].Value.(ast.Var); ok {
		return string(v)
	}
	return ""
}

// lintRule looks at one rule by itself.
func lintRule(rule *ast.Rule, names map[string]bool, say func(*ast.Location, string, ...any)) {
	shadows := func(v ast.Var, at *ast.Location) {
		if names[string(v)] {
			say(at, "%s shadows the rule of that name", v)
		}
	}
	for _, arg := range rule.Head.Args {
		if v, ok := arg.Value.(ast.Var); ok {
			shadows(v, rule.Location)
		}
	}
	ast.WalkNodes(rule, func(n ast.Node) bool {
		if some, ok := n.(*ast.SomeDecl); ok {
			for _, symbol := range some.Symbols {
				switch v := symbol.Value.(type) {
				case ast.Var:
					shadows(v, symbol.Location)
				case ast.Call: // some k, v in collection
					for _, operand := range v[1 : len(v)-1] {
						if name, ok := operand.Value.(ast.Var); ok {
							shadows(name, symbol.Location)
						}
					}
				}
			}
		}
		return false
	})
	ast.WalkExprs(rule, func(e *ast.Expr) bool {
		if !e.IsEquality() && !e.IsAssignment() {
			if op := e.Operator(); op == nil || op.String() != ast.Equal.Name {
				return false
			}
		} else if e.IsAssignment() {
			if v, ok := e.Operand(0).Value.(ast.Var); ok {
				shadows(v, e.Location)
			}
			return false
		}
		for i := range 2 {
			ref, ok := e.Operand(i).Value.(ast.Ref)
			if !ok || len(ref) < 2 {
				continue
			}
			last, ok := ref[len(ref)-1].Value.(ast.Var)
			if ok && last.IsWildcard() && ground(e.Operand(1-i)) {
				say(e.Location, "goes through all of %s to find one value: write `value in collection`", ref[:len(ref)-1])
			}
		}
		return false
	})
}

// ground: the value does not itself range over something.
func ground(t *ast.Term) bool {
	wild := false
	ast.WalkVars(t, func(v ast.Var) bool {
		wild = wild || v.IsWildcard()
		return false
	})
	return !wild
}
