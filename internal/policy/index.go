package policy

import (
	"cmp"
	"slices"
	"strings"
)

// document is a JSON object under construction.
type document = map[string]any

// compiled turns a version into the kernel's data document, data.version: the
// catalogue keyed by code, and the matrix keyed by receiver, purpose letter and
// section, so that a decision is a lookup and not a scan.
func compiled(v *Version) document {
	x := indexer{v: v, cells: document{}, agencies: document{}}
	x.matrix()
	return document{
		"purposes": x.purposes(),
		"covering": x.covering(),
		"kinds":    x.kinds(),
		"roles":    x.roles(),
		"sections": x.sections(),
		"owning":   x.owning(),
		"clinical": x.marked(func(s Section) bool { return s.Adult }),
		"walled":   x.marked(func(s Section) bool { return s.Walled }),
		"places":   x.fields(func(f Field) bool { return f.Place }),
		"numbers":  x.fields(func(f Field) bool { return f.Number }),
		"fields":   x.parts(),
		"index":    document{"kinds": x.cells, "agencies": x.agencies},
		"never":    x.never(),
		"cited":    x.cited(),
		"own":      x.levelled("own"),
		"by_grant": x.levelled("grant"),
		"masks":    x.masks(),
	}
}

type indexer struct {
	v        *Version
	cells    document // kind → letter → section → rows
	agencies document // agency → letter → section → rows
}

func (x *indexer) purposes() document {
	out := document{}
	for _, p := range x.v.Purposes {
		letter := cmp.Or(p.Letter, p.Code)
		entry := document{
			"letter": letter, "open_work": set(p.OpenWork), "declared": p.Declared,
			"roles": set(p.Roles), "reason": p.Reason, "relationship": p.Relationship,
			"consent": p.Consent, "hides_clinical": p.HidesClinical,
		}
		if p.Inside != "" {
			entry["inside"] = p.Inside
		}
		if agreement, text := citation(p.Clause); agreement != "" {
			entry["clause"] = document{"agreement": agreement, "text": text}
		}
		out[p.Code] = entry
	}
	return out
}

// covering lists, for each purpose, the agreements that cover it.
func (x *indexer) covering() document {
	out := document{}
	for _, p := range x.v.Purposes {
		ids := []any{}
		for _, a := range x.v.Agreements {
			if slices.Contains(a.Purposes, p.Code) {
				ids = append(ids, a.ID)
			}
		}
		out[p.Code] = ids
	}
	return out
}

func (x *indexer) kinds() document {
	out := document{}
	for _, k := range x.v.Kinds {
		entry := document{
			"plain": k.Plain, "wall": k.Wall, "records": k.Records, "knows_unborn": k.KnowsUnborn,
		}
		if k.Involvement != "" {
			entry["involvement"] = k.Involvement
		}
		out[k.Code] = entry
	}
	return out
}

func (x *indexer) roles() document {
	out := document{}
	for _, r := range x.v.Roles {
		out[r.Code] = document{"kinds": set(r.Kinds), "records": r.Records, "mash": r.Mash}
	}
	return out
}

func (x *indexer) sections() document {
	out := document{}
	for _, s := range x.v.Sections {
		out[s.Code] = document{"sensitivity": s.Sensitivity, "narrative": s.Narrative, "schema": s.Schema}
	}
	return out
}

// owning says whose information each section is, for what a grant may open.
// "shared": no kind owns it, so each agency that has entries there has a say
// over those, and the host over all (design.md §4).
func (x *indexer) owning() document {
	out := document{}
	for _, s := range x.v.Sections {
		out[s.Code] = document{"kinds": set(s.OwningKinds()), "shared": len(s.Owners) == 0}
	}
	return out
}

func (x *indexer) marked(match func(Section) bool) document {
	out := document{}
	for _, s := range x.v.Sections {
		if match(s) {
			out[s.Code] = true
		}
	}
	return out
}

