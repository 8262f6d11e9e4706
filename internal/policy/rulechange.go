package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
)

// whatRulesSay is all that the kernel reads of the local rules.
const whatRulesSay = `{
	"lower": {x | some name; some x in data.local[name].lower},
	"mask": {x | some name; some x in data.local[name].mask},
	"label": {x | some name; some x in data.local[name].label},
}`

// saidModule stands in place of the local rules and says what they said.
const saidModule = `package local.said

lower contains x if some x in input.said.lower

mask contains x if some x in input.said.mask

label contains x if some x in input.said.label
`

// ruleChange decides by two versions that differ in their local rules alone.
// The rules are few against the kernel: it asks them first, and the kernel then
// only about the entries of which they say different things. That is the same
// answer, since the kernel reads nothing else of the rules and decides each
// entry by itself.
type ruleChange struct {
	rules  [2]rego.PreparedEvalQuery
	kernel *Active
}

func newRuleChange(before, after *Active) (*ruleChange, error) {
	var c ruleChange
	for i, a := range []*Active{before, after} {
		var err error
		if c.rules[i], err = rego.New(rego.Query(whatRulesSay), rego.Compiler(a.compiler), rego.Store(a.store), rego.Capabilities(capabilities()), rego.StrictBuiltinErrors(true),
			rego.GenerateJSON(func(term *ast.Term, _ *rego.EvalContext) (any, error) { return term.Value, nil })).PrepareForEval(context.Background()); err != nil {
			return nil, fmt.Errorf("prepare what local rules say: %w", err)
		}
	}
	var err error
	c.kernel, err = compileActive(before.version, before.kernel, map[string]string{"said.rego": saidModule}, nil, Options{Deadline: before.deadline})
	return &c, err
}

// decide gives both decisions, with entries that the rules do not touch left at
// nothing in both. false: it cannot tell, so both must be asked as they are.
func (c *ruleChange) decide(ctx context.Context, in Input) (old, fresh Decision, ok bool) {
	defer func() {
		if recover() != nil { // as of every evaluation: then as it is
			ok = false
		}
	}()
	if in.check() != nil {
		return old, fresh, false
	}
	var said [2]ast.Object
	for i := range said {
		var err error
		if said[i], err = c.say(ctx, i, in); err != nil || !aimed(said[i], len(in.Tuples)) {
			return old, fresh, false
		}
	}
	differ := differing(said[0], said[1])
	if len(differ) == 0 {
		return old, fresh, true
	}
	few := in
	few.Tuples = make([]Tuple, len(differ))
	for i, at := range differ {
		few.Tuples[i] = in.Tuples[at]
	}
	var out [2]Decision
	for i := range out {
		value := c.kernel.names.input(few)
		whole, isObject := value.(ast.Object)
		if !isObject {
			return old, fresh, false
		}
		whole.Insert(ast.StringTerm("said"), ast.NewTerm(renumbered(said[i], differ)))
		d, err := c.kernel.evaluateInput(ctx, few, whole)
		if err != nil {
			return old, fresh, false
		}
		if d.Allow {
			entries := make([]Entry, len(in.Tuples))
			for j, at := range differ {
				entries[at] = d.Entries[j]
			}
			d.Entries = entries
		}
		out[i] = d
	}
	return out[0], out[1], true
}

// say asks one version's local rules.
func (c *ruleChange) say(ctx context.Context, which int, in Input) (ast.Object, error) {
	ctx, cancel := context.WithTimeout(ctx, c.kernel.deadline)
	defer cancel()
	results, err := c.rules[which].Eval(ctx, rego.EvalParsedInput(c.kernel.names.input(in)))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("ask local rules: %w", err)
	}
	if len(results) == 1 && len(results[0].Expressions) == 1 {
		if said, ok := results[0].Expressions[0].Value.(ast.Object); ok {
			return said, nil
		}
	}
	return nil, errors.New("ask local rules: no answer")
}

// aimed tells that everything that was said is of one of so many entries. The
// kernel releases nothing where a rule misses its mark.
func aimed(said ast.Object, entries int) bool {
	ok := true
	said.Foreach(func(what, list *ast.Term) {
		set, isSet := list.Value.(ast.Set)
		if !isSet {
			ok = false
			return
		}
		set.Foreach(func(x *ast.Term) {
			at, of := entryOf(x)
			ok = ok && of && at >= 0 && at < entries && wholeOf(x, what)
		})
	})
	return ok
}

// wholeOf tells that a mask names a field and a label a code.
func wholeOf(x, what *ast.Term) bool {
	key := map[string]string{"mask": "field", "label": "label"}[text(what)]
	if key == "" {
		return true
	}
	object, ok := x.Value.(ast.Object)
	if !ok {
		return false
	}
	value := object.Get(ast.StringTerm(key))
	if value == nil {
		return false
	}
	_, ok = value.Value.(ast.String)
	return ok
}

func text(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}

// entryOf is the entry of which something was said.
func entryOf(x *ast.Term) (int, bool) {
	object, ok := x.Value.(ast.Object)
	if !ok {
		return 0, false
	}
	at := object.Get(ast.StringTerm("entry"))
	if at == nil {
		return 0, false
	}
	n, ok := at.Value.(ast.Number)
	if !ok {
		return 0, false
	}
	return n.Int()
}

// differing lists the entries of which one says what the other does not.
func differing(a, b ast.Object) []int {
	found := map[int]bool{}
	for _, pair := range [][2]ast.Object{{a, b}, {b, a}} {
		pair[0].Foreach(func(what, list *ast.Term) {
			other, _ := pair[1].Get(what).Value.(ast.Set)
			list.Value.(ast.Set).Foreach(func(x *ast.Term) {
				if other == nil || !other.Contains(x) {
					at, _ := entryOf(x)
					found[at] = true
				}
			})
		})
	}
	var out []int
	for at := range found {
		out = append(out, at)
	}
	slices.Sort(out)
	return out
}

// renumbered keeps what was said of these entries, by their new numbers.
func renumbered(said ast.Object, entries []int) ast.Object {
	out := ast.NewObject()
	said.Foreach(func(what, list *ast.Term) {
		kept := ast.NewSet()
		list.Value.(ast.Set).Foreach(func(x *ast.Term) {
			at, _ := entryOf(x)
			i, found := slices.BinarySearch(entries, at)
			if !found {
				return
			}
			moved := ast.NewObject()
			x.Value.(ast.Object).Foreach(func(k, v *ast.Term) {
				if text(k) == "entry" {
					v = ast.IntNumberTerm(i)
				}
				moved.Insert(k, v)
			})
			kept.Add(ast.NewTerm(moved))
		})
		out.Insert(what, ast.NewTerm(kept))
	})
	return out
}
