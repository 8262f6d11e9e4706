package web

import (
	"errors"
	"net/http"

	"kith/internal/audit"
	"kith/internal/disclosure"
)

// takenUp is the answer that settles nothing yet.
const takenUp = "taken-up"

// settleAlert is the form by which whoever sees an alert takes it up or settles
// it. One that stands in a review is settled there.
func (s *Server) settleAlert(reviews *disclosure.Reviews, back string) handler {
	return func(w http.ResponseWriter, r *http.Request, v visit) error {
		id, err := pathID(r, "alert")
		if err != nil {
			return err
		}
		alert, receipt, err := reviews.Alert(r.Context(), v.by(), v.request, id)
		if err != nil || alert.Closed != nil && r.Method != http.MethodPost { // a second press gets the answer of the first
			return notShown(disclosure.Call{})
		}
		var a answers
		var form sheetForm
		if r.Method == http.MethodPost {
			a, form, err = s.sent(r)
		} else {
			a, form, err = s.begin(r, v, r.URL.Path, s.words.say("unsaved.alert"))
		}
		if err != nil {
			return err
		}
		form.Action, form.Button = r.URL.Path, s.words.say("settle.do")
		form.Controls = s.alertControls(alert)
		a.fill(form.Controls)
		title := s.words.say("settle.title", alert.Reference())
		show := func() error {
			page := smallFormPage{Heading: title, Text: s.words.known("alert."+alert.Kind, alert.Kind) + ".", Form: form, Back: back}
			return s.write(w, v, statusOf(form), "smallform", sheet{Title: s.titled(title, form), Page: page, Nav: "logstate", Receipt: receipt})
		}
		if r.Method != http.MethodPost {
			return show()
		}
		if a.text("outcome") == "" {
			form.fail("outcome", s.words.say("settle.error-outcome"))
		}
		if n := len([]rune(a.text("note"))); n < 10 || n > 4000 {
			form.fail("note", s.words.say("examine.error-note"))
		}
		if len(form.Errors) > 0 {
			return show()
		}
		change := disclosure.Change{Once: form.once(r, a), RequestID: v.request}
		var written disclosure.Written
		if outcome := a.text("outcome"); outcome == takenUp {
			written, err = reviews.TakeAlert(r.Context(), v.by(), change, id, a.text("note"))
		} else {
			written, err = reviews.CloseAlert(r.Context(), v.by(), change, id, audit.AlertOutcome(outcome), a.text("note"))
		}
		switch {
		case errors.Is(err, disclosure.ErrAlertStands):
			form.fail("outcome", s.words.say("settle.stands"))
			return show()
		case err != nil && s.refuse(&form, err, func(f string) string { return f }):
			return show()
		case err != nil:
			return s.reviewFault(err)
		}
		if err := s.saved(r, v, form); err != nil {
			return err
		}
		return s.managed(w, v, written, s.words.say("settle.saved"), back, s.words.say("settle.back"))
	}
}

// alertControls are the questions that settle an alert; one that lasts can be
// taken up alone.
func (s *Server) alertControls(a audit.Alert) []*control {
	outcome := &control{Kind: "radios", Name: "outcome", Label: s.words.say("settle.outcome")}
	add := func(value string) {
		outcome.Options = append(outcome.Options, choiceOf{Value: value, Label: s.words.say("settle.outcome." + value), Hint: s.words.known("settle.outcome-hint."+value, "")})
	}
	if a.Taken == nil {
		add(takenUp)
	}
	if !a.Lasting() {
		for _, o := range audit.AlertOutcomes() {
			add(string(o))
		}
	}
	return []*control{outcome, {Kind: "area", Name: "note", Label: s.words.say("examine.note"), Hint: s.words.say("settle.note-hint"), Rows: 4, Most: 4000}}
}