// fields lists, for each section that has any, the fields that match.
func (x *indexer) fields(match func(Field) bool) document {
	out := document{}
	for _, s := range x.v.Sections {
		if names := s.names(match); len(names) > 0 {
			out[s.Code] = list(names)
		}
	}
	return out
}

// parts lists the known fields of each section by part, for entries whose
// schema the version does not know. An authored summary has the same fields.
func (x *indexer) parts() document {
	out := document{}
	for _, s := range x.v.Sections {
		all := s.names(func(Field) bool { return true })
		summary := all
		if !s.Narrative {
			summary = s.names(func(f Field) bool { return f.Summary })
		}
		out[s.Code] = document{"full": list(all), "summary": list(summary)}
	}
	return out
}

// matrix fills the index. A kind has a cell for every letter and section, with
// the reason why nothing may open it; rows that give nothing only make the
// cell, which for an agency is enough to stand in place of its kind's rows.
func (x *indexer) matrix() {
	for _, k := range x.v.Kinds {
		for _, p := range x.v.Purposes {
			for _, s := range x.v.Sections {
				x.cell(x.cells, k.Code, cmp.Or(p.Letter, p.Code), s.Code)
			}
		}
	}
	for _, row := range x.v.Matrix {
		receivers := x.agencies
		if _, kind := x.v.Kind(row.To); kind {
			receivers = x.cells
		}
		for _, letter := range row.Purposes {
			cell := x.cell(receivers, row.To, letter, row.Section)
			if !gives(row.Level) || x.closed(row.To, row.Section) {
				continue
			}
			cell["rows"] = append(cell["rows"].([]any), x.row(row))
			if len(row.Conditions) > 0 {
				cell["conditional"] = true // why it is closed may be that one does not hold
			}
			switch {
			case row.Level == "grant":
				cell["answer"] = shut("needs-grant")
			case len(cell["rows"].([]any)) == 1:
				cell["answer"] = shut("no-agreement")
			}
		}
	}
	widestFirst(x.cells)
	widestFirst(x.agencies)
}

// cell gives one cell of the index, made if it is missing.
func (x *indexer) cell(receivers document, to, letter, section string) document {
	sections := inner(inner(receivers, to), letter)
	cell, ok := sections[section].(document)
	if !ok {
		cell = document{"rows": []any{}, "answer": shut("not-shared")}
		if x.closed(to, section) {
			cell["answer"] = shut("never")
		}
		sections[section] = cell
	}
	return cell
}

// shut is the answer on an entry that no row of its cell opens.
func shut(reason string) document {
	return document{"level": "hidden", "reasons": list([]string{reason})}
}

// closed tells whether the section is X for the receiver.
func (x *indexer) closed(to, section string) bool {
	if s, ok := x.v.Section(section); ok && s.Never {
		return true
	}
	return slices.ContainsFunc(x.v.Matrix, func(r Row) bool {
		return r.To == to && r.Section == section && r.Level == "never"
	})
}

// gives tells whether a row of this level can open anything.
func gives(level string) bool {
	return level == "full" || level == "summary" || level == "existence" || level == "grant"
}

func (x *indexer) row(row Row) document {
	agreement, text := citation(row.Clause)
	roles := row.Roles
	if len(roles) == 0 {
		for _, r := range x.v.Roles {
			roles = append(roles, r.Code)
		}
	}
	caller, onEntry := []string{}, []string{}
	for _, code := range row.Conditions {
		if c, ok := find(Conditions(), func(c Condition) bool { return c.Code == code }); ok && c.OnEntry {
			onEntry = append(onEntry, code)
		} else {
			caller = append(caller, code) // an unknown condition never holds
		}
	}
	simple := len(row.Roles) == 0 && len(row.Conditions) == 0 && row.From == "" && row.Until == ""
	entry := document{
		"level": rank(row.Level), "simple": simple,
		"masks": list(sortedSet(row.Masks)), "agreement": agreement, "clause": text,
		"roles": set(roles), "conditions": list(caller), "on_entry": list(onEntry),
		"from": cmp.Or(row.From, "0000"), "until": cmp.Or(row.Until, "9999-99-99"),
	}
	for _, code := range row.Conditions {
		inner(entry, "lacking")[code] = unmetReason(code)
	}
	if rank(row.Level) >= int(Summary) {
		entry["part"] = row.Level
		entry["answer"] = document{
			"level": row.Level, "part": row.Level, "masked": entry["masks"], "clauses": list([]string{text}),
		}
	}
	return entry
}

