package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
)

// accountPage is what was shared about one person: to whom, for what, by month.
type accountPage struct {
	auditHead
	Person      string // as it was asked for
	From, Until string
	Errors      []formError
	Reference   string // "" until somebody was asked for
	Months      []accountMonth
	Older       string
	Empty       bool
}

type accountMonth struct {
	Name  string
	Lines []accountLine
}

type accountLine struct {
	When, Name, Roles, Agency string
	Purpose                   string
	Declared, Emergency       bool
	Parts                     []accountPart
	Href                      string
}

type accountPart struct{ Name, Owner, Level, Masked string }

// accountPeriod is shown where no dates are chosen.
const accountPeriod = 365

// chooseAccount sends the browser to the address of an account. What is no
// reference and no id, such as a name, gets into no address.
func (s *Server) chooseAccount(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	person := strings.TrimSpace(r.PostForm.Get("person"))
	page := accountPage{Person: person, From: typedDay(r.PostForm.Get("from")), Until: typedDay(r.PostForm.Get("until"))}
	if kind := aboutKind(person); kind != "person" && kind != "family-id" {
		page.Errors = append(page.Errors, formError{"person", s.words.say("account.error-person")})
	}
	if _, _, err := readPeriod(page.From, page.Until); err != nil {
		page.Errors = append(page.Errors, formError{"from", s.words.say("log.error-day")})
	}
	if len(page.Errors) > 0 {
		return s.accountPage(w, r, v, page, sheet{})
	}
	http.Redirect(w, r, "/log/person?"+url.Values{"person": {person}, "from": {page.From}, "until": {page.Until}}.Encode()+"#account", http.StatusSeeOther)
	return nil
}

func (s *Server) accountPage(w http.ResponseWriter, r *http.Request, v visit, page accountPage, sh sheet) error {
	var err error
	if page.auditHead, err = s.auditHead(r, v, s.auditPages(v.by())); err != nil {
		return err
	}
	sh.Title, sh.Nav = s.words.say("account.title"), "account"
	status := http.StatusOK
	if len(page.Errors) > 0 {
		status, sh.Title = http.StatusBadRequest, s.words.say("form.error-title", sh.Title)
	}
	sh.Page = page
	return s.write(w, v, status, "account", sh)
}

// showAccount is one person's account. Of an id that is nobody's it is one in
// which nothing stands.
func (s *Server) showAccount(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	page := accountPage{Person: q.Get("person"), From: q.Get("from"), Until: q.Get("until")}
	now := s.Now().In(london())
	if page.From == "" {
		page.From = now.AddDate(0, 0, -accountPeriod).Format(time.DateOnly)
	}
	if page.Until == "" {
		page.Until = now.Format(time.DateOnly)
	}
	if page.Person == "" {
		return s.accountPage(w, r, v, page, sheet{})
	}
	from, until, err := readPeriod(page.From, page.Until)
	kind := aboutKind(page.Person)
	if err != nil || kind != "person" && kind != "family-id" {
		return notShown(disclosure.Call{})
	}
	// The event is about the person, so that it stands in this account's own log;
	// a reference is resolved behind it.
	e := s.eventBy(v, audit.KindLogView, audit.OutcomeDone)
	e.Details = map[string]string{"what": "disclosures", "from": page.From, "until": page.Until}
	var person uuid.UUID
	if kind == "family-id" {
		person, _ = parseUUID(page.Person)
		e.Subjects = []uuid.UUID{person}
	} else {
		e.Details["person"] = page.Person
	}
	receipt, err := s.Recorder.Append(r.Context(), e)
	if err != nil {
		return err
	}
	if person == uuid.Nil {
		if person, err = s.personByRef(r.Context(), page.Person); err != nil {
			return err
		}
	}
	say, err := s.inWords(r, v)
	if err != nil {
		return err
	}
	page.Reference = s.Log.Reference(person)
	if kind == "person" {
		page.Reference = page.Person
	}
	filter := audit.Filter{From: from, Until: until, Subject: person, Outcome: audit.OutcomeReleased}
	records, next, err := s.Log.List(r.Context(), logScope(v.by()), filter, audit.Page{Limit: 100, After: q.Get("after")})
	if errors.Is(err, audit.ErrPage) {
		return notShown(disclosure.Call{})
	}
	if err != nil {
		return err
	}
	for i := range records {
		page.add(s.accountLine(&records[i], page.Reference, say, v), records[i].Occurred)
	}
	page.Empty = len(page.Months) == 0
	if next != "" {
		page.Older = "/log/person?" + url.Values{"person": {page.Person}, "from": {page.From}, "until": {page.Until}, "after": {next}}.Encode() + "#account"
	}
	return s.accountPage(w, r, v, page, sheet{Receipt: receipt.String()})
}

