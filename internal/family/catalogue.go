package family

import "kith/internal/policy"

// Catalogue is what a contribution is checked against: the sections and
// purposes of the active policy version. The zero value knows none, so it
// takes no entry.
type Catalogue struct {
	sections map[string]policy.Section
	purposes map[string]bool
	roles    map[string]policy.Role
}

// CatalogueOf takes the catalogue out of a policy version.
func CatalogueOf(v *policy.Version) Catalogue {
	c := Catalogue{sections: make(map[string]policy.Section, len(v.Sections)), purposes: make(map[string]bool, len(v.Purposes)), roles: make(map[string]policy.Role, len(v.Roles))}
	for _, s := range v.Sections {
		c.sections[s.Code] = s
	}
	for _, p := range v.Purposes {
		c.purposes[p.Code] = true
	}
	for _, r := range v.Roles {
		c.roles[r.Code] = r
	}
	return c
}

// section finds a section by its code.
func (c Catalogue) section(code string) (policy.Section, bool) {
	s, ok := c.sections[code]
	if ok && s.Schema == "" {
		s.Schema = s.Code + "/1"
	}
	return s, ok
}

// unknownFields lists the fields of content that the catalogue does not know
// under that schema, sorted; under a schema that it does not know these are all.
func unknownFields(s policy.Section, schema string, body map[string]any) []string {
	known := make(map[string]bool, len(s.Fields))
	if schema == s.Schema {
		for _, f := range s.Fields {
			known[f.Name] = true
		}
	}
	unknown := []string{}
	for _, name := range sortedKeys(body) {
		if !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// The fields of an authored shared summary.
const (
	summaryText   = "shared_summary"
	summaryAuthor = "summary_by"
	summaryReview = "summary_review"
)

// summaryOf makes the shared summary: of a structured section the filled
// summary fields, of narrative what its author wrote, and never a cut of the
// text. It is empty where there is nothing to show, and under a schema whose
// fields the catalogue does not know.
func summaryOf(s policy.Section, schema string, r *EntryRecord) map[string]any {
	body := map[string]any{}
	if s.Narrative && r.Summary == nil || schema != s.Schema {
		return body
	}
	for _, f := range s.Fields {
		if v, ok := r.Content[f.Name]; ok && f.Summary && v != nil && v != "" {
			body[f.Name] = v
		}
	}
	if r.Summary != nil {
		body[summaryText], body[summaryAuthor] = r.Summary.Text, r.Summary.By
		delete(body, summaryReview)
		if r.Summary.Review != "" {
			body[summaryReview] = r.Summary.Review
		}
	}
	return body
}
