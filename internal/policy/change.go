package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ChangeReport says what a version would change against another: who gains,
// who loses, and who must agree. It holds no fact about any family.
type ChangeReport struct {
	Before Digest `json:"before"`
	After  Digest `json:"after"`
	Date   string `json:"date"`
	// Changes: what the author wrote, then what follows from it; gains first.
	Changes []Change `json:"changes"`
	// Files are the paths that differ, the kernel's among them.
	Files []string `json:"files"`
	// Rules tells of changes that the decision space cannot show whole: local
	// rules, the kernel, the catalogue, the texts of agreements.
	Rules []string `json:"rules"`
	// Refused are changes that nobody can approve.
	Refused []string `json:"refused"`
	Needs   []Need   `json:"needs"`
	Tests   [2]Tests `json:"tests"` // before, after
	Walked  walked   `json:"walked"`
	Took    string   `json:"took"`
}

// Change is what happens to one receiver in one part of the record.
type Change struct {
	Gain       bool     `json:"gain"`
	Terms      bool     `json:"terms_only,omitempty"` // nothing is gained or lost: it rests on another clause
	To         string   `json:"to"`                   // kind, where all its agencies change alike; else agency
	Agencies   []string `json:"agencies"`             // receiving
	Roles      []string `json:"roles"`                // one for each class of roles between which no rule can tell
	Purposes   []string `json:"purposes"`
	Section    string   `json:"section"`
	Owners     []string `json:"owners"` // whose information it is
	About      []string `json:"about"`
	Situations []string `json:"situations,omitempty"` // in which it happens; none = always
	// Variants are the conditions that hold for the entry where it happens,
	// joined by "+"; none = whatever holds. Except are those on which it does not.
	Variants []string `json:"variants,omitempty"`
	Except   []string `json:"except,omitempty"`
	Dates    []string `json:"dates,omitempty"` // later days on which it begins
	Before   string   `json:"before"`
	After    string   `json:"after"`
	Fields   []string `json:"fields,omitempty"` // that are withheld no longer, or withheld now
	Clauses  []string `json:"clauses,omitempty"`
	Reasons  []string `json:"reasons,omitempty"` // of what is lost
	Words    string   `json:"words"`
}

// Need is one approval without which a version cannot become active.
type Need struct {
	Agency string   `json:"agency"` // "": an approver of any agency who is no author
	Why    []string `json:"why"`
}

// Tests is how a version's stories and tests came out.
type Tests struct {
	Stories   int       `json:"stories"`
	Questions int       `json:"questions"`
	RegoTests int       `json:"rego_tests"`
	Failures  []Failure `json:"failures"`
	// Coverage of the local rules by their tests.
	Coverage []FileCoverage `json:"coverage,omitempty"`
}

// Compare makes the change report of a version against the one that it would
// replace. author is the agency whose officers wrote it: what is its own it may
// narrow alone. It evaluates the versions' local rules: where these are not
// trusted, it belongs into the sandbox.
func Compare(ctx context.Context, before, after Bundle, author string, s Space) (ChangeReport, error) {
	start := time.Now()
	old, err := Activate(before, Options{Deadline: spaceDeadline})
	if err != nil {
		return ChangeReport{}, fmt.Errorf("version before: %w", err)
	}
	fresh, err := Activate(after, Options{Deadline: spaceDeadline})
	if err != nil {
		return ChangeReport{}, err
	}
	r := ChangeReport{Before: old.Digest(), After: fresh.Digest(), Date: s.Date, Changes: []Change{}, Files: changedFiles(before, after), Rules: []string{}, Refused: []string{}, Needs: []Need{}}
	if r.refuse(old.version, fresh.version); len(r.Refused) > 0 {
		return r, nil // nobody can approve it: there is nothing to weigh
	}
	walking := time.Now()
	found, w, err := compare(ctx, old, fresh, s)
	if err != nil {
		return ChangeReport{}, err
	}
	w.Took = time.Since(walking).Round(time.Millisecond).String()
	r.Walked = w
	r.Changes = append(r.Changes, changesOf(found, old.version, fresh.version, s)...)
	// What the author wrote comes before what follows from it, such as that an
	// owner's other entries open where its involvement may be known.
	slices.SortStableFunc(r.Changes, func(a, b Change) int {
		return cmp.Compare(r.consequence(a), r.consequence(b))
	})
	r.judge(before, after, old.version, fresh.version, author, s)
	for i, b := range []Bundle{before, after} { // spaceDeadline is that of tests
		if r.Tests[i], err = testBundle(ctx, b, []*Active{old, fresh}[i]); err != nil {
			return ChangeReport{}, err
		}
	}
	r.Took = time.Since(start).Round(time.Millisecond).String()
	return r, nil
}

