package web

import (
	"bytes"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/policy"
)

// gridPage is the matrix: agencies × parts of the record, one purpose at a time.
type gridPage struct {
	Draft    *draftHead // nil: the version in force
	No       int
	Since    time.Time
	Base     string // address of the grid
	Query    gridAsk
	Purposes []pick
	Shows    []pick
	Agencies []pick
	Find     string
	Show     string
	Note     string // what the purpose does beside its rows
	Columns  []gridColumn
	Groups   []gridGroup
	Rows     int
	Panel    *cellPanel
	Changed  []changedCell
	Drafts   []proposedDraft
	Problems []string
	Done     string
	Errors   []formError
	Write    bool
}

type gridColumn struct {
	Kind, Name string
	On         bool // shown on a narrow screen
}

type gridGroup struct {
	Name string
	Rows []gridRow
}

type gridRow struct {
	Name  string
	Cells []gridCell
}

// gridCell is one cell: its level as a word, and what changed.
type gridCell struct {
	ID, Href          string
	Level, Word, Said string // class, what is seen, what is read aloud where a word is short
	Sub               string // "was hidden", "some roles"
	Changed, Current  bool
	On                bool
}

// draftHead is the bar over the pages of a draft.
type draftHead struct {
	ID, Title       string
	No              int
	Since           time.Time
	Changed         int
	Wider, Narrower int
	NoReason        int
	Submitted       bool
	Outdated        bool // another version has come into force since the draft was begun
	Tests           *policy.Tests
	Here            string // which page of the draft is shown
}

// changedCell is one line of what a draft changes, cell by cell.
type changedCell struct {
	Href, Who, Part, Purpose string
	Was, Now                 string
	Mark                     string // words: wider, narrower, other terms
	Class                    string
	Why                      string
}

type proposedDraft struct {
	ID, Title, Agency string
	ChangedAt         time.Time
	Submitted         bool
}

// matrix is what the grid is drawn from: a version, and the one compared with.
type matrix struct {
	version  *policy.Version
	compared *policy.Version // nil: nothing is compared
	cells    map[policy.CellKey][]policy.Row
	was      map[policy.CellKey][]policy.Row
	agencies map[string]identity.Agency
	receives []policy.Kind // columns
}

func newMatrix(version, compared *policy.Version, agencies map[string]identity.Agency) matrix {
	kindOf := func(agency string) string { return agencies[agency].Kind }
	m := matrix{version: version, compared: compared, agencies: agencies, cells: version.Cells(kindOf)}
	if compared != nil {
		m.was = compared.Cells(kindOf)
	}
	for _, k := range version.Kinds {
		if k.Records {
			m.receives = append(m.receives, k)
		}
	}
	return m
}

// receivers are a kind and the agencies of it that have a code of their own.
func (m matrix) receivers(kind string) []string {
	out := []string{kind}
	var single []string
	for code, a := range m.agencies {
		if a.Kind == kind && code != kind {
			single = append(single, code)
		}
	}
	slices.Sort(single)
	return append(out, single...)
}

// change compares a cell with the version in force.
func (m matrix) change(key policy.CellKey) (widens int, changed bool) {
	if m.compared == nil {
		return 0, false
	}
	section, ok := m.version.Section(key.Section)
	if !ok {
		return 0, false
	}
	widens, same := policy.CellChange(section, key.Kind, m.was[key], m.cells[key])
	return widens, !same
}

// letters are the purposes that have rows of their own.
func (m matrix) letters() []string {
	var out []string
	for _, p := range m.version.Purposes {
		if p.Letter == "" && p.Relationship != policy.NoRecords && p.Relationship != policy.ByBreakGlass {
			out = append(out, p.Code)
		}
	}
	return out
}

// gridAsk is the form above the grid.
type gridAsk struct {
	purpose, show, find, agency string
	own                         string // the reader's own kind
}

