package web

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

type agreementsPage struct {
	Rows []agreementRow
	Done string
}

// agreementRow is an agreement in the list: its lights are words with a mark.
type agreementRow struct {
	ID, Title   string
	Parties     []string
	Purposes    []string
	Clauses     int // that rows of the matrix in force cite
	Review, End light
	Signed      int
	All         int
	Stopped     []string
	Open        int
}

// light is a traffic light in words.
type light struct {
	Day   string // YYYY-MM-DD
	Text  string // "ends tomorrow"
	Class string // ok, soon, over
	Mark  string // word before the colour
}

// light says of a day how near it is: warnings come 60, 30 and 7 days before.
func (s *Server) light(what string, on time.Time) light {
	today := s.Now().UTC().Truncate(24 * time.Hour)
	left := int(on.Sub(today).Hours() / 24)
	l := light{Day: on.Format(time.DateOnly)}
	switch {
	case left < 0 && what == "end":
		l.Class, l.Text = "over", s.words.say("light.ended")
	case left < 0:
		l.Class, l.Text = "over", s.words.count("light.review-past", -left)
	case left == 0:
		l.Class, l.Text = "over", s.words.say("light."+what+"-today")
	case left == 1:
		l.Class, l.Text = "over", s.words.say("light."+what+"-tomorrow")
	case left <= 7:
		l.Class, l.Text = "over", s.words.say("light."+what+"-days", left)
	case left <= 60:
		l.Class, l.Text = "soon", s.words.say("light."+what+"-days", left)
	default:
		l.Class, l.Text = "ok", s.words.say("light."+what+"-fine")
	}
	l.Mark = s.words.say("light.mark." + l.Class)
	return l
}

// listAgreements is every agreement of the partnership: what is agreed is no
// secret from those who work under it.
func (s *Server) listAgreements(w http.ResponseWriter, r *http.Request, v visit) error {
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	live, err := s.Agreements.List(r.Context())
	if err != nil {
		return err
	}
	agencies := s.agencies(r.Context())
	page := agreementsPage{Done: s.noticeOf(r)}
	for _, l := range live {
		page.Rows = append(page.Rows, s.agreementRow(version, l, agencies))
	}
	urgency := map[string]int{"over": -2, "soon": -1}
	slices.SortStableFunc(page.Rows, func(a, b agreementRow) int {
		return cmp.Compare(min(urgency[a.Review.Class], urgency[a.End.Class]), min(urgency[b.Review.Class], urgency[b.End.Class]))
	})
	return s.write(w, v, http.StatusOK, "agreements", sheet{Title: s.words.say("agreements.title"), Page: page, Nav: "agreements"})
}

func (s *Server) agreementRow(version *policy.Version, l agreement.Live, agencies map[string]identity.Agency) agreementRow {
	text, _ := version.Agreement(l.ID)
	row := agreementRow{ID: l.ID, Title: text.Title, Review: s.light("review", l.Review), End: s.light("end", l.End), All: len(l.Parties), Open: len(l.Open)}
	if row.Title == "" {
		row.Title = l.ID
	}
	for _, p := range l.Parties {
		row.Parties = append(row.Parties, named(agencies, []string{p.Agency})[0])
		switch p.State {
		case agreement.Signed:
			row.Signed++
		case agreement.Suspended:
			row.Stopped = append(row.Stopped, named(agencies, []string{p.Agency})[0])
		}
	}
	for _, code := range text.Purposes {
		row.Purposes = append(row.Purposes, s.purposeName(version, code))
	}
	cited := map[string]bool{}
	for _, r := range version.Matrix {
		if id, no, ok := strings.Cut(r.Clause, " "); ok && id == l.ID {
			cited[no] = true
		}
	}
	row.Clauses = len(cited)
	return row
}

type agreementPage struct {
	agreementRow
	Text     agreement.Text
	Digest   string
	Bases    []basisLine
	Parts    []partyLine
	Gives    []clauseRows
	Acts     []actLine
	Waiting  []waitingLine
	Sign     bool // the reader's agency has not signed
	Stop     bool
	Resume   bool // the reader's agency has stopped its part
	Extend   bool
	Latest   string // day to which an end can be moved
	Agency   string
	Typed    map[string]string
	Errors   []formError
	Done     string
	Affected disclosure.Affected
	Closes   []closing
	Confirm  bool
}

type basisLine struct {
	Purpose string
	Basis   []string
}

type partyLine struct {
	Name, Role, DPO, Signatory string
	State, Class               string
	Since                      time.Time
	Reason                     string
}

// clauseRows is what the matrix opens under one clause.
type clauseRows struct {
	No, Text string
	Rows     []string
}

type actLine struct {
	When             time.Time
	Text, Name, Post string
	Evidence, Reason string
	Open             bool
}

// waitingLine is an act that a second party must confirm.
type waitingLine struct {
	Kind, Text, Reason, Agency, EndsOn string
	Confirm                            bool
}

