package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

// autosave keeps what is being typed, as the script sends it from time to time.
func (s *Server) autosave(w http.ResponseWriter, r *http.Request, _ visit) error {
	if _, _, err := s.sent(r); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// resumeDraft goes back to a form with what was kept of it. Another person's is
// not shown.
func (s *Server) resumeDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	d, err := s.SignIn.Draft(r.Context(), v.by(), id)
	if errors.Is(err, identity.ErrNoDraft) {
		return notShown(disclosure.Call{})
	}
	if err != nil {
		return err
	}
	to := d.Place
	if strings.Contains(to, "?") {
		to += "&"
	} else {
		to += "?"
	}
	http.Redirect(w, r, identity.LocalPath(to+url.Values{"draft": {id.String()}}.Encode()), http.StatusSeeOther)
	return nil
}

// throwDraft throws one away.
func (s *Server) throwDraft(w http.ResponseWriter, r *http.Request, v visit) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	if err := s.SignIn.DropDraft(r.Context(), v.by(), id); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// keepUnsigned keeps a form that came in after its session had ended, and gives
// the address at which its owner finds it after sign-in.
func (s *Server) keepUnsigned(r *http.Request) string {
	id := draftIn(r)
	if id == "" {
		return ""
	}
	if _, _, err := s.sent(r); err != nil {
		return ""
	}
	return "/drafts/" + id
}

// draftIn is the draft to which a form that was sent belongs. A form with a
// file in it has none.
func draftIn(r *http.Request) string {
	if r.Method != http.MethodPost || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || r.ParseForm() != nil {
		return ""
	}
	id, err := uuid.Parse(r.PostForm.Get("draft"))
	if err != nil {
		return ""
	}
	return id.String()
}

// cover puts a neutral page over the session's screen, for a desk that others
// can see.
func (s *Server) cover(w http.ResponseWriter, r *http.Request, v visit) error {
	back := identity.LocalPath(r.PostFormValue("back"))
	if err := s.SignIn.Cover(r.Context(), v.token, back); err != nil {
		return err
	}
	http.Redirect(w, r, "/covered", http.StatusSeeOther)
	return nil
}

// covered is the neutral page. It says nothing of what was open and of whom.
func (s *Server) covered(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.write(w, v, http.StatusOK, "covered", sheet{Title: s.words.say("covered.title"), Bare: true})
}

// uncover goes back to where the worker was.
func (s *Server) uncover(w http.ResponseWriter, r *http.Request, v visit) error {
	back := v.session.Covered
	if err := s.SignIn.Uncover(r.Context(), v.token); err != nil {
		return err
	}
	http.Redirect(w, r, identity.LocalPath(back), http.StatusSeeOther)
	return nil
}

// underCover tells whether a request must wait until the worker returns: every
// page but those that show nothing. Going back in the browser asks for the page
// again, since none is kept.
func underCover(r *http.Request, v visit) bool {
	if v.session.Covered == "" {
		return false
	}
	switch r.URL.Path {
	case "/covered", "/uncover", "/sign-out", "/session/extend", "/drafts":
		return false
	}
	return true
}
