package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

var (
	upperCode = regexp.MustCompile(`^[A-Z][A-Z0-9]{1,11}$`)
	lowerCode = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	clauseNo  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)
	dayText   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)
)

// check holds what the files of one version must agree on with one another.
type check struct {
	*loader
	v *Version
}

// place points into a file: at a row of its list, or at the file's own fields.
type place struct {
	c    *check
	file string
	list string // key of the list; "" for a file that is one mapping
	row  int    // from 0
}

// wrong reports a problem in one column ("" for the row as a whole).
func (p place) wrong(column, format string, args ...any) {
	at := Problem{File: p.file, Column: column, Text: fmt.Sprintf(format, args...)}
	var steps []any
	if p.list != "" {
		at.Row = p.row + 1
		steps = append(steps, p.list, p.row)
	}
	if column != "" {
		steps = append(steps, column)
	}
	at.Line = p.c.line(p.file, steps...)
	p.c.add(at)
}

// filled reports each column that must not be empty and is; columns come as name, value pairs.
func (p place) filled(columns ...string) {
	for i := 0; i+1 < len(columns); i += 2 {
		if strings.TrimSpace(columns[i+1]) == "" {
			p.wrong(columns[i], "is missing")
		}
	}
}

// oneOf reports a value that is not in the closed list.
func (p place) oneOf(column, value string, known ...string) {
	if !slices.Contains(known, value) {
		p.wrong(column, "unknown %q: one of %s", value, strings.Join(known, ", "))
	}
}

// each reports the values of a list that are unknown or stand twice.
func (p place) each(column, what string, values []string, known func(string) bool) {
	for i, value := range values {
		if !known(value) {
			p.wrong(column, "unknown %s %q", what, value)
		}
		if slices.Contains(values[:i], value) {
			p.wrong(column, "%q stands twice", value)
		}
	}
}

// days reports dates that are no days or run backwards; columns come as name, value pairs.
func (p place) days(optional bool, columns ...string) {
	last := ""
	for i := 0; i+1 < len(columns); i += 2 {
		column, value := columns[i], columns[i+1]
		if value == "" && optional {
			continue
		}
		if _, err := time.Parse(time.DateOnly, value); err != nil || !dayText.MatchString(value) {
			p.wrong(column, "%q is no day (YYYY-MM-DD)", value)
			continue
		}
		if value < last {
			p.wrong(column, "lies before the date in front of it")
		}
		last = value
	}
}

func (c *check) kind(code string) bool    { _, ok := c.v.Kind(code); return ok }
func (c *check) role(code string) bool    { _, ok := c.v.Role(code); return ok }
func (c *check) purpose(code string) bool { _, ok := c.v.Purpose(code); return ok }
func (c *check) section(code string) bool { _, ok := c.v.Section(code); return ok }

// party tells whether the agency is a party of any agreement: the agencies
// that a version knows by code.
func (c *check) party(agency string) bool {
	return slices.ContainsFunc(c.v.Agreements, func(a AgreementText) bool { return a.Party(agency) })
}

// catalogue checks version, kinds, roles, purposes and sections.
func (c *check) catalogue() {
	place{c: c, file: "version.yaml"}.filled("name", c.v.Name, "partnership", c.v.Partnership)
	c.kinds()
	c.roles()
	c.purposes()
	for _, s := range c.v.Sections {
		c.oneSection(s)
	}
}

func (c *check) kinds() {
	seen := map[string]bool{}
	for i, k := range c.v.Kinds {
		at := place{c: c, file: "kinds.yaml", list: "kinds", row: i}
		c.code(at, k.Code, upperCode, seen)
		at.filled("name", k.Name)
		at.oneOf("wall", k.Wall, "always", "by-client", "never")
		if k.Involvement != "" && !c.section(k.Involvement) {
			at.wrong("involvement", "unknown section %q", k.Involvement)
		}
	}
}

func (c *check) roles() {
	seen := map[string]bool{}
	for i, r := range c.v.Roles {
		at := place{c: c, file: "roles.yaml", list: "roles", row: i}
		c.code(at, r.Code, lowerCode, seen)
		at.filled("name", r.Name)
		at.each("kinds", "kind", r.Kinds, c.kind)
		if r.Mash && !r.Records {
			at.wrong("mash", "a MASH role must open records")
		}
	}
}

// code checks the code of a row: well formed, and the only one of its name.
func (c *check) code(at place, code string, form *regexp.Regexp, seen map[string]bool) {
	if !form.MatchString(code) {
		at.wrong("code", "%q is not well formed", code)
	}
	if seen[code] {
		at.wrong("code", "%q stands twice", code)
	}
	seen[code] = true
}

// openWork is the closed list of a child's episodes that a purpose may ask for.
func openWork() []string {
	return []string{"early-help", "contact", "child-in-need", "section-47", "child-protection-plan", "care", "marac", "encompass"}
}

