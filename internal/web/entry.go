package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

type entryPage struct {
	Family, Name, Heading, Part string
	Entry                       entryCard
	Own                         bool
	Narrative                   bool
	Versions                    []versionLine
	Notice                      disclosure.Notice
}

// versionLine is one version as its owner sees it.
type versionLine struct {
	Number    int
	When      string
	By, Why   string
	Latest    bool
	Withdrawn bool
	Fields    []fieldLine
	Read      bool // its content was released
}

// pathID reads an id of the address.
func pathID(r *http.Request, name string) (uuid.UUID, error) {
	text := chi.URLParam(r, name)
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, notShown(disclosure.Call{})
	}
	return id, nil
}

// onEntry reads one entry of a family, as the session opened it.
func (s *Server) onEntry(w http.ResponseWriter, r *http.Request, v visit, text string) (*record, disclosure.Page, entryCard, identity.Choice, bool, error) {
	id, err := pathID(r, "entry")
	if err != nil {
		return nil, disclosure.Page{}, entryCard{}, identity.Choice{}, false, err
	}
	of, err := uuid.Parse(text)
	if err != nil || of.String() != text {
		return nil, disclosure.Page{}, entryCard{}, identity.Choice{}, false, notShown(disclosure.Call{})
	}
	choice, done, err := s.choiceFor(w, r, v, of)
	if err != nil || done {
		return nil, disclosure.Page{}, entryCard{}, choice, done, err
	}
	page, err := s.Door.ReadEntry(r.Context(), v.by(), asked(v, of, choice), id)
	if err != nil {
		return nil, page, entryCard{}, choice, false, refused(err)
	}
	rec, err := s.recordOf(r.Context(), v, page.View)
	if err != nil {
		return nil, page, entryCard{}, choice, false, err
	}
	at := slices.IndexFunc(rec.cards, func(c entryCard) bool { return c.ID == id })
	if at < 0 {
		return nil, page, entryCard{}, choice, false, notShown(page.Notice.Call)
	}
	return rec, page, rec.cards[at], choice, false, nil
}

// entry shows one entry; to its owner with its versions.
func (s *Server) entry(w http.ResponseWriter, r *http.Request, v visit) error {
	rec, read, card, choice, done, err := s.onEntry(w, r, v, r.URL.Query().Get("family"))
	if err != nil || done {
		return err
	}
	section, _ := rec.version.Section(card.Section)
	card.Page = "" // here
	page := entryPage{Family: rec.view.Family.String(), Name: rec.familyName(), Heading: card.Heading, Part: card.Part, Entry: card, Notice: rec.view.Notice,
		Own: card.OwnerCode == v.by().Agency, Narrative: section.Narrative}
	for _, h := range read.History {
		line := versionLine{Number: h.Version, When: longDate(h.Received) + ", " + clockTime(h.Received), By: h.By, Why: h.Why, Latest: h.Version == card.Version, Withdrawn: h.Withdrawn}
		for _, e := range read.Earlier {
			var content map[string]any
			if e.Version == h.Version && json.Unmarshal(e.Content, &content) == nil {
				line.Fields, line.Read = rec.fields(section, content, e.Masked), true
			}
		}
		page.Versions = append(page.Versions, line)
	}
	sh := s.sheetOf(rec, choice, page)
	sh.Labels = nil // they stand at the entry itself
	sh.Title = s.words.say("entry.title", page.Part, rec.view.Ref)
	return s.write(w, v, http.StatusOK, "entry", sh)
}

// correctEntry shows an entry's questions with what it says now.
func (s *Server) correctEntry(w http.ResponseWriter, r *http.Request, v visit) error {
	of := r.URL.Query().Get("family")
	rec, read, card, choice, done, err := s.onEntry(w, r, v, of)
	if err != nil || done {
		return err
	}
	section, ok := rec.version.Section(card.Section)
	if !ok || read.Kept == nil {
		return s.notYours(w, v, rec, choice, card)
	}
	a, form, err := s.begin(r, v, "/entries/"+card.ID.String()+"/correct?family="+of, s.words.say("unsaved.correct", rec.view.Ref))
	if err != nil {
		return err
	}
	if form.Kept.IsZero() {
		a = asTyped(section, card, read)
	}
	return s.entryForm(w, v, rec, choice, section, a, form, "correct.title", http.StatusOK)
}

