package web

import (
	"errors"
	"net/http"

	"kith/internal/disclosure"
)

// fault is an error as a person sees it: words by key, and whom to ring. What
// went wrong inside is logged, not shown.
type fault struct {
	status int
	key    string // words: key.title, key.text
	call   disclosure.Call
	cause  error // for the log
}

func (f *fault) Error() string {
	if f.cause != nil {
		return f.key + ": " + f.cause.Error()
	}
	return f.key
}

func (f *fault) Unwrap() error { return f.cause }

// notShown is the one page for whatever depends on the record's facts: unknown,
// hidden, restricted, not the reader's, without the open work.
func notShown(call disclosure.Call) *fault {
	return &fault{status: http.StatusNotFound, key: "error.not-shown", call: call}
}

// unknown answers an address that is no page. It looks like a record that is
// not shown, so that an address tells nothing.
func (s *Server) unknown(http.ResponseWriter, *http.Request, visit) error {
	return notShown(disclosure.Call{})
}

// refused turns a refusal of the door into a page. What depends on the family
// becomes the one 404; the others depend on the reader alone.
func refused(err error) error {
	var refusal *disclosure.Refusal
	if !errors.As(err, &refusal) {
		return &fault{status: http.StatusServiceUnavailable, key: "error.busy", cause: err}
	}
	key := ""
	switch refusal.Code {
	case disclosure.RefusedNotFound:
		return notShown(refusal.Call)
	case disclosure.RefusedRole, disclosure.RefusedPurpose:
		key = "error.role"
	case disclosure.RefusedNoAgreement:
		key = "error.agreement"
	case disclosure.RefusedEmergency:
		key = "error.emergency"
	default:
		return &fault{status: http.StatusServiceUnavailable, key: "error.busy", call: refusal.Call, cause: err}
	}
	return &fault{status: http.StatusForbidden, key: key, call: refusal.Call}
}

type faultPage struct {
	Title, Text string
	Call        disclosure.Call
	Request     string
}

func (s *Server) writeFault(w http.ResponseWriter, r *http.Request, v visit, f *fault) {
	call := f.call
	if call == (disclosure.Call{}) {
		if desk, err := s.Door.Desk(r.Context()); err == nil {
			call = desk.Notice.Call // the numbers help with every error, where they can be had
		}
	}
	page := faultPage{Title: s.words.say(f.key + ".title"), Text: s.words.say(f.key + ".text"), Call: call}
	if f.status >= 500 {
		page.Request = v.request // to quote; a refusal carries none, so that it is the same page each time
	}
	if err := s.write(w, v, f.status, "error", sheet{Title: page.Title, Page: page}); err != nil {
		s.Logger.Error("error page", "cause", err)
		http.Error(w, page.Title+". "+page.Text, f.status) // never an empty answer that looks like a good one
	}
}
