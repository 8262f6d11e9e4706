package web

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

// reasonMost is the longest reason, as in the JSON face.
const reasonMost = 2000

type purposePage struct {
	Family   string
	Open     *caseCard // the reader's own open work in this family, if there is any
	Chosen   string
	Children []childBox
	Others   []policy.Purpose
	Reason   string
	Errors   []formError
	Back     string // where to go on; empty: the family's page
}

type childBox struct {
	ID, Name string
	Ticked   bool
}

// formError is a message at a field, listed in the summary too.
type formError struct{ Field, Text string }

// familyID reads the address. What is no id is a record that is not shown.
func familyID(r *http.Request) (uuid.UUID, error) {
	text := chi.URLParam(r, "family")
	id, err := uuid.Parse(text)
	if err != nil || id.String() != text {
		return uuid.Nil, notShown(disclosure.Call{})
	}
	return id, nil
}

// showPurpose asks for what, about whom and why. It is the same page for a
// family that there is not: only the reader's own open work is added.
func (s *Server) showPurpose(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := familyID(r)
	if err != nil {
		return err
	}
	choice, err := s.SignIn.Choice(r.Context(), v.token, id)
	if err != nil && !errors.Is(err, identity.ErrNoChoice) {
		return err
	}
	return s.purposePage(w, r, v, http.StatusOK, id, choice, nil)
}

func (s *Server) purposePage(w http.ResponseWriter, r *http.Request, v visit, status int, family uuid.UUID, choice identity.Choice, wrong []formError) error {
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	own, err := s.Door.Caseload(r.Context(), v.by(), family, v.request)
	if err != nil {
		return err
	}
	page := purposePage{Back: backFrom(r), Family: family.String(), Chosen: choice.Purpose, Reason: choice.Reason, Errors: wrong, Others: version.PurposesFor(v.by().Kind, v.by().Roles)}
	if len(page.Others) == 0 {
		return &fault{status: http.StatusForbidden, key: "error.role"}
	}
	if len(own.Cases) == 1 {
		card := s.card(own.Cases[0])
		page.Open = &card
		for _, c := range own.Cases[0].Children {
			page.Children = append(page.Children, childBox{ID: c.ID.String(), Name: c.Name, Ticked: len(choice.Children) == 0 || slices.Contains(choice.Children, c.ID)})
		}
	}
	title := s.words.say("purpose.title")
	if len(wrong) > 0 {
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "purpose", sheet{Title: title, Page: page, Nav: "families", Receipt: own.Receipt})
}

// choosePurpose keeps the choice with the session and opens the record.
func (s *Server) choosePurpose(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := familyID(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return notShown(disclosure.Call{})
	}
	version, err := s.Door.Version(r.Context(), v.by().Partnership)
	if err != nil {
		return err
	}
	choice := identity.Choice{Purpose: r.PostForm.Get("purpose"), Reason: strings.TrimSpace(r.PostForm.Get("reason"))}
	for _, text := range r.PostForm["child"] {
		child, err := uuid.Parse(text)
		if err != nil {
			return notShown(disclosure.Call{})
		}
		choice.Children = append(choice.Children, child)
	}
	var wrong []formError
	if !slices.ContainsFunc(version.PurposesFor(v.by().Kind, v.by().Roles), func(p policy.Purpose) bool { return p.Code == choice.Purpose }) {
		choice.Purpose = ""
		wrong = append(wrong, formError{"purpose", s.words.say("purpose.error-none")})
	}
	if utf8.RuneCountInString(choice.Reason) > reasonMost {
		wrong = append(wrong, formError{"reason", s.words.say("purpose.error-long", reasonMost)})
	}
	if !utf8.ValidString(choice.Reason) || strings.ContainsRune(choice.Reason, 0) {
		choice.Reason = ""
		wrong = append(wrong, formError{"reason", s.words.say("purpose.error-characters")})
	}
	if len(r.PostForm["asked"]) > 0 && len(choice.Children) == 0 {
		wrong = append(wrong, formError{"child", s.words.say("purpose.error-child")})
	}
	if len(wrong) > 0 {
		return s.purposePage(w, r, v, http.StatusBadRequest, id, choice, wrong)
	}
	if err := s.SignIn.Choose(r.Context(), v.token, id, choice); err != nil {
		return err
	}
	back := "/families/" + id.String()
	if to := backFrom(r); to != "" {
		back = to
	}
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// backFrom is the page of ours that was asked for before the purpose was.
func backFrom(r *http.Request) string {
	back := r.URL.Query().Get("back")
	if r.Method == http.MethodPost {
		back = r.PostFormValue("back")
	}
	if back = identity.LocalPath(back); back == "/" {
		return ""
	}
	return back
}

// choiceFor gives for what the session looks at a family. Where it has not said
// so the purpose page has been sent for, and done is true.
func (s *Server) choiceFor(w http.ResponseWriter, r *http.Request, v visit, family uuid.UUID) (choice identity.Choice, done bool, err error) {
	choice, err = s.SignIn.Choice(r.Context(), v.token, family)
	if errors.Is(err, identity.ErrNoChoice) {
		to := "/families/" + family.String() + "/purpose"
		if r.Method == http.MethodGet && r.URL.Path != "/families/"+family.String() {
			to += "?" + url.Values{"back": {identity.LocalPath(r.URL.RequestURI())}}.Encode()
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
		return choice, true, nil
	}
	return choice, false, err
}

// readFamily reads a record under the session's choice. Where there is none, or
// it lacks its reason, the purpose page has answered and done is true.
func (s *Server) readFamily(w http.ResponseWriter, r *http.Request, v visit) (view disclosure.View, choice identity.Choice, done bool, err error) {
	id, err := familyID(r)
	if err != nil {
		return view, choice, false, err
	}
	return s.readOf(w, r, v, id, nil)
}

// readOf reads a record, or what of it a page needs.
func (s *Server) readOf(w http.ResponseWriter, r *http.Request, v visit, id uuid.UUID, only *disclosure.Only) (view disclosure.View, choice identity.Choice, done bool, err error) {
	choice, done, err = s.choiceFor(w, r, v, id)
	if err != nil || done {
		return view, choice, done, err
	}
	view, err = s.Door.Read(r.Context(), v.by(), disclosure.Request{
		Family: id, Children: choice.Children, Purpose: choice.Purpose, Reason: choice.Reason, RequestID: v.request, Only: only,
	})
	var refusal *disclosure.Refusal
	if errors.As(err, &refusal) && refusal.Code == disclosure.RefusedReason {
		wrong := []formError{{"reason", s.words.say("purpose.error-reason")}}
		return view, choice, true, s.purposePage(w, r, v, http.StatusBadRequest, id, choice, wrong)
	}
	if err != nil {
		return view, choice, false, refused(err)
	}
	return view, choice, false, nil
}