// notYours says that another agency owns the entry, and what can be done.
func (s *Server) notYours(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, card entryCard) error {
	page := entryPage{Family: rec.view.Family.String(), Name: rec.familyName(), Entry: card}
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.words.say("entry.title", card.Part, rec.view.Ref)
	return s.write(w, v, http.StatusForbidden, "notyours", sh)
}

// asTyped turns an entry back into the answers that made it.
func asTyped(section policy.Section, card entryCard, read disclosure.Page) answers {
	v := url.Values{"corrects": {strconv.Itoa(card.Version)}, "source": {read.Entry.Source}, "onward": {read.Kept.Onward}, "handling": {read.Kept.Handling}}
	ids := func(list []uuid.UUID) []string {
		out := make([]string, 0, len(list))
		for _, id := range list {
			out = append(out, id.String())
		}
		return out
	}
	v["about"], v["mentions"], v["flags"], v["contains"] = ids(read.Entry.Subjects), ids(read.Kept.Mentions), read.Kept.Flags, read.Kept.Contains
	switch {
	case !read.Kept.Tagged:
		v.Set("tagged", "unsure")
	case len(read.Kept.Contains) > 0:
		v.Set("tagged", "some")
	default:
		v.Set("tagged", "nothing")
	}
	d := read.Entry.Dates
	switch {
	case d.EventUntil != "" && d.EventUntil != d.Event && d.Words != "":
		if month, err := time.Parse("2006-01", d.Words); err == nil {
			v.Set("when-month", strconv.Itoa(int(month.Month())))
			v.Set("when-year", strconv.Itoa(month.Year()))
		} else if _, err := time.Parse("2006", d.Words); err == nil {
			v.Set("when-year", d.Words)
		} else {
			v.Set("when-words", d.Words) // a season, as it was said
		}
	case d.Event != "":
		dayInto(v, "when", d.Event)
		v.Set("when-words", strings.TrimSpace(strings.TrimPrefix(d.Words, d.Event)))
	default:
		v.Set("when-words", d.Words)
	}
	for _, f := range section.Fields {
		name := fieldName(f)
		switch x := card.content[f.Name].(type) {
		case string:
			if f.Type == "date" {
				dayInto(v, name, x)
			} else {
				v.Set(name, x)
			}
		case bool:
			v.Set(name, map[bool]string{true: "yes", false: "no"}[x])
		case float64:
			v.Set(name, strconv.FormatFloat(x, 'f', -1, 64))
		case []any:
			var lines []string
			for _, one := range x {
				if text, ok := one.(string); ok {
					lines = append(lines, text)
				}
			}
			v.Set(name, strings.Join(lines, "\n"))
		}
	}
	return answers{v}
}

