package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

func asDenied(err error) (*disclosure.Denied, bool) {
	var denied *disclosure.Denied
	return denied, errors.As(err, &denied)
}

// exceptionPage is what one person is closed by, or who was given what.
type exceptionPage struct {
	smallFormPage
	Person  string
	Who     string
	Rows    []exceptionLine
	Sets    bool
	Find    bool
	Address string
}

type exceptionLine struct {
	ID, What, Who, Reason, Review, Until string
	Due                                  bool
	Change                               string // address
}

// someone reads who a page of a manager's is about: by name where the family
// lets the manager see it, and else as somebody whose record is closed.
func (s *Server) someone(w http.ResponseWriter, r *http.Request, v visit, of, person string) (id uuid.UUID, name string, rec *record, choice identity.Choice, done bool, err error) {
	id, err = uuid.Parse(person)
	if err != nil || id.String() != person {
		return id, "", nil, choice, false, notShown(disclosure.Call{})
	}
	name = s.words.say("restrict.somebody", person[:8])
	if of == "" {
		return id, name, nil, choice, false, nil
	}
	rec, choice, done, err = s.inFamily(w, r, v, of, &disclosure.Only{Page: "work"})
	if done {
		return id, name, nil, choice, true, nil
	}
	var f *fault
	if errors.As(err, &f) && f.status == http.StatusNotFound {
		return id, name, nil, choice, false, nil // closed to the manager too
	}
	if err == nil && rec.persons[id] != nil {
		name = rec.name(id)
	}
	return id, name, rec, choice, false, err
}

func (s *Server) managerSheet(rec *record, choice identity.Choice, page any, title string) sheet {
	sh := sheet{Page: page, Nav: "work"}
	if rec != nil {
		sh = s.sheetOf(rec, choice, page)
		sh.Nav, sh.Labels = "work", nil
	}
	sh.Title = title
	return sh
}

// restrictions lists what closes a person, and offers to close them.
func (s *Server) restrictions(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	id, name, rec, choice, done, err := s.someone(w, r, v, q.Get("family"), q.Get("person"))
	if err != nil || done {
		return err
	}
	list, err := s.Door.Restrictions(r.Context(), v.by(), v.request, id)
	if err != nil {
		return s.notManager(err)
	}
	page := exceptionPage{Person: id.String(), Who: name, Sets: true, Address: "/restrictions/new?" + url.Values{"person": {id.String()}, "family": {q.Get("family")}}.Encode()}
	page.Family = q.Get("family")
	workers, err := s.Door.FindWorkers(r.Context(), v.by(), v.request, v.by().Agency, "")
	if err != nil {
		return s.notManager(err)
	}
	for _, x := range list.Items {
		var who []string
		other := 0
		for _, one := range x.Workers {
			if at := slices.IndexFunc(workers.Items, func(k identity.Worker) bool { return k.ID == one }); at >= 0 {
				who = append(who, workers.Items[at].Name)
			} else {
				other++
			}
		}
		for _, agency := range x.Agencies {
			who = append(who, s.agencyName(agency))
		}
		if other > 0 {
			who = append(who, s.words.count("restrict.others", other))
		}
		if len(who) == 0 {
			who = []string{s.words.say("restrict.nobody")}
		}
		line := exceptionLine{ID: x.ID.String(), What: s.words.say("restriction." + x.Kind), Who: joinWords(who), Reason: x.Reason, Review: longDate(x.ReviewOn),
			Due:    x.ReviewOn.Before(s.Now()),
			Change: "/restrictions/" + x.ID.String() + "?" + url.Values{"person": {id.String()}, "family": {q.Get("family")}}.Encode()}
		if x.Until != nil {
			line.Until = longDate(*x.Until)
		}
		page.Rows = append(page.Rows, line)
	}
	sh := s.managerSheet(rec, choice, page, s.words.say("restrict.title"))
	sh.Receipt = list.Receipt
	return s.write(w, v, http.StatusOK, "restrictions", sh)
}

