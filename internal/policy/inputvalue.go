package policy

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// check refuses an input that no rule could read safely: another shape, a day
// that is none, a number of things that no family has. Rules compare days as
// text, so a day that is not written as one would compare as anything.
func (in *Input) check() error {
	if in.V != 1 {
		return fmt.Errorf("shape %d, want 1", in.V)
	}
	if in.Date == "" {
		return errors.New("no date")
	}
	if err := dayOrNone("date", in.Date); err != nil {
		return err
	}
	for _, p := range in.People {
		if err := dayOrNone("protected", p.Protected); err != nil {
			return err
		}
		for _, spans := range p.Near {
			for _, s := range spans {
				if err := cmp.Or(dayOrNone("near from", s.From), dayOrNone("near until", s.Until)); err != nil {
					return err
				}
			}
		}
	}
	for _, a := range in.Agreements {
		if err := cmp.Or(dayOrNone("agreement from", a.From), dayOrNone("agreement end", a.End)); err != nil {
			return err
		}
	}
	for i := range in.Tuples {
		if err := cmp.Or(dayOrNone("entry from", in.Tuples[i].From), dayOrNone("entry until", in.Tuples[i].Until)); err != nil {
			return err
		}
	}
	return nil
}

func dayOrNone(what, text string) error {
	if text != "" && !isDay(text) {
		return fmt.Errorf("%s is not a day", what)
	}
	return nil
}

// isDay tells whether text is a day as YYYY-MM-DD.
func isDay(text string) bool {
	if len(text) != len(time.DateOnly) {
		return false
	}
	for i, c := range []byte(text) {
		if i == 4 || i == 7 {
			if c != '-' {
				return false
			}
		} else if c < '0' || c > '9' {
			return false
		}
	}
	month, _ := strconv.Atoi(text[5:7])
	day, _ := strconv.Atoi(text[8:])
	return month >= 1 && month <= 12 && day >= 1 && day <= 31
}

// names holds the terms of the input's keys, made once: building the engine's
// value directly costs a third of a round trip through JSON. The keys are those
// of the JSON form, so that a recorded input replays to the same value.
type names struct {
	keys    map[string]*ast.Term
	yes, no *ast.Term
}

func newNames() *names {
	n := &names{keys: map[string]*ast.Term{}, yes: ast.BooleanTerm(true), no: ast.BooleanTerm(false)}
	for _, key := range []string{
		"v", "date", "caller", "request", "agreements", "parties", "people", "grants", "tuples",
		"agency", "kind", "roles", "active", "named", "family_team", "marac", "lead",
		"purpose", "children", "reason", "from", "review", "end", "until",
		"child", "unborn", "told", "ours", "mine", "allocated", "declared", "open", "rating",
		"restricted", "protected", "agreed", "informed", "age", "harmed_by", "near", "parents",
		"id", "section", "person", "level", "giver", "giver_kind", "break_glass", "approved",
		"owner", "sensitivity", "source", "handling", "existence", "about", "mentions", "narrative",
		"tagged", "contains", "flags", "full", "summary", "schema", "fields",
	} {
		n.keys[key] = ast.StringTerm(key)
	}
	return n
}

// pairs collects the members of one object.
type pairs struct {
	n       *names
	members [][2]*ast.Term
}

func (n *names) object(size int) *pairs {
	return &pairs{n: n, members: make([][2]*ast.Term, 0, size)}
}

func (p *pairs) term() *ast.Term { return ast.NewTerm(ast.NewObject(p.members...)) }

func (p *pairs) add(key string, value *ast.Term) {
	p.members = append(p.members, [2]*ast.Term{p.n.keys[key], value})
}

func (p *pairs) text(key, value string) { p.add(key, ast.StringTerm(value)) }

// textIf leaves an empty value out, as omitempty does in the recorded form.
func (p *pairs) textIf(key, value string) {
	if value != "" {
		p.text(key, value)
	}
}

func (p *pairs) flag(key string, value bool) {
	if value {
		p.add(key, p.n.yes)
	} else {
		p.add(key, p.n.no)
	}
}

func (p *pairs) flagIf(key string, value bool) {
	if value {
		p.add(key, p.n.yes)
	}
}

func (p *pairs) list(key string, values []string) { p.add(key, texts(values)) }

func (p *pairs) listIf(key string, values []string) {
	if len(values) > 0 {
		p.list(key, values)
	}
}

func texts(values []string) *ast.Term {
	terms := make([]*ast.Term, len(values))
	for i, value := range values {
		terms[i] = ast.StringTerm(value)
	}
	return ast.ArrayTerm(terms...)
}

