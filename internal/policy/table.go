package policy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"go.yaml.in/yaml/v3"

	"kith/internal/identity"
	"kith/internal/postgres"
)

// Cell is one cell of a draft's matrix: what the agencies of a kind are shown of
// a part of the record for a purpose.
type Cell struct {
	Section string    `json:"section"`
	Kind    string    `json:"kind"`
	Purpose string    `json:"purpose"` // whose rows they are
	Says    Standing  `json:"says"`
	Today   *Standing `json:"today,omitempty"` // in the active version, where that is otherwise
	// Seen names what the cell says; who changes it gives it back.
	Seen string    `json:"seen"`
	Rows []CellRow `json:"rows"` // none: hidden
}

// CellRow is one row of a cell.
type CellRow struct {
	To         string   `json:"to,omitempty"` // the kind, or one agency of it; "": the kind
	Roles      []string `json:"roles,omitempty"`
	Level      string   `json:"level"`
	Masks      []string `json:"masks,omitempty"`
	Conditions []string `json:"conditions,omitempty"`
	Clause     string   `json:"clause,omitempty"`
	From       string   `json:"from,omitempty"`
	Until      string   `json:"until,omitempty"`
	Why        string   `json:"why,omitempty"`
}

// CellRows are rows as a cell's reader sees them.
func CellRows(rows []Row) []CellRow {
	out := []CellRow{}
	for _, r := range rows {
		out = append(out, CellRow{To: r.To, Roles: r.Roles, Level: r.Level, Masks: r.Masks, Conditions: r.Conditions, Clause: r.Clause, From: r.From, Until: r.Until, Why: r.Why})
	}
	return out
}

// Cells lists the cells of a draft's matrix, section by section; each of section,
// kind and purpose that is not "" chooses. Errors: *DraftError (one of them is
// unknown, or the draft cannot be read as a version).
func (o *Office) Cells(ctx context.Context, p identity.Principal, id uuid.UUID, section, kind, purpose string) (Draft, []Cell, error) {
	d, v, kinds, err := o.table(ctx, p, id)
	if err != nil {
		return Draft{}, nil, err
	}
	head, err := Head(ctx, o.Pool, o.Partnership)
	if err != nil {
		return Draft{}, nil, err
	}
	b, err := o.bundle(ctx, head)
	if err != nil {
		return Draft{}, nil, err
	}
	files, err := b.FS()
	if err != nil {
		return Draft{}, nil, err
	}
	today, err := Load(files)
	if err != nil {
		return Draft{}, nil, fmt.Errorf("read policy version %s: %w", head, err)
	}
	if err := knownCell(v, section, kind, purpose); err != nil {
		return Draft{}, nil, err
	}
	kindOf := func(agency string) string { return kinds[agency] }
	cells, now := v.Cells(kindOf), today.Cells(kindOf)
	out := []Cell{}
	for _, s := range v.Sections {
		for _, k := range v.Kinds {
			for _, letter := range v.Purposes {
				if section != "" && section != s.Code || kind != "" && kind != k.Code || purpose != "" && v.LetterOf(purpose) != letter.Code || !k.Records || !hasRows(letter) {
					continue
				}
				key := CellKey{s.Code, k.Code, letter.Code}
				c := Cell{Section: s.Code, Kind: k.Code, Purpose: letter.Code, Says: StandingOf(s, k.Code, cells[key]), Seen: Fingerprint(cells[key]), Rows: CellRows(cells[key])}
				if Fingerprint(now[key]) != c.Seen {
					was, _ := today.Section(s.Code)
					standing := StandingOf(was, k.Code, now[key])
					c.Today = &standing
				}
				out = append(out, c)
			}
		}
	}
	return d, out, nil
}

// hasRows tells whether rows of the matrix may name a purpose.
func hasRows(p Purpose) bool {
	return p.Letter == "" && p.Relationship != NoRecords && p.Relationship != ByBreakGlass
}

// table reads a draft as a version, with the kinds of the directory's agencies.
func (o *Office) table(ctx context.Context, p identity.Principal, id uuid.UUID) (Draft, *Version, map[string]string, error) {
	d, err := o.Draft(ctx, p, id)
	if err != nil {
		return d, nil, nil, err
	}
	v, err := d.Load()
	if err != nil {
		return d, nil, nil, asDraftError(err)
	}
	kinds, err := o.kinds(ctx)
	return d, v, kinds, err
}

func asDraftError(err error) error {
	var wrong *LoadError
	if errors.As(err, &wrong) {
		return &DraftError{Text: wrong.Error()}
	}
	return err
}

