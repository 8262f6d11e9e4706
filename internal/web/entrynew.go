package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// textMost is the longest text of one field of an entry.
const textMost = 20_000

// inFamily reads a family's record as far as a page needs it, under the
// session's choice. Where there is none the purpose page has been sent for.
func (s *Server) inFamily(w http.ResponseWriter, r *http.Request, v visit, text string, only *disclosure.Only) (*record, identity.Choice, bool, error) {
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return nil, identity.Choice{}, false, notShown(disclosure.Call{})
	}
	view, choice, done, err := s.readOf(w, r, v, id, only)
	if err != nil || done {
		return nil, choice, done, err
	}
	rec, err := s.recordOf(r.Context(), v, view)
	return rec, choice, false, err
}

func (s *Server) recordOf(ctx context.Context, v visit, view disclosure.View) (*record, error) {
	version, err := s.Door.VersionAt(ctx, view.Policy)
	if err != nil {
		return nil, err
	}
	return newRecord(view, version, s.agencies(ctx), v.by().Kind, s.words, s.Now(), seen{}), nil
}

// asked is what a write is made under: as the family was opened.
func asked(v visit, of uuid.UUID, c identity.Choice) disclosure.Request {
	return disclosure.Request{Family: of, Children: c.Children, Purpose: c.Purpose, Reason: c.Reason, RequestID: v.request}
}

