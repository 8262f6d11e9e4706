package web

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

type personPage struct {
	Family, FamilyName string
	Person             personWords
	ID                 string
	Sex                string
	Children           []linkWords // as parent, carer or other
	Couples            []string
	Harm               []linkWords
	Told               []toldLine
	Entries            []entryCard
	Tells              bool // may record what the person was told
	Manages            bool
	Restricts          bool
	Notice             disclosure.Notice
}

type toldLine struct {
	Who          string // where several people are listed
	Agency       string
	Agreed, Told string
	At, Review   string
	Due          bool
}

// person shows one person as far as a family's record tells of them.
func (s *Server) person(w http.ResponseWriter, r *http.Request, v visit) error {
	id, rec, choice, done, err := s.onPerson(w, r, v, r.URL.Query().Get("family"), "person")
	if err != nil || done {
		return err
	}
	page := rec.personPage(id)
	page.Manages, page.Restricts = manages(v.by()), restricts(v.by())
	page.Tells = true
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.words.say("person.title", rec.view.Ref)
	return s.write(w, v, http.StatusOK, "person", sh)
}

// onPerson reads what a family's record tells of one person. Somebody who is
// not listed in it is a record that is not shown.
func (s *Server) onPerson(w http.ResponseWriter, r *http.Request, v visit, of, why string) (uuid.UUID, *record, identity.Choice, bool, error) {
	id, err := pathID(r, "person")
	if err != nil {
		return id, nil, identity.Choice{}, false, err
	}
	rec, choice, done, err := s.inFamily(w, r, v, of, &disclosure.Only{Page: why, Person: id, Sections: []string{"da-risk", "police-events", "police-offences"}})
	if err != nil || done {
		return id, rec, choice, done, err
	}
	if rec.persons[id] == nil {
		return id, nil, choice, false, notShown(rec.view.Notice.Call)
	}
	return id, rec, choice, false, nil
}

func (r *record) personPage(id uuid.UUID) personPage {
	p := r.persons[id]
	page := personPage{Family: r.view.Family.String(), FamilyName: r.familyName(), ID: id.String(), Notice: r.view.Notice, Sex: p.Sex}
	for _, w := range r.personWords() {
		if w.Anchor == "person-"+id.String() {
			page.Person = w
		}
	}
	for _, l := range r.view.Links {
		if l.From == id {
			page.Children = append(page.Children, linkWords{Text: r.words.say("link.of", upperFirst(l.Relation), r.name(l.To)), Note: l.Note, Source: r.owner(l.Owner)})
		}
	}
	for _, c := range r.coupleWords() {
		if c.a == id || c.b == id {
			page.Couples = append(page.Couples, c.Text)
		}
	}
	for _, h := range r.view.Harm {
		if h.By == id || h.To == id {
			page.Harm = append(page.Harm, r.harmLine(h))
		}
	}
	for _, t := range r.toldLines() {
		if t.person == id {
			page.Told = append(page.Told, t.toldLine)
		}
	}
	for _, c := range about(r.cards, id) {
		if c.Section != "identity" && c.Section != "family-links" { // they stand above
			page.Entries = append(page.Entries, c)
		}
	}
	newestFirst(page.Entries)
	return page
}

type coupleLine struct {
	a, b uuid.UUID
	Text string
}

// coupleWords says how adults are or were together.
func (r *record) coupleWords() []coupleLine {
	var out []coupleLine
	for _, c := range r.view.Couples {
		status := c.Status
		if status == "" {
			status = "partner"
		}
		text := r.words.say("couple."+status, r.name(c.A), r.name(c.B))
		switch {
		case c.Until != "" && (status == "separated" || status == "divorced"):
			text = r.words.say("couple.since", text, longDay(c.Until))
		case c.Until != "":
			text = r.words.say("couple.until", r.words.say("couple.were", r.name(c.A), r.name(c.B)), longDay(c.Until))
		case c.Since != "":
			text = r.words.say("couple.since", text, longDay(c.Since))
		}
		out = append(out, coupleLine{c.A, c.B, r.words.say("couple.says", text, r.owner(c.Owner))})
	}
	return out
}

func (r *record) harmLine(h disclosure.AllegedHarm) linkWords {
	return linkWords{Text: r.words.say("harm.line", r.name(h.By), r.name(h.To)), Source: r.words.say("harm.source", r.owner(h.Owner), longDay(h.On)),
		Href: "/entries/" + h.Entry.String() + "?family=" + r.view.Family.String()}
}

type toldOf struct {
	person uuid.UUID
	toldLine
}