func (s *Server) gridAsk(r *http.Request, v visit, version *policy.Version, form url.Values) gridAsk {
	if form == nil {
		form = r.URL.Query()
	}
	q := gridAsk{purpose: form.Get("purpose"), show: form.Get("show"), find: strings.TrimSpace(form.Get("find")), agency: form.Get("agency"), own: v.by().Kind}
	if p, ok := version.Purpose(q.purpose); !ok || p.Relationship == policy.NoRecords || p.Relationship == policy.ByBreakGlass {
		q.purpose = ""
		for _, p := range version.Purposes { // the team's own purpose reads another's rows: it is what is looked at most
			if p.Letter != "" {
				q.purpose = p.Code
				break
			}
		}
		if q.purpose == "" && len(version.Purposes) > 0 {
			q.purpose = version.Purposes[0].Code
		}
	}
	if _, kind, ok := cellAt(pathCell(r)); ok && q.agency == "" {
		q.agency = kind // a narrow screen shows the column of the cell that is open
	}
	if k, ok := version.Kind(q.agency); !ok || !k.Records {
		q.agency = v.by().Kind
		if k, ok := version.Kind(q.agency); !ok || !k.Records {
			q.agency = ""
		}
	}
	return q
}

// query writes the choice back into an address, without what is the default.
func (q gridAsk) query() string {
	x := url.Values{"purpose": {q.purpose}}
	for key, value := range map[string]string{"show": q.show, "find": q.find} {
		if value != "" {
			x.Set(key, value)
		}
	}
	return x.Encode()
}

// Purpose and Query are for the templates.
func (q gridAsk) Purpose() string { return q.purpose }

// Query is the choice as an address carries it.
func (q gridAsk) Query() template.URL { return template.URL(q.query()) } // url.Values encoded it