// own lists the parts of the record that somebody's agency writes in: its own,
// and those that no kind of agency owns. What the law restricts, and what is
// never shared, is not written here.
func (r *record) own() []policy.Section {
	var out []policy.Section
	for _, x := range r.version.Sections {
		if !x.Never && x.Sensitivity < 4 && (len(x.Owners) == 0 || slices.Contains(x.Owners, r.kind)) {
			out = append(out, x)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// people offers the members by name, the children first; those who could be
// mistaken are told apart by their age.
func (r *record) people() []choiceOf {
	var out []choiceOf
	for _, id := range r.order {
		p := r.persons[id]
		hint := ""
		if p.Born != "" {
			hint = r.words.say("person.born", longDay(p.Born))
			if p.Age != "" && p.Died == "" {
				hint += " (" + p.Age + ")"
			}
		}
		out = append(out, choiceOf{Value: id.String(), Label: p.Name, Hint: hint})
	}
	return out
}

type beginEntryPage struct {
	Family, Name string
	Form         sheetForm
}

// newEntry asks first whom an entry is about and which part it belongs to, and
// then for what that part holds.
func (s *Server) newEntry(w http.ResponseWriter, r *http.Request, v visit) error {
	q := r.URL.Query()
	rec, choice, done, err := s.inFamily(w, r, v, q.Get("family"), &disclosure.Only{Page: "write"})
	if err != nil || done {
		return err
	}
	part := slices.IndexFunc(rec.own(), func(x policy.Section) bool { return x.Code == q.Get("part") })
	if part < 0 || len(q["about"]) == 0 && !q.Has("draft") {
		return s.askPart(w, v, rec, choice, q)
	}
	section := rec.own()[part]
	place := "/entries/new?" + url.Values{"family": {rec.view.Family.String()}, "part": {section.Code}}.Encode()
	a, form, err := s.begin(r, v, place, s.words.say("unsaved.entry", rec.view.Ref))
	if err != nil {
		return err
	}
	if form.Kept.IsZero() {
		a.Values["about"] = q["about"]
	}
	return s.entryForm(w, v, rec, choice, section, a, form, "write.title", http.StatusOK)
}

func (s *Server) askPart(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, q url.Values) error {
	form := sheetForm{Action: "/entries/new", Hidden: []hiddenField{{"family", rec.view.Family.String()}}}
	about := &control{Kind: "boxes", Name: "about", Label: s.words.say("write.about"), Hint: s.words.say("write.about-hint"), Options: rec.people()}
	part := &control{Kind: "radios", Name: "part", Label: s.words.say("write.part"), Hint: s.words.say("write.part-hint")}
	for _, x := range rec.own() {
		part.Options = append(part.Options, choiceOf{Value: x.Code, Label: upperFirst(x.Name)})
	}
	form.Controls = []*control{about, part}
	answers{q}.fill(form.Controls)
	if q.Has("next") {
		if len(q["about"]) == 0 {
			form.fail("about", s.words.say("write.about-none"))
		}
		if q.Get("part") == "" {
			form.fail("part", s.words.say("write.part-none"))
		}
	}
	sh := s.sheetOf(rec, choice, beginEntryPage{Family: rec.view.Family.String(), Name: rec.familyName(), Form: form})
	sh.Title = s.titled(s.words.say("write.page", rec.view.Ref), form)
	return s.write(w, v, statusOf(form), "entrybegin", sh)
}

type entryFormPage struct {
	Family, Name, Heading, Part string
	Form                        sheetForm
	Corrects                    int
}

// entryControls are the questions of one part of the record.
func (s *Server) entryControls(rec *record, section policy.Section, correcting bool) []*control {
	say := s.words.say
	out := []*control{
		{Kind: "boxes", Name: "about", Label: say("write.about"), Hint: say("write.about-hint"), Options: rec.people()},
		{Kind: "boxes", Name: "mentions", Label: say("write.mentions"), Hint: say("write.mentions-hint"), Options: rec.people()},
		{Kind: "radios", Name: "source", Label: say("write.source"), Options: s.options("source.", "fact", "self-report", "third-party", "opinion", "allegation")},
		{Kind: "when", Name: "when", Label: say("write.when"), Hint: say("write.when-hint")},
		{Kind: "text", Name: "when-words", Label: say("write.words"), Hint: say("write.words-hint"), Width: 20, Small: true},
	}
	for _, f := range section.Fields {
		if section.Narrative && slices.Contains([]string{"shared_summary", "summary_by", "summary_review"}, f.Name) {
			continue
		}
		c := &control{Kind: "text", Name: fieldName(f), Label: f.Label, Small: true}
		switch f.Type {
		case "date":
			c.Kind = "date"
		case "bool":
			c.Kind, c.Options = "radios", []choiceOf{{Value: "yes", Label: say("yes")}, {Value: "no", Label: say("no")}, {Value: "", Label: say("write.not-said")}}
		case "list":
			c.Kind, c.Rows, c.Hint = "area", 3, say("write.list-hint")
		case "number":
			c.Width = 4
		case "text":
			c.Kind, c.Rows = "area", 3
			if f.Name == "text" {
				c.Rows, c.Most, c.Small = 8, textMost, false
			}
		}
		out = append(out, c)
	}
	if section.Narrative {
		out = append(out,
			&control{Kind: "area", Name: "summary", Label: say("write.summary"), Hint: say("write.summary-hint"), Rows: 4, Most: 4000},
			&control{Kind: "date", Name: "review", Label: say("write.review"), Hint: say("write.review-hint")})
	}
	tagged := &control{Kind: "radios", Name: "tagged", Label: say("write.tagged"), Hint: say("write.tagged-hint"), Options: s.options("tagged.", "nothing", "some", "unsure")}
	contains := &control{Kind: "boxes", Name: "contains", Label: say("write.contains"), Small: true}
	for _, x := range rec.version.Sections {
		if x.Code != section.Code {
			contains.Options = append(contains.Options, choiceOf{Value: x.Code, Label: upperFirst(x.Name)})
		}
	}
	sort.SliceStable(contains.Options, func(i, j int) bool { return contains.Options[i].Label < contains.Options[j].Label })
	out = append(out, tagged, contains,
		&control{Kind: "boxes", Name: "flags", Label: say("write.labels"), Hint: say("write.labels-hint"), Options: s.options("flag.", "do-not-inform", "onward", "court", "places", "new-name")},
		&control{Kind: "text", Name: "onward", Label: say("write.onward"), Hint: say("write.onward-hint"), Small: true})
	if strings.HasPrefix(section.Code, "police-intelligence") {
		out = append(out, &control{Kind: "radios", Name: "handling", Label: say("write.handling"), Options: s.options("handling.", "P", "C")})
	}
	if correcting {
		out = append(out, &control{Kind: "area", Name: "why", Label: say("correct.why"), Hint: say("correct.why-hint"), Rows: 2, Most: reasonMost})
	}
	return out
}

func fieldName(f policy.Field) string { return "f-" + strings.ReplaceAll(f.Name, "_", "-") }

// entryForm shows the questions with what was typed.
func (s *Server) entryForm(w http.ResponseWriter, v visit, rec *record, choice identity.Choice, section policy.Section, a answers, form sheetForm, key string, status int) error {
	correcting := key == "correct.title"
	if form.Controls == nil {
		form.Controls = s.entryControls(rec, section, correcting)
	}
	a.fill(form.Controls)
	form.Hidden = []hiddenField{{"family", rec.view.Family.String()}, {"part", section.Code}, {"act", "check"}}
	if correcting {
		form.Hidden = append(form.Hidden, hiddenField{"corrects", a.Get("corrects")})
	}
	form.Button = s.words.say("write.check")
	page := entryFormPage{Family: rec.view.Family.String(), Name: rec.familyName(), Heading: s.words.say(key, section.Name), Part: upperFirst(section.Name), Form: form}
	sh := s.sheetOf(rec, choice, page)
	sh.Title = s.titled(s.words.say("write.page", rec.view.Ref), form)
	return s.write(w, v, status, "entryform", sh)
}

// draftOf turns what was typed into an entry. Messages go to the form.
func (s *Server) draftOf(form *sheetForm, section policy.Section, a answers) disclosure.EntryDraft {
	say := s.words.say
	e := family.EntryRecord{
		Section: section.Code, Source: a.Get("source"), About: a.Values["about"], Mentions: a.Values["mentions"], Flags: a.Values["flags"],
		Onward: a.text("onward"), Handling: a.Get("handling"), Content: map[string]any{},
	}
	e.Mentions = slices.DeleteFunc(slices.Clone(e.Mentions), func(id string) bool { return slices.Contains(e.About, id) })
	if len(e.About) == 0 {
		form.fail("about", say("write.about-none"))
	}
	if e.Source == "" {
		form.fail("source", say("write.source-none"))
	}
	var ok bool
	if e.Event, ok = a.when("when"); !ok {
		form.fail("when", say("form.when-wrong"))
	}
	for _, f := range section.Fields {
		name := fieldName(f)
		text := a.text(name)
		switch f.Type {
		case "date":
			day, ok := a.day(name)
			if !ok {
				form.fail(name, say("form.date-wrong", f.Label))
			} else if day != "" {
				e.Content[f.Name] = day
			}
		case "bool":
			if text != "" {
				e.Content[f.Name] = text == "yes"
			}
		case "number":
			if text != "" {
				n, err := strconv.ParseFloat(text, 64)
				if err != nil {
					form.fail(name, say("form.number-wrong", f.Label))
				}
				e.Content[f.Name] = n
			}
		case "list":
			var list []any
			for line := range strings.Lines(text) {
				if line = strings.TrimSpace(line); line != "" {
					list = append(list, line)
				}
			}
			if len(list) > 0 {
				e.Content[f.Name] = list
			}
		default:
			if text != "" {
				e.Content[f.Name] = text
			}
		}
	}
	if len(e.Content) == 0 && len(form.Errors) == 0 {
		form.fail(firstField(section), say("write.nothing"))
	}
	if text := a.text("summary"); text != "" && section.Narrative {
		review, ok := a.day("review")
		if !ok {
			form.fail("review", say("form.date-wrong", say("write.review")))
		}
		e.Summary = &family.SharedSummary{Text: text, Review: review}
	}
	switch a.Get("tagged") {
	case "nothing":
		e.Contains = []string{}
	case "some":
		if e.Contains = a.Values["contains"]; len(e.Contains) == 0 {
			form.fail("contains", say("write.contains-none"))
		}
	case "unsure":
	default:
		form.fail("tagged", say("write.tagged-none"))
	}
	return disclosure.EntryDraft{Record: e, Why: a.text("why")}
}

func firstField(x policy.Section) string {
	for _, f := range x.Fields {
		if f.Name != "shared_summary" {
			return fieldName(f)
		}
	}
	return "about"
}

// entryField says to which question a field of the record belongs.
func entryField(field string) string {
	field = strings.TrimPrefix(field, "entry.")
	switch name, rest, _ := strings.Cut(field, "."); {
	case name == "content" && rest != "":
		rest, _, _ = strings.Cut(rest, "[")
		return "f-" + strings.ReplaceAll(rest, "_", "-")
	case name == "content":
		return "f-text"
	case name == "summary" && rest == "review":
		return "review"
	case name == "event", name == "event_until":
		return "when"
	case name == "onward_label":
		return "onward"
	default:
		name, _, _ = strings.Cut(name, "[")
		return name
	}
}

// sendEntry takes a new entry: checked first, saved when its writer has seen
// who will see it.
func (s *Server) sendEntry(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	rec, choice, done, err := s.inFamily(w, r, v, a.Get("family"), &disclosure.Only{Page: "write"})
	if err != nil || done {
		return err
	}
	at := slices.IndexFunc(rec.own(), func(x policy.Section) bool { return x.Code == a.Get("part") })
	if at < 0 {
		return notShown(disclosure.Call{})
	}
	section := rec.own()[at]
	form.Controls = s.entryControls(rec, section, false)
	draft := s.draftOf(&form, section, a)
	again := func() error {
		return s.entryForm(w, v, rec, choice, section, a, form, "write.title", statusOf(form))
	}
	if len(form.Errors) > 0 || a.Get("act") == "edit" {
		return again()
	}
	readers, err := s.Door.WhoWouldRead(r.Context(), v.by(), asked(v, rec.view.Family, choice), draft)
	if err != nil {
		if s.refuse(&form, err, entryField) {
			return again()
		}
		return refused(err)
	}
	if a.Get("act") != "save" {
		return s.checkEntry(w, v, rec, choice, section, a, form, readers)
	}
	written, err := s.Door.WriteEntry(r.Context(), v.by(), asked(v, rec.view.Family, choice), form.once(r, a), draft)
	if err != nil {
		if s.refuse(&form, err, entryField) {
			return again()
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.savedEntry(w, v, rec, choice, section, written, readers, "saved.entry")
}
