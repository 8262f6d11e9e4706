package web

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"kith/internal/disclosure"
	"kith/internal/family"
)

func (s *Server) summaryForm(f *sheetForm, a answers, of string) {
	f.Controls = []*control{
		{Kind: "area", Name: "text", Label: s.words.say("write.summary"), Hint: s.words.say("write.summary-hint"), Rows: 5, Most: 4000},
		{Kind: "date", Name: "review", Label: s.words.say("write.review"), Hint: s.words.say("write.review-hint")},
	}
	f.Hidden = carried(a, of)
	f.Button = s.words.say("summary.save")
	a.fill(f.Controls)
}

// summary asks for the shared summary of a narrative entry.
func (s *Server) summary(w http.ResponseWriter, r *http.Request, v visit) error {
	of := r.URL.Query().Get("family")
	rec, read, card, choice, done, err := s.onEntry(w, r, v, of)
	if err != nil || done {
		return err
	}
	if read.Kept == nil || !read.Kept.Narrative {
		return s.notYours(w, v, rec, choice, card)
	}
	a, form, err := s.begin(r, v, "/entries/"+card.ID.String()+"/summary?family="+of, s.words.say("unsaved.summary", rec.view.Ref))
	if err != nil {
		return err
	}
	if form.Kept.IsZero() {
		a.Set("corrects", strconv.Itoa(card.Version))
	}
	s.summaryForm(&form, a, of)
	return s.onForm(w, v, rec, choice, &card, form, "summary")
}

// sendSummary saves it, signed by the writer.
func (s *Server) sendSummary(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	of := a.Get("family")
	rec, _, card, choice, done, err := s.onEntry(w, r, v, of)
	if err != nil || done {
		return err
	}
	s.summaryForm(&form, a, of)
	review, ok := a.day("review")
	if !ok {
		form.fail("review", s.words.say("form.date-wrong", s.words.say("write.review")))
	}
	if a.text("text") == "" {
		form.fail("text", s.words.say("summary.none"))
	}
	corrects, err := strconv.Atoi(a.Get("corrects"))
	if err != nil {
		return notShown(disclosure.Call{})
	}
	if len(form.Errors) > 0 {
		return s.onForm(w, v, rec, choice, &card, form, "summary")
	}
	written, err := s.Door.ChangeEntry(r.Context(), v.by(), asked(v, rec.view.Family, choice), form.once(r, a), card.ID,
		disclosure.VersionChange{Corrects: corrects, Summary: &family.SharedSummary{Text: a.text("text"), Review: review}})
	switch {
	case err == nil:
	case errors.Is(err, disclosure.ErrNotOwner):
		return s.notYours(w, v, rec, choice, card)
	case s.superseded(&form, a, err), s.refuse(&form, err, func(field string) string { return strings.TrimPrefix(entryField(field), "summary.") }):
		form.Hidden = carried(a, of)
		return s.onForm(w, v, rec, choice, &card, form, "summary")
	default:
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.done(w, v, rec, choice, written, "saved.summary", card.Page, s.words.say("saved.entry-back"))
}

// withdraw takes an entry back, with a reason.
func (s *Server) withdraw(w http.ResponseWriter, r *http.Request, v visit) error {
	of := r.URL.Query().Get("family")
	rec, read, card, choice, done, err := s.onEntry(w, r, v, of)
	if err != nil || done {
		return err
	}
	if read.Kept == nil {
		return s.notYours(w, v, rec, choice, card)
	}
	a, form, err := s.begin(r, v, "/entries/"+card.ID.String()+"/withdraw?family="+of, s.words.say("unsaved.withdraw", rec.view.Ref))
	if err != nil {
		return err
	}
	if form.Kept.IsZero() {
		a.Set("corrects", strconv.Itoa(card.Version))
	}
	s.withdrawForm(&form, a, of)
	return s.onForm(w, v, rec, choice, &card, form, "takeback")
}

func (s *Server) withdrawForm(f *sheetForm, a answers, of string) {
	f.Controls = []*control{{Kind: "area", Name: "why", Label: s.words.say("takeback.why"), Rows: 3, Most: reasonMost}}
	f.Hidden = carried(a, of)
	f.Button, f.Warning = s.words.say("takeback.do"), true
	a.fill(f.Controls)
}

// sendWithdrawal saves first: when the button was pressed twice the entry is
// no longer there to be read.
func (s *Server) sendWithdrawal(w http.ResponseWriter, r *http.Request, v visit) error {
	a, form, err := s.sent(r)
	if err != nil {
		return err
	}
	id, err := pathID(r, "entry")
	if err != nil {
		return err
	}
	of := a.Get("family")
	rec, choice, done, err := s.inFamily(w, r, v, of, &disclosure.Only{Page: "write"})
	if err != nil || done {
		return err
	}
	s.withdrawForm(&form, a, of)
	corrects, err := strconv.Atoi(a.Get("corrects"))
	if err != nil {
		return notShown(disclosure.Call{})
	}
	if a.text("why") == "" {
		form.fail("why", s.words.say("takeback.none"))
		return s.onForm(w, v, rec, choice, nil, form, "takeback")
	}
	written, err := s.Door.ChangeEntry(r.Context(), v.by(), asked(v, rec.view.Family, choice), form.once(r, a), id, disclosure.VersionChange{Corrects: corrects, Withdraw: a.text("why")})
	switch {
	case err == nil:
	case s.superseded(&form, a, err), s.refuse(&form, err, entryField):
		form.Hidden = carried(a, of)
		return s.onForm(w, v, rec, choice, nil, form, "takeback")
	default:
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.done(w, v, rec, choice, written, "saved.withdrawal", "/families/"+of, s.words.say("part.back", rec.familyName()))
}

// carried names the family, and the version on which a second try is made.
func carried(a answers, of string) []hiddenField {
	return []hiddenField{{"family", of}, {"corrects", a.Get("corrects")}}
}
