package policy

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Space says how a change report walks the decision space: which agencies
// there are, who contributes to which part of the record, and the day.
type Space struct {
	Date     string            `json:"date"`     // YYYY-MM-DD: rows are judged on it and on the days on which one begins or ends after it
	Agencies map[string]string `json:"agencies"` // agency code → kind: those of the directory
	// Entries lists, for each section, the agencies that have contributed to it.
	Entries map[string][]string `json:"entries,omitempty"`
	// Whole walks everything, where by default only receivers are asked for
	// whom the two versions differ at all. The answer is the same.
	Whole bool `json:"whole,omitempty"`
}

// difference is one point of the decision space at which two versions answer
// differently.
type difference struct {
	to        string // receiving agency
	kind      string
	role      string
	purpose   string
	section   string
	owners    []string
	about     string // child, adult
	situation string
	variant   string // conditions that hold for the entry, "" none
	among     []string
	date      string
	before    Entry
	after     Entry
}

// walked counts what a comparison looked at.
type walked struct {
	Inputs    int    `json:"inputs"`    // questions put to each version
	Decisions int    `json:"decisions"` // answers compared
	Took      string `json:"took"`
}

// spaceDeadline bounds one evaluation of a comparison: as for tests.
const spaceDeadline = testDeadline

// The people of the family that a comparison asks about.
const (
	spaceChild  = "child"
	spaceAdult  = "adult"
	spaceAbuser = "abuser"
)

// compare asks both versions every question of the space and gives the points
// at which the answers differ, in a stable order.
func compare(ctx context.Context, before, after *Active, s Space) ([]difference, walked, error) {
	c := comparison{before: before, after: after, space: s}
	c.prepare()
	var questions []question
	for _, agency := range c.agencies {
		if s.Whole || c.concerns(agency) {
			questions = append(questions, c.questions(agency)...)
		}
	}
	found := make([][]difference, len(questions))
	errs := make([]error, len(questions))
	sideBySide(len(questions), func(i int) { found[i], errs[i] = c.ask(ctx, questions[i]) })
	var all []difference
	w := walked{Inputs: len(questions)}
	for i := range questions {
		w.Decisions += len(questions[i].points)
		if errs[i] != nil {
			return nil, walked{}, errs[i]
		}
		all = append(all, found[i]...)
	}
	return all, w, nil
}

// comparison holds what all questions share.
type comparison struct {
	before, after *Active
	space         Space
	agencies      []string    // of the directory, sorted
	global        bool        // something differs that is not one receiver's
	rules         *ruleChange // of that, nothing but the local rules; nil: something else, or nothing
	changed       map[string]bool
	conditions    []string
	dates         []string
	points        []point
	live          [2]map[string]Agreement
	parties       map[string]Party
	cited         [2]document // the agreements that each receiver's rows rest on
}

// point is one kind of entry that is asked about.
type point struct {
	tuple   Tuple
	owners  []string
	variant variant
	among   []string // names of all variants of such an entry
}

// question is one input without its tuples.
type question struct {
	agency, kind, role, purpose, situation, date string
	caller                                       Caller
	people                                       map[string]Person
	reason                                       bool
	grants                                       []Grant
	points                                       []point
}

func (c *comparison) versions() []*Version { return []*Version{c.before.version, c.after.version} }

func (c *comparison) prepare() {
	c.agencies = sortedKeys(c.space.Agencies)
	c.parties = map[string]Party{}
	for agency, kind := range c.space.Agencies {
		c.parties[agency] = Party{Kind: kind}
	}
	for i, v := range c.versions() {
		c.live[i] = inForce(v)
	}
	c.pruning()
	used := map[string]bool{}
	days := map[string]bool{c.space.Date: true}
	for _, v := range c.versions() {
		for _, r := range v.Matrix {
			for _, code := range r.Conditions {
				used[code] = true
			}
			if r.From > c.space.Date {
				days[r.From] = true
			}
			if r.Until >= c.space.Date {
				days[dayAfter(r.Until)] = true
			}
		}
	}
	for _, k := range Conditions() {
		if used[k.Code] && !k.OnEntry {
			c.conditions = append(c.conditions, k.Code)
		}
	}
	c.dates = sortedKeys(days)
	c.points = c.entryPoints()
}