// fileAccount gives an account as a table: the JSON face makes it, so that it is
// the same file from both.
func (s *Server) fileAccount(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	person := r.PostForm.Get("person")
	from, until, err := readPeriod(r.PostForm.Get("from"), r.PostForm.Get("until"))
	if kind := aboutKind(person); err != nil || kind != "person" && kind != "family-id" {
		return notShown(disclosure.Call{})
	}
	inner := r.Clone(r.Context())
	inner.Method = http.MethodGet
	inner.URL = &url.URL{Path: "/v1/people/" + person + "/disclosures",
		RawQuery: url.Values{"format": {"csv"}, "from": {from.UTC().Format(time.RFC3339)}, "until": {until.UTC().Format(time.RFC3339)}}.Encode()}
	return s.Audit.Account(w, inner, v.by(), v.request, person)
}

// add puts a line into its month.
func (p *accountPage) add(line accountLine, at time.Time) {
	if len(line.Parts) == 0 {
		return // the event released nothing about this person
	}
	month := at.In(london()).Format("January 2006")
	if n := len(p.Months); n == 0 || p.Months[n-1].Name != month {
		p.Months = append(p.Months, accountMonth{Name: month})
	}
	last := &p.Months[len(p.Months)-1]
	last.Lines = append(last.Lines, line)
}

func (s *Server) accountLine(rec *audit.Record, reference string, say inWords, v visit) accountLine {
	line := accountLine{When: logTime(rec.Occurred, s.Now()), Name: rec.Name, Roles: say.roles(rec.Roles), Agency: say.agency(rec.Agency), Purpose: say.purpose(rec.Purpose),
		Declared: rec.Declared, Emergency: rec.Emergency}
	if line.Name == "" {
		line.Name = rec.Client
	}
	if s.auditPages(v.by()) {
		line.Href = "/log/" + rec.ID.String()
	}
	for _, x := range rec.About(reference) {
		part := accountPart{Name: say.part(x.Section), Owner: say.agency(x.Owner), Level: s.words.say("level.was." + x.Level.String()), Masked: joinWords(x.Masked)}
		if x.Owner == "" {
			part.Name, part.Owner = s.words.say("account.partner"), ""
		}
		line.Parts = append(line.Parts, part)
	}
	return line
}

// usePage is who used one agency's information.
type usePage struct {
	auditHead
	Owner       string
	Owners      []pick // for the auditor, who names one
	From, Until string
	Errors      []formError
	Heading     string
	Rows        []useRow
}

type useRow struct {
	Month, Agency, Roles, Purpose string
	Accesses, Entries, Existence  int
	Href                          string
}

// showUse counts how an agency's information was used.
func (s *Server) showUse(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	head, err := s.auditHead(r, v, true)
	if err != nil {
		return err
	}
	say, err := s.inWords(r, v)
	if err != nil {
		return err
	}
	page := usePage{auditHead: head, Owner: v.by().Agency, From: typedDay(q.Get("from")), Until: typedDay(q.Get("until"))}
	if v.by().Has(roleAuditor) {
		page.Owner = q.Get("owner")
		page.Owners = say.agencyPicks(s.words.say("use.choose"), page.Owner)
	}
	now := s.Now().In(london())
	if page.From == "" {
		page.From = now.AddDate(0, 0, -30).Format(time.DateOnly)
	}
	if page.Until == "" {
		page.Until = now.Format(time.DateOnly)
	}
	sh := sheet{Title: s.words.say("use.title"), Nav: "log"}
	from, until, err := readPeriod(page.From, page.Until)
	if err != nil {
		page.Errors = []formError{{"from", s.words.say("log.error-day")}}
		sh.Page = page
		return s.write(w, v, http.StatusBadRequest, "loguse", sh)
	}
	if page.Owner == "" || !plainCode(page.Owner) {
		sh.Page = page
		return s.write(w, v, http.StatusOK, "loguse", sh)
	}
	receipt, err := s.looked(r, v, map[string]string{"what": "usage", "owner": page.Owner, "from": page.From, "until": page.Until})
	if err != nil {
		return err
	}
	lines, err := s.Log.Usage(r.Context(), page.Owner, audit.Filter{From: from, Until: until}, audit.UsageBy{Agency: true, Role: true, Purpose: true, Month: true}, "")
	if errors.Is(err, audit.ErrTooMuch) {
		page.Errors = []formError{{"from", s.words.say("use.error-long")}}
		sh.Page = page
		return s.write(w, v, http.StatusBadRequest, "loguse", sh)
	}
	if err != nil {
		return err
	}
	page.Heading = s.words.count("use.heading", len(lines), say.agency(page.Owner))
	for i := range lines {
		u := &lines[i]
		month, err := time.Parse("2006-01", u.Month)
		if err != nil {
			return err
		}
		f := logFilter{From: u.First.In(london()).Format(time.DateOnly), Until: u.Last.In(london()).Format(time.DateOnly), Agency: u.Agency, Purpose: u.Purpose}
		page.Rows = append(page.Rows, useRow{Month: month.Format("January 2006"), Agency: say.agency(u.Agency), Roles: say.roles(strings.Split(u.Roles, ",")), Purpose: say.purpose(u.Purpose),
			Accesses: u.Accesses, Entries: u.Entries, Existence: u.Existence, Href: f.address()})
	}
	sh.Page, sh.Receipt = page, receipt.String()
	return s.write(w, v, http.StatusOK, "loguse", sh)
}
