package web

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"kith/internal/policy"
)

// severalPage changes a whole row or column of the grid: what would change is
// listed, cell by cell, before it is saved.
type severalPage struct {
	Draft    *draftHead
	Base     string
	Query    gridAsk
	Purposes []pick
	Rows     []pick // parts of the record, as row.CODE
	Columns  []pick // kinds of agencies, as column.CODE
	Levels   []pick
	Typed    severalForm
	Heading  string // of the list
	Listed   bool
	Cells    []severalCell
	Left     []severalCell
	Seen     string // what the cells hold, so that nothing is overwritten unseen
	Errors   []formError
}

// severalForm is what an officer typed.
type severalForm struct {
	Which, Level, Why string
	cells             []string
}

// severalCell is one cell of the list: what it says and would say, or why it stays.
type severalCell struct {
	ID, Part, Who string
	Was, Now      string
	Class, Mark   string
	Stays         string
	Chosen        bool
	edit          policy.CellEdit
}

func severalLevels() []string { return []string{"full", "summary", "existence", "grant", "hidden"} }

func (s *Server) askSeveral(w http.ResponseWriter, r *http.Request, v visit) error {
	page, _, err := s.severalPage(r, v, severalForm{Which: r.URL.Query().Get("which")})
	if err != nil {
		return err
	}
	return s.writeSeveral(w, v, http.StatusOK, page)
}

// saveSeveral lists what would change, and saves it with the second press.
func (s *Server) saveSeveral(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	f := severalForm{Which: r.PostForm.Get("which"), Level: r.PostForm.Get("level"), Why: strings.Join(strings.Fields(r.PostForm.Get("why")), " "), cells: r.PostForm["cell"]}
	page, id, err := s.severalPage(r, v, f)
	if err != nil {
		return err
	}
	do := r.PostForm.Get("do")
	if do == "again" {
		page.Listed = false
		return s.writeSeveral(w, v, http.StatusOK, page)
	}
	if page.Errors = s.checkSeveral(f, page); len(page.Errors) > 0 {
		page.Listed = false
		return s.writeSeveral(w, v, http.StatusBadRequest, page)
	}
	if do != "save" {
		return s.writeSeveral(w, v, http.StatusOK, page)
	}
	if r.PostForm.Get("seen") != page.Seen {
		page.Errors = []formError{{"cells", s.words.say("several.error-changed")}}
		return s.writeSeveral(w, v, http.StatusConflict, page)
	}
	var edits []policy.CellEdit
	for i, c := range page.Cells {
		page.Cells[i].Chosen = slices.Contains(f.cells, c.ID)
		if page.Cells[i].Chosen {
			edits = append(edits, c.edit)
		}
	}
	if len(edits) == 0 {
		page.Errors = []formError{{"cells", s.words.say("several.error-none")}}
		return s.writeSeveral(w, v, http.StatusBadRequest, page)
	}
	_, _, err = s.Office.SetCells(r.Context(), v.by(), v.request, id, edits)
	var conflict *policy.CellConflict
	var draft *policy.DraftError
	switch {
	case errors.As(err, &conflict):
		page.Errors = []formError{{"cells", s.words.say("several.error-changed")}}
		return s.writeSeveral(w, v, http.StatusConflict, page)
	case errors.As(err, &draft):
		for _, line := range plainLines(draft.Text) {
			page.Errors = append(page.Errors, formError{"cells", upperFirst(line)})
		}
		return s.writeSeveral(w, v, http.StatusUnprocessableEntity, page)
	case err != nil:
		return s.officeFault(err)
	}
	http.Redirect(w, r, page.Base+"?"+gridAsk{purpose: page.Query.purpose, show: "changed"}.query()+"&done=several", http.StatusSeeOther)
	return nil
}

func (s *Server) writeSeveral(w http.ResponseWriter, v visit, status int, page *severalPage) error {
	title := s.words.say("several.title")
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "policyseveral", sheet{Title: title, Page: page, Nav: "policy"})
}

func (s *Server) severalPage(r *http.Request, v visit, f severalForm) (*severalPage, uuid.UUID, error) {
	id, err := pathUUID(r, "draft")
	if err != nil {
		return nil, id, s.officeFault(err)
	}
	d, err := s.Office.Draft(r.Context(), v.by(), id)
	if err != nil {
		return nil, id, s.officeFault(err)
	}
	switch {
	case !mayWrite(v):
		return nil, id, s.officeFault(policy.ErrNotOfficer)
	case d.Submitted:
		return nil, id, s.officeFault(policy.ErrClosed)
	}
	version, err := d.Load()
	if err != nil {
		return nil, id, s.officeFault(&policy.DraftError{Text: err.Error()})
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return nil, id, s.officeFault(err)
	}
	head := s.draftHead(d, now)
	agencies := s.agencies(r.Context())
	s.countDraft(&head, d, now, agencies)
	m := newMatrix(version, now.Version, agencies)
	page := &severalPage{Draft: &head, Base: "/policy/drafts/" + id.String(), Query: s.gridAsk(r, v, version, r.Form), Typed: f, Listed: f.Level != ""}
	for _, p := range version.Purposes {
		if p.Letter == "" && p.Relationship != policy.NoRecords && p.Relationship != policy.ByBreakGlass {
			page.Purposes = append(page.Purposes, pick{Value: p.Code, Text: upperFirst(p.Name), Chosen: p.Code == version.LetterOf(page.Query.purpose)})
		}
	}
	for _, x := range version.Sections {
		page.Rows = append(page.Rows, pick{Value: "row." + x.Code, Text: upperFirst(x.Name), Chosen: f.Which == "row."+x.Code})
	}
	for _, k := range m.receives {
		page.Columns = append(page.Columns, pick{Value: "column." + k.Code, Text: s.kindName(version, k.Code), Chosen: f.Which == "column."+k.Code})
	}
	for _, level := range severalLevels() {
		page.Levels = append(page.Levels, pick{Value: level, Text: s.words.say("level.choice." + level), Chosen: level == f.Level})
	}
	if slices.Contains(severalLevels(), f.Level) {
		s.listSeveral(page, m)
	}
	return page, id, nil
}