func (c *check) purposes() {
	seen := map[string]bool{}
	for i, p := range c.v.Purposes {
		at := place{c: c, file: "purposes.yaml", list: "purposes", row: i}
		c.code(at, p.Code, upperCode, seen)
		at.filled("name", p.Name)
		if len(p.Basis) == 0 {
			at.wrong("basis", "is missing: a purpose rests on a basis in law")
		}
		c.letter(at, "letter", p.Letter)
		c.letter(at, "inside", p.Inside)
		if p.Inside != "" && p.Relationship != ByMashRole {
			at.wrong("inside", "is for the relationship %s only", ByMashRole)
		}
		at.each("open_work", "open work", p.OpenWork, func(w string) bool { return slices.Contains(openWork(), w) })
		if p.Declared && len(p.OpenWork) == 0 {
			at.wrong("declared", "needs open work whose absence is declared")
		}
		at.oneOf("reason", p.Reason, "no", "unless-allocated", "always")
		at.oneOf("relationship", p.Relationship, ByInvolvement, ByMashRole, ByMaracList, ByNamedLead, ByBreakGlass, NoRecords)
		at.each("roles", "role", p.Roles, c.role)
		for _, code := range p.Roles {
			if r, ok := c.v.Role(code); ok && !r.Records && p.Relationship != NoRecords {
				at.wrong("roles", "%q may not open records", code)
			}
		}
		if p.Relationship == ByBreakGlass {
			at.filled("clause", p.Clause)
			if p.Reason != "always" {
				at.wrong("reason", "must be always for emergency access")
			}
		}
		if p.Clause != "" {
			c.clause(at, p.Clause, []string{p.Code})
		}
	}
}

// letter checks a reference to the purpose whose rows are read instead.
func (c *check) letter(at place, column, code string) {
	if code == "" {
		return
	}
	p, ok := c.v.Purpose(code)
	switch {
	case !ok:
		at.wrong(column, "unknown purpose %q", code)
	case p.Letter != "":
		at.wrong(column, "%s has no rows of its own: it reads those of %s", code, p.Letter)
	}
}

func (c *check) oneSection(s Section) {
	at := place{c: c, file: "sections/" + s.Code + ".yaml"}
	if !lowerCode.MatchString(s.Code) {
		at.wrong("code", "%q is not well formed", s.Code)
	}
	at.filled("name", s.Name, "group", s.Group)
	if s.Sensitivity < 1 || s.Sensitivity > 4 {
		at.wrong("sensitivity", "%d is not between 1 and 4", s.Sensitivity)
	}
	if s.Never && s.Sensitivity != 4 {
		at.wrong("sensitivity", "a section that is never shown is legally restricted: 4")
	}
	at.each("owners", "kind", s.Owners, c.kind)
	if version, ok := strings.CutPrefix(s.Schema, s.Code+"/"); !ok || !clauseNo.MatchString(version) {
		at.wrong("schema", "%q is not %s/<number>", s.Schema, s.Code)
	}
	if len(s.Fields) == 0 {
		at.wrong("fields", "is missing")
	}
	var names []string
	for i, f := range s.Fields {
		row := place{c: c, file: at.file, list: "fields", row: i}
		if !fieldName.MatchString(f.Name) {
			row.wrong("name", "%q is not well formed", f.Name)
		}
		if slices.Contains(names, f.Name) {
			row.wrong("name", "%q stands twice", f.Name)
		}
		names = append(names, f.Name)
		row.filled("label", f.Label)
		row.oneOf("type", f.Type, "text", "date", "code", "bool", "number", "list")
		// The shared summary of narrative is authored, never an automatic cut.
		if s.Narrative && f.Name == "text" && f.Summary {
			row.wrong("summary", "the text of a narrative section is no part of its summary: somebody writes one")
		}
	}
}

// agreements checks the texts of the agreements.
func (c *check) agreements() {
	for _, a := range c.v.Agreements {
		at := place{c: c, file: "agreements/" + a.ID + ".yaml"}
		if !lowerCode.MatchString(a.ID) {
			at.wrong("id", "%q is not well formed", a.ID)
		}
		at.filled("title", a.Title, "dpia", a.DPIA, "contact", a.Contact, "retention", a.Retention, "onward", a.Onward)
		at.days(false, "from", a.From, "review", a.Review, "end", a.End)
		if len(a.Purposes) == 0 {
			at.wrong("purposes", "is missing")
		}
		at.each("purposes", "purpose", a.Purposes, c.purpose)
		var parties []string
		for i, p := range a.Parties {
			row := place{c: c, file: at.file, list: "parties", row: i}
			if !upperCode.MatchString(p.Agency) {
				row.wrong("agency", "%q is not well formed", p.Agency)
			}
			if slices.Contains(parties, p.Agency) {
				row.wrong("agency", "%q stands twice", p.Agency)
			}
			parties = append(parties, p.Agency)
			row.oneOf("role", p.Role, "controller", "joint", "processor")
			row.filled("dpo", p.DPO, "signatory", p.Signatory)
		}
		if len(a.Parties) < 2 {
			at.wrong("parties", "an agreement has at least two")
		}
		var numbers []string
		for i, cl := range a.Clauses {
			row := place{c: c, file: at.file, list: "clauses", row: i}
			if !clauseNo.MatchString(cl.No) {
				row.wrong("no", "%q is not well formed", cl.No)
			}
			if slices.Contains(numbers, cl.No) {
				row.wrong("no", "%q stands twice", cl.No)
			}
			numbers = append(numbers, cl.No)
			row.filled("text", cl.Text)
		}
	}
}