// consequence is 0 for a part of the record whose rows the author changed.
func (r *ChangeReport) consequence(c Change) int {
	if slices.Contains(r.Files, "matrix/"+c.Section+".yaml") {
		return 0
	}
	return 1
}

// Passed tells whether the version's own stories and tests hold. A version
// without a story has not been tested.
func (t Tests) Passed() bool { return len(t.Failures) == 0 && t.Stories > 0 }

// changedFiles lists the paths whose content differs.
func changedFiles(before, after Bundle) []string {
	changed := map[string]bool{}
	for path, content := range before.Files {
		if other, ok := after.Files[path]; !ok || string(other) != string(content) {
			changed[path] = true
		}
	}
	for path := range after.Files {
		if _, ok := before.Files[path]; !ok {
			changed[path] = true
		}
	}
	return sortedKeys(changed)
}

// changesOf gathers points that say the same into one line.
func changesOf(found []difference, before, after *Version, s Space) []Change {
	lines := map[string]*gathering{}
	for _, d := range found {
		for _, gain := range []bool{true, false} {
			a, b := d.before, d.after
			if !gain {
				a, b = b, a
			}
			terms := !gain && !changesHands(d)
			if !gains(a, b) && !terms {
				continue
			}
			fields := fieldsBetween(a, b)
			key := fmt.Sprint(gain, terms, d.kind, d.section, d.before.Level, d.after.Level, fields, d.before.Clauses, d.after.Clauses)
			line := lines[key]
			if line == nil {
				line = newGathering(Change{Gain: gain, Terms: terms, Section: d.section, Before: d.before.Level.String(), After: d.after.Level.String(), Fields: fields,
					Clauses: d.after.Clauses}, d.kind)
				if !gain && !terms {
					line.Clauses = d.before.Clauses
				}
				lines[key] = line
			}
			line.add(d)
		}
	}
	var out []Change
	for _, key := range sortedKeys(lines) {
		out = append(out, lines[key].change(before, after, s))
	}
	slices.SortStableFunc(out, func(a, b Change) int {
		if a.Gain != b.Gain {
			if a.Gain {
				return -1
			}
			return 1
		}
		return cmp.Or(strings.Compare(a.To, b.To), strings.Compare(a.Section, b.Section), strings.Compare(a.Before, b.Before), strings.Compare(a.After, b.After))
	})
	return out
}

// changesHands tells that a difference gives or takes something. Another clause
// alone stands behind the losses and needs nobody's approval: where the text
// of an agreement changes, its parties are asked for that.
func changesHands(d difference) bool {
	return gains(d.before, d.after) || gains(d.after, d.before)
}

// fieldsBetween lists the fields that the wider answer gives beyond the other
// at the same level.
func fieldsBetween(narrow, wide Entry) []string {
	var out []string
	if narrow.Level == wide.Level {
		for _, f := range narrow.Masked {
			if !slices.Contains(wide.Masked, f) {
				out = append(out, f)
			}
		}
	}
	return sortedSet(out)
}

// gathering is a line while points are added to it.
type gathering struct {
	Change
	kind  string
	lists map[string]map[string]bool
	plain bool // it happens without any special situation
}

func newGathering(c Change, kind string) *gathering {
	g := &gathering{Change: c, kind: kind, lists: map[string]map[string]bool{}}
	for _, name := range []string{"agencies", "roles", "purposes", "owners", "about", "situations", "variants", "among", "dates", "reasons"} {
		g.lists[name] = map[string]bool{}
	}
	return g
}