// restrict asks how a person shall be closed, and closes them.
func (s *Server) restrict(w http.ResponseWriter, r *http.Request, v visit) error {
	var a answers
	var form sheetForm
	var err error
	if q := r.URL.Query(); r.Method == http.MethodPost {
		a, form, err = s.sent(r)
	} else {
		place := "/restrictions/new?" + url.Values{"person": q["person"], "family": q["family"]}.Encode()
		if a, form, err = s.begin(r, v, place, s.words.say("unsaved.restrict")); err == nil && form.Kept.IsZero() {
			a.Set("person", q.Get("person"))
			a.Set("family", q.Get("family"))
			dayInto(a.Values, "review", s.Now().In(london()).AddDate(0, 0, 80).Format(time.DateOnly))
		}
	}
	if err != nil {
		return err
	}
	id, name, rec, choice, done, err := s.someone(w, r, v, a.Get("family"), a.Get("person"))
	if err != nil || done {
		return err
	}
	page := exceptionPage{Person: id.String(), Who: name, Find: true}
	page.Heading, page.Family = s.words.say("restrict.new", name), a.Get("family")
	page.Back = "/restrictions?" + url.Values{"person": {id.String()}, "family": {a.Get("family")}}.Encode()
	picked, err := s.pick(r, v, answers{url.Values{"find": {a.text("find")}}}, v.by().Agency, s.words.say("restrict.who"))
	if err != nil {
		return err
	}
	picked[1].Kind, picked[1].Name, picked[1].Hint = "boxes", "workers", s.words.say("restrict.who-hint")
	agencies := &control{Kind: "boxes", Name: "agencies", Label: s.words.say("restrict.agencies"), Hint: s.words.say("restrict.agencies-hint"), Small: true}
	for code, x := range s.agencies(r.Context()) {
		agencies.Options = append(agencies.Options, choiceOf{Value: code, Label: x.Name})
	}
	slices.SortFunc(agencies.Options, func(a, b choiceOf) int { return strings.Compare(a.Label, b.Label) })
	form.Action, form.Button, form.Warning = "/restrictions/new", s.words.say("restrict.do"), true
	form.Controls = []*control{{Kind: "radios", Name: "kind", Label: s.words.say("restrict.kind"), Options: s.options("restriction.", "restriction", "exclusion")}}
	form.Controls = append(form.Controls, picked...)
	form.Controls = append(form.Controls, agencies,
		&control{Kind: "area", Name: "reason", Label: s.words.say("restrict.reason"), Rows: 3, Most: reasonMost},
		&control{Kind: "date", Name: "review", Label: s.words.say("restrict.review"), Hint: s.words.say("restrict.review-hint")})
	form.Hidden = []hiddenField{{"person", id.String()}, {"family", a.Get("family")}}
	a.fill(form.Controls)
	show := func() error {
		page.Form = form
		return s.write(w, v, statusOf(form), "exception", s.managerSheet(rec, choice, page, s.titled(s.words.say("restrict.title"), form)))
	}
	if r.Method != http.MethodPost || a.Get("act") == "find" {
		return show()
	}
	draft := family.RestrictionDraft{Kind: a.Get("kind"), Agencies: a.Values["agencies"], Reason: a.text("reason")}
	for _, text := range a.Values["workers"] {
		worker, err := uuid.Parse(text)
		if err != nil {
			return notShown(disclosure.Call{})
		}
		draft.Workers = append(draft.Workers, worker)
	}
	var ok bool
	if draft.ReviewOn, ok = a.day("review"); !ok {
		form.fail("review", s.words.say("form.date-wrong", s.words.say("restrict.review")))
	}
	if draft.Kind == "" {
		form.fail("kind", s.words.say("restrict.kind-none"))
	}
	if draft.Reason == "" {
		form.fail("reason", s.words.say("form.reason-none"))
	}
	if len(form.Errors) > 0 {
		return show()
	}
	written, err := s.Door.SetRestriction(r.Context(), v.by(), disclosure.Change{Once: form.once(r, a), RequestID: v.request}, id, draft)
	if err != nil {
		if s.refuse(&form, err, func(f string) string { return strings.Replace(f, "review_on", "review", 1) }) {
			return show()
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.managed(w, v, written, s.words.say("restrict.saved", name), page.Back, s.words.say("restrict.back"))
}

// reviewRestriction keeps a restriction until another review, or ends it.
func (s *Server) reviewRestriction(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathID(r, "restriction")
	if err != nil {
		return err
	}
	var a answers
	var form sheetForm
	if r.Method == http.MethodPost {
		a, form, err = s.sent(r)
	} else if a, form, err = s.begin(r, v, r.URL.RequestURI(), s.words.say("unsaved.restrict")); err == nil {
		a.Set("person", r.URL.Query().Get("person"))
		a.Set("family", r.URL.Query().Get("family"))
	}
	if err != nil {
		return err
	}
	person, err := uuid.Parse(a.Get("person"))
	if err != nil {
		return notShown(disclosure.Call{})
	}
	back := "/restrictions?" + url.Values{"person": {person.String()}, "family": {a.Get("family")}}.Encode()
	form.Action, form.Button = r.URL.Path, s.words.say("review.do")
	form.Controls = []*control{
		{Kind: "radios", Name: "what", Label: s.words.say("review.what"), Options: s.options("review.", "keep", "end")},
		{Kind: "date", Name: "review", Label: s.words.say("restrict.review"), Hint: s.words.say("review.review-hint")},
		{Kind: "area", Name: "reason", Label: s.words.say("end.reason"), Rows: 3, Most: reasonMost},
	}
	form.Hidden = []hiddenField{{"person", person.String()}, {"family", a.Get("family")}}
	a.fill(form.Controls)
	show := func() error {
		page := smallFormPage{Heading: s.words.say("review.title"), Text: s.words.say("review.text"), Form: form, Back: back}
		return s.write(w, v, statusOf(form), "smallform", sheet{Title: s.titled(s.words.say("review.title"), form), Page: page, Nav: "work"})
	}
	if r.Method != http.MethodPost {
		return show()
	}
	day, ok := a.day("review")
	switch {
	case a.Get("what") == "":
		form.fail("what", s.words.say("review.what-none"))
	case !ok || a.Get("what") == "keep" && day == "":
		form.fail("review", s.words.say("form.date-wrong", s.words.say("restrict.review")))
	}
	if a.text("reason") == "" {
		form.fail("reason", s.words.say("form.reason-none"))
	}
	if len(form.Errors) > 0 {
		return show()
	}
	if a.Get("what") == "end" {
		day = ""
	}
	written, err := s.Door.ChangeRestriction(r.Context(), v.by(), disclosure.Change{Once: form.once(r, a), RequestID: v.request}, id, day, a.text("reason"))
	if err != nil {
		if s.refuse(&form, err, func(f string) string { return strings.Replace(f, "review_on", "review", 1) }) {
			return show()
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.managed(w, v, written, s.words.say("review.saved-"+a.Get("what")), back, s.words.say("restrict.back"))
}

// grants lists what was given by name.
func (s *Server) grants(w http.ResponseWriter, r *http.Request, v visit) error {
	list, err := s.Door.Grants(r.Context(), v.by(), v.request, uuid.Nil)
	if err != nil {
		return s.notManager(err)
	}
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	page := exceptionPage{Sets: disclosure.Grants(v.by())}
	for _, x := range list.Items {
		line := exceptionLine{ID: x.ID.String(), Reason: x.Reason, Until: longDate(x.Until), Change: "/grants/" + x.ID.String() + "/end"}
		section, ok := version.Section(x.Section)
		switch {
		case x.Emergency:
			line.What = s.words.say("grant.emergency")
		case ok:
			line.What = s.words.say("grant.part", upperFirst(section.Name), s.words.say("level."+x.Level))
		}
		line.Who = s.words.say("grant.to", s.agencyName(x.Agency), s.words.say("work.reference", x.Person.String()[:8]))
		page.Rows = append(page.Rows, line)
	}
	return s.write(w, v, http.StatusOK, "grants", sheet{Title: s.words.say("grant.title"), Page: page, Nav: "work", Receipt: list.Receipt})
}

// grant asks who shall see which part of whom, until when.
func (s *Server) grant(w http.ResponseWriter, r *http.Request, v visit) error {
	var a answers
	var form sheetForm
	var err error
	if q := r.URL.Query(); r.Method == http.MethodPost {
		a, form, err = s.sent(r)
	} else {
		place := "/grants/new?" + url.Values{"person": q["person"], "family": q["family"]}.Encode()
		if a, form, err = s.begin(r, v, place, s.words.say("unsaved.grant")); err == nil && form.Kept.IsZero() {
			a.Set("person", q.Get("person"))
			a.Set("family", q.Get("family"))
			a.Set("agency", v.by().Agency)
		}
	}
	if err != nil {
		return err
	}
	id, name, rec, choice, done, err := s.someone(w, r, v, a.Get("family"), a.Get("person"))
	if err != nil || done {
		return err
	}
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	page := exceptionPage{Person: id.String(), Who: name, Find: true}
	page.Heading, page.Family, page.Back = s.words.say("grant.new", name), a.Get("family"), "/grants"
	agency := &control{Kind: "select", Name: "agency", Label: s.words.say("grant.agency")}
	for code, x := range s.agencies(r.Context()) {
		if kind, ok := version.Kind(x.Kind); ok && kind.Records {
			agency.Options = append(agency.Options, choiceOf{Value: code, Label: x.Name})
		}
	}
	slices.SortFunc(agency.Options, func(a, b choiceOf) int { return strings.Compare(a.Label, b.Label) })
	picked, err := s.pick(r, v, a, a.Get("agency"), s.words.say("grant.who"))
	if err != nil {
		return err
	}
	part := &control{Kind: "radios", Name: "section", Label: s.words.say("grant.section"), Hint: s.words.say("grant.section-hint")}
	for _, x := range version.Sections {
		if !x.Never && (slices.Contains(x.Owners, v.by().Kind) || len(x.Owners) == 0 && v.by().Kind == hostKind) {
			part.Options = append(part.Options, choiceOf{Value: x.Code, Label: upperFirst(x.Name)})
		}
	}
	form.Action, form.Button = "/grants/new", s.words.say("grant.do")
	form.Controls = append([]*control{agency}, picked...)
	form.Controls = append(form.Controls, part,
		&control{Kind: "radios", Name: "level", Label: s.words.say("grant.level"), Options: s.options("level.", "full", "summary", "existence")},
		&control{Kind: "date", Name: "until", Label: s.words.say("grant.until"), Hint: s.words.say("grant.until-hint")},
		&control{Kind: "area", Name: "reason", Label: s.words.say("grant.reason"), Rows: 3, Most: reasonMost})
	form.Hidden = []hiddenField{{"person", id.String()}, {"family", a.Get("family")}}
	a.fill(form.Controls)
	show := func() error {
		page.Form = form
		return s.write(w, v, statusOf(form), "exception", s.managerSheet(rec, choice, page, s.titled(s.words.say("grant.title"), form)))
	}
	if r.Method != http.MethodPost || a.Get("act") == "find" {
		return show()
	}
	draft := family.GrantDraft{Person: id, Agency: a.Get("agency"), Section: a.Get("section"), Level: a.Get("level"), Reason: a.text("reason")}
	if draft.Worker, err = uuid.Parse(a.Get("worker")); err != nil {
		form.fail("worker", s.words.say("pick.nobody"))
	}
	for _, n := range []string{"section", "level"} {
		if a.Get(n) == "" {
			form.fail(n, s.words.say("grant."+n+"-none"))
		}
	}
	_, until, err := s.period(&form, a)
	if err != nil {
		return err
	}
	if until == nil && len(form.Errors) == 0 {
		form.fail("until", s.words.say("grant.until-none"))
	}
	if draft.Reason == "" {
		form.fail("reason", s.words.say("form.reason-none"))
	}
	if len(form.Errors) > 0 {
		return show()
	}
	draft.Until = *until
	written, err := s.Door.GiveGrant(r.Context(), v.by(), disclosure.Change{Once: form.once(r, a), RequestID: v.request}, draft)
	if err != nil {
		if s.refuse(&form, err, func(f string) string { return f }) {
			return show()
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.managed(w, v, written, s.words.say("grant.saved", name), "/grants", s.words.say("grant.back"))
}

// endGrant takes a grant back.
func (s *Server) endGrant(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.ending(w, r, v, "grant", "end-grant", "/grants", func(c disclosure.Change, id uuid.UUID, why string) (disclosure.Written, error) {
		return s.Door.RevokeGrant(r.Context(), v.by(), c, id, why)
	})
}