// cellAt reads the address of a cell: part.kind.
func cellAt(text string) (section, kind string, ok bool) {
	i := strings.LastIndexByte(text, '.')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// fillGrid draws the grid for one purpose.
func (s *Server) fillGrid(page *gridPage, m matrix, q gridAsk, current string) {
	letter := m.version.LetterOf(q.purpose)
	purpose, _ := m.version.Purpose(q.purpose)
	if purpose.Letter != "" {
		page.Note = s.words.say("grid.reads", upperFirst(purpose.Name), s.purposeName(m.version, purpose.Letter))
	}
	if purpose.HidesClinical {
		page.Note += " " + s.words.say("grid.clinical")
	}
	for _, p := range m.version.Purposes {
		if p.Relationship != policy.NoRecords && p.Relationship != policy.ByBreakGlass {
			page.Purposes = append(page.Purposes, pick{Value: p.Code, Text: upperFirst(p.Name), Chosen: p.Code == q.purpose})
		}
	}
	shows := []string{"all", "mine", "critical"}
	if page.Draft != nil {
		shows = []string{"all", "changed", "mine", "critical"}
	}
	for _, show := range shows {
		value := show
		if show == "all" {
			value = ""
		}
		page.Shows = append(page.Shows, pick{Value: value, Text: s.words.say("grid.show." + show), Chosen: value == q.show})
	}
	page.Find, page.Show, page.Query = q.find, q.show, q
	for i, k := range m.receives {
		on := k.Code == q.agency || q.agency == "" && i == 0
		page.Columns = append(page.Columns, gridColumn{Kind: k.Code, Name: s.kindName(m.version, k.Code), On: on})
		page.Agencies = append(page.Agencies, pick{Value: k.Code, Text: s.kindName(m.version, k.Code), Chosen: on})
	}
	at := map[string]int{}
	for _, section := range m.version.Sections {
		var row gridRow
		row.Name = upperFirst(section.Name)
		changed := false
		for i := range m.receives {
			cell := s.gridCell(page, m, q, letter, section, page.Columns[i], current)
			changed = changed || cell.Changed
			row.Cells = append(row.Cells, cell)
		}
		if !keepRow(q, section, changed) {
			continue
		}
		group, ok := at[section.Group]
		if !ok {
			group = len(page.Groups)
			at[section.Group] = group
			page.Groups = append(page.Groups, gridGroup{Name: s.words.known("group."+section.Group, upperFirst(section.Group))})
		}
		page.Groups[group].Rows = append(page.Groups[group].Rows, row)
		page.Rows++
	}
}

// keepRow is the filter.
func keepRow(q gridAsk, section policy.Section, changed bool) bool {
	if q.find != "" && !strings.Contains(strings.ToLower(section.Name+" "+section.Code), strings.ToLower(q.find)) {
		return false
	}
	switch q.show {
	case "changed":
		return changed
	case "mine":
		return slices.Contains(section.Owners, q.own)
	case "critical":
		return section.Sensitivity >= 3
	}
	return true
}

func (s *Server) gridCell(page *gridPage, m matrix, q gridAsk, letter string, section policy.Section, column gridColumn, current string) gridCell {
	key := policy.CellKey{Section: section.Code, Kind: column.Kind, Letter: letter}
	rows := m.cells[key]
	standing := policy.StandingOf(section, column.Kind, rows)
	id := section.Code + "." + column.Kind
	c := gridCell{ID: id, Href: page.Base + "/cells/" + id + "?" + q.query() + "#cell", Level: standing.Level, Word: s.words.say("level.word." + standing.Level),
		Said: s.words.known("level.said."+standing.Level, ""), Current: id == current, On: column.On}
	switch {
	case standing.Limited:
		c.Sub = s.words.say("grid.limited")
	case standing.More:
		c.Sub = s.words.say("grid.more")
	}
	if _, changed := m.change(key); changed {
		c.Changed = true
		was := policy.StandingOf(section, column.Kind, m.was[key])
		c.Sub = s.words.say("grid.was", s.words.say("level.was."+was.Level))
		if was.Level == standing.Level {
			c.Sub = s.words.say("grid.terms")
		}
	}
	return c
}

// changedCells lists every cell that a draft changes, whatever the purpose shown.
func (s *Server) changedCells(base string, m matrix) (list []changedCell, wider, narrower int) {
	for _, letter := range m.letters() {
		for _, section := range m.version.Sections {
			for _, kind := range m.receives {
				key := policy.CellKey{Section: section.Code, Kind: kind.Code, Letter: letter}
				widens, changed := m.change(key)
				if !changed {
					continue
				}
				c := changedCell{Who: s.kindName(m.version, kind.Code), Part: upperFirst(section.Name), Purpose: s.purposeName(m.version, letter),
					Href: base + "/cells/" + section.Code + "." + kind.Code + "?" + gridAsk{purpose: letter}.query() + "#cell",
					Was:  s.words.say("level.was." + policy.StandingOf(section, kind.Code, m.was[key]).Level),
					Now:  s.words.say("level.was." + policy.StandingOf(section, kind.Code, m.cells[key]).Level)}
				for _, r := range m.cells[key] {
					if r.Why != "" {
						c.Why = r.Why
					}
				}
				c.Class, c.Mark = s.mark(widens)
				switch {
				case widens > 0:
					wider++
				case widens < 0:
					narrower++
				}
				list = append(list, c)
			}
		}
	}
	return list, wider, narrower
}

func (s *Server) mark(widens int) (class, words string) {
	class = map[int]string{1: "wider", 0: "terms", -1: "narrower"}[widens]
	return class, s.words.say("mark." + class)
}

// showMatrix is the matrix in force, to be read.
func (s *Server) showMatrix(w http.ResponseWriter, r *http.Request, v visit) error {
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	page := &gridPage{No: now.No, Since: now.Since, Base: "/policy", Done: s.noticeOf(r), Write: mayWrite(v)}
	m := newMatrix(now.Version, nil, s.agencies(r.Context()))
	q := s.gridAsk(r, v, now.Version, nil)
	cell := pathCell(r)
	s.fillGrid(page, m, q, cell)
	if cell != "" {
		if page.Panel, err = s.panel(r, v, m, q, cell, uuid.Nil, ""); err != nil {
			return err
		}
	}
	receipt, err := s.tellUse(r, v, m, page.Panel)
	if err != nil {
		return err
	}
	drafts, err := s.Office.Drafts(r.Context(), v.by())
	if err != nil {
		return s.officeFault(err)
	}
	page.Drafts = s.proposedDrafts(drafts, s.agencies(r.Context()))
	return s.write(w, v, http.StatusOK, "policygrid", sheet{Title: s.words.say("grid.title"), Page: page, Nav: "policy", Receipt: receipt})
}

// showDraft is a draft's matrix against the one in force, and one of its cells.
func (s *Server) showDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.draftPage(w, r, v, http.StatusOK, nil, nil)
}