// closing is one part of the record that closes, and for whom.
type closing struct {
	Part string
	Who  []string
}

// agreementOf finds the agreement of the address.
func (s *Server) agreementOf(ctx context.Context, r *http.Request, v visit) (*policy.Version, agreement.Live, agreement.Text, error) {
	version, err := s.Door.Version(ctx, v.by().Partnership)
	if err != nil {
		return nil, agreement.Live{}, agreement.Text{}, err
	}
	live, err := s.Agreements.List(ctx)
	if err != nil {
		return nil, agreement.Live{}, agreement.Text{}, err
	}
	id := chi.URLParam(r, "agreement")
	i := slices.IndexFunc(live, func(l agreement.Live) bool { return l.ID == id })
	if i < 0 {
		return nil, agreement.Live{}, agreement.Text{}, &fault{status: http.StatusNotFound, key: "error.no-agreement"}
	}
	text, _ := version.Agreement(id)
	return version, live[i], text, nil
}

func (s *Server) showAgreement(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.agreementPage(w, r, v, http.StatusOK, agreementPage{Done: s.noticeOf(r)})
}

func (s *Server) agreementPage(w http.ResponseWriter, r *http.Request, v visit, status int, page agreementPage) error {
	version, live, text, err := s.agreementOf(r.Context(), r, v)
	if err != nil {
		return err
	}
	if err := s.fillAgreement(r, v, &page, version, live, text); err != nil {
		return err
	}
	title := page.Title
	if len(page.Errors) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "agreement", sheet{Title: title, Page: page, Nav: "agreements"})
}

func (s *Server) fillAgreement(r *http.Request, v visit, page *agreementPage, version *policy.Version, live agreement.Live, text agreement.Text) error {
	agencies := s.agencies(r.Context())
	page.agreementRow = s.agreementRow(version, live, agencies)
	page.Text, page.Digest = text, text.Digest()
	page.Agency = named(agencies, []string{v.by().Agency})[0]
	for _, code := range text.Purposes {
		if p, ok := version.Purpose(code); ok {
			page.Bases = append(page.Bases, basisLine{Purpose: upperFirst(p.Name), Basis: p.Basis})
		}
	}
	mayAct := mayApprove(v)
	for _, p := range live.Parties {
		line := partyLine{Name: named(agencies, []string{p.Agency})[0], State: s.words.say("party." + string(p.State)), Class: string(p.State), Since: p.Since, Reason: p.Reason}
		for _, x := range text.Parties {
			if x.Agency == p.Agency {
				line.Role, line.DPO, line.Signatory = s.words.known("party.role."+x.Role, x.Role), x.DPO, x.Signatory
			}
		}
		page.Parts = append(page.Parts, line)
		if p.Agency == v.by().Agency && mayAct {
			page.Sign, page.Stop, page.Resume = p.State == agreement.Unsigned, p.State == agreement.Signed, p.State == agreement.Suspended
			page.Extend = true
		}
	}
	page.Gives = s.clauseRows(version, text, agencies)
	page.Latest = live.End.AddDate(0, 0, 30).Format(time.DateOnly)
	history, err := s.Agreements.History(r.Context(), live.ID)
	if err != nil {
		return err
	}
	for _, a := range history {
		line := actLine{When: a.AskedAt, Text: s.actWords(a, agencies), Name: a.Name, Post: a.Post, Evidence: a.Evidence, Reason: a.Reason, Open: a.DoneAt == nil}
		page.Acts = append(page.Acts, line)
	}
	for _, a := range live.Open {
		x := waitingLine{Kind: a.Kind, Text: s.actWords(a, agencies), Reason: a.Reason, Agency: a.Agency}
		if a.EndsOn != nil {
			x.EndsOn = a.EndsOn.Format(time.DateOnly)
		}
		x.Confirm = page.Extend && a.AskedAgency != v.by().Agency && (a.Kind == "extend" || a.AskedAgency == a.Agency || a.Agency == v.by().Agency)
		page.Waiting = append(page.Waiting, x)
	}
	return nil
}

func (s *Server) actWords(a agreement.Act, agencies map[string]identity.Agency) string {
	who, about := named(agencies, []string{a.AskedAgency})[0], named(agencies, []string{a.Agency})[0]
	key := "act." + a.Kind
	if a.DoneAt == nil {
		key += ".asked"
	}
	day := ""
	if a.EndsOn != nil {
		day = longDate(*a.EndsOn)
	}
	return s.words.say(key, who, about, day)
}

// clauseRows says under each clause who sees what.
func (s *Server) clauseRows(version *policy.Version, text agreement.Text, agencies map[string]identity.Agency) []clauseRows {
	var out []clauseRows
	for _, c := range text.Clauses {
		line := clauseRows{No: c.No, Text: c.Text}
		type key struct{ section, level string }
		who := map[key][]string{}
		var order []key
		for _, r := range version.Matrix {
			if r.Clause != text.ID+" "+c.No {
				continue
			}
			k := key{r.Section, r.Level}
			name := s.receiverName(version, agencies, r.To)
			if who[k] == nil {
				order = append(order, k)
			}
			if !slices.Contains(who[k], name) {
				who[k] = append(who[k], name)
			}
		}
		for _, k := range order {
			line.Rows = append(line.Rows, s.words.say("agreement.row", s.partName(version, k.section), s.words.say("level.was."+k.level), joinWords(who[k])))
		}
		out = append(out, line)
	}
	return out
}