// keyed makes an object from a map whose keys are data.
func keyed[V any](values map[string]V, term func(V) *ast.Term) *ast.Term {
	members := make([][2]*ast.Term, 0, len(values))
	for key, value := range values {
		members = append(members, [2]*ast.Term{ast.StringTerm(key), term(value)})
	}
	return ast.NewTerm(ast.NewObject(members...))
}

func (n *names) input(in Input) ast.Value {
	o := n.object(9)
	o.add("v", ast.IntNumberTerm(in.V))
	o.text("date", in.Date)
	o.add("caller", n.caller(in.Caller))
	o.add("request", n.request(in.Request))
	o.add("agreements", keyed(in.Agreements, n.agreement))
	o.add("parties", keyed(in.Parties, func(p Party) *ast.Term {
		o := n.object(1)
		o.text("kind", p.Kind)
		return o.term()
	}))
	o.add("people", keyed(in.People, n.person))
	if len(in.Grants) > 0 {
		grants := make([]*ast.Term, len(in.Grants))
		for i, g := range in.Grants {
			grants[i] = n.grant(g)
		}
		o.add("grants", ast.ArrayTerm(grants...))
	}
	tuples := make([]*ast.Term, len(in.Tuples))
	for i := range in.Tuples {
		tuples[i] = n.tuple(&in.Tuples[i])
	}
	o.add("tuples", ast.ArrayTerm(tuples...))
	return o.term().Value
}

func (n *names) caller(c Caller) *ast.Term {
	o := n.object(8)
	o.text("agency", c.Agency)
	o.text("kind", c.Kind)
	o.list("roles", c.Roles)
	o.flag("active", c.Active)
	o.flag("named", c.Named)
	o.flag("family_team", c.FamilyTeam)
	o.flag("marac", c.Marac)
	o.flag("lead", c.Lead)
	return o.term()
}

func (n *names) request(r Request) *ast.Term {
	o := n.object(3)
	o.text("purpose", r.Purpose)
	o.list("children", r.Children)
	o.flag("reason", r.Reason)
	return o.term()
}

func (n *names) agreement(a Agreement) *ast.Term {
	o := n.object(4)
	o.text("from", a.From)
	o.text("review", a.Review)
	o.text("end", a.End)
	o.add("parties", keyed(a.Parties, func(state string) *ast.Term { return ast.StringTerm(state) }))
	return o.term()
}

func (n *names) person(p Person) *ast.Term {
	o := n.object(18)
	o.flag("child", p.Child)
	o.flag("unborn", p.Unborn)
	o.flag("told", p.Told)
	o.flag("ours", p.Ours)
	o.flag("mine", p.Mine)
	o.flag("allocated", p.Allocated)
	o.flag("declared", p.Declared)
	o.listIf("open", p.Open)
	o.textIf("rating", p.Rating)
	o.flag("restricted", p.Restricted)
	o.textIf("protected", p.Protected)
	o.textIf("agreed", p.Agreed)
	o.textIf("informed", p.Informed)
	o.textIf("age", p.Age)
	o.listIf("harmed_by", p.HarmedBy)
	if len(p.Near) > 0 {
		o.add("near", keyed(p.Near, func(spans []Span) *ast.Term {
			terms := make([]*ast.Term, len(spans))
			for i, s := range spans {
				o := n.object(3)
				o.text("kind", s.Kind)
				o.textIf("from", s.From)
				o.textIf("until", s.Until)
				terms[i] = o.term()
			}
			return ast.ArrayTerm(terms...)
		}))
	}
	o.listIf("parents", p.Parents)
	return o.term()
}

func (n *names) grant(g Grant) *ast.Term {
	o := n.object(8)
	o.text("id", g.ID)
	o.textIf("section", g.Section)
	o.text("person", g.Person)
	o.text("level", g.Level)
	o.textIf("giver", g.Giver)
	o.textIf("giver_kind", g.GiverKind)
	o.flagIf("break_glass", g.BreakGlass)
	o.flagIf("approved", g.Approved)
	return o.term()
}

func (n *names) tuple(t *Tuple) *ast.Term {
	o := n.object(18)
	o.text("section", t.Section)
	o.text("owner", t.Owner)
	o.add("sensitivity", ast.IntNumberTerm(t.Sensitivity))
	o.text("source", t.Source)
	o.textIf("handling", t.Handling)
	o.flagIf("existence", t.Existence)
	o.list("about", t.About)
	o.listIf("mentions", t.Mentions)
	o.flagIf("narrative", t.Narrative)
	o.flagIf("tagged", t.Tagged)
	o.listIf("contains", t.Contains)
	o.listIf("flags", t.Flags)
	o.textIf("from", t.From)
	o.textIf("until", t.Until)
	o.flag("full", t.Full)
	o.flag("summary", t.Summary)
	o.textIf("schema", t.Schema)
	o.listIf("fields", t.Fields)
	return o.term()
}
