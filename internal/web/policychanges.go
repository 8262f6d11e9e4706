package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/policy"
)

// reportView is a change report as pictures and words.
type reportView struct {
	Total, Gains, Losses, Terms int
	Questions, Answers          string
	Bars                        barChart
	Flips                       flipTable
	Lines                       []changeLine // what the author wrote
	Follows                     []changeLine // what follows from it
	Rules, Refused              []string
	Before, After               testLine
	Passed                      bool
	Failures                    []failureLine
	Needs                       []needLine
	Examples                    []exampleLine
	Effect                      *effectView // of a proposal
	Base                        string      // address of the draft, to mend a file; "" none
	Made                        time.Time
}

// testLine is how one version's stories and tests came out.
type testLine struct{ Stories, Questions, Tests, Failed int }

type failureLine struct{ File, Name, Problem, Href string }

// changeLine is one change in words.
type changeLine struct {
	Who, Part, Purposes string
	Class, Mark         string // gain, loss, terms
	Before, After       string
	Fields              string
	Only                string // situations
	Words               string
	Approve             []string
}

// needLine is one approval that is needed: waiting, approved, refused or void.
type needLine struct {
	Who    string
	State  string // waiting, approved, refused, void
	By     string
	When   time.Time
	Why    string
	Opens  []string // what of theirs
	Mine   bool
	Anyone bool
}

// exampleLine is one question of a story that the two versions answer otherwise.
type exampleLine struct {
	Title, Who, Purpose string
	Refused             [2]string
	Entries             []triedLine
	Href                string
}

// barChart has a row for each receiver: what it loses to the left of the line,
// what it gains to the right.
type barChart struct {
	Rows          []bar
	Width, Height int
	Middle        int
	Desc          string
}

type bar struct {
	Who              string
	Less, More       int
	LessSaid         string // as it may be told
	MoreSaid         string
	Y, TextY         int
	LessX, LessWidth int
	MoreWidth        int
	LessTextX        int
	MoreTextX        int
}

// flipTable counts changes from level to level.
type flipTable struct {
	Heads []string
	Rows  []flipRow
}

type flipRow struct {
	Head  string
	Cells []flipCell
}

type flipCell struct {
	Head  string
	N     int
	Same  bool
	Class string // gain, loss, ""
}

func levelsDown() []string { return []string{"full", "summary", "existence", "hidden"} }

// reportView turns a report into what the page draws.
func (s *Server) reportView(ctx context.Context, r *policy.ChangeReport, version *policy.Version, examples []policy.Tried, base string) reportView {
	agencies := s.agencies(ctx)
	v := reportView{Total: len(r.Changes), Questions: thousands(r.Walked.Inputs), Answers: thousands(r.Walked.Decisions), Rules: r.Rules, Refused: r.Refused, Base: base,
		Before: testsOf(r.Tests[0]), After: testsOf(r.Tests[1]), Passed: r.Tests[1].Passed() && len(r.Refused) == 0}
	for _, f := range r.Tests[1].Failures {
		line := failureLine{File: f.File, Name: f.Name, Problem: f.Problem}
		if base != "" {
			line.Href = rulesAddress(strings.TrimPrefix(base, "/policy/drafts/"), f.File)
		}
		v.Failures = append(v.Failures, line)
	}
	type pair struct{ less, more int }
	who := map[string]*pair{}
	var order []string
	flips := map[[2]string]int{}
	for _, c := range r.Changes {
		line := s.changeLine(c, r, version, agencies)
		if who[line.Who] == nil {
			who[line.Who] = &pair{}
			order = append(order, line.Who)
		}
		switch {
		case c.Terms:
			v.Terms++
		case c.Gain:
			v.Gains++
			who[line.Who].more++
		default:
			v.Losses++
			who[line.Who].less++
		}
		if !c.Terms {
			flips[[2]string{c.Before, c.After}]++
		}
		if slices.Contains(r.Files, "matrix/"+c.Section+".yaml") {
			v.Lines = append(v.Lines, line)
		} else {
			v.Follows = append(v.Follows, line)
		}
	}
	for _, name := range order {
		if p := who[name]; p.less+p.more > 0 {
			v.Bars.Rows = append(v.Bars.Rows, bar{Who: name, Less: p.less, More: p.more})
		}
	}
	s.drawBars(&v.Bars)
	v.Flips = s.flipTable(flips)
	for _, n := range r.Needs {
		name := named(agencies, []string{n.Agency})[0]
		if n.Agency == "" {
			name = s.words.say("need.second")
		}
		v.Needs = append(v.Needs, needLine{Who: name, State: "waiting", Opens: n.Why, Anyone: n.Agency == ""})
	}
	for _, e := range examples {
		v.Examples = append(v.Examples, s.exampleLine(version, agencies, e))
	}
	return v
}