// sendCorrection takes a corrected entry: checked first, then saved.
func (s *Server) sendCorrection(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	rec, read, card, choice, done, err := s.onEntry(w, r, v, a.Get("family"))
	if err != nil || done {
		return err
	}
	section, ok := rec.version.Section(card.Section)
	if !ok || read.Kept == nil {
		return s.notYours(w, v, rec, choice, card)
	}
	form.Controls = s.entryControls(rec, section, true)
	draft := s.draftOf(&form, section, a)
	draft.Record.Existence = read.Kept.Existence
	again := func() error {
		return s.entryForm(w, v, rec, choice, section, a, form, "correct.title", statusOf(form))
	}
	corrects, err := strconv.Atoi(a.Get("corrects"))
	if err != nil {
		return notShown(disclosure.Call{})
	}
	if draft.Why == "" {
		form.fail("why", s.words.say("correct.why-none"))
	}
	if len(form.Errors) > 0 || a.Get("act") == "edit" {
		return again()
	}
	req := asked(v, rec.view.Family, choice)
	readers, err := s.Door.WhoWouldRead(r.Context(), v.by(), req, draft)
	if err != nil {
		if s.refuse(&form, err, entryField) {
			return again()
		}
		return refused(err)
	}
	if a.Get("act") != "save" {
		return s.checkEntry(w, v, rec, choice, section, a, form, readers)
	}
	written, err := s.Door.ChangeEntry(r.Context(), v.by(), req, form.once(r, a), card.ID, disclosure.VersionChange{Corrects: corrects, Draft: &draft})
	switch {
	case err == nil:
	case s.superseded(&form, a, err), s.refuse(&form, err, entryField):
		return again()
	default:
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.savedEntry(w, v, rec, choice, section, written, readers, "saved.correction")
}

type smallFormPage struct {
	Family, Name, Heading, Text string
	Entry                       *entryCard
	Form                        sheetForm
	Back                        string
}

// onForm is a page with one short form about an entry.
func (s *Server) onForm(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, card *entryCard, form sheetForm, key string) error {
	page := smallFormPage{Family: rec.view.Family.String(), Name: rec.familyName(), Heading: s.words.say(key + ".title"), Text: s.words.say(key + ".text"), Entry: card, Form: form}
	if card != nil {
		page.Back = card.Page
	}
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.titled(s.words.say(key+".page", rec.view.Ref), form)
	return s.write(w, v, statusOf(form), "smallform", sh)
}

// done says that something about an entry or a person is saved.
func (s *Server) done(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, written disclosure.Written, key, back, backText string) error {
	page := savedPage{Family: rec.view.Family.String(), Name: rec.familyName(), Text: s.words.say(key), Receipt: written.Receipt, Back: back, BackText: backText}
	sh := s.sheetOf(rec, choice, page)
	sh.Title, sh.Receipt = s.words.say("write.page", rec.view.Ref), written.Receipt
	return s.write(w, v, http.StatusOK, "saved", sh)
}

func (s *Server) concernForm(f *sheetForm, of string, card entryCard) {
	f.Controls = []*control{
		{Kind: "radios", Name: "kind", Label: s.words.say("concern.kind"), Options: s.options("concern.", "wrong-person", "wrong-fact")},
		{Kind: "area", Name: "what", Label: s.words.say("concern.what"), Hint: s.words.say("concern.what-hint"), Rows: 4, Most: reasonMost},
	}
	f.Hidden = []hiddenField{{"family", of}, {"version", strconv.Itoa(card.Version)}}
	f.Button = s.words.say("concern.send")
}

// concern asks what is wrong with an entry.
func (s *Server) concern(w http.ResponseWriter, r *http.Request, v visit) error {
	of := r.URL.Query().Get("family")
	rec, _, card, choice, done, err := s.onEntry(w, r, v, of)
	if err != nil || done {
		return err
	}
	a, form, err := s.begin(r, v, card.Concern, s.words.say("unsaved.concern", rec.view.Ref))
	if err != nil {
		return err
	}
	s.concernForm(&form, of, card)
	a.fill(form.Controls)
	return s.onForm(w, v, rec, choice, &card, form, "concern")
}

// sendConcern tells the entry's owner.
func (s *Server) sendConcern(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	of := a.Get("family")
	rec, _, card, choice, done, err := s.onEntry(w, r, v, of)
	if err != nil || done {
		return err
	}
	s.concernForm(&form, of, card)
	a.fill(form.Controls)
	version, err := strconv.Atoi(a.Get("version"))
	if err != nil {
		version = card.Version
	}
	if a.Get("kind") == "" {
		form.fail("kind", s.words.say("concern.kind-none"))
	}
	if a.text("what") == "" {
		form.fail("what", s.words.say("concern.what-none"))
	}
	if len(form.Errors) > 0 {
		return s.onForm(w, v, rec, choice, &card, form, "concern")
	}
	written, err := s.Door.RaiseConcern(r.Context(), v.by(), asked(v, rec.view.Family, choice), form.once(r, a), card.ID,
		disclosure.ConcernDraft{Version: version, Kind: a.Get("kind"), What: a.text("what")})
	if err != nil {
		if s.refuse(&form, err, entryField) {
			return s.onForm(w, v, rec, choice, &card, form, "concern")
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.done(w, v, rec, choice, written, "saved.concern", card.Page, s.words.say("saved.entry-back"))
}
