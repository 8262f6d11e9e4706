package policy

import (
	"fmt"
	"slices"
	"strings"
)

// judge says who must approve a change. It rests on the changes that were
// found, and beyond them on what no walk of the decision space shows whole:
// rules that are code, and the catalogue behind the rows.
func (r *ChangeReport) judge(before, after Bundle, old, fresh *Version, author string, s Space) {
	n := needs{space: s, old: old, fresh: fresh, why: map[string]map[string]bool{}}
	for _, c := range r.Changes {
		switch {
		case c.Terms:
		case c.Gain:
			n.opens(c)
		default:
			n.narrows(c, author)
		}
	}
	r.localRules(&n, before, after)
	r.kernel(&n, before, after)
	r.catalogue(&n, old, fresh)
	r.texts(&n, old, fresh)
	for _, agency := range sortedKeys(n.why) {
		r.Needs = append(r.Needs, Need{Agency: agency, Why: sortedKeys(n.why[agency])})
	}
}

// needs gathers whose approval a change needs, and why.
type needs struct {
	space      Space
	old, fresh *Version
	why        map[string]map[string]bool
}

func (n *needs) add(agency, why string) {
	if n.why[agency] == nil {
		n.why[agency] = map[string]bool{}
	}
	n.why[agency][why] = true
}

// opens: each agency whose information opens wider. Of the owners that a line
// speaks of these are the ones who own that part of the record, by their kind
// or by what they contributed to it.
func (n *needs) opens(c Change) {
	for _, owner := range n.owners(c) {
		n.add(owner, c.Words)
	}
}

// narrows: an agency narrows alone what it owns or receives. Narrowing what
// others hold from each other needs those who lose it.
func (n *needs) narrows(c Change, author string) {
	if owners := n.owners(c); len(owners) == 1 && owners[0] == author {
		return
	}
	for _, agency := range c.Agencies {
		if agency != author {
			n.add(agency, c.Words)
		}
	}
}

// owners are those of a line whose information it really is. A line may speak
// of agencies that have never contributed to that part; where it speaks of
// nobody else, all of them are asked.
func (n *needs) owners(c Change) []string {
	real := ownersOf(n.space, n.old, n.fresh, c.Section)
	var out []string
	for _, agency := range c.Owners {
		if real[agency] {
			out = append(out, agency)
		}
	}
	if len(out) == 0 {
		return c.Owners
	}
	return out
}

// ownersOf names who owns a part of the record: the agencies of the kinds that
// usually do and all who contributed to it; where nobody usually does, also
// children's social care.
func ownersOf(s Space, old, fresh *Version, section string) map[string]bool {
	out := map[string]bool{}
	for _, agency := range s.Entries[section] {
		out[agency] = true
	}
	for _, v := range []*Version{old, fresh} {
		x, ok := v.Section(section)
		if !ok {
			continue
		}
		kinds := x.OwningKinds()
		for agency, kind := range s.Agencies {
			if slices.Contains(kinds, kind) {
				out[agency] = true
			}
		}
	}
	return out
}

// everyOwner asks every agency that may own records: for changes whose reach
// nobody can tell.
func (n *needs) everyOwner(why string) {
	for agency, kind := range n.space.Agencies {
		k, ok := n.fresh.Kind(kind)
		if !ok {
			k, _ = n.old.Kind(kind)
		}
		if k.Records && partyOfAny(n.old, n.fresh, agency) {
			n.add(agency, why)
		}
	}
}

func partyOfAny(old, fresh *Version, agency string) bool {
	for _, v := range []*Version{old, fresh} {
		if slices.ContainsFunc(v.Agreements, func(a AgreementText) bool { return a.Party(agency) }) {
			return true
		}
	}
	return false
}

// localRules: any change needs a second person; a rule that is changed or gone
// may have been all that kept something closed.
func (r *ChangeReport) localRules(n *needs, before, after Bundle) {
	old, fresh := before.modules(localFolder), after.modules(localFolder)
	for _, file := range r.Files {
		name, ok := strings.CutPrefix(file, localFolder)
		if !ok || isTest(file) {
			continue
		}
		_, was := old[name]
		_, is := fresh[name]
		switch {
		case !was:
			r.Rules = append(r.Rules, fmt.Sprintf("The local rule %s is new: a second person must approve it.", name))
			n.add("", fmt.Sprintf("The local rule %s is new.", name))
		case !is:
			r.Rules = append(r.Rules, fmt.Sprintf("The local rule %s is gone: that counts as opening wider.", name))
			n.add("", fmt.Sprintf("The local rule %s is gone.", name))
			n.everyOwner(fmt.Sprintf("The local rule %s, which could only narrow, is gone.", name))
		default:
			r.Rules = append(r.Rules, fmt.Sprintf("The local rule %s is changed: that counts as opening wider.", name))
			n.add("", fmt.Sprintf("The local rule %s is changed.", name))
			n.everyOwner(fmt.Sprintf("The local rule %s, which could only narrow, is changed.", name))
		}
	}
}

// kernel: another kernel or engine can decide anything otherwise.
func (r *ChangeReport) kernel(n *needs, before, after Bundle) {
	var files []string
	for _, file := range r.Files {
		if strings.HasPrefix(file, kernelFolder) {
			files = append(files, strings.TrimPrefix(file, kernelFolder))
		}
	}
	if len(files) > 0 {
		why := "The kernel comes with another release of Kith: " + joined(files) + "."
		r.Rules = append(r.Rules, why)
		n.add("", why)
		n.everyOwner(why)
	}
	if before.Engine != after.Engine {
		r.Rules = append(r.Rules, fmt.Sprintf("The policy engine is another version: %s, before %s.", after.Engine, before.Engine))
	}
}