func (s *Server) checkSeveral(f severalForm, page *severalPage) []formError {
	var wrong []formError
	chosen := func(p pick) bool { return p.Chosen }
	if !slices.ContainsFunc(page.Rows, chosen) && !slices.ContainsFunc(page.Columns, chosen) {
		wrong = append(wrong, formError{"which", s.words.say("several.error-which")})
	}
	if !slices.Contains(severalLevels(), f.Level) {
		wrong = append(wrong, formError{"level", s.words.say("cell.error-level")})
	}
	switch {
	case f.Why == "":
		wrong = append(wrong, formError{"why", s.words.say("cell.error-why")})
	case utf8.RuneCountInString(f.Why) > reasonMost || !utf8.ValidString(f.Why) || strings.ContainsRune(f.Why, 0):
		wrong = append(wrong, formError{"why", s.words.say("purpose.error-long", reasonMost)})
	}
	return wrong
}

// listSeveral looks at each cell of the row or column.
func (s *Server) listSeveral(page *severalPage, m matrix) {
	what, code, _ := strings.Cut(page.Typed.Which, ".")
	letter := m.version.LetterOf(page.Query.purpose)
	all := sha256.New()
	for _, section := range m.version.Sections {
		for _, kind := range m.receives {
			if what == "row" && section.Code != code || what == "column" && kind.Code != code || what != "row" && what != "column" {
				continue
			}
			rows := m.cells[policy.CellKey{Section: section.Code, Kind: kind.Code, Letter: letter}]
			all.Write([]byte(section.Code + "\x00" + kind.Code + "\x00" + policy.Fingerprint(rows) + "\n"))
			c := s.severalCell(m, section, kind.Code, letter, rows, page.Typed)
			page.Heading = c.Part
			if what == "column" {
				page.Heading = c.Who
			}
			if c.Stays != "" {
				page.Left = append(page.Left, c)
			} else {
				page.Cells = append(page.Cells, c)
			}
		}
	}
	page.Seen = hex.EncodeToString(all.Sum(nil)[:12])
}

// severalCell is what one level would do to a cell. Roles, masks, conditions and
// dates of its rule stay; a cell with several rules is changed by itself.
func (s *Server) severalCell(m matrix, section policy.Section, kind, letter string, rows []policy.Row, f severalForm) severalCell {
	standing := policy.StandingOf(section, kind, rows)
	c := severalCell{ID: section.Code + "." + kind, Part: upperFirst(section.Name), Who: s.kindName(m.version, kind), Was: s.words.say("level.was." + standing.Level), Chosen: true}
	row := policy.Row{Section: section.Code, To: kind}
	if len(rows) > 0 {
		row = rows[0]
	}
	same := row.Level == f.Level || len(rows) == 0 && f.Level == policy.Hidden.String()
	row.Level, row.Why = f.Level, f.Why
	if clauses := m.version.ClausesFor(section.Code, kind, letter); row.Clause == "" && len(clauses) > 0 {
		row.Clause = clauses[0].Ref()
	}
	switch {
	case standing.Level == "own":
		c.Stays = s.words.say("several.own")
	case standing.Level == "never" || section.Never:
		c.Stays = s.words.say("several.never")
	case len(rows) > 1:
		c.Stays = s.words.say("several.rules")
	case same:
		c.Stays = s.words.say("several.same")
	case f.Level == policy.Summary.String() && !slices.ContainsFunc(section.Fields, func(x policy.Field) bool { return x.Summary }):
		c.Stays = s.words.say("several.no-summary")
	case row.Clause == "" && f.Level != policy.Hidden.String():
		c.Stays = s.words.say("several.no-clause")
	}
	if c.Stays != "" {
		return c
	}
	after := replaced(rows, &cellForm{row: row, rule: "1"})
	widens, _ := policy.CellChange(section, kind, rows, after)
	c.Now = s.words.say("level.was." + policy.StandingOf(section, kind, after).Level)
	c.Class, c.Mark = s.mark(widens)
	c.edit = policy.CellEdit{Section: section.Code, Letter: letter, Receivers: m.receivers(kind), Seen: policy.Fingerprint(rows), Rows: after}
	return c
}
