package web

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/policy"
)

type searchPage struct {
	Form   sheetForm
	Done   bool // a search was made
	Found  []foundLine
	Many   bool
	Notice disclosure.Notice
	Opens  bool // it came from another system's page
}

// foundLine is one person, with what tells them apart.
type foundLine struct {
	Name, Legal string
	Born, Age   string
	Expected    string
	Died        string
	Sex         string
	NHS, UPN    string
	Where       string // an address that was released
	Families    []foundFamily
}

type foundFamily struct{ ID, Ref string }

// searchControls are the questions: any one is enough.
func (s *Server) searchControls(purposes []policy.Purpose, agencies []choiceOf) []*control {
	say := s.words.say
	out := []*control{
		{Kind: "text", Name: "given", Label: say("search.given"), Width: 20},
		{Kind: "text", Name: "family-name", Label: say("search.family"), Hint: say("search.family-hint"), Width: 20},
		{Kind: "date", Name: "born", Label: say("search.born"), Hint: say("search.born-hint")},
		{Kind: "text", Name: "nhs", Label: say("search.nhs"), Hint: say("search.nhs-hint"), Width: 10},
		{Kind: "text", Name: "upn", Label: say("search.upn"), Width: 20},
		{Kind: "text", Name: "postcode", Label: say("search.postcode"), Width: 10},
		{Kind: "text", Name: "value", Label: say("search.number"), Hint: say("search.number-hint"), Width: 20},
	}
	if len(agencies) > 1 {
		out = append(out, &control{Kind: "select", Name: "scheme", Label: say("search.scheme"), Options: agencies, Small: true})
	}
	purpose := &control{Kind: "radios", Name: "purpose", Label: say("search.purpose")}
	for _, p := range purposes {
		purpose.Options = append(purpose.Options, choiceOf{Value: p.Code, Label: upperFirst(p.Name)})
	}
	return append(out, purpose, &control{Kind: "area", Name: "reason", Label: say("purpose.reason"), Hint: say("search.reason-hint"), Rows: 2, Most: reasonMost})
}

// searchForm makes the empty page ready: with the purpose that the reader's
// open work mostly has.
func (s *Server) searchForm(r *http.Request, v visit, a answers) (searchPage, *policy.Version, error) {
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return searchPage{}, nil, err
	}
	purposes := version.PurposesFor(v.by().Kind, v.by().Roles)
	if len(purposes) == 0 {
		return searchPage{}, nil, &fault{status: http.StatusForbidden, key: "error.role"}
	}
	desk, err := s.Door.Desk(r.Context())
	if err != nil {
		return searchPage{}, nil, err
	}
	var schemes []choiceOf
	for code, x := range s.agencies(r.Context()) {
		if kind, ok := version.Kind(x.Kind); ok && kind.Records && (code == v.by().Agency || x.Kind == hostKind) {
			schemes = append(schemes, choiceOf{Value: code, Label: x.Name})
		}
	}
	slices.SortFunc(schemes, func(x, y choiceOf) int {
		if (x.Value == v.by().Agency) != (y.Value == v.by().Agency) {
			if x.Value == v.by().Agency {
				return -1
			}
			return 1
		}
		return strings.Compare(x.Label, y.Label)
	})
	page := searchPage{Notice: desk.Notice, Form: sheetForm{Action: "/search", Button: s.words.say("search.go"), Controls: s.searchControls(purposes, schemes)}}
	if a.Get("scheme") == "" {
		a.Set("scheme", v.by().Agency)
	}
	if a.Get("purpose") == "" && len(purposes) == 1 {
		a.Set("purpose", purposes[0].Code)
	}
	a.fill(page.Form.Controls)
	return page, version, nil
}

// hostKind is children's social care, whose numbers all know.
const hostKind = "CSC"

// showSearch asks whom one looks for.
func (s *Server) showSearch(w http.ResponseWriter, r *http.Request, v visit) error {
	page, _, err := s.searchForm(r, v, answers{map[string][]string{}})
	if err != nil {
		return err
	}
	return s.write(w, v, http.StatusOK, "search", sheet{Title: s.words.say("search.title"), Page: page, Nav: "search"})
}

