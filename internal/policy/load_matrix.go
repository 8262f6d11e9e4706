package policy

import (
	"slices"
	"strings"
)

// matrix checks the rows of all tables and puts them into the version.
func (c *check) matrix(tables []table) {
	for _, t := range tables {
		at := place{c: c, file: t.file}
		s, ok := c.v.Section(t.Section)
		if !ok {
			at.wrong("section", "unknown section %q", t.Section)
			continue
		}
		cells := map[string]cell{}
		for i, r := range t.Rows {
			row := place{c: c, file: t.file, list: "rows", row: i}
			c.row(row, s, r)
			c.conflicts(row, r, cells)
			c.v.Matrix = append(c.v.Matrix, r.expand(t.Section)...)
		}
	}
	// No row means hidden; that nobody thought of a section must not look the same.
	for _, s := range c.v.Sections {
		if !slices.ContainsFunc(tables, func(t table) bool { return t.Section == s.Code }) {
			c.add(Problem{File: "matrix/" + s.Code + ".yaml",
				Text: "the file is missing: a section that nobody receives has `rows: []`"})
		}
	}
}

// row checks one row on its own.
func (c *check) row(at place, s Section, r fileRow) {
	if len(r.To) == 0 {
		at.wrong("to", "is missing: an empty list means nobody")
	}
	at.each("to", "kind or agency", r.To, func(to string) bool { return c.kind(to) || c.party(to) })
	for _, to := range r.To {
		if k, ok := c.v.Kind(to); ok && !k.Records {
			at.wrong("to", "%s opens no records", to)
		}
	}
	at.each("roles", "role", r.Roles, c.role)
	for _, code := range r.Roles {
		c.rowRole(at, r, code)
	}
	if len(r.Purposes) == 0 {
		at.wrong("purposes", "is missing")
	}
	at.each("purposes", "purpose", r.Purposes, c.purpose)
	for _, code := range r.Purposes {
		c.rowPurpose(at, code)
	}
	known := Conditions()
	at.each("conditions", "condition", r.Conditions, func(code string) bool {
		return slices.ContainsFunc(known, func(k Condition) bool { return k.Code == code })
	})
	c.together(at, r)
	at.each("masks", "field", r.Masks, func(name string) bool {
		return slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Name == name })
	})
	at.days(true, "from", r.From, "until", r.Until)
	c.level(at, s, r)
}

// together refuses conditions that can never hold of one entry.
func (c *check) together(at place, r fileRow) {
	for _, dimension := range traits() {
		var asked []string
		for _, code := range sortedSet(r.Conditions) {
			if slices.ContainsFunc(dimension, func(t trait) bool { return slices.Contains(t.holds, code) }) {
				asked = append(asked, code)
			}
		}
		if !slices.ContainsFunc(dimension, func(t trait) bool { return !missing(asked, t.holds) }) {
			at.wrong("conditions", "%s never hold together", joined(asked))
		}
	}
}

// rowRole checks a role of a row: one that somebody who receives it could use.
func (c *check) rowRole(at place, r fileRow, code string) {
	role, ok := c.v.Role(code)
	if !ok {
		return
	}
	if !role.Records {
		at.wrong("roles", "%q may not open records", code)
	}
	for _, to := range r.To {
		if c.kind(to) && !slices.Contains(role.Kinds, to) {
			at.wrong("roles", "nobody of %s can be %q", to, code)
		}
	}
}

// rowPurpose refuses a row that would never be read.
func (c *check) rowPurpose(at place, code string) {
	p, ok := c.v.Purpose(code)
	switch {
	case !ok:
	case p.Letter != "":
		at.wrong("purposes", "%s has no rows of its own: it reads those of %s", code, p.Letter)
	case p.Relationship == NoRecords:
		at.wrong("purposes", "%s opens no records", code)
	case p.Relationship == ByBreakGlass:
		at.wrong("purposes", "%s has no rows: it raises what the others hold", code)
	}
}

