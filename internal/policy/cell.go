package policy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"kith/internal/identity"
)

// Standing is what a cell of the matrix says in one word.
type Standing struct {
	Level string `json:"level"` // full, summary, existence, hidden, grant, own, never
	// Limited: it holds only on conditions, for some roles, single agencies or a time.
	Limited bool `json:"limited,omitempty"`
	// More: beyond the level, more is shown on conditions, to some roles or for a time.
	More bool `json:"more,omitempty"`
}

// LetterOf names the purpose whose rows a purpose reads: its own, or those of
// another (FS reads CN).
func (v *Version) LetterOf(purpose string) string {
	if p, ok := v.Purpose(purpose); ok && p.Letter != "" {
		return p.Letter
	}
	return purpose
}

// CellKey names a cell of the matrix.
type CellKey struct{ Section, Kind, Letter string }

// Cells gathers the rows by cell, each in the order of the file. kindOf gives the
// kind of an agency: a row for a single agency stands in its kind's cell.
func (v *Version) Cells(kindOf func(agency string) string) map[CellKey][]Row {
	cells := make(map[CellKey][]Row, len(v.Matrix))
	for _, r := range v.Matrix {
		kind := r.To
		if _, ok := v.Kind(kind); !ok {
			kind = kindOf(r.To)
		}
		for _, letter := range r.Purposes {
			key := CellKey{r.Section, kind, letter}
			cells[key] = append(cells[key], r)
		}
	}
	return cells
}

// StandingOf tells what the rows of a cell come to for a kind of agency.
func StandingOf(s Section, kind string, rows []Row) Standing {
	if len(rows) == 0 {
		switch {
		case slices.Contains(s.Owners, kind):
			return Standing{Level: "own"}
		case s.Never:
			return Standing{Level: "never"}
		}
		return Standing{Level: Hidden.String()}
	}
	plain, most := "", ""
	for _, r := range rows {
		if r.To == kind && len(r.Roles) == 0 && len(r.Conditions) == 0 && r.From+r.Until == "" && LevelRank(r.Level) > LevelRank(plain) {
			plain = r.Level
		}
		if LevelRank(r.Level) > LevelRank(most) {
			most = r.Level
		}
	}
	if LevelRank(plain) < 0 {
		return Standing{Level: most, Limited: true}
	}
	return Standing{Level: plain, More: LevelRank(most) > LevelRank(plain)}
}

// LevelRank orders what a row may say from least to most; -1 is no level.
func LevelRank(level string) int {
	return slices.Index([]string{"never", "hidden", "grant", "existence", "summary", "full", "own"}, level)
}

// Fingerprint names what the rows of a cell say, so that an officer's change can
// be refused when somebody else changed the cell since it was read. Rows that
// hide say the same as none.
func Fingerprint(rows []Row) string {
	var lines []string
	for _, r := range rows {
		if r.Level == "hidden" && r.Why == "" {
			continue
		}
		r.Purposes = nil
		r.Roles, r.Masks, r.Conditions = sortedSet(r.Roles), sortedSet(r.Masks), sortedSet(r.Conditions)
		line, err := json.Marshal(r)
		if err != nil { // a Row is strings and lists of them
			return ""
		}
		lines = append(lines, string(line))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:12])
}

// CellChange compares two states of a cell: 1 wider, -1 narrower, 0 on other
// terms; same tells that they differ in nothing. Who must approve is not said
// here: that is the change report's, which asks every question.
func CellChange(s Section, kind string, before, after []Row) (widens int, same bool) {
	if Fingerprint(released(before)) == Fingerprint(released(after)) {
		return 0, true
	}
	a, b := StandingOf(s, kind, before), StandingOf(s, kind, after)
	reach := func(x Standing) int {
		n := 4 * LevelRank(x.Level)
		if LevelRank(x.Level) <= LevelRank(Hidden.String()) {
			n = 0
		}
		if x.Limited {
			n -= 2
		}
		if x.More {
			n++
		}
		return n
	}
	masks := func(rows []Row) int {
		n := 0
		for _, r := range rows {
			n += len(r.Masks)
		}
		return n
	}
	switch d := reach(b) - reach(a); {
	case d > 0:
		return 1, false
	case d < 0:
		return -1, false
	}
	return min(1, max(-1, masks(before)-masks(after))), false
}

