package policy

import (
	"errors"
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// ParseLevel reads a level by its name. An unknown name is an error and Hidden.
func ParseLevel(name string) (Level, error) {
	for l := Hidden; l <= Full; l++ {
		if l.String() == name {
			return l, nil
		}
	}
	return Hidden, fmt.Errorf("unknown level %q", name)
}

// MarshalText gives the level's name.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads a level's name; an unknown one is an error and Hidden.
func (l *Level) UnmarshalText(text []byte) (err error) {
	*l, err = ParseLevel(string(text))
	return err
}

// String gives the level's name; what is no level is hidden.
func (l Level) String() string {
	switch l {
	case Existence:
		return "existence"
	case Summary:
		return "summary"
	case Full:
		return "full"
	default:
		return "hidden"
	}
}

// Labels is the closed list of obligations that travel with an entry.
func Labels() []string { return []string{"do-not-inform", "onward", "court"} }

func refusals() []string {
	return []string{
		RefusalNotFound, RefusalNoAgreement, RefusalRole, RefusalPurpose,
		RefusalEmergency, RefusalReason, RefusalError,
	}
}

// decode reads the kernel's answer strictly: a key, level, mask, label or
// refusal that is not known here denies the whole request, since an obligation
// that nobody understands is one that nobody keeps.
func (a *Active) decode(value ast.Value, in Input) (Decision, error) {
	r := &reading{}
	top := r.object(value, "allow", "refusal", "alerts", "needs_reason", "children", "declared", "entries")
	d := Decision{
		Allow:       r.flag(top["allow"]),
		Refusal:     r.text(top["refusal"]),
		Alerts:      r.texts(top["alerts"]),
		NeedsReason: r.flag(top["needs_reason"]),
		Children:    r.texts(top["children"]),
		Declared:    r.flag(top["declared"]),
	}
	if r.err != nil {
		return Decision{}, r.err
	}
	if !d.Allow {
		if !slices.Contains(refusals(), d.Refusal) {
			return Decision{}, fmt.Errorf("unknown refusal %q", d.Refusal)
		}
		if d.Refusal == RefusalError {
			return Decision{}, errors.New("the kernel could not decide")
		}
		return Decision{Refusal: d.Refusal, Reasons: []string{d.Refusal}, Alerts: d.Alerts, NeedsReason: d.NeedsReason}, nil
	}
	if d.Refusal != "" || len(d.Children) == 0 {
		return Decision{}, errors.New("allowed with a refusal, or for nobody")
	}
	entries := r.elements(top["entries"])
	if r.err != nil {
		return Decision{}, r.err
	}
	if len(entries) != len(in.Tuples) {
		return Decision{}, fmt.Errorf("%d answers to %d tuples", len(entries), len(in.Tuples))
	}
	d.Entries = make([]Entry, len(entries))
	for i, entry := range entries {
		if err := a.entry(r, entry, &in.Tuples[i], &d.Entries[i]); err != nil {
			return Decision{}, fmt.Errorf("answer %d: %w", i, err)
		}
	}
	return d, nil
}

func (a *Active) entry(r *reading, value ast.Value, t *Tuple, e *Entry) error {
	o := r.object(value, "level", "part", "masked", "keep", "clauses", "grant", "labels", "reasons", "holder", "named")
	name := r.text(o["level"])
	*e = Entry{
		Part:    r.text(o["part"]),
		Masked:  r.texts(o["masked"]),
		Keep:    r.texts(o["keep"]),
		Clauses: r.texts(o["clauses"]),
		Grant:   r.text(o["grant"]),
		Labels:  r.texts(o["labels"]),
		Reasons: r.texts(o["reasons"]),
		Holder:  r.flag(o["holder"]),
		Named:   r.flag(o["named"]),
	}
	if r.err != nil {
		return r.err
	}
	level, err := ParseLevel(name)
	if err != nil {
		return err
	}
	e.Level = level
	shown := level >= Summary
	switch {
	case shown && e.Part != name, !shown && e.Part != "":
		return fmt.Errorf("part %q at level %s", e.Part, name)
	case e.Holder != (level == Existence), e.Named && !e.Holder:
		return fmt.Errorf("holder %t, named %t at level %s", e.Holder, e.Named, name)
	case level == Hidden && (len(e.Clauses) > 0 || e.Grant != ""):
		return errors.New("hidden with a clause or a grant")
	}
	for _, field := range e.Masked {
		if !a.fields[t.Section][field] {
			return fmt.Errorf("unknown mask %q of %s", field, t.Section)
		}
	}
	for _, label := range e.Labels {
		if !slices.Contains(Labels(), label) {
			return fmt.Errorf("unknown label %q", label)
		}
	}
	return nil
}

// knownFields is the set of fields of each section.
func knownFields(v *Version) map[string]map[string]bool {
	known := make(map[string]map[string]bool, len(v.Sections))
	for _, s := range v.Sections {
		known[s.Code] = make(map[string]bool, len(s.Fields))
		for _, f := range s.Fields {
			known[s.Code][f.Name] = true
		}
	}
	return known
}

// reading reads engine values and keeps the first thing that was wrong.
type reading struct{ err error }

func (r *reading) wrong(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
}

func (r *reading) object(value ast.Value, allowed ...string) map[string]ast.Value {
	o, ok := value.(ast.Object)
	if !ok {
		r.wrong("want an object, got %s", ast.ValueName(value))
		return nil
	}
	out := make(map[string]ast.Value, o.Len())
	o.Foreach(func(key, member *ast.Term) {
		name, ok := key.Value.(ast.String)
		if !ok || !slices.Contains(allowed, string(name)) {
			r.wrong("unknown key %s", key)
			return
		}
		out[string(name)] = member.Value
	})
	return out
}

// text, flag, texts and elements read a member; one that is missing is zero.
func (r *reading) text(value ast.Value) string {
	if value == nil {
		return ""
	}
	s, ok := value.(ast.String)
	if !ok {
		r.wrong("want text, got %s", ast.ValueName(value))
	}
	return string(s)
}

func (r *reading) flag(value ast.Value) bool {
	if value == nil {
		return false
	}
	b, ok := value.(ast.Boolean)
	if !ok {
		r.wrong("want true or false, got %s", ast.ValueName(value))
	}
	return bool(b)
}

func (r *reading) elements(value ast.Value) []ast.Value {
	if value == nil {
		return nil
	}
	array, ok := value.(*ast.Array)
	if !ok {
		r.wrong("want a list, got %s", ast.ValueName(value))
		return nil
	}
	if array.Len() == 0 {
		return nil
	}
	out := make([]ast.Value, 0, array.Len())
	array.Foreach(func(t *ast.Term) { out = append(out, t.Value) })
	return out
}

func (r *reading) texts(value ast.Value) []string {
	elements := r.elements(value)
	if elements == nil {
		return nil
	}
	out := make([]string, len(elements))
	for i, element := range elements {
		out[i] = r.text(element)
	}
	return out
}

// clone copies a decision, so that a kept one cannot be changed by a caller.
func (d Decision) clone() Decision {
	d.Reasons = slices.Clone(d.Reasons)
	d.Alerts = slices.Clone(d.Alerts)
	d.Children = slices.Clone(d.Children)
	d.Entries = slices.Clone(d.Entries)
	for i := range d.Entries {
		e := &d.Entries[i]
		e.Masked = slices.Clone(e.Masked)
		e.Keep = slices.Clone(e.Keep)
		e.Clauses = slices.Clone(e.Clauses)
		e.Labels = slices.Clone(e.Labels)
		e.Reasons = slices.Clone(e.Reasons)
	}
	return d
}