// level checks what depends on the level: the clause that a release needs, and
// what makes no sense on a row that releases nothing.
func (c *check) level(at place, s Section, r fileRow) {
	switch r.Level {
	case "full", "summary", "existence", "grant":
		if r.Clause == "" {
			at.wrong("clause", "is missing: a release rests on a clause of an agreement")
		} else {
			c.clause(at, r.Clause, c.readers(r.Purposes))
			c.receiversSigned(at, r)
		}
		if s.Never {
			at.wrong("level", "%s is never shown: only never and own are allowed", s.Code)
		}
	case "hidden", "own", "never":
		if r.Clause != "" {
			at.wrong("clause", "a row that is %s releases nothing", r.Level)
		}
		if len(r.Conditions) > 0 {
			at.wrong("conditions", "a row that is %s holds always", r.Level)
		}
		if len(r.Roles) > 0 {
			at.wrong("roles", "a row that is %s holds for everybody", r.Level)
		}
		if r.From+r.Until != "" {
			at.wrong("from", "a row that is %s holds always", r.Level)
		}
	default:
		at.oneOf("level", r.Level, "full", "summary", "existence", "hidden", "grant", "own", "never")
	}
	if len(r.Masks) > 0 && r.Level != "full" && r.Level != "summary" && r.Level != "grant" {
		at.wrong("masks", "a row that is %s shows no fields", r.Level)
	}
	if r.Level == "summary" && !slices.ContainsFunc(s.Fields, func(f Field) bool { return f.Summary }) {
		at.wrong("level", "%s has no field that is part of a summary", s.Code)
	}
	if r.Level == "own" {
		for _, to := range r.To {
			if !slices.Contains(s.Owners, to) {
				at.wrong("level", "%s is no owner of %s", to, s.Code)
			}
		}
	}
}

// readers lists the purposes that read rows of these letters: FS and LC read
// those of CN, and so does FD inside the MASH. The agreement must cover all.
func (c *check) readers(letters []string) []string {
	readers := slices.Clone(letters)
	for _, p := range c.v.Purposes {
		if (slices.Contains(letters, p.Letter) || slices.Contains(letters, p.Inside)) && !slices.Contains(readers, p.Code) {
			readers = append(readers, p.Code)
		}
	}
	return readers
}

// clause checks a reference such as "isa-family-safeguarding 4.2", and that
// the agreement covers the purposes.
func (c *check) clause(at place, ref string, purposes []string) {
	id, no, ok := strings.Cut(ref, " ")
	if !ok {
		at.wrong("clause", `%q is not "agreement number"`, ref)
		return
	}
	a, ok := c.v.Agreement(id)
	if !ok {
		at.wrong("clause", "unknown agreement %q", id)
		return
	}
	if !slices.ContainsFunc(a.Clauses, func(cl Clause) bool { return cl.No == no }) {
		at.wrong("clause", "%s has no clause %q", id, no)
	}
	for _, p := range purposes {
		if c.purpose(p) && !slices.Contains(a.Purposes, p) {
			at.wrong("clause", "%s does not cover %s", id, p)
		}
	}
}

// receiversSigned refuses a row to an agency that is no party of the agreement it cites.
func (c *check) receiversSigned(at place, r fileRow) {
	id, _, _ := strings.Cut(r.Clause, " ")
	a, ok := c.v.Agreement(id)
	if !ok {
		return
	}
	for _, to := range r.To {
		if !c.kind(to) && c.party(to) && !a.Party(to) {
			at.wrong("clause", "%s is no party of %s", to, id)
		}
	}
}

// cell is what earlier rows said for one receiver and letter.
type cell struct {
	keys   map[string]int // what distinguishes rows of one cell → row
	lone   int            // the row that is never, own, hidden or grant, from 1; 0 none
	others int            // a row that releases, from 1; 0 none
}

// conflicts refuses two rows that answer the same question. Rows of one cell
// may differ in conditions, roles or dates (the highest that holds wins); a
// row that is never, own, hidden or grant stands alone.
func (c *check) conflicts(at place, r fileRow, cells map[string]cell) {
	alone := r.Level == "never" || r.Level == "own" || r.Level == "hidden" || r.Level == "grant"
	key := strings.Join([]string{sorted(r.Roles), sorted(r.Conditions), r.From, r.Until}, "|")
	for _, to := range slices.Compact(slices.Sorted(slices.Values(r.To))) {
		for _, purpose := range slices.Compact(slices.Sorted(slices.Values(r.Purposes))) {
			name := to + "/" + purpose
			have := cells[name]
			if have.keys == nil {
				have.keys = map[string]int{}
			}
			earlier, twice := have.keys[key]
			switch {
			case twice:
				at.wrong("", "%s for %s stands already in row %d", to, purpose, earlier)
			case have.lone > 0:
				at.wrong("", "%s for %s contradicts row %d", to, purpose, have.lone)
			case alone && have.others > 0:
				at.wrong("", "%s for %s contradicts row %d", to, purpose, have.others)
			}
			have.keys[key] = at.row + 1
			if alone {
				have.lone = at.row + 1
			} else {
				have.others = at.row + 1
			}
			cells[name] = have
		}
	}
}

func sorted(list []string) string {
	return strings.Join(slices.Sorted(slices.Values(list)), ",")
}
