package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/policy"
)

// cellPanel is one cell beside the grid: what it says, why, and the form.
type cellPanel struct {
	ID, Action       string
	Part, Who, Lower string
	Purpose          string
	Query            gridAsk
	Was, Now         string // "" Was: nothing is compared
	Class, Mark      string
	Edit             bool
	Never            string // why it cannot be changed
	Seen             string
	Rules            []ruleLine // where there are several, or the version is read
	Rule             string     // which is in the form: a number, or new
	Levels           []pick
	To               []pick // where single agencies of the kind can be named
	Roles            []pick
	Masks            []pick
	Conditions       []pick
	Clauses          []pick
	From, Until, Why string
	Clause           *clauseLine
	Owners           []string
	Row, Column      string // of the grid, as the form for several cells names them
	Use              *cellUse
	Needs            string
	Back             string
	Theirs           []ruleLine // what somebody else saved meanwhile
	Open             bool       // the details
}

// ruleLine is a row of the matrix in words.
type ruleLine struct {
	No, Href                string
	Level                   string
	For, Roles, On, Without string
	Dates                   string
	Why                     string
	Clause                  *clauseLine
	Chosen                  bool
}

type clauseLine struct {
	Href, Ref, Text string
	Until           string
}

// cellForm is what an officer typed.
type cellForm struct {
	row    policy.Row
	rule   string
	seen   string
	theirs []ruleLine
}

func pathCell(r *http.Request) string { return chi.URLParam(r, "cell") }

// panel describes one cell. draft is zero for the version in force.
func (s *Server) panel(r *http.Request, v visit, m matrix, q gridAsk, cell string, draft uuid.UUID, rule string) (*cellPanel, error) {
	code, kind, ok := cellAt(cell)
	section, known := m.version.Section(code)
	if k, found := m.version.Kind(kind); !ok || !known || !found || !k.Records {
		return nil, &fault{status: http.StatusNotFound, key: "error.no-draft"}
	}
	letter := m.version.LetterOf(q.purpose)
	key := policy.CellKey{Section: code, Kind: kind, Letter: letter}
	rows := m.cells[key]
	standing := policy.StandingOf(section, kind, rows)
	base := "/policy"
	if draft != uuid.Nil {
		base = "/policy/drafts/" + draft.String()
	}
	p := &cellPanel{ID: cell, Action: base + "/cells/" + cell, Part: upperFirst(section.Name), Who: s.kindName(m.version, kind), Lower: lowerName(s.kindName(m.version, kind)), Purpose: s.purposeName(m.version, letter),
		Query: q, Now: s.words.say("level.was." + standing.Level), Seen: policy.Fingerprint(rows), Back: base + "?" + q.query() + "&agency=" + kind, Row: "row." + code, Column: "column." + kind}
	if widens, changed := m.change(key); changed {
		p.Was = s.words.say("level.was." + policy.StandingOf(section, kind, m.was[key]).Level)
		p.Class, p.Mark = s.mark(widens)
	}
	for _, owner := range section.Owners {
		p.Owners = append(p.Owners, s.kindName(m.version, owner))
	}
	if len(p.Owners) == 0 {
		p.Owners = []string{s.words.say("cell.whoever")}
	}
	switch {
	case standing.Level == "never" || section.Never && !slices.Contains(section.Owners, kind):
		p.Never = s.words.known("never."+code, s.words.say("cell.never"))
	case standing.Level == "own":
		p.Never = s.words.say("cell.own")
	default:
		p.Edit = draft != uuid.Nil
		p.Needs = s.words.say("cell.needs", joinWords(p.Owners))
	}
	lines := s.ruleLines(m, section, kind, rows)
	row := policy.Row{To: kind, Level: policy.Hidden.String()}
	p.Rule = "new"
	if len(rows) > 0 {
		p.Rule = "1"
		if n, err := strconv.Atoi(rule); err == nil && n >= 1 && n <= len(rows) {
			p.Rule = rule
		}
		n, _ := strconv.Atoi(p.Rule)
		row = rows[n-1]
		if rule == "new" {
			p.Rule, row = "new", policy.Row{To: kind, Level: "summary"}
		}
	}
	for i := range lines {
		lines[i].No = strconv.Itoa(i + 1)
		lines[i].Href = p.Action + "?" + q.query() + "&rule=" + lines[i].No + "#cell"
		lines[i].Chosen = lines[i].No == p.Rule
	}
	if len(lines) > 1 || !p.Edit {
		p.Rules = lines
	}
	s.fillForm(p, m, section, kind, letter, row)
	return p, nil
}