// knownCell names what of a cell's place nobody knows.
func knownCell(v *Version, section, kind, purpose string) error {
	var lines []string
	if _, ok := v.Section(section); section != "" && !ok {
		lines = append(lines, fmt.Sprintf("section: unknown section %q", section))
	}
	if k, ok := v.Kind(kind); kind != "" && !ok {
		lines = append(lines, fmt.Sprintf("kind: unknown kind %q", kind))
	} else if kind != "" && !k.Records {
		lines = append(lines, fmt.Sprintf("kind: %s opens no records", kind))
	}
	if x, ok := v.Purpose(purpose); purpose != "" && !ok {
		lines = append(lines, fmt.Sprintf("purpose: unknown purpose %q", purpose))
	} else if letter, _ := v.Purpose(v.LetterOf(purpose)); purpose != "" && !hasRows(letter) {
		lines = append(lines, fmt.Sprintf("purpose: %s has no rows", x.Code))
	}
	if len(lines) > 0 {
		return &DraftError{Text: strings.Join(lines, "\n")}
	}
	return nil
}

// PutCell gives one cell of a draft exactly these rows, or what it says in the
// version from which the draft was begun. seen is Cell.Seen as the caller read
// it. What is not in order is named by the number of the row and its column.
// Errors: *CellConflict, *DraftError, ErrClosed.
func (o *Office) PutCell(ctx context.Context, p identity.Principal, request string, id uuid.UUID, at CellKey, seen string, rows []CellRow, restore bool) (Draft, string, error) {
	if err := may(p, RoleAuthor); err != nil {
		return Draft{}, "", err
	}
	d, v, kinds, err := o.table(ctx, p, id)
	if err != nil {
		return Draft{}, "", err
	}
	if err := knownCell(v, at.Section, at.Kind, at.Letter); err != nil {
		return Draft{}, "", err
	}
	edit := CellEdit{Section: at.Section, Letter: v.LetterOf(at.Letter), Receivers: []string{at.Kind}, Seen: seen, Restore: restore}
	if edit.Letter != at.Letter {
		return Draft{}, "", &DraftError{Text: fmt.Sprintf("purpose: %s has no rows of its own: it reads those of %s", at.Letter, edit.Letter)}
	}
	for _, code := range sortedKeys(kinds) {
		if kinds[code] == at.Kind && code != at.Kind {
			edit.Receivers = append(edit.Receivers, code)
		}
	}
	var lines []string
	for i, r := range rows {
		if r.To == "" {
			r.To = at.Kind
		}
		if !slices.Contains(edit.Receivers, r.To) {
			lines = append(lines, fmt.Sprintf("row %d: to: %q is neither %s nor an agency of that kind", i+1, r.To, at.Kind))
		}
		row := Row{Section: at.Section, To: r.To, Roles: r.Roles, Purposes: []string{edit.Letter}, Level: r.Level, Masks: r.Masks, Conditions: r.Conditions,
			Clause: r.Clause, From: r.From, Until: r.Until, Why: r.Why}
		edit.Rows = append(edit.Rows, row)
		found, err := d.wrongRow(row)
		if err != nil {
			return Draft{}, "", err
		}
		for _, p := range found {
			lines = append(lines, fmt.Sprintf("row %d: %s", i+1, p))
		}
	}
	if len(lines) > 0 {
		return Draft{}, "", &DraftError{Text: strings.Join(lines, "\n")}
	}
	return o.SetCell(ctx, p, request, id, edit)
}

// wrongRow lists what is not in order in a row by itself, by column, in the
// draft's own words for kinds, roles, purposes and clauses.
func (d Draft) wrongRow(r Row) ([]string, error) {
	path := "matrix/" + r.Section + ".yaml"
	alone := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		scalar("section"), scalar(r.Section), scalar("rows"), {Kind: yaml.SequenceNode, Content: []*yaml.Node{rowNode(r)}}}}
	text, err := yaml.Marshal(alone)
	if err != nil {
		return nil, fmt.Errorf("write a row: %w", err)
	}
	d.Files = slices.Clone(d.Files)
	i := slices.IndexFunc(d.Files, func(f DraftFile) bool { return f.Path == path })
	if i < 0 {
		return []string{"section: unknown section " + r.Section}, nil
	}
	d.Files[i].Content = string(text)
	_, err = d.Load()
	var wrong *LoadError
	if err != nil && !errors.As(err, &wrong) {
		return nil, err
	}
	var lines []string
	if wrong != nil {
		for _, p := range wrong.Problems {
			if p.File == path { // what is wrong elsewhere is not this row's
				lines = append(lines, strings.TrimPrefix(p.Column+": ", ": ")+p.Text)
			}
		}
	}
	return lines, nil
}

// kinds reads the kind of each agency of the directory.
func (o *Office) kinds(ctx context.Context) (map[string]string, error) {
	kinds := map[string]string{}
	rows, _ := o.Pool.Query(ctx, `SELECT code, kind FROM agency WHERE partnership = $1 AND (active_until IS NULL OR active_until >= current_date)`, o.Partnership)
	var code, kind string
	if _, err := pgx.ForEachRow(rows, []any{&code, &kind}, func() error { kinds[code] = kind; return nil }); err != nil {
		return nil, fmt.Errorf("list agencies: %w", postgres.Redact(err))
	}
	return kinds, nil
}