// inForce takes every agreement as signed by all its parties and in date: what
// a version may open is compared, not what is signed today.
func inForce(v *Version) map[string]Agreement {
	live := map[string]Agreement{}
	for _, text := range v.Agreements {
		a := Agreement{From: "0001-01-01", Review: "9999-12-31", End: "9999-12-31", Parties: map[string]string{}}
		for _, p := range text.Parties {
			a.Parties[p.Agency] = "signed"
		}
		live[text.ID] = a
	}
	return live
}

// entryPoints makes the entries: each section, by each class of owners, about a
// child and about an adult, and once more for each thing on which a row of the
// matrix depends. Where what everybody shares differs (the catalogue, the
// kernel, the text of an agreement), everybody is asked, and each section then
// by its real owners alone: of such changes the catalogue's rules say more.
func (c *comparison) entryPoints() []point {
	classes := c.ownerClasses()
	var points []point
	for _, code := range c.sections() {
		s, ok := c.after.version.Section(code)
		if !ok {
			s, _ = c.before.version.Section(code)
		}
		real := ownersOf(c.space, c.before.version, c.after.version, code)
		for _, owners := range classes {
			if c.global && !c.space.Whole {
				owners = slices.DeleteFunc(slices.Clone(owners), func(o string) bool { return !real[o] })
			}
			if len(owners) == 0 {
				continue
			}
			variants := variantsOf(c.rowsOn(code, owners[0]))
			var among []string
			for _, v := range variants {
				among = append(among, v.name())
			}
			for _, v := range variants {
				for _, about := range []string{spaceChild, spaceAdult} {
					points = append(points, point{owners: owners, variant: v, among: among, tuple: v.entry(Tuple{
						Section: code, Owner: owners[0], Sensitivity: s.Sensitivity, Source: "fact", About: []string{about},
						Narrative: s.Narrative, Tagged: true, Full: true, Summary: true, Schema: s.Schema,
					})})
				}
			}
		}
	}
	return points
}

// rowsOn gives the rows on whose conditions the decision on an owner's entry can
// turn: those of its section, and those that tell of the owner's involvement.
func (c *comparison) rowsOn(section, owner string) []Row {
	var out []Row
	for _, v := range c.versions() {
		kind, _ := v.Kind(c.space.Agencies[owner])
		for _, r := range v.Matrix {
			if r.Section == section || r.Section == kind.Involvement {
				out = append(out, r)
			}
		}
	}
	return out
}

// pointsFor leaves out entries whose decision cannot differ for a receiver. The
// decision on an entry turns on the rows of its own section, on those of the
// section that tells of its owner's involvement, and through the agreements
// that all rows cite on whether the purpose is open at all.
func (c *comparison) pointsFor(agency, kind string) []point {
	if c.space.Whole || c.global {
		return c.points
	}
	for half, key := range map[string]string{"kinds": kind, "agencies": agency} {
		if !equalJSON(c.cited[0][half].(document)[key], c.cited[1][half].(document)[key]) {
			return c.points
		}
	}
	changed := map[string]bool{}
	for _, section := range c.changedRows(agency, kind) {
		changed[section] = true
	}
	var kept []point
	for _, p := range c.points {
		told := func(owner string) bool {
			for _, v := range c.versions() {
				if k, ok := v.Kind(c.space.Agencies[owner]); ok && changed[k.Involvement] {
					return true
				}
			}
			return false
		}
		if changed[p.tuple.Section] || slices.ContainsFunc(p.owners, told) {
			kept = append(kept, p)
		}
	}
	return kept
}

func (c *comparison) sections() []string {
	all := map[string]bool{}
	for _, v := range c.versions() {
		for _, s := range v.Sections {
			all[s.Code] = true
		}
	}
	return sortedKeys(all)
}