// fillForm puts a row into the panel's form.
func (s *Server) fillForm(p *cellPanel, m matrix, section policy.Section, kind, letter string, row policy.Row) {
	was := ""
	if m.compared != nil {
		was = policy.StandingOf(section, kind, m.was[policy.CellKey{Section: section.Code, Kind: kind, Letter: letter}]).Level
	}
	for _, level := range []string{"full", "summary", "existence", "grant", "hidden"} {
		if section.Never || level == "summary" && !slices.ContainsFunc(section.Fields, func(f policy.Field) bool { return f.Summary }) {
			continue
		}
		o := pick{Value: level, Text: s.words.say("level.choice." + level), Chosen: row.Level == level}
		if level == was {
			o.Hint = s.words.say("cell.in-force")
		}
		p.Levels = append(p.Levels, o)
	}
	if single := m.receivers(kind); len(single) > 1 {
		p.To = append(p.To, pick{Value: kind, Text: s.words.say("cell.all-of-kind"), Chosen: row.To == kind})
		for _, code := range single[1:] {
			p.To = append(p.To, pick{Value: code, Text: m.agencies[code].Name, Chosen: row.To == code})
		}
	}
	purpose, _ := m.version.Purpose(letter)
	for _, role := range m.version.Roles {
		if role.Records && slices.Contains(role.Kinds, kind) && slices.Contains(purpose.Roles, role.Code) {
			p.Roles = append(p.Roles, pick{Value: role.Code, Text: upperFirst(s.words.known("role."+role.Code, role.Name)), Chosen: slices.Contains(row.Roles, role.Code)})
		}
	}
	for _, f := range section.Fields {
		p.Masks = append(p.Masks, pick{Value: f.Name, Text: upperFirst(f.Label), Chosen: slices.Contains(row.Masks, f.Name)})
	}
	for _, c := range policy.Conditions() {
		p.Conditions = append(p.Conditions, pick{Value: c.Code, Text: upperFirst(s.words.known("condition."+c.Code, c.Meaning)), Chosen: slices.Contains(row.Conditions, c.Code)})
	}
	likely := row.Clause
	for i, c := range m.version.ClausesFor(section.Code, kind, letter) {
		if likely == "" && i == 0 {
			likely = c.Ref()
		}
		p.Clauses = append(p.Clauses, pick{Value: c.Ref(), Text: s.words.say("cell.clause", c.Clause.No, c.Agreement.Title, c.Clause.Text), Chosen: c.Ref() == likely})
	}
	p.From, p.Until, p.Why = row.From, row.Until, row.Why
	p.Clause = s.clauseLine(m.version, row.Clause)
	p.Open = len(row.Roles)+len(row.Masks)+len(row.Conditions) > 0 || row.From+row.Until != ""
}

// keep shows again what was typed after a refusal.
func (p *cellPanel) keep(f *cellForm) {
	choose := func(list []pick, values ...string) {
		for i := range list {
			list[i].Chosen = slices.Contains(values, list[i].Value)
		}
	}
	choose(p.Levels, f.row.Level)
	choose(p.To, f.row.To)
	choose(p.Roles, f.row.Roles...)
	choose(p.Masks, f.row.Masks...)
	choose(p.Conditions, f.row.Conditions...)
	choose(p.Clauses, f.row.Clause)
	p.From, p.Until, p.Why, p.Rule, p.Theirs = f.row.From, f.row.Until, f.row.Why, f.rule, f.theirs
	p.Open = p.Open || len(f.row.Roles)+len(f.row.Masks)+len(f.row.Conditions) > 0
}