// catalogue: marks of a part of the record, of a kind or of a purpose on which
// decisions turn in ways that a walk with one family cannot show whole.
func (r *ChangeReport) catalogue(n *needs, old, fresh *Version) {
	for _, s := range fresh.Sections {
		was, ok := old.Section(s.Code)
		if !ok {
			continue
		}
		if what := sectionMarks(was, s); what != "" {
			why := fmt.Sprintf("%s: %s changed; that counts as opening wider.", s.Name, what)
			r.Rules = append(r.Rules, why)
			for agency := range ownersOf(n.space, old, fresh, s.Code) {
				n.add(agency, why)
			}
		}
	}
	for _, k := range fresh.Kinds {
		was, ok := old.Kind(k.Code)
		was.Name = k.Name
		if ok && was != k {
			why := fmt.Sprintf("What Kith takes the kind %s for (%s) changed; that counts as opening wider.", k.Code, k.Name)
			r.Rules = append(r.Rules, why)
			n.everyOwner(why)
		}
	}
	for _, p := range fresh.Purposes {
		was, ok := old.Purpose(p.Code)
		if ok && !samePurpose(was, p) {
			why := fmt.Sprintf("Who may state the purpose %s, or what it needs, changed; that counts as opening wider.", p.Code)
			r.Rules = append(r.Rules, why)
			n.everyOwner(why)
		}
	}
}

func sectionMarks(a, b Section) string {
	var what []string
	if a.Sensitivity != b.Sensitivity || a.Narrative != b.Narrative || a.Walled != b.Walled || a.Adult != b.Adult {
		what = append(what, "sensitivity or marks")
	}
	if !slices.Equal(sortedSet(a.Owners), sortedSet(b.Owners)) {
		what = append(what, "usual owners")
	}
	for _, f := range b.Fields {
		was, ok := find(a.Fields, func(x Field) bool { return x.Name == f.Name })
		if ok && (was.Summary != f.Summary || was.Place != f.Place || was.Number != f.Number) || !ok && f.Summary {
			what = append(what, "the field "+f.Name)
		}
	}
	return strings.Join(what, ", ")
}

func samePurpose(a, b Purpose) bool {
	a.Name, a.Basis = b.Name, b.Basis
	return equalJSON(a, b)
}

// texts: what parties signed cannot change under their signature.
func (r *ChangeReport) texts(n *needs, old, fresh *Version) {
	for _, a := range fresh.Agreements {
		was, ok := old.Agreement(a.ID)
		switch {
		case !ok:
			r.Rules = append(r.Rules, fmt.Sprintf("The agreement %s is new: it opens nothing until its parties have signed it.", a.ID))
		case !equalJSON(was, a):
			why := fmt.Sprintf("The text of the agreement %s changed.", a.ID)
			r.Rules = append(r.Rules, why)
			for _, v := range []AgreementText{was, a} {
				for _, p := range v.Parties {
					n.add(p.Agency, why)
				}
			}
		}
	}
	for _, a := range old.Agreements {
		if _, ok := fresh.Agreement(a.ID); !ok {
			why := fmt.Sprintf("The agreement %s is gone.", a.ID)
			r.Rules = append(r.Rules, why)
			for _, p := range a.Parties {
				n.add(p.Agency, why)
			}
		}
	}
}

// refuse names what no approval can allow: the never-rules, and the roles that
// open doors other than the record's, the officers' own among them.
func (r *ChangeReport) refuse(old, fresh *Version) {
	no := func(format string, args ...any) { r.Refused = append(r.Refused, fmt.Sprintf(format, args...)) }
	for _, was := range old.Sections {
		is, ok := fresh.Section(was.Code)
		if !ok {
			continue
		}
		if was.Never && !is.Never {
			no("%s is never shown: that cannot be changed.", was.Name)
		}
		if was.Sensitivity == 4 && is.Sensitivity != 4 {
			no("%s is legally restricted: that cannot be changed.", was.Name)
		}
	}
	for _, row := range old.Matrix {
		_, still := fresh.Section(row.Section)
		if row.Level == "never" && still && !fresh.never(row) {
			no("%s is never shown to %s: that cannot be changed.", row.Section, row.To)
		}
	}
	for _, was := range old.Kinds {
		is, ok := fresh.Kind(was.Code)
		if ok && !was.Records && is.Records {
			no("%s opens no records: that cannot be changed.", was.Code)
		}
		if ok && was.Wall != "never" && is.Wall == "never" {
			no("The wall around %s cannot be taken away.", was.Code)
		}
	}
	for _, v := range []*Version{old, fresh} {
		other := fresh
		if v == fresh {
			other = old
		}
		for _, role := range v.Roles {
			is, ok := other.Role(role.Code)
			is.Name = role.Name
			if (!role.Records || ok && !is.Records) && (!ok || !equalJSON(role, is)) {
				no("The role %s opens other doors than the record's: that cannot be changed here.", role.Code)
			}
		}
	}
	slices.Sort(r.Refused)
	r.Refused = slices.Compact(r.Refused)
}

// never tells whether a version keeps a never-row.
func (v *Version) never(row Row) bool {
	if s, ok := v.Section(row.Section); ok && s.Never {
		return true
	}
	return slices.ContainsFunc(v.Matrix, func(r Row) bool {
		return r.Section == row.Section && r.To == row.To && r.Level == "never"
	})
}
