package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

type allocatePage struct {
	smallFormPage
	Now  []workLine // who works with the person now
	Next []fieldLine
	Find bool // the form has a worker to look for
}

// allocate asks who shall work with somebody, or cover for a colleague.
func (s *Server) allocate(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	place := "/involvements/new?" + url.Values{"family": q["family"], "person": q["person"], "how": q["how"]}.Encode()
	if q.Get("covers") != "" {
		place = "/involvements/new?" + url.Values{"covers": q["covers"], "how": {family.Covered}}.Encode()
	}
	a, form, err := s.begin(r, v, place, s.words.say("unsaved.allocate"))
	if err != nil {
		return err
	}
	if form.Kept.IsZero() {
		for _, name := range []string{"family", "person", "how", "covers"} {
			a.Set(name, q.Get(name))
		}
	}
	return s.allocation(w, r, v, a, form, nil)
}

// allocation shows the form, the check page, or what stands in the way.
func (s *Server) allocation(w http.ResponseWriter, r *http.Request, v visit, a answers, form sheetForm, save func(family.Allocation, disclosure.Once) (disclosure.Written, error)) error {
	how := a.Get("how")
	if how != family.Covered {
		how = family.Allocated
	}
	page := allocatePage{Find: true}
	var rec *record
	var choice identity.Choice
	alloc := family.Allocation{Source: how, Reason: a.text("reason"), Role: a.text("role")}
	who := ""
	if a.Get("covers") != "" {
		id, err := uuid.Parse(a.Get("covers"))
		if err != nil {
			return notShown(disclosure.Call{})
		}
		worker, err := s.colleague(r, v, id)
		if err != nil {
			return err
		}
		alloc.Covers, who = id, s.words.say("allocate.all-work", worker.Name)
		page.Back = "/involvements?worker=" + id.String()
	} else {
		var done bool
		var err error
		rec, choice, done, err = s.inFamily(w, r, v, a.Get("family"), &disclosure.Only{Page: "work"})
		if err != nil || done {
			return err
		}
		id, err := uuid.Parse(a.Get("person"))
		if err != nil || rec.persons[id] == nil {
			return notShown(rec.view.Notice.Call)
		}
		alloc.Person, who = id, rec.name(id)
		list, err := s.Door.InvolvementsOf(r.Context(), v.by(), v.request, []uuid.UUID{id})
		if err != nil {
			return s.notManager(err)
		}
		for _, x := range list.Items {
			page.Now = append(page.Now, s.workLine(x, who, a.Get("family")))
		}
		page.Back, page.Family, page.Name = "/involvements?family="+a.Get("family"), a.Get("family"), rec.familyName()
	}
	controls, err := s.pick(r, v, a, v.by().Agency, s.words.say(how+".who"))
	if err != nil {
		return err
	}
	form.Controls = append(controls,
		&control{Kind: "date", Name: "from", Label: s.words.say("allocate.from"), Hint: s.words.say("allocate.from-hint")},
		&control{Kind: "date", Name: "until", Label: s.words.say("allocate.until"), Hint: s.words.say(how + ".until-hint")},
		&control{Kind: "area", Name: "reason", Label: s.words.say("allocate.reason"), Rows: 2, Most: reasonMost})
	a.fill(form.Controls)
	form.Action = "/involvements/new"
	page.Heading = s.words.say(how+".title", who)
	title := s.words.say(how + ".page")
	show := func(name string) error {
		if name == "smallform" || name == "allocate" {
			for _, h := range []string{"family", "person", "how", "covers"} {
				if a.Get(h) != "" {
					form.Hidden = append(form.Hidden, hiddenField{h, a.Get(h)})
				}
			}
			form.Button = s.words.say("allocate.check")
		}
		page.Form = form
		sh := sheet{Page: page, Nav: "work"}
		if rec != nil {
			sh = s.sheetOf(rec, choice, page)
			sh.Nav = "work"
		}
		sh.Title = s.titled(title, form)
		return s.write(w, v, statusOf(form), name, sh)
	}
	if save == nil || a.Get("act") == "find" || a.Get("act") == "edit" {
		return show("allocate")
	}
	alloc.Worker, err = uuid.Parse(a.Get("worker"))
	if err != nil {
		form.fail("worker", s.words.say("pick.nobody"))
	}
	if alloc.From, alloc.Until, err = s.period(&form, a); err != nil {
		return err
	}
	if how == family.Covered && alloc.Until == nil && len(form.Errors) == 0 {
		form.fail("until", s.words.say("cover.until-none"))
	}
	if alloc.Reason == "" {
		form.fail("reason", s.words.say("form.reason-none"))
	}
	if len(form.Errors) > 0 {
		return show("allocate")
	}
	if a.Get("act") != "save" {
		page.Next, err = s.willSee(r, v, rec, alloc, who, controls[1])
		if err != nil {
			return err
		}
		form.hide(a)
		form.Button = s.words.say(how + ".save")
		return show("allocatecheck")
	}
	written, err := save(alloc, form.once(r, a))
	if err != nil {
		if s.refuse(&form, err, func(f string) string { return f }) {
			return show("allocate")
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.managed(w, v, written, s.words.say(how+".saved", who), page.Back, s.words.say("work.back"))
}

// willSee says who next, from when, until when, and what they will be able to see.
func (s *Server) willSee(r *http.Request, v visit, rec *record, a family.Allocation, who string, workers *control) ([]fieldLine, error) {
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return nil, err
	}
	line := func(key, text string) fieldLine { return fieldLine{Label: s.words.say(key), Text: text} }
	name := ""
	for _, o := range workers.Options {
		if o.Value == a.Worker.String() {
			name = o.Label
		}
	}
	worker, err := s.colleague(r, v, a.Worker)
	if err != nil {
		return nil, err
	}
	var purposes []string
	for _, p := range version.PurposesFor(v.by().Kind, worker.Roles) {
		if p.Relationship == "involvement" || p.Relationship == "" {
			purposes = append(purposes, upperFirst(p.Name))
		}
	}
	out := []fieldLine{line("allocate.with", who), line("allocate.next", name)}
	from := s.words.say("allocate.now")
	if a.From != nil {
		from = longDate(*a.From)
	}
	until := s.words.say("allocate.open-end")
	if a.Until != nil {
		until = longDate(a.Until.Add(-time.Second))
	}
	return append(out, line("allocate.from", from), line("allocate.until", until), line("allocate.reason", a.Reason),
		fieldLine{Label: s.words.say("allocate.sees"), List: purposes}), nil
}

// period reads a beginning and an end as days in the UK: from the beginning of
// the first to the end of the last.
func (s *Server) period(f *sheetForm, a answers) (from, until *time.Time, err error) {
	read := func(name string, end int) *time.Time {
		text, ok := a.day(name)
		if !ok {
			label := name
			for _, c := range f.Controls {
				if c.Name == name {
					label = c.Label
				}
			}
			f.fail(name, s.words.say("form.date-wrong", label))
		}
		if !ok || text == "" {
			return nil
		}
		t, err := time.ParseInLocation(time.DateOnly, text, london())
		if err != nil {
			return nil
		}
		t = t.AddDate(0, 0, end)
		return &t
	}
	from, until = read("from", 0), read("until", 1)
	if from != nil && from.Format(time.DateOnly) == s.Now().In(london()).Format(time.DateOnly) {
		from = nil // today is now
	}
	return from, until, nil
}

// sendAllocation saves it.
func (s *Server) sendAllocation(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	return s.allocation(w, r, v, a, form, func(x family.Allocation, o disclosure.Once) (disclosure.Written, error) {
		return s.Door.Involve(r.Context(), v.by(), disclosure.Change{Once: o, RequestID: v.request}, x)
	})
}