// open takes the number that stands on the screen of another system. The
// address holds that number alone; the search is made when its purpose is said.
func (s *Server) openNumber(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	a := answers{map[string][]string{"scheme": {q.Get("scheme")}, "value": {q.Get("value")}}}
	page, _, err := s.searchForm(r, v, a)
	if err != nil {
		return err
	}
	page.Opens = true
	keep := []string{"value", "scheme", "purpose", "reason"}
	page.Form.Controls = slices.DeleteFunc(page.Form.Controls, func(c *control) bool { return !slices.Contains(keep, c.Name) })
	return s.write(w, v, http.StatusOK, "search", sheet{Title: s.words.say("open.title"), Page: page, Nav: "search"})
}

// search answers with a page, so that no address says for whom one looked.
// Nobody found and nobody who may be found are the same bytes.
func (s *Server) search(w http.ResponseWriter, r *http.Request, v visit) error {
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	a := answers{r.PostForm}
	for name := range a.Values {
		for i, x := range a.Values[name] {
			a.Values[name][i] = strings.ToValidUTF8(strings.ReplaceAll(x, "\x00", ""), "")
		}
	}
	page, version, err := s.searchForm(r, v, a)
	if err != nil {
		return err
	}
	answer := func(status int, receipt string) error {
		return s.write(w, v, status, "search", sheet{Title: s.titled(s.words.say("search.title"), page.Form), Page: page, Nav: "search", Receipt: receipt, Rules: version.Name})
	}
	terms := family.SearchTerms{GivenName: a.text("given"), FamilyName: a.text("family-name"), NHSNumber: a.text("nhs"), UPN: a.text("upn"), Postcode: a.text("postcode")}
	var ok bool
	if terms.DateOfBirth, ok = a.day("born"); !ok {
		page.Form.fail("born", s.words.say("form.date-wrong", s.words.say("search.born")))
	}
	if value := a.text("value"); value != "" {
		terms.Identifier = &family.Identifier{Scheme: a.Get("scheme"), Value: value}
	}
	if a.Get("purpose") == "" {
		page.Form.fail("purpose", s.words.say("purpose.error-none"))
	}
	if len(terms.Given()) == 0 && len(page.Form.Errors) == 0 {
		page.Form.fail("given", s.words.say("search.nothing-typed"))
	}
	if utf8.RuneCountInString(a.text("reason")) > reasonMost {
		page.Form.fail("reason", s.words.say("purpose.error-long", reasonMost))
	}
	if len(page.Form.Errors) > 0 {
		return answer(http.StatusBadRequest, "")
	}
	found, err := s.Door.Search(r.Context(), v.by(), disclosure.SearchRequest{Terms: terms, Purpose: a.Get("purpose"), Reason: a.text("reason"), RequestID: v.request})
	var field *family.FieldError
	var refusal *disclosure.Refusal
	switch {
	case errors.As(err, &field):
		at := map[string]string{"given_name": "given", "family_name": "family-name", "date_of_birth": "born", "nhs_number": "nhs", "upn": "upn", "postcode": "postcode",
			"identifier.scheme": "scheme", "identifier.value": "value", "search": "given"}[field.Field]
		s.refuse(&page.Form, err, func(string) string { return at })
		return answer(http.StatusBadRequest, "")
	case errors.As(err, &refusal) && refusal.Code == disclosure.RefusedReason:
		page.Form.fail("reason", s.words.say("search.reason-none"))
		return answer(http.StatusBadRequest, refusal.Receipt)
	case err != nil:
		return refused(err)
	}
	page.Done = true
	page.Many = len(found.People) == 20
	for _, p := range found.People {
		page.Found = append(page.Found, s.foundLine(p))
	}
	return answer(http.StatusOK, found.Receipt)
}

func (s *Server) foundLine(p disclosure.PersonFound) foundLine {
	line := foundLine{Name: p.Name, Born: longDay(p.DateOfBirth), Expected: longDay(p.Expected), Died: longDay(p.Died), Sex: p.Sex, UPN: p.UPN}
	if given, rest, ok := strings.Cut(p.Name, " "); ok && p.KnownAs != "" && p.KnownAs != given {
		line.Name, line.Legal = p.KnownAs+" "+rest, p.Name
	}
	if p.Died == "" {
		line.Age = s.words.ageOn(p.DateOfBirth, s.Now())
	}
	line.NHS = p.NHSNumber
	if len(p.NHSNumber) == 10 {
		line.NHS = p.NHSNumber[:3] + " " + p.NHSNumber[3:6] + " " + p.NHSNumber[6:]
	}
	for _, f := range p.Families {
		line.Families = append(line.Families, foundFamily{f.ID.String(), f.Ref})
	}
	return line
}
