package web

import (
	"net/http"
	"slices"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
)

type concernsPage struct {
	Received, Raised []concernLine
}

type concernLine struct {
	ID, Kind, What, From, Raised string
	Answer, Answered             string
	Entry                        string
}

// concerns lists what an agency was told about its entries, and what became of
// what its own people said.
func (s *Server) concerns(w http.ResponseWriter, r *http.Request, v visit) error {
	list, err := s.Door.Concerns(r.Context(), v.by(), v.request)
	if err != nil {
		return s.notManager(err)
	}
	page := concernsPage{}
	for _, c := range list.Received {
		line := s.concernLine(c)
		if from := list.From(c.Agency); from != "" {
			line.From = s.agencyName(from)
		}
		page.Received = append(page.Received, line)
	}
	for _, c := range list.Raised {
		page.Raised = append(page.Raised, s.concernLine(c))
	}
	return s.write(w, v, http.StatusOK, "concerns", sheet{Title: s.words.say("concerns.title"), Page: page, Nav: "work", Receipt: list.Receipt})
}

func (s *Server) concernLine(c family.Concern) concernLine {
	line := concernLine{ID: c.ID.String(), Kind: s.words.say("concern." + c.Kind), What: c.What, Raised: longDate(c.RaisedAt), Answer: c.Answer, Entry: c.Entry.String()[:8]}
	if c.AnsweredAt != nil {
		line.Answered = longDate(*c.AnsweredAt)
	}
	return line
}

// answerConcern answers one.
func (s *Server) answerConcern(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathID(r, "concern")
	if err != nil {
		return err
	}
	var a answers
	var form sheetForm
	if r.Method == http.MethodPost {
		a, form, err = s.sent(r)
	} else {
		a, form, err = s.begin(r, v, r.URL.Path, s.words.say("unsaved.answer"))
	}
	if err != nil {
		return err
	}
	form.Action, form.Button = r.URL.Path, s.words.say("answer.do")
	form.Controls = []*control{
		{Kind: "radios", Name: "upheld", Label: s.words.say("answer.upheld"), Options: []choiceOf{
			{Value: "yes", Label: s.words.say("answer.upheld-yes"), Hint: s.words.say("answer.upheld-hint")}, {Value: "no", Label: s.words.say("answer.upheld-no")}}},
		{Kind: "area", Name: "answer", Label: s.words.say("answer.label"), Hint: s.words.say("answer.hint"), Rows: 4, Most: reasonMost},
	}
	a.fill(form.Controls)
	show := func() error {
		page := smallFormPage{Heading: s.words.say("answer.title"), Text: s.words.say("answer.text"), Form: form, Back: "/concerns"}
		return s.write(w, v, statusOf(form), "smallform", sheet{Title: s.titled(s.words.say("answer.title"), form), Page: page, Nav: "work"})
	}
	if r.Method != http.MethodPost {
		list, err := s.Door.Concerns(r.Context(), v.by(), v.request)
		if err != nil {
			return s.notManager(err)
		}
		if !slices.ContainsFunc(list.Received, func(c family.Concern) bool { return c.ID == id && id != uuid.Nil }) {
			return notShown(disclosure.Call{})
		}
		return show()
	}
	upheld := a.text("upheld")
	if upheld != "yes" && upheld != "no" {
		form.fail("upheld", s.words.say("answer.upheld-none"))
	}
	if a.text("answer") == "" {
		form.fail("answer", s.words.say("answer.none"))
	}
	if len(form.Errors) > 0 {
		return show()
	}
	written, err := s.Door.AnswerConcern(r.Context(), v.by(), disclosure.Change{Once: form.once(r, a), RequestID: v.request}, id, upheld == "yes", a.text("answer"))
	if err != nil {
		if s.refuse(&form, err, func(f string) string { return f }) {
			return show()
		}
		return refused(err)
	}
	if err := s.saved(r, v, form); err != nil {
		return err
	}
	return s.managed(w, v, written, s.words.say("answer.saved"), "/concerns", s.words.say("concerns.back"))
}