// ruleLines say the rows of a cell in words.
func (s *Server) ruleLines(m matrix, section policy.Section, kind string, rows []policy.Row) []ruleLine {
	var out []ruleLine
	for _, r := range rows {
		line := ruleLine{Level: s.words.say("level.choice." + r.Level), Why: r.Why, Clause: s.clauseLine(m.version, r.Clause), For: s.words.say("cell.all-of-kind")}
		if r.To != kind {
			line.For = m.agencies[r.To].Name
		}
		var roles, conditions, masks []string
		for _, code := range r.Roles {
			roles = append(roles, s.words.known("role."+code, code))
		}
		for _, code := range r.Conditions {
			conditions = append(conditions, s.words.known("condition."+code, code))
		}
		for _, name := range r.Masks {
			if i := slices.IndexFunc(section.Fields, func(f policy.Field) bool { return f.Name == name }); i >= 0 {
				name = section.Fields[i].Label
			}
			masks = append(masks, name)
		}
		line.Roles, line.On, line.Without = joinWords(roles), joinWords(conditions), joinWords(masks)
		switch {
		case r.From != "" && r.Until != "":
			line.Dates = s.words.say("cell.from-until", longDay(r.From), longDay(r.Until))
		case r.From != "":
			line.Dates = s.words.say("cell.from", longDay(r.From))
		case r.Until != "":
			line.Dates = s.words.say("cell.until", longDay(r.Until))
		}
		out = append(out, line)
	}
	return out
}

func (s *Server) clauseLine(v *policy.Version, ref string) *clauseLine {
	id, no, ok := strings.Cut(ref, " ")
	text, known := v.Agreement(id)
	if !ok || !known {
		return nil
	}
	line := &clauseLine{Href: "/agreements/" + id, Ref: s.words.say("cell.clause-of", no, text.Title), Until: longDay(text.End)}
	for _, c := range text.Clauses {
		if c.No == no {
			line.Text = c.Text
		}
	}
	return line
}