func testsOf(t policy.Tests) testLine {
	return testLine{Stories: t.Stories, Questions: t.Questions, Tests: t.RegoTests, Failed: len(t.Failures)}
}

func (s *Server) changeLine(c policy.Change, r *policy.ChangeReport, version *policy.Version, agencies map[string]identity.Agency) changeLine {
	line := changeLine{Part: s.partName(version, c.Section), Words: c.Words, Before: s.words.say("level.was." + c.Before), After: s.words.say("level.was." + c.After), Who: c.To}
	if _, ok := version.Kind(c.To); ok {
		line.Who = s.kindName(version, c.To)
	} else if len(c.Agencies) > 0 {
		line.Who = joinWords(named(agencies, c.Agencies))
	}
	var purposes []string
	for _, code := range c.Purposes {
		purposes = append(purposes, s.purposeName(version, code))
	}
	line.Purposes = strings.Join(purposes, "; ")
	switch {
	case c.Terms:
		line.Class = "terms"
	case c.Gain:
		line.Class = "gain"
	default:
		line.Class = "loss"
	}
	line.Mark = s.words.say("change." + line.Class)
	if len(c.Fields) > 0 {
		line.Fields = joinWords(s.fieldLabels(version, c.Section, c.Fields))
	}
	if len(c.Situations) > 0 {
		line.Only = s.words.say("change.only")
	}
	for _, n := range r.Needs {
		if slices.Contains(n.Why, c.Words) {
			name := named(agencies, []string{n.Agency})[0]
			if n.Agency == "" {
				name = s.words.say("need.second")
			}
			line.Approve = append(line.Approve, name)
		}
	}
	return line
}

func (s *Server) fieldLabels(version *policy.Version, section string, names []string) []string {
	x, _ := version.Section(section)
	out := slices.Clone(names)
	for i, name := range names {
		for _, f := range x.Fields {
			if f.Name == name && f.Label != "" {
				out[i] = f.Label
			}
		}
	}
	return out
}

// drawBars places the bars; the longest takes the room there is.
func (s *Server) drawBars(c *barChart) {
	const half, names, row = 130, 190, 34
	most := 1
	for _, b := range c.Rows {
		most = max(most, b.Less, b.More)
	}
	c.Width, c.Height, c.Middle = names+2*half+90, len(c.Rows)*row+30, names+half+45
	var said []string
	for i := range c.Rows {
		b := &c.Rows[i]
		b.Y, b.TextY = 30+i*row, 30+i*row+19
		b.LessWidth, b.MoreWidth = b.Less*half/most, b.More*half/most
		b.LessX = c.Middle - b.LessWidth
		b.LessTextX, b.MoreTextX = b.LessX-8, c.Middle+b.MoreWidth+8
		if b.LessSaid == "" {
			b.LessSaid, b.MoreSaid = strconv.Itoa(b.Less), strconv.Itoa(b.More)
		}
		said = append(said, s.words.say("bars.row", b.Who, b.MoreSaid, b.LessSaid))
	}
	c.Desc = strings.Join(said, " ")
}