// draftPage draws a draft's grid. Where a change of a cell was refused, typed is
// what the form held and wrong says why.
func (s *Server) draftPage(w http.ResponseWriter, r *http.Request, v visit, status int, typed *cellForm, wrong []formError) error {
	id, err := pathUUID(r, "draft")
	if err != nil {
		return s.officeFault(err)
	}
	d, err := s.Office.Draft(r.Context(), v.by(), id)
	if err != nil {
		return s.officeFault(err)
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	page := &gridPage{No: now.No, Since: now.Since, Base: "/policy/drafts/" + id.String(), Done: s.noticeOf(r), Write: mayWrite(v) && !d.Submitted, Errors: wrong}
	head := s.draftHead(d, now)
	page.Draft = &head
	title := s.words.say("draft.title", d.Title)
	if len(wrong) > 0 {
		title = s.words.say("form.error-title", title)
	}
	version, err := d.Load()
	var broken *policy.LoadError
	if errors.As(err, &broken) {
		for _, p := range broken.Problems {
			page.Problems = append(page.Problems, p.String())
		}
		return s.write(w, v, http.StatusOK, "policygrid", sheet{Title: title, Page: page, Nav: "policy"})
	}
	if err != nil {
		return s.officeFault(err)
	}
	m := newMatrix(version, now.Version, s.agencies(r.Context()))
	var form url.Values
	if typed != nil {
		form = r.PostForm
	}
	q := s.gridAsk(r, v, version, form)
	cell := pathCell(r)
	s.fillGrid(page, m, q, cell)
	s.countChanges(page, m)
	if cell != "" {
		if page.Panel, err = s.panel(r, v, m, q, cell, id, r.URL.Query().Get("rule")); err != nil {
			return err
		}
		page.Panel.Edit = page.Panel.Edit && page.Write
		if typed != nil {
			page.Panel.keep(typed)
		}
		title = s.words.say("cell.title", page.Panel.Part, page.Panel.Who, title)
	}
	receipt, err := s.tellUse(r, v, m, page.Panel)
	if err != nil {
		return err
	}
	return s.write(w, v, status, "policygrid", sheet{Title: title, Page: page, Nav: "policy", Receipt: receipt})
}

func (s *Server) countChanges(page *gridPage, m matrix) {
	page.Changed, page.Draft.Wider, page.Draft.Narrower = s.changedCells(page.Base, m)
	page.Draft.Changed = len(page.Changed)
	for _, c := range page.Changed {
		if c.Why == "" && c.Class != "narrower" {
			page.Draft.NoReason++
		}
	}
}

func (s *Server) draftHead(d policy.Draft, now inForce) draftHead {
	head := draftHead{ID: d.ID.String(), Title: d.Title, No: now.No, Since: now.Since, Submitted: d.Submitted, Outdated: d.BasedOn != now.Digest}
	if made, ok := s.made.get(reportKey{d.ID, d.Revision, now.Digest}, s.Now()); ok {
		head.Tests = &made.report.Tests[1]
	}
	return head
}

// fragment draws a part of the grid's page for the script that replaces it.
func (s *Server) fragment(name string, of any) (string, error) {
	var out bytes.Buffer
	if err := s.pages["policygrid"].ExecuteTemplate(&out, name, of); err != nil {
		return "", err
	}
	return out.String(), nil
}