// saveCell changes one cell of a draft.
func (s *Server) saveCell(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "draft")
	if err != nil {
		return s.officeFault(err)
	}
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	d, err := s.Office.Draft(r.Context(), v.by(), id)
	if err != nil {
		return s.officeFault(err)
	}
	version, err := d.Load()
	if err != nil {
		return s.draftPage(w, r, v, http.StatusConflict, nil, nil) // it shows what must be mended first
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	m := newMatrix(version, now.Version, s.agencies(r.Context()))
	q := s.gridAsk(r, v, version, r.PostForm)
	code, kind, ok := cellAt(pathCell(r))
	section, known := version.Section(code)
	if !ok || !known {
		return s.officeFault(policy.ErrUnknown)
	}
	key := policy.CellKey{Section: code, Kind: kind, Letter: version.LetterOf(q.purpose)}
	edit := policy.CellEdit{Section: code, Letter: key.Letter, Receivers: m.receivers(kind), Seen: r.PostForm.Get("seen"), Restore: r.PostForm.Get("do") == "restore"}
	rows := m.cells[key]
	form := s.cellForm(r, kind, section)
	quick := r.PostForm.Get("quick") != ""
	if quick { // a key in the grid: one level for the cell as it is seen
		edit.Seen = policy.Fingerprint(rows)
		if len(rows) > 1 && !edit.Restore || policy.StandingOf(section, kind, rows).Level != r.PostForm.Get("was") {
			return s.quickAnswer(w, http.StatusConflict, map[string]string{"said": s.words.say("grid.open-it")})
		}
		if len(rows) == 1 {
			level := form.row.Level
			form.row = rows[0]
			form.row.Level = level
		}
		if cl := version.ClausesFor(code, kind, key.Letter); form.row.Clause == "" && len(cl) > 0 {
			form.row.Clause = cl[0].Ref()
		}
		form.rule = "1"
	}
	edit.Rows = replaced(rows, form)
	if wrong := s.checkCell(form, edit, quick); len(wrong) > 0 {
		return s.draftPage(w, r, v, http.StatusBadRequest, form, wrong)
	}
	if edit.Seen != policy.Fingerprint(rows) {
		return s.cellConflict(w, r, v, m, section, kind, form, rows)
	}
	_, _, err = s.Office.SetCell(r.Context(), v.by(), v.request, id, edit)
	var conflict *policy.CellConflict
	var draft *policy.DraftError
	switch {
	case errors.As(err, &conflict):
		return s.cellConflict(w, r, v, m, section, kind, form, conflict.Rows)
	case errors.As(err, &draft) && quick:
		return s.quickAnswer(w, http.StatusUnprocessableEntity, map[string]string{"said": draft.Text})
	case errors.As(err, &draft):
		var wrong []formError
		for _, line := range plainLines(draft.Text) {
			wrong = append(wrong, formError{"level", upperFirst(line)})
		}
		return s.draftPage(w, r, v, http.StatusUnprocessableEntity, form, wrong)
	case err != nil:
		return s.officeFault(err)
	}
	if quick {
		return s.quickDone(w, r, v, id)
	}
	done := "saved"
	if edit.Restore {
		done = "restored"
	}
	http.Redirect(w, r, "/policy/drafts/"+id.String()+"/cells/"+pathCell(r)+"?"+q.query()+"&done="+done+"#cell", http.StatusSeeOther)
	return nil
}

func (s *Server) cellForm(r *http.Request, kind string, section policy.Section) *cellForm {
	f := r.PostForm
	to := f.Get("to")
	if to == "" {
		to = kind
	}
	form := &cellForm{rule: f.Get("rule"), seen: f.Get("seen"), row: policy.Row{
		Section: section.Code, To: to, Level: f.Get("level"), Roles: f["role"], Masks: f["mask"], Conditions: f["condition"], Clause: f.Get("clause"),
		From: typedDay(f.Get("from")), Until: typedDay(f.Get("until")), Why: strings.Join(strings.Fields(f.Get("why")), " "),
	}}
	return form
}

// replaced puts the row of the form among the rows of its cell. A row that is
// hidden carries nothing but its reason, and stands alone.
func replaced(rows []policy.Row, f *cellForm) []policy.Row {
	row := f.row
	switch row.Level {
	case "hidden":
		row = policy.Row{Section: row.Section, To: row.To, Level: row.Level, Why: row.Why}
	case "existence":
		row.Masks = nil
	}
	out := slices.Clone(rows)
	n, err := strconv.Atoi(f.rule)
	switch {
	case err == nil && n >= 1 && n <= len(out):
		if row.Level == "hidden" && len(out) > 1 {
			return slices.Delete(out, n-1, n)
		}
		out[n-1] = row
	default:
		out = slices.DeleteFunc(out, func(r policy.Row) bool { return r.Level == "hidden" })
		out = append(out, row)
	}
	return out
}