func (r *record) toldLines() []toldOf {
	var out []toldOf
	today := r.now.Format(time.DateOnly)
	for _, t := range r.view.Told {
		out = append(out, toldOf{t.Person, toldLine{Who: r.name(t.Person), Agency: r.owner(t.Agency), Agreed: r.words.say("agreed." + t.Agreed), Told: r.words.say("told." + t.Told),
			At: longDay(t.At), Review: longDay(t.Review), Due: t.Review != "" && t.Review < today}})
	}
	return out
}

func (s *Server) toldForm(f *sheetForm, a answers, rec *record) {
	f.Controls = []*control{
		{Kind: "radios", Name: "told", Label: s.words.say("told.which"), Options: s.options("told.", "told", "not-told")},
		{Kind: "radios", Name: "agreed", Label: s.words.say("agreed.which"), Options: s.options("agreed.", "agreed", "declined", "withdrawn", "not-asked")},
		{Kind: "area", Name: "why", Label: s.words.say("told.why"), Hint: s.words.say("told.why-hint"), Rows: 3, Most: reasonMost},
		{Kind: "date", Name: "at", Label: s.words.say("told.at")},
		{Kind: "date", Name: "review", Label: s.words.say("told.review"), Hint: s.words.say("told.review-hint")},
	}
	purpose := &control{Kind: "radios", Name: "purpose", Label: s.words.say("told.purpose")}
	for _, p := range rec.version.PurposesFor(rec.kind, rec.roles) {
		purpose.Options = append(purpose.Options, choiceOf{Value: p.Code, Label: upperFirst(p.Name)})
	}
	f.Controls = slices.Insert(f.Controls, 0, purpose)
	f.Hidden = []hiddenField{{"family", rec.view.Family.String()}}
	f.Button = s.words.say("told.save")
	a.fill(f.Controls)
}

// told asks what a person was told, and what they agreed to.
func (s *Server) told(w http.ResponseWriter, r *http.Request, v visit) error {
	of := r.URL.Query().Get("family")
	id, rec, choice, done, err := s.onPerson(w, r, v, of, "told")
	if err != nil || done {
		return err
	}
	rec.roles = v.by().Roles
	a, form, err := s.begin(r, v, "/people/"+id.String()+"/told?family="+of, s.words.say("unsaved.told", rec.view.Ref))
	if err != nil {
		return err
	}
	if form.Kept.IsZero() {
		a.Set("purpose", rec.view.Purpose)
		dayInto(a.Values, "at", s.Now().In(london()).Format(time.DateOnly))
	}
	s.toldForm(&form, a, rec)
	return s.onPersonForm(w, v, rec, choice, id, form, "told-form")
}

func (s *Server) onPersonForm(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, id uuid.UUID, form sheetForm, key string) error {
	page := smallFormPage{Family: rec.view.Family.String(), Name: rec.familyName(), Heading: s.words.say(key+".title", rec.name(id)), Text: s.words.say(key + ".text"), Form: form,
		Back: "/people/" + id.String() + "?family=" + rec.view.Family.String()}
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.titled(s.words.say(key+".page", rec.view.Ref), form)
	return s.write(w, v, statusOf(form), "smallform", sh)
}

// sendTold keeps it.
func (s *Server) sendTold(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	of := a.Get("family")
	id, rec, choice, done, err := s.onPerson(w, r, v, of, "told")
	if err != nil || done {
		return err
	}
	rec.roles = v.by().Roles
	s.toldForm(&form, a, rec)
	for _, name := range []string{"purpose", "told", "agreed"} {
		if a.Get(name) == "" {
			form.fail(name, s.words.say("told."+name+"-none"))
		}
	}
	at, ok := a.day("at")
	if !ok || at == "" {
		form.fail("at", s.words.say("form.date-wrong", s.words.say("told.at")))
	}
	review, ok := a.day("review")
	if !ok {
		form.fail("review", s.words.say("form.date-wrong", s.words.say("told.review")))
	}
	if a.text("why") == "" && (a.Get("told") == "not-told" || a.Get("agreed") == "not-asked") {
		form.fail("why", s.words.say("told.why-none"))
	}
	if len(form.Errors) > 0 {
		return s.onPersonForm(w, v, rec, choice, id, form, "told-form")
	}
	written, err := s.Door.TellPerson(r.Context(), v.by(), asked(v, rec.view.Family, choice), form.once(r, a), id,
		family.ToldRecord{Purpose: a.Get("purpose"), Agreed: a.Get("agreed"), Told: a.Get("told"), Why: a.text("why"), At: at, Review: review})
	if err != nil {
		if s.refuse(&form, err, func(field string) string { return strings.TrimPrefix(field, "told_and_agreed.") }) {
			return s.onPersonForm(w, v, rec, choice, id, form, "told-form")
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.done(w, v, rec, choice, written, "saved.told", "/people/"+id.String()+"?family="+of, s.words.say("saved.person-back", rec.name(id)))
}