// released drops the rows that hide, and the words beside all.
func released(rows []Row) []Row {
	var out []Row
	for _, r := range rows {
		if r.Level != "hidden" {
			r.Why = ""
			out = append(out, r)
		}
	}
	return out
}

// Citation is a clause that a row may cite.
type Citation struct {
	Agreement AgreementText
	Clause    Clause
}

// Ref is the clause as a row writes it.
func (c Citation) Ref() string { return c.Agreement.ID + " " + c.Clause.No }

// ClausesFor lists the clauses that a row for this receiver and letter may cite,
// those first that its neighbours in the matrix rest on.
func (v *Version) ClausesFor(section, receiver, letter string) []Citation {
	c := check{v: v}
	readers := c.readers([]string{letter})
	weight := map[string]int{}
	for _, r := range v.Matrix {
		if r.Clause == "" {
			continue
		}
		id, _, _ := strings.Cut(r.Clause, " ")
		if r.To == receiver && slices.Contains(r.Purposes, letter) {
			weight[id] += 100 // the agreement under which this receiver gets things
		}
		if r.Section == section {
			weight[r.Clause]++
			if slices.Contains(r.Purposes, letter) {
				weight[r.Clause] += 2
			}
		}
	}
	var out []Citation
	for _, a := range v.Agreements {
		if !slices.ContainsFunc(readers, func(p string) bool { return !slices.Contains(a.Purposes, p) }) {
			for _, cl := range a.Clauses {
				out = append(out, Citation{a, cl})
			}
		}
	}
	slices.SortStableFunc(out, func(x, y Citation) int {
		return (min(weight[y.Agreement.ID], 1000) + 1000*weight[y.Ref()]) - (min(weight[x.Agreement.ID], 1000) + 1000*weight[x.Ref()])
	})
	return out
}

// CellEdit says what one cell shall hold in place of what stands there.
type CellEdit struct {
	Section   string
	Letter    string
	Receivers []string // the kind of the column, then the agencies of that kind
	Seen      string   // Fingerprint of the cell as the officer read it
	Rows      []Row    // none: hidden
	// Restore puts back what the version says from which the draft was begun; Rows is ignored.
	Restore bool
}

// CellConflict says that somebody changed the cell since it was read. Nothing
// was saved.
type CellConflict struct {
	Rows []Row // what stands there now
}

func (c *CellConflict) Error() string { return "the cell was changed since it was read" }

// SetCell changes one cell of a draft's matrix and nothing else of its file,
// comments too. Officers who change different cells of one file do not hinder
// each other. Errors: *CellConflict, *DraftError (the file would not be in
// order), ErrClosed.
func (o *Office) SetCell(ctx context.Context, p identity.Principal, request string, id uuid.UUID, edit CellEdit) (Draft, string, error) {
	return o.SetCells(ctx, p, request, id, []CellEdit{edit})
}

// SetCells is SetCell for several cells at once, such as a whole row: all of
// them change, in one step, or none.
func (o *Office) SetCells(ctx context.Context, p identity.Principal, request string, id uuid.UUID, edits []CellEdit) (Draft, string, error) {
	for try := 0; ; try++ {
		d, err := o.Draft(ctx, p, id)
		if err != nil {
			return Draft{}, "", err
		}
		files, err := o.cells(ctx, d, edits)
		if err != nil {
			return Draft{}, "", err
		}
		saved, receipt, err := o.Edit(ctx, p, request, id, d.Revision, files)
		var conflict *Conflict
		if errors.As(err, &conflict) && try < 3 {
			continue // another cell of these files: look again
		}
		return saved, receipt, err
	}
}