// never lists X: by section for each kind, and by rows for kinds and agencies.
func (x *indexer) never() document {
	kinds, agencies := document{}, document{}
	for _, k := range x.v.Kinds {
		for _, s := range x.v.Sections {
			if s.Never {
				inner(kinds, k.Code)[s.Code] = true
			}
		}
	}
	for _, row := range x.v.Matrix {
		if row.Level != "never" {
			continue
		}
		if _, kind := x.v.Kind(row.To); kind {
			inner(kinds, row.To)[row.Section] = true
		} else {
			inner(agencies, row.To)[row.Section] = true
		}
	}
	return document{"kinds": kinds, "agencies": agencies}
}

// cited lists, for each receiver and letter, the agreements that its rows cite.
func (x *indexer) cited() document {
	kinds, agencies := document{}, document{}
	for _, row := range x.v.Matrix {
		if !gives(row.Level) {
			continue
		}
		receivers := agencies
		if _, kind := x.v.Kind(row.To); kind {
			receivers = kinds
		}
		agreement, _ := citation(row.Clause)
		for _, letter := range row.Purposes {
			inner(inner(receivers, row.To), letter)[agreement] = true
		}
	}
	return document{"kinds": kinds, "agencies": agencies}
}

// levelled lists the sections in which a receiver has a row of this level
// under any letter.
func (x *indexer) levelled(level string) document {
	out := document{}
	for _, row := range x.v.Matrix {
		if row.Level == level {
			inner(out, row.To)[row.Section] = true
		}
	}
	return out
}

// masks unites the masks of a receiver's rows for a section, for what a grant
// or an emergency opens beside the matrix.
func (x *indexer) masks() document {
	out := document{}
	for _, row := range x.v.Matrix {
		if len(row.Masks) == 0 {
			continue
		}
		sections := inner(out, row.To)
		var names []string
		before, _ := sections[row.Section].([]any)
		for _, name := range before {
			names = append(names, name.(string))
		}
		sections[row.Section] = list(sortedSet(append(names, row.Masks...)))
	}
	return out
}

// widestFirst sorts the rows of each cell, so that the kernel takes the first
// that fits; among equals the order of the files is kept.
func widestFirst(receivers document) {
	for _, letters := range receivers {
		for _, sections := range letters.(document) {
			for _, cell := range sections.(document) {
				slices.SortStableFunc(cell.(document)["rows"].([]any), func(a, b any) int {
					return cmp.Compare(b.(document)["level"].(int), a.(document)["level"].(int))
				})
			}
		}
	}
}

// citation splits "isa-family-safeguarding 4.2" into the agreement and the
// text that stands on a release.
func citation(clause string) (agreement, text string) {
	agreement, no, ok := strings.Cut(clause, " ")
	if !ok {
		return agreement, agreement
	}
	return agreement, agreement + " cl. " + strings.TrimSpace(no)
}

func rank(level string) int {
	switch level {
	case "existence":
		return int(Existence)
	case "summary":
		return int(Summary)
	case "full":
		return int(Full)
	default:
		return int(Hidden)
	}
}

// inner gives the object under key, made if it is missing.
func inner(parent document, key string) document {
	found, ok := parent[key].(document)
	if !ok {
		found = document{}
		parent[key] = found
	}
	return found
}

// set is a JSON object used as a set of codes.
func set(codes []string) document {
	out := document{}
	for _, code := range codes {
		out[code] = true
	}
	return out
}

func list(names []string) []any {
	out := make([]any, len(names))
	for i, name := range names {
		out[i] = name
	}
	return out
}

func sortedSet(names []string) []string {
	out := slices.Clone(names)
	slices.Sort(out)
	return slices.Compact(out)
}
