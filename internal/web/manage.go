package web

import (
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// These choose links and nothing else: the door decides.
func manages(p identity.Principal) bool   { return disclosure.Manages(p) }
func restricts(p identity.Principal) bool { return disclosure.Restricts(p) }

type workPage struct {
	Manager   bool
	Restricts bool
	Workers   []workerLine
	Find      string
	Worker    *workerLine
	Rows      []workLine
	Family    string
	Name      string
	People    []choiceOf
}

type workerLine struct {
	ID, Name, Role string
	Cases          int
	Gone           string // why nobody can be allocated to this worker
}

type workLine struct {
	ID, Who, For, How, Since, Until, Reason string
	Ends                                    string // address
}

// work is the managers' page: who works with whom, in one family, of one
// worker, or in the agency.
func (s *Server) work(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	if of := q.Get("family"); of != "" {
		return s.familyWork(w, r, v, of)
	}
	if id, err := uuid.Parse(q.Get("worker")); err == nil {
		return s.workerWork(w, r, v, id)
	}
	list, err := s.Door.Involvements(r.Context(), v.by(), v.request, uuid.Nil, uuid.Nil, uuid.Nil)
	if err != nil {
		return refused(err)
	}
	page := workPage{Manager: manages(v.by()), Restricts: restricts(v.by())}
	sh := sheet{Title: s.words.say("work.title"), Nav: "work", Receipt: list.Receipt}
	if !page.Manager {
		for _, x := range list.Items {
			page.Rows = append(page.Rows, s.workLine(x, "", ""))
		}
		sh.Page = page
		return s.write(w, v, http.StatusOK, "work", sh)
	}
	cases := map[uuid.UUID]int{}
	for _, x := range list.Items {
		if x.Worker != nil {
			cases[*x.Worker]++
		}
	}
	if r.Method == http.MethodPost {
		page.Find = strings.TrimSpace(r.PostFormValue("find"))
	}
	workers, err := s.Door.FindWorkers(r.Context(), v.by(), v.request, v.by().Agency, page.Find)
	if err != nil {
		return refused(err)
	}
	for _, x := range workers.Items {
		line := s.workerLine(x)
		line.Cases = cases[x.ID]
		page.Workers = append(page.Workers, line)
	}
	sh.Page = page
	return s.write(w, v, http.StatusOK, "work", sh)
}

func (s *Server) workerLine(x identity.Worker) workerLine {
	return workerLine{ID: x.ID.String(), Name: x.Name, Role: s.words.role(x.Roles)}
}

func (s *Server) workLine(x family.Work, who, of string) workLine {
	line := workLine{ID: x.ID.String(), Who: x.Name, For: who, How: s.words.known("involvement."+x.Source, x.Source), Since: longDate(x.From), Reason: x.Reason,
		Ends: "/involvements/" + x.ID.String() + "/end"}
	if line.Who == "" {
		line.Who = s.words.say("work.team", x.Team)
	}
	if x.Until != nil {
		line.Until = longDate(*x.Until) + ", " + clockTime(*x.Until)
	}
	if of != "" {
		line.Ends += "?family=" + of
	}
	return line
}

// familyWork lists who of the own agency works with a family, by name.
func (s *Server) familyWork(w http.ResponseWriter, r *http.Request, v visit, of string) error {
	rec, choice, done, err := s.inFamily(w, r, v, of, &disclosure.Only{Page: "work"})
	if err != nil || done {
		return err
	}
	list, err := s.Door.InvolvementsOf(r.Context(), v.by(), v.request, rec.order)
	if err != nil {
		return s.notManager(err)
	}
	page := workPage{Manager: true, Restricts: restricts(v.by()), Family: of, Name: rec.familyName(), People: rec.people()}
	for _, x := range list.Items {
		page.Rows = append(page.Rows, s.workLine(x, rec.name(x.Person), of))
	}
	sh := s.sheetOf(rec, choice, page)
	sh.Title, sh.Nav = s.words.say("work.family-page", rec.view.Ref), "work"
	return s.write(w, v, http.StatusOK, "workfamily", sh)
}

// workerWork lists one worker's work without anybody's name: who it is with is
// for the family's own page.
func (s *Server) workerWork(w http.ResponseWriter, r *http.Request, v visit, id uuid.UUID) error {
	list, err := s.Door.Involvements(r.Context(), v.by(), v.request, id, uuid.Nil, uuid.Nil)
	if err != nil {
		return s.notManager(err)
	}
	worker, err := s.colleague(r, v, id)
	if err != nil {
		return err
	}
	line := s.workerLine(worker)
	line.Cases = len(list.Items)
	page := workPage{Manager: manages(v.by()), Worker: &line}
	for _, x := range list.Items {
		page.Rows = append(page.Rows, s.workLine(x, s.words.say("work.reference", x.Person.String()[:8]), ""))
	}
	return s.write(w, v, http.StatusOK, "workworker", sheet{Title: s.words.say("work.worker-page"), Page: page, Nav: "work", Receipt: list.Receipt})
}

// colleague finds a worker of the own agency.
func (s *Server) colleague(r *http.Request, v visit, id uuid.UUID) (identity.Worker, error) {
	all, err := s.Door.FindWorkers(r.Context(), v.by(), v.request, v.by().Agency, "")
	if err != nil {
		return identity.Worker{}, s.notManager(err)
	}
	at := slices.IndexFunc(all.Items, func(x identity.Worker) bool { return x.ID == id })
	if at < 0 {
		return identity.Worker{}, notShown(disclosure.Call{})
	}
	return all.Items[at], nil
}

// notManager is the page for whoever does not manage.
func (s *Server) notManager(err error) error {
	if _, ok := asDenied(err); ok {
		return &fault{status: http.StatusForbidden, key: "error.manager", cause: err}
	}
	return refused(err)
}

// pick is a question for a worker that needs no script: a name to look for, and
// those who were found.
func (s *Server) pick(r *http.Request, v visit, a answers, agency, label string) ([]*control, error) {
	find := &control{Kind: "text", Name: "find", Label: s.words.say("pick.find"), Hint: s.words.say("pick.hint"), Width: 20, Small: true}
	who := &control{Kind: "radios", Name: "worker", Label: label}
	found, err := s.Door.FindWorkers(r.Context(), v.by(), v.request, agency, a.text("find"))
	if err != nil {
		return nil, s.notManager(err)
	}
	for _, x := range found.Items {
		if x.ID != v.by().Worker && opensRecords(identity.Principal{Roles: x.Roles}) {
			who.Options = append(who.Options, choiceOf{Value: x.ID.String(), Label: x.Name, Hint: s.words.role(x.Roles)})
		}
	}
	if len(who.Options) == 0 {
		who.Hint = s.words.say("pick.none")
	}
	return []*control{find, who}, nil
}

// managed says that a change is made.
func (s *Server) managed(w http.ResponseWriter, v visit, written disclosure.Written, text, back, backText string) error {
	page := savedPage{Text: text, Receipt: written.Receipt, Back: back, BackText: backText}
	return s.write(w, v, http.StatusOK, "saved", sheet{Title: s.words.say("saved.title"), Page: page, Nav: "work", Receipt: written.Receipt})
}

// ending is a form that ends something, with a reason.
func (s *Server) ending(w http.ResponseWriter, r *http.Request, v visit, name, key, back string, end func(disclosure.Change, uuid.UUID, string) (disclosure.Written, error)) error {
	id, err := pathID(r, name)
	if err != nil {
		return err
	}
	var a answers
	var form sheetForm
	if r.Method == http.MethodPost {
		a, form, err = s.sent(r)
	} else {
		a, form, err = s.begin(r, v, r.URL.RequestURI(), s.words.say("unsaved."+key))
		a.Set("family", r.URL.Query().Get("family"))
	}
	if err != nil {
		return err
	}
	if of, bad := uuid.Parse(a.Get("family")); bad == nil {
		back += "?family=" + of.String()
		form.Hidden = []hiddenField{{"family", of.String()}}
	}
	form.Action = r.URL.Path
	form.Controls = []*control{{Kind: "area", Name: "reason", Label: s.words.say("end.reason"), Rows: 3, Most: reasonMost}}
	form.Button, form.Warning = s.words.say(key+".do"), true
	a.fill(form.Controls)
	show := func() error {
		page := smallFormPage{Heading: s.words.say(key + ".title"), Text: s.words.say(key + ".text"), Form: form, Back: back}
		return s.write(w, v, statusOf(form), "smallform", sheet{Title: s.titled(s.words.say(key+".title"), form), Page: page, Nav: "work"})
	}
	if r.Method != http.MethodPost {
		return show()
	}
	if a.text("reason") == "" {
		form.fail("reason", s.words.say("form.reason-none"))
		return show()
	}
	written, err := end(disclosure.Change{Once: form.once(r, a), RequestID: v.request}, id, a.text("reason"))
	if err != nil {
		if s.refuse(&form, err, func(f string) string { return f }) {
			return show()
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.managed(w, v, written, s.words.say(key+".saved"), back, s.words.known(key+".back", s.words.say("work.back")))
}

// endWork ends an involvement.
func (s *Server) endWork(w http.ResponseWriter, r *http.Request, v visit) error {
	return s.ending(w, r, v, "involvement", "end-work", "/involvements", func(c disclosure.Change, id uuid.UUID, why string) (disclosure.Written, error) {
		return s.Door.EndInvolvement(r.Context(), v.by(), c, id, why)
	})
}