// cells writes the files of the sections in which cells are changed.
func (o *Office) cells(ctx context.Context, d Draft, edits []CellEdit) ([]FileEdit, error) {
	base, err := o.bundle(ctx, d.BasedOn)
	if err != nil {
		return nil, err
	}
	d.Files = slices.Clone(d.Files)
	var paths []string
	for _, edit := range edits {
		path := "matrix/" + edit.Section + ".yaml"
		i := slices.IndexFunc(d.Files, func(f DraftFile) bool { return f.Path == path })
		if i < 0 {
			return nil, &DraftError{Text: "unknown section: there is no such file in matrix/"}
		}
		text, err := changedCell(base.Files[path], []byte(d.Files[i].Content), edit)
		if err != nil {
			return nil, err
		}
		d.Files[i].Content = string(text)
		if !slices.Contains(paths, path) {
			paths = append(paths, path)
		}
	}
	if err := d.inOrder(paths); err != nil {
		return nil, err
	}
	var files []FileEdit
	for _, f := range d.Files {
		if slices.Contains(paths, f.Path) {
			files = append(files, FileEdit{Path: f.Path, Content: f.Content})
		}
	}
	return files, nil
}

// changedCell gives a section's file with one cell changed; where it then says
// what the version says from which the draft was begun, it is that file.
func changedCell(base, file []byte, edit CellEdit) ([]byte, error) {
	there, err := cellOf(file, edit)
	if err != nil {
		return nil, err
	}
	if Fingerprint(there) != edit.Seen {
		return nil, &CellConflict{Rows: there}
	}
	if edit.Restore {
		if edit.Rows, err = cellOf(base, edit); err != nil {
			return nil, err
		}
	}
	text, err := editCell(file, edit)
	if err != nil {
		return nil, err
	}
	if sameTable(base, text) {
		text = base
	}
	return text, nil
}

// inOrder refuses a draft whose files at these paths are not in order; what is
// wrong elsewhere is not this change's.
func (d Draft) inOrder(paths []string) error {
	_, err := d.Load()
	var wrong *LoadError
	if err == nil || !errors.As(err, &wrong) {
		return err
	}
	var lines []string
	for _, p := range wrong.Problems {
		if slices.Contains(paths, p.File) {
			lines = append(lines, strings.TrimPrefix(p.Column+": ", ": ")+p.Text)
		}
	}
	if len(lines) > 0 {
		return &DraftError{Text: strings.Join(lines, "\n")}
	}
	return nil
}

// Load reads the draft's files as a version. The error is a *LoadError where
// they are not in order.
func (d Draft) Load() (*Version, error) {
	b, err := d.pack()
	if err != nil {
		return nil, err
	}
	files, err := b.FS()
	if err != nil {
		return nil, err
	}
	return Load(files)
}

// tableNodes finds the rows of a file of the matrix.
func tableNodes(file []byte, section string) (root *yaml.Node, rows *yaml.Node, err error) {
	root = &yaml.Node{}
	if err := yaml.Unmarshal(file, root); err != nil || len(root.Content) != 1 {
		return nil, nil, &DraftError{Text: "matrix/" + section + ".yaml is not well-formed: mend it as a file first"}
	}
	rows = child(root.Content[0], "rows")
	if rows == nil || rows.Kind != yaml.SequenceNode {
		return nil, nil, &DraftError{Text: "matrix/" + section + ".yaml has no list of rows"}
	}
	return root, rows, nil
}

// cellOf reads the rows of one cell from a file of the matrix.
func cellOf(file []byte, edit CellEdit) ([]Row, error) {
	_, nodes, err := tableNodes(file, edit.Section)
	if err != nil {
		return nil, err
	}
	var out []Row
	for _, n := range nodes.Content {
		var r fileRow
		if err := n.Decode(&r); err != nil {
			return nil, &DraftError{Text: fmt.Sprintf("matrix/%s.yaml:%d: this row cannot be read: mend it as a file first", edit.Section, n.Line)}
		}
		if !slices.Contains(r.Purposes, edit.Letter) {
			continue
		}
		for _, row := range r.expand(edit.Section) {
			if slices.Contains(edit.Receivers, row.To) {
				out = append(out, row)
			}
		}
	}
	return out, nil
}