func (s *Server) receiverName(version *policy.Version, agencies map[string]identity.Agency, to string) string {
	if _, ok := version.Kind(to); ok {
		return s.kindName(version, to)
	}
	return named(agencies, []string{to})[0]
}

// agreementFault turns an error of the register into what the form says.
func (s *Server) agreementWrong(err error, field string) ([]formError, int, error) {
	key, status := "", http.StatusConflict
	switch {
	case err == nil:
		return nil, 0, nil
	case errors.Is(err, audit.ErrNotLogged):
		return nil, 0, err
	case errors.Is(err, agreement.ErrUnknown):
		return nil, 0, &fault{status: http.StatusNotFound, key: "error.no-agreement"}
	case errors.Is(err, agreement.ErrNotOfficer):
		return nil, 0, &fault{status: http.StatusForbidden, key: "error.officer"}
	case errors.Is(err, agreement.ErrReason):
		key, status = "agreement.error-reason", http.StatusBadRequest
	case errors.Is(err, agreement.ErrSecond):
		key = "agreement.error-second"
	case errors.Is(err, agreement.ErrState):
		key = "agreement.error-state"
	case errors.Is(err, agreement.ErrTooFar):
		key, status = "agreement.error-far", http.StatusBadRequest
	default:
		return nil, 0, err
	}
	return []formError{{field, s.words.say(key)}}, status, nil
}

// agreementForm reads what an officer typed.
func (s *Server) agreementForm(r *http.Request, v visit) (agreement.Request, map[string]string, error) {
	if err := r.ParseForm(); err != nil {
		return agreement.Request{}, nil, &fault{status: http.StatusBadRequest, key: "error.draft", cause: err}
	}
	typed := map[string]string{}
	for _, name := range []string{"reason", "post", "evidence", "ends_on", "agency", "confirm-reason"} {
		text := strings.TrimSpace(r.PostForm.Get(name))
		if len(text) > reasonMost || strings.ToValidUTF8(text, "") != text || strings.ContainsRune(text, 0) {
			return agreement.Request{}, nil, &fault{status: http.StatusBadRequest, key: "error.too-long"}
		}
		typed[name] = text
	}
	q := agreement.Request{Agreement: chi.URLParam(r, "agreement"), Agency: typed["agency"], Reason: typed["reason"], Post: typed["post"], Evidence: typed["evidence"], RequestID: v.request}
	return q, typed, nil
}

func (s *Server) agreementDone(w http.ResponseWriter, r *http.Request, v visit, err error, typed map[string]string, field, done string) error {
	wrong, status, err := s.agreementWrong(err, field)
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return s.agreementPage(w, r, v, status, agreementPage{Typed: typed, Errors: wrong})
	}
	http.Redirect(w, r, "/agreements/"+chi.URLParam(r, "agreement")+"?done="+done, http.StatusSeeOther)
	return nil
}

func (s *Server) signAgreement(w http.ResponseWriter, r *http.Request, v visit) error {
	q, typed, err := s.agreementForm(r, v)
	if err != nil {
		return err
	}
	q.Agency = ""
	_, err = s.Agreements.Signed(r.Context(), v.by(), q)
	return s.agreementDone(w, r, v, err, typed, "post", "signed")
}

// extendAgreement asks for a later end, or confirms what another party asked.
func (s *Server) extendAgreement(w http.ResponseWriter, r *http.Request, v visit) error {
	q, typed, err := s.agreementForm(r, v)
	if err != nil {
		return err
	}
	on, err := time.Parse(time.DateOnly, typedDay(typed["ends_on"]))
	if err != nil {
		return s.agreementPage(w, r, v, http.StatusBadRequest, agreementPage{Typed: typed, Errors: []formError{{"ends_on", s.words.say("cell.error-day")}}})
	}
	q.EndsOn = on
	_, finished, err := s.Agreements.Extend(r.Context(), v.by(), q)
	return s.agreementDone(w, r, v, err, typed, "extend-reason", askedOr(finished, "extended"))
}

// resumeAgreement asks that a stopped part goes on, or confirms it.
func (s *Server) resumeAgreement(w http.ResponseWriter, r *http.Request, v visit) error {
	q, typed, err := s.agreementForm(r, v)
	if err != nil {
		return err
	}
	_, finished, err := s.Agreements.Resume(r.Context(), v.by(), q)
	return s.agreementDone(w, r, v, err, typed, "resume-reason", askedOr(finished, "resumed"))
}

func askedOr(finished bool, done string) string {
	if finished {
		return done
	}
	return "asked"
}