func (g *gathering) add(d difference) {
	put := func(list string, values ...string) {
		for _, v := range values {
			g.lists[list][v] = true
		}
	}
	put("agencies", d.to)
	put("roles", d.role)
	put("purposes", d.purpose)
	put("owners", d.owners...)
	put("about", d.about)
	if d.situation == "" {
		g.plain = true
	} else {
		put("situations", d.situation)
	}
	put("variants", d.variant)
	put("among", d.among...)
	put("dates", d.date)
	if !g.Gain {
		put("reasons", d.after.Reasons...)
	}
}

func (g *gathering) change(before, after *Version, s Space) Change {
	c := g.Change
	c.Agencies, c.Roles, c.Purposes = sortedKeys(g.lists["agencies"]), sortedKeys(g.lists["roles"]), sortedKeys(g.lists["purposes"])
	c.Owners, c.About = sortedKeys(g.lists["owners"]), sortedKeys(g.lists["about"])
	c.Variants, c.Except = g.where()
	c.Reasons = sortedKeys(g.lists["reasons"])
	if !g.plain {
		c.Situations = sortedKeys(g.lists["situations"])
	}
	if !g.lists["dates"][s.Date] {
		c.Dates = sortedKeys(g.lists["dates"])
	}
	c.To = g.kind
	for agency, kind := range s.Agencies {
		if kind == g.kind && !g.lists["agencies"][agency] {
			c.To = strings.Join(c.Agencies, ", ")
			break
		}
	}
	c.Words = c.words(before, after, g.kind)
	return c
}

// where says for which entries it happens, as shortly as it can be said: those
// for which the least conditions hold, and below them those for which it does
// not happen.
func (g *gathering) where() (where, except []string) {
	in, among := g.lists["variants"], g.lists["among"]
	if len(in) == len(among) {
		return nil, nil
	}
	where = least(sortedKeys(in))
	var out []string
	for _, v := range sortedKeys(among) {
		if !in[v] && slices.ContainsFunc(where, func(w string) bool { return among[w] && within(w, v) }) {
			out = append(out, v)
		}
	}
	if slices.Contains(where, "") {
		where = nil
	}
	return where, least(out)
}

// least leaves out the variants for which all conditions of another hold.
func least(variants []string) []string {
	return slices.DeleteFunc(slices.Clone(variants), func(v string) bool {
		return slices.ContainsFunc(variants, func(other string) bool { return other != v && within(other, v) })
	})
}

// within tells whether all conditions of one variant hold for the other.
func within(a, b string) bool {
	return a == "" || !missing(strings.Split(a, "+"), strings.Split(b, "+"))
}

// testBundle runs a version's stories and the tests of its local rules, with
// the kernel that it brings. The kernel's own tests ran when it was built.
func testBundle(ctx context.Context, b Bundle, active *Active) (Tests, error) {
	t := Tests{Failures: []Failure{}}
	files, err := b.FS()
	if err != nil {
		return t, err
	}
	stories, err := loadStories(files)
	if err != nil {
		return t, err
	}
	local, err := regoFiles(files, "local", true)
	if err != nil {
		return t, err
	}
	if len(local) > 0 {
		for name, text := range b.modules(kernelFolder) {
			local[kernelFolder+name] = text
		}
		var report Report
		if err := report.rego(ctx, local, active.store, true); err != nil {
			return t, err
		}
		t.RegoTests, t.Coverage = report.RegoTests, report.Local
		t.Failures = append(t.Failures, report.Failures...)
	}
	for _, s := range stories {
		t.Stories++
		t.Questions += len(s.Asks)
		t.Failures = append(t.Failures, s.play(ctx, active)...)
	}
	return t, nil
}

// addDays moves a day as YYYY-MM-DD; "" where it is none.
func addDays(day string, n int) string {
	at, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return ""
	}
	return at.AddDate(0, 0, n).Format(time.DateOnly)
}