func (s *Server) checkCell(f *cellForm, edit policy.CellEdit, quick bool) []formError {
	var wrong []formError
	if edit.Restore {
		return nil
	}
	if !slices.Contains([]string{"full", "summary", "existence", "grant", "hidden"}, f.row.Level) {
		wrong = append(wrong, formError{"level", s.words.say("cell.error-level")})
	}
	if !slices.Contains(edit.Receivers, f.row.To) {
		wrong = append(wrong, formError{"to", s.words.say("cell.error-to")})
	}
	if f.row.Why == "" && !quick {
		wrong = append(wrong, formError{"why", s.words.say("cell.error-why")})
	}
	if utf8.RuneCountInString(f.row.Why) > reasonMost || !utf8.ValidString(f.row.Why) || strings.ContainsRune(f.row.Why, 0) {
		wrong = append(wrong, formError{"why", s.words.say("purpose.error-long", reasonMost)})
	}
	for name, day := range map[string]string{"from": f.row.From, "until": f.row.Until} {
		if _, err := time.Parse(time.DateOnly, day); day != "" && err != nil {
			wrong = append(wrong, formError{name, s.words.say("cell.error-day")})
		}
	}
	return wrong
}

// cellConflict shows what somebody else saved beside what was typed, and keeps both.
func (s *Server) cellConflict(w http.ResponseWriter, r *http.Request, v visit, m matrix, section policy.Section, kind string, form *cellForm, theirs []policy.Row) error {
	if r.PostForm.Get("quick") != "" {
		return s.quickAnswer(w, http.StatusConflict, map[string]string{"said": s.words.say("grid.conflict")})
	}
	form.theirs = s.ruleLines(m, section, kind, theirs)
	if len(form.theirs) == 0 {
		form.theirs = []ruleLine{{Level: s.words.say("level.choice.hidden")}}
	}
	return s.draftPage(w, r, v, http.StatusConflict, form, []formError{{"level", s.words.say("cell.error-conflict")}})
}

func (s *Server) quickAnswer(w http.ResponseWriter, status int, answer any) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
	return nil
}

// quickDone answers the grid's script: the cell as it stands now, the bar, and
// one sentence to be read aloud.
func (s *Server) quickDone(w http.ResponseWriter, r *http.Request, v visit, id uuid.UUID) error {
	d, err := s.Office.Draft(r.Context(), v.by(), id)
	if err != nil {
		return s.officeFault(err)
	}
	now, err := s.active(r.Context(), v)
	if err != nil {
		return s.officeFault(err)
	}
	version, err := d.Load()
	if err != nil {
		return err
	}
	head := s.draftHead(d, now)
	page := &gridPage{Draft: &head, Base: "/policy/drafts/" + id.String()}
	m := newMatrix(version, now.Version, s.agencies(r.Context()))
	q := s.gridAsk(r, v, version, r.PostForm)
	s.countChanges(page, m)
	code, kind, _ := cellAt(pathCell(r))
	section, _ := version.Section(code)
	column := gridColumn{Kind: kind, Name: s.kindName(version, kind)}
	cell := s.gridCell(page, m, q, version.LetterOf(q.purpose), section, column, "")
	key := policy.CellKey{Section: code, Kind: kind, Letter: version.LetterOf(q.purpose)}
	said := s.words.say("grid.said-same", column.Name, upperFirst(section.Name), s.words.say("level.was."+cell.Level))
	if widens, changed := m.change(key); changed {
		_, mark := s.mark(widens)
		was := s.words.say("level.was." + policy.StandingOf(section, kind, m.was[key]).Level)
		said = s.words.say("grid.said", column.Name, upperFirst(section.Name), s.words.say("level.was."+cell.Level), was, mark)
	}
	drawn, err := s.fragment("gridcell", cell)
	if err != nil {
		return err
	}
	bar, err := s.fragment("draftbar", page.Draft)
	if err != nil {
		return err
	}
	list, err := s.fragment("draftlist", page)
	if err != nil {
		return err
	}
	return s.quickAnswer(w, http.StatusOK, map[string]string{"cell": drawn, "bar": bar, "list": list, "said": said})
}

// lowerName writes a name in the middle of a sentence; abbreviations stay.
func lowerName(name string) string {
	if len(name) > 1 && name[1] >= 'a' && name[1] <= 'z' {
		return strings.ToLower(name[:1]) + name[1:]
	}
	return name
}
