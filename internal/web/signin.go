package web

import (
	"errors"
	"net/http"
	"net/netip"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// The __Host- prefix makes the browser refuse a cookie that another host, a
// parent domain or an unencrypted page tries to plant. Chromium counts
// http://127.0.0.1 as safe, so the demo has it too.
const (
	sessionCookie = "__Host-kith"
	attemptCookie = "__Host-kith-sign-in"
)

func setCookie(w http.ResponseWriter, name, value string) {
	http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
}

func dropCookie(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode})
}

// cookie gives the value of a cookie that stands exactly once.
func cookie(r *http.Request, name string) string {
	if all := r.CookiesNamed(name); len(all) == 1 {
		return all[0].Value
	}
	return ""
}

// recognise finds the session, if there is one that still holds. A worker whom
// the directory refuses is told so, once, and is out.
func (s *Server) recognise(w http.ResponseWriter, r *http.Request, v visit) (visit, error) {
	token := cookie(r, sessionCookie)
	if token == "" {
		return v, nil
	}
	session, err := s.SignIn.Session(r.Context(), token)
	var refusal *identity.Refusal
	switch {
	case err == nil:
		v.session, v.token = session, token
		return v, nil
	case errors.Is(err, identity.ErrNoSession):
		dropCookie(w, sessionCookie)
		return v, nil
	case errors.As(err, &refusal):
		dropCookie(w, sessionCookie)
		return v, s.turnedAway(r, v, err)
	}
	return v, err
}

// turnedAway logs a person who may not come in, by name where the directory
// knows the worker, and says why.
func (s *Server) turnedAway(r *http.Request, v visit, err error) error {
	var refused *identity.WorkerRefused
	if errors.As(err, &refused) {
		if _, logged := s.Recorder.Append(r.Context(), audit.Event{
			Kind: audit.KindSignIn, Outcome: audit.OutcomeDenied, Agency: refused.Agency, Refusal: refused.Reason.Code,
			Principal: proof.Principal{Worker: refused.Worker}, Request: v.request,
		}); logged != nil {
			return logged
		}
		return &fault{status: http.StatusForbidden, key: "refused." + refused.Reason.Code, cause: err}
	}
	var refusal *identity.Refusal
	if errors.As(err, &refusal) {
		s.Failures.Note(source(r), refusal.Code)
		key := "refused." + refusal.Code
		if refusal.Token && s.words.known(key+".title", "") == "" {
			key = "refused.sign-in-answer" // what is wrong with a token is for the log
		}
		return &fault{status: http.StatusForbidden, key: key, cause: err}
	}
	return err
}

// source is the address that a caller comes from. Forwarded headers are the
// caller's own words and are not believed.
func source(r *http.Request) netip.Addr {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return from.Addr()
}

type signInPage struct {
	Agencies []identity.ProviderChoice
	Back     string
	Missing  bool // nothing was chosen
	Errors   []formError
	Over     bool // signed out, or the session ran out
}

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request, v visit) error {
	if v.signedIn() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	return s.signInPage(w, r, v, http.StatusOK, signInPage{Over: r.URL.Query().Has("over"), Back: identity.LocalPath(r.URL.Query().Get("back"))})
}

func (s *Server) signInPage(w http.ResponseWriter, _ *http.Request, v visit, status int, page signInPage) error {
	page.Agencies = s.SignIn.Providers()
	title := s.words.say("sign-in.title")
	if page.Missing {
		page.Errors = []formError{{"agency", s.words.say("sign-in.missing")}}
		title = s.words.say("form.error-title", title)
	}
	return s.write(w, v, status, "signin", sheet{Title: title, Page: page})
}

// beginSignIn sends the browser to the agency's issuer. It does so by a page and
// not by a redirect: form-action binds redirects after a form as well, and the
// policy stays as strict here as everywhere.
func (s *Server) beginSignIn(w http.ResponseWriter, r *http.Request, v visit) error {
	to, attempt, err := s.SignIn.Begin(r.Context(), r.PostFormValue("agency"), r.PostFormValue("back"))
	switch {
	case errors.Is(err, identity.ErrNoProvider):
		return s.signInPage(w, r, v, http.StatusBadRequest, signInPage{Missing: true, Back: identity.LocalPath(r.PostFormValue("back"))})
	case err != nil:
		return &fault{status: http.StatusServiceUnavailable, key: "error.sign-in-service", cause: err}
	}
	setCookie(w, attemptCookie, attempt)
	return s.write(w, v, http.StatusOK, "leaving", sheet{Title: s.words.say("sign-in.leaving"), Refresh: to, Page: to})
}

// finishSignIn takes the issuer's answer. The session's token is new at each
// sign-in, so that one planted before is worth nothing.
func (s *Server) finishSignIn(w http.ResponseWriter, r *http.Request, v visit) error {
	attempt := cookie(r, attemptCookie)
	dropCookie(w, attemptCookie)
	token, back, err := s.SignIn.Finish(r.Context(), attempt, r.URL.Query(), v.token)
	if err != nil {
		return s.turnedAway(r, v, err)
	}
	setCookie(w, sessionCookie, token)
	http.Redirect(w, r, back, http.StatusSeeOther)
	return nil
}

// signOut ends the session here, then at the issuer.
func (s *Server) signOut(w http.ResponseWriter, r *http.Request, v visit) error {
	to := ""
	if v.signedIn() {
		var err error
		if to, err = s.SignIn.End(r.Context(), v.token); err != nil {
			return err
		}
	}
	dropCookie(w, sessionCookie)
	w.Header().Set("Clear-Site-Data", `"cache"`)
	v.session, v.token = identity.Session{}, ""
	return s.write(w, v, http.StatusOK, "signedout", sheet{Title: s.words.say("sign-out.title"), Refresh: to, Page: to})
}

func (s *Server) signedOut(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.write(w, v, http.StatusOK, "signedout", sheet{Title: s.words.say("sign-out.title"), Page: ""})
}

// backChannel takes an issuer's logout token: a machine asks, so the answer is
// for a machine (OpenID Connect Back-Channel Logout 1.0 §2.8).
func (s *Server) backChannel(w http.ResponseWriter, r *http.Request, _ visit) error {
	_, err := s.SignIn.BackChannel(r.Context(), r.PostFormValue("logout_token"))
	switch {
	case errors.Is(err, identity.ErrLogoutToken):
		s.Failures.Note(source(r), identity.ErrLogoutToken.Code)
		http.Error(w, `{"error":"invalid_request"}`, http.StatusBadRequest)
	case err != nil:
		return err
	default:
		w.WriteHeader(http.StatusOK)
	}
	return nil
}

// extend is "stay signed in": being asked is all that it takes.
func (s *Server) extend(w http.ResponseWriter, r *http.Request, _ visit) error {
	if r.Header.Get("Accept") == "text/plain" { // asked by the script
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(w, r, identity.LocalPath(r.PostFormValue("back")), http.StatusSeeOther)
	return nil
}

func (s *Server) help(w http.ResponseWriter, r *http.Request, v visit) error {
	desk, err := s.Door.Desk(r.Context())
	if err != nil {
		return err
	}
	return s.write(w, v, http.StatusOK, "help", sheet{Title: s.words.say("help.title"), Page: desk, Nav: "help"})
}

func (s *Server) accessibility(w http.ResponseWriter, _ *http.Request, v visit) error {
	return s.write(w, v, http.StatusOK, "accessibility", sheet{Title: s.words.say("accessibility.title")})
}