// editCell takes a cell out of the rows that speak of it, among others, and
// puts the new rows in its place.
func editCell(file []byte, edit CellEdit) ([]byte, error) {
	root, rows, err := tableNodes(file, edit.Section)
	if err != nil {
		return nil, err
	}
	var kept []*yaml.Node
	at, comment := -1, ""
	for _, n := range rows.Content {
		var r fileRow
		if err := n.Decode(&r); err != nil {
			return nil, &DraftError{Text: fmt.Sprintf("matrix/%s.yaml:%d: this row cannot be read: mend it as a file first", edit.Section, n.Line)}
		}
		isMine := func(to string) bool { return slices.Contains(edit.Receivers, to) }
		if !slices.Contains(r.Purposes, edit.Letter) || !slices.ContainsFunc(r.To, isMine) {
			if comment != "" && n.HeadComment == "" {
				n.HeadComment = comment
			}
			comment = ""
			kept = append(kept, n)
			continue
		}
		mine := slices.DeleteFunc(slices.Clone([]string(r.To)), func(to string) bool { return !isMine(to) })
		rest := slices.DeleteFunc(slices.Clone([]string(r.To)), isMine)
		purposes := slices.DeleteFunc(slices.Clone(r.Purposes), func(p string) bool { return p == edit.Letter })
		switch {
		case len(rest) == 0 && len(purposes) == 0:
			comment = n.HeadComment // it may speak of the rows that follow
		case len(rest) == 0:
			setList(n, "purposes", purposes)
			kept = append(kept, n)
		default:
			setList(n, "to", rest)
			kept = append(kept, n)
			if len(purposes) > 0 {
				apart := cloneNode(n)
				apart.HeadComment = ""
				setList(apart, "to", mine)
				setList(apart, "purposes", purposes)
				kept = append(kept, apart)
			}
		}
		if at < 0 {
			at = len(kept) // behind what is left of the first row that spoke of it
		}
	}
	if at < 0 {
		at = len(kept)
	}
	var fresh []*yaml.Node
	for _, r := range edit.Rows {
		r.Purposes = []string{edit.Letter}
		fresh = append(fresh, rowNode(r))
	}
	rows.Style = 0
	rows.Content = slices.Insert(kept, at, fresh...)
	if len(rows.Content) == 0 {
		rows.Style = yaml.FlowStyle
	}
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, fmt.Errorf("write matrix/%s.yaml: %w", edit.Section, err)
	}
	return out.Bytes(), nil
}

// setList gives a row's key one value, or a list of them.
func setList(row *yaml.Node, key string, values []string) {
	value := child(row, key)
	if value == nil {
		return
	}
	if len(values) == 1 && key == "to" {
		*value = *scalar(values[0])
		return
	}
	fresh := yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, v := range values {
		fresh.Content = append(fresh.Content, scalar(v))
	}
	*value = fresh
}

func cloneNode(n *yaml.Node) *yaml.Node {
	out := *n
	out.Content = nil
	for _, c := range n.Content {
		out.Content = append(out.Content, cloneNode(c))
	}
	return &out
}

// sameTable tells that two files of the matrix say the same of every cell.
func sameTable(a, b []byte) bool {
	cells := func(file []byte) []string {
		var t table
		if yaml.Unmarshal(file, &t) != nil {
			return nil
		}
		var lines []string
		for _, r := range t.Rows {
			for _, row := range r.expand(t.Section) {
				for _, p := range row.Purposes {
					one := row
					one.Purposes = []string{p}
					one.Roles, one.Masks, one.Conditions = sortedSet(one.Roles), sortedSet(one.Masks), sortedSet(one.Conditions)
					line, err := json.Marshal(one)
					if err != nil {
						return nil
					}
					lines = append(lines, string(line))
				}
			}
		}
		slices.Sort(lines)
		return lines
	}
	x, y := cells(a), cells(b)
	return x != nil && slices.Equal(x, y)
}