// ownerClasses groups the agencies between which neither version can tell as
// owners: the kernel reads of an owner its kind's marks and its agreements.
// Local rules may read more, so where both have them each agency stands alone.
// The receiver's own entries are never shared by the matrix and are left out
// when the question is asked.
func (c *comparison) ownerClasses() [][]string {
	groups := map[string][]string{}
	for _, agency := range c.agencies {
		kinds := [2]Kind{}
		known := false
		var key strings.Builder
		for i, v := range c.versions() {
			k, ok := v.Kind(c.space.Agencies[agency])
			known = known || ok && k.Records
			kinds[i] = k
			fmt.Fprint(&key, ok, k.Plain, k.Involvement, "|")
			for _, a := range v.Agreements {
				fmt.Fprint(&key, a.Party(agency), ",")
			}
		}
		if !known {
			continue
		}
		name := key.String()
		if c.ruled() {
			name = agency
		}
		groups[name] = append(groups[name], agency)
	}
	var classes [][]string
	for _, key := range sortedKeys(groups) {
		classes = append(classes, groups[key])
	}
	slices.SortFunc(classes, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	return classes
}

// ruled tells whether both versions keep the same local rules, which may tell
// apart what the kernel does not. Where the rules themselves differ every
// agency is asked to approve, and the walk need not be as fine.
func (c *comparison) ruled() bool {
	return c.before.ruled && c.after.ruled && c.before.modules == c.after.modules
}

// pruning finds out for whom the versions can differ. The kernel reads of its
// data what is the same for everybody, and beyond that only what stands under
// the caller's kind or agency; so where that is equal, and kernel and local
// rules are too, no decision differs.
func (c *comparison) pruning() {
	c.changed = map[string]bool{}
	docs := [2]document{compiled(c.before.version), compiled(c.after.version)}
	c.cited = [2]document{docs[0]["cited"].(document), docs[1]["cited"].(document)}
	rules := c.before.modules != c.after.modules
	for _, key := range sortedKeys(docs[0]) {
		a, b := docs[0][key], docs[1][key]
		switch key {
		case "index", "never", "cited":
			for _, half := range []string{"kinds", "agencies"} {
				c.mark(a.(document)[half].(document), b.(document)[half].(document))
			}
		case "own", "by_grant", "masks":
			c.mark(a.(document), b.(document))
		default:
			if !equalJSON(a, b) {
				c.global = true
			}
		}
	}
	if !equalJSON(c.live[0], c.live[1]) {
		c.global = true
	}
	if rules && !c.global && !c.space.Whole && moduleDigest(c.before.kernel, nil) == moduleDigest(c.after.kernel, nil) {
		// Without it every question is put as it is: slower, and the same.
		c.rules, _ = newRuleChange(c.before, c.after)
	}
	c.global = c.global || rules
}

// decide puts a question to both versions, each with the agreements of its own.
func (c *comparison) decide(ctx context.Context, in [2]Input) (out [2]Decision, errs [2]error) {
	if c.rules != nil && !c.changed[in[0].Caller.Agency] && !c.changed[in[0].Caller.Kind] {
		if old, fresh, ok := c.rules.decide(ctx, in[0]); ok {
			return [2]Decision{old, fresh}, errs
		}
	}
	for i, active := range []*Active{c.before, c.after} {
		out[i], errs[i] = active.Decide(ctx, in[i])
	}
	return out, errs
}

// under is the input with these agreements.
func (in Input) under(live map[string]Agreement) Input {
	in.Agreements = live
	return in
}

func (c *comparison) mark(a, b document) {
	for key := range a {
		if !equalJSON(a[key], b[key]) {
			c.changed[key] = true
		}
	}
	for key := range b {
		if _, ok := a[key]; !ok {
			c.changed[key] = true
		}
	}
}

func equalJSON(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func (c *comparison) concerns(agency string) bool {
	return c.global || c.changed[agency] || c.changed[c.space.Agencies[agency]]
}

// questions makes every question of one receiver: its roles, each purpose, and
// each situation on which a decision can turn.
func (c *comparison) questions(agency string) []question {
	kind := c.space.Agencies[agency]
	// Entries whose variants are facts about people are asked about in a family of
	// their own.
	families := map[string][]point{}
	for _, p := range c.pointsFor(agency, kind) {
		families[p.variant.key] = append(families[p.variant.key], p)
	}
	var out []question
	for _, purpose := range c.purposes() {
		for _, role := range c.roles(kind, purpose) {
			for _, date := range c.dates {
				for _, s := range c.situations(agency, kind, purpose) {
					for _, key := range sortedKeys(families) {
						q := question{agency: agency, kind: kind, role: role, purpose: purpose, date: date, situation: s.name, reason: true,
							caller: Caller{Agency: agency, Kind: kind, Roles: []string{role}, Active: true}, people: spaceFamily(), points: families[key]}
						s.change(&q)
						q.points[0].variant.people(&q)
						out = append(out, q)
					}
				}
			}
		}
	}
	return out
}

func (c *comparison) purposes() []string {
	all := map[string]bool{}
	for _, v := range c.versions() {
		for _, p := range v.Purposes {
			if p.Relationship != NoRecords {
				all[p.Code] = true
			}
		}
	}
	return sortedKeys(all)
}

// roles gives one role for each class of roles that a purpose's rows can tell
// apart, for a kind of agency.
func (c *comparison) roles(kind, purpose string) []string {
	classes := map[string]string{}
	codes := map[string]bool{}
	for _, v := range c.versions() {
		for _, r := range v.Roles {
			codes[r.Code] = true
		}
	}
	for _, code := range sortedKeys(codes) {
		var key strings.Builder
		speaks := false
		for _, v := range c.versions() {
			r, _ := v.Role(code)
			p, _ := v.Purpose(purpose)
			states := slices.Contains(p.Roles, code) && r.Records && slices.Contains(r.Kinds, kind)
			speaks = speaks || states
			fmt.Fprint(&key, states, r.Mash, "|")
			for i, row := range v.Matrix {
				if slices.Contains(row.Roles, code) {
					fmt.Fprint(&key, i, ",")
				}
			}
		}
		name := key.String()
		if c.ruled() {
			name = code // a local rule may name any role
		}
		if !speaks {
			continue
		}
		if have, ok := classes[name]; !ok || code < have {
			classes[name] = code
		}
	}
	var out []string
	for _, code := range classes {
		out = append(out, code)
	}
	slices.Sort(out)
	return out
}

// ask puts one question to both versions.
func (c *comparison) ask(ctx context.Context, q question) ([]difference, error) {
	in := Input{V: 1, Date: q.date, Caller: q.caller, Request: Request{Purpose: q.purpose, Children: []string{spaceChild}, Reason: q.reason},
		Parties: c.parties, People: q.people, Grants: q.grants}
	for _, p := range q.points {
		in.Tuples = append(in.Tuples, c.owned(p, q.agency).tuple)
	}
	decisions, errs := c.decide(ctx, [2]Input{in.under(c.live[0]), in.under(c.live[1])})
	answers := [2][]Entry{}
	for i, d := range decisions {
		if errs[i] != nil {
			return nil, fmt.Errorf("compare as %s of %s for %s: %w", q.role, q.agency, q.purpose, errs[i])
		}
		if !d.Allow || len(d.Entries) != len(in.Tuples) {
			d.Entries = make([]Entry, len(in.Tuples))
		}
		answers[i] = d.Entries
	}
	var found []difference
	for i, p := range q.points {
		before, after := answers[0][i], answers[1][i]
		p = c.owned(p, q.agency)
		if len(p.owners) == 0 || p.tuple.Owner == q.agency || !differs(before, after) {
			continue
		}
		found = append(found, difference{to: q.agency, kind: q.kind, role: q.role, purpose: q.purpose, section: p.tuple.Section, owners: p.owners,
			about: p.tuple.About[0], situation: q.situation, variant: p.variant.name(), among: p.among, date: q.date, before: before, after: after})
	}
	return found, nil
}

// owned takes the receiver out of the owners of a point: its own entries are
// its own whatever the matrix says.
func (c *comparison) owned(p point, receiver string) point {
	if !slices.Contains(p.owners, receiver) {
		return p
	}
	p.owners = slices.DeleteFunc(slices.Clone(p.owners), func(o string) bool { return o == receiver })
	if len(p.owners) > 0 {
		p.tuple.Owner = p.owners[0]
	}
	return p
}

// differs tells whether a reader gets anything else, or on other terms.
func differs(a, b Entry) bool {
	return gains(a, b) || gains(b, a) || !slices.Equal(a.Clauses, b.Clauses) && a.Level > Hidden
}

// gains tells whether the second answer gives anything that the first does not.
func gains(before, after Entry) bool {
	if after.Level == Hidden {
		return false
	}
	if after.Level > before.Level || after.Named && !before.Named && before.Level <= Existence { // above, the owner is told anyway
		return true
	}
	if after.Level < before.Level {
		return false
	}
	return missing(before.Masked, after.Masked) || missing(before.Labels, after.Labels) || len(before.Keep) > 0 && len(after.Keep) == 0 ||
		len(before.Keep) > 0 && missing(after.Keep, before.Keep)
}

// missing tells whether something of the first list is not in the second.
func missing(first, second []string) bool {
	return slices.ContainsFunc(first, func(x string) bool { return !slices.Contains(second, x) })
}

// dayAfter is the day after a day of the matrix.
func dayAfter(day string) string {
	return cmp.Or(addDays(day, 1), day)
}