func (s *Server) flipTable(n map[[2]string]int) flipTable {
	var t flipTable
	for _, after := range levelsDown() {
		t.Heads = append(t.Heads, s.words.say("level.head."+after))
	}
	for i, before := range levelsDown() {
		row := flipRow{Head: s.words.say("level.head." + before)}
		for j, after := range levelsDown() {
			c := flipCell{Head: s.words.say("level.head." + after), N: n[[2]string{before, after}], Same: i == j && n[[2]string{before, after}] == 0}
			if c.N > 0 && j < i {
				c.Class = "gain"
			}
			if c.N > 0 && j > i {
				c.Class = "loss"
			}
			row.Cells = append(row.Cells, c)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// thousands writes a number as the UK does: 1,482,240.
func thousands(n int) string {
	text := strconv.Itoa(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// changesPage is who gains and who loses by a draft, and the form to submit it.
type changesPage struct {
	Draft    draftHead
	Report   *reportView
	Problems []string
	Revision int64
	Typed    submitForm
	Errors   []formError
	Write    bool
	Can      bool
	Ask      bool // the rest of the report was not asked for yet
	AskVoid  bool // it was, and the draft or the version in force has changed since
}

type submitForm struct{ Why, Starts, Revision string }

func (f submitForm) revision() int64 {
	n, err := strconv.ParseInt(f.Revision, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (s *Server) draftChanges(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.changesPage(w, r, v, http.StatusOK, submitForm{}, nil)
}

func (s *Server) changesPage(w http.ResponseWriter, r *http.Request, v visit, status int, typed submitForm, wrong []formError) error {
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
	page := changesPage{Revision: d.Revision, Typed: typed, Errors: wrong, Write: mayWrite(v) && !d.Submitted}
	title := s.words.say("changes.title", d.Title)
	if len(wrong) > 0 {
		title = s.words.say("form.error-title", title)
	}
	made, err := s.makeReport(r.Context(), v, d, now, r.URL.Query().Has("again"))
	var draft *policy.DraftError
	switch {
	case errors.As(err, &draft):
		page.Problems = plainLines(draft.Text)
	case errors.Is(err, policy.ErrSandboxLimit):
		page.Problems = []string{s.words.say("error.sandbox.text")}
	case err != nil:
		return s.officeFault(err)
	default:
		version, err := d.Load()
		if err != nil {
			return err
		}
		view := s.reportView(r.Context(), &made.report, version, made.examples, "/policy/drafts/"+id.String())
		view.Made = made.at
		if err := s.previewed(r.Context(), v, d, version, &view, &page); err != nil {
			return s.officeFault(err)
		}
		page.Report = &view
		page.Can = page.Write && view.Passed && (view.Total > 0 || len(made.report.Files) > 0)
	}
	page.Draft = s.draftHead(d, now)
	page.Draft.Here = "changes"
	s.countDraft(&page.Draft, d, now, s.agencies(r.Context()))
	return s.write(w, v, status, "policychanges", sheet{Title: title, Page: page, Nav: "policy"})
}

// previewed puts the rest of a draft's report into the view, where an officer
// asked for it and it still speaks of this draft.
func (s *Server) previewed(ctx context.Context, v visit, d policy.Draft, version *policy.Version, view *reportView, page *changesPage) error {
	preview, err := s.Office.Previewed(ctx, v.by(), d.ID)
	if err != nil && !errors.Is(err, policy.ErrUnknown) {
		return err
	}
	if preview.Effect != nil {
		view.Effect = s.effectView(ctx, preview.Effect, version)
	}
	page.Ask = (preview.Effect == nil || preview.Effect.State == policy.EffectFailed) && len(view.Refused) == 0 && !d.Submitted && (mayWrite(v) || mayApprove(v))
	page.AskVoid = preview.Void
	return nil
}

// askPreview asks for the rest of a draft's report.
func (s *Server) askPreview(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathUUID(r, "draft")
	if err != nil {
		return s.officeFault(err)
	}
	if err := r.ParseForm(); err != nil {
		return &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	_, _, err = s.Office.Preview(r.Context(), v.by(), v.request, id, submitForm{Revision: r.PostForm.Get("revision")}.revision())
	var conflict *policy.Conflict
	if err != nil && !errors.As(err, &conflict) { // the page shows the draft as it is now, and asks again
		return s.officeFault(err)
	}
	http.Redirect(w, r, "/policy/drafts/"+id.String()+"/changes#past", http.StatusSeeOther)
	return nil
}

// countDraft counts the changed cells for the bar.
func (s *Server) countDraft(head *draftHead, d policy.Draft, now inForce, agencies map[string]identity.Agency) {
	version, err := d.Load()
	if err != nil {
		return
	}
	page := &gridPage{Draft: head}
	s.countChanges(page, newMatrix(version, now.Version, agencies))
}

// makeReport gives the report that a draft would have if it were submitted now,
// from those that were just made where nothing has changed since.
func (s *Server) makeReport(ctx context.Context, v visit, d policy.Draft, now inForce, again bool) (madeReport, error) {
	key := reportKey{d.ID, d.Revision, now.Digest}
	if made, ok := s.made.get(key, s.Now()); ok && !again {
		return made, nil
	}
	report, err := s.Office.Changes(ctx, v.by(), d.ID)
	if err != nil {
		return madeReport{}, err
	}
	made := madeReport{report: report, at: s.Now()}
	if len(report.Refused) == 0 {
		if made.examples, err = s.Office.Try(ctx, v.by(), d.ID); err != nil {
			return madeReport{}, err
		}
	}
	s.made.put(key, made)
	return made, nil
}

// proposalExamples are those of a submission, whose versions never change.
func (s *Server) proposalExamples(ctx context.Context, v visit, sub policy.Submission) []policy.Tried {
	key := reportKey{draft: sub.ID, active: sub.ComparedWith}
	if made, ok := s.made.get(key, s.Now()); ok {
		return made.examples
	}
	examples, err := s.Office.Examples(ctx, v.by(), sub.ComparedWith, sub.Digest)
	if err != nil { // an approver decides by the report; the examples only show it
		s.Logger.WarnContext(ctx, "examples of a proposal", "submission", sub.ID, "cause", err)
		return nil
	}
	s.made.put(key, madeReport{examples: examples, at: s.Now()})
	return examples
}

// triedLine is one entry of a story as two versions show it.
type triedLine struct {
	Name, Part, Owner, About string
	Before, After            string
	BeforeLess, AfterLess    string // fields withheld
	BeforeWhy, AfterWhy      string
	Only                     string // "draft", "today": it is seen there alone
	Differs                  bool
}

func (s *Server) exampleLine(version *policy.Version, agencies map[string]identity.Agency, t policy.Tried) exampleLine {
	line := exampleLine{Title: upperFirst(t.Title), Who: upperFirst(t.Question.Who), Purpose: s.purposeName(version, t.Question.Purpose)}
	for i, refusal := range t.Refused {
		if refusal != "" {
			line.Refused[i] = policy.Reasons()[refusal]
			if line.Refused[i] == "" {
				line.Refused[i] = refusal
			}
		}
	}
	for _, e := range t.Entries {
		if e.Differs() {
			line.Entries = append(line.Entries, s.triedLine(version, agencies, e))
		}
	}
	return line
}

func (s *Server) triedLine(version *policy.Version, agencies map[string]identity.Agency, e policy.TriedEntry) triedLine {
	line := triedLine{Name: upperFirst(strings.ReplaceAll(e.Name, "-", " ")), Part: s.partName(version, e.Section), Owner: named(agencies, []string{e.Owner})[0],
		Differs: e.Differs(), Before: s.words.say("level.was." + e.Before.Level.String()), After: s.words.say("level.was." + e.After.Level.String())}
	var about []string
	for _, name := range e.About {
		about = append(about, upperFirst(name))
	}
	line.About = joinWords(about)
	line.BeforeLess = joinWords(s.fieldLabels(version, e.Section, e.Before.Masked))
	line.AfterLess = joinWords(s.fieldLabels(version, e.Section, e.After.Masked))
	line.BeforeWhy, line.AfterWhy = whyOf(e.Before), whyOf(e.After)
	switch {
	case e.Before.Level == policy.Hidden && e.After.Level > policy.Hidden:
		line.Only = "draft"
	case e.After.Level == policy.Hidden && e.Before.Level > policy.Hidden:
		line.Only = "today"
	}
	return line
}

// whyOf says by what an entry is shown, or what hid it.
func whyOf(e policy.Entry) string {
	var parts []string
	if e.Level > policy.Hidden {
		parts = append(parts, e.Clauses...)
		if len(parts) > 0 {
			return strings.Join(parts, "; ")
		}
	}
	for _, code := range e.Reasons {
		if text := policy.Reasons()[code]; text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, " ")
}

func rulesAddress(draft, file string) string {
	return fmt.Sprintf("/policy/rules?draft=%s&file=%s", draft, file)
}

// draftOf reads the draft that a query names; zero is the version in force.
func draftOf(r *http.Request) (uuid.UUID, error) {
	text := r.FormValue("draft")
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, policy.ErrUnknown
	}
	return id, nil
}
