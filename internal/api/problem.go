package api

import (
	"encoding/json"
	"net/http"

	"kith/internal/disclosure"
	"kith/internal/policy"
)

// Problem is an error as the caller sees it (RFC 9457). It never repeats a
// rejected value; what went wrong inside is logged, not shown.
type Problem struct {
	Type      string           `json:"type"`
	Title     string           `json:"title"`
	Status    int              `json:"status"`
	Detail    string           `json:"detail,omitempty"`
	RequestID string           `json:"request_id"`
	Field     string           `json:"field,omitempty"`
	Rule      string           `json:"rule,omitempty"`
	Purposes  []purposeView    `json:"purposes,omitempty"`
	Known     []string         `json:"known,omitempty"`   // the codes that are known, where one was not
	Latest    int              `json:"latest,omitempty"`  // the version that stands in place of the one corrected
	Changed   []string         `json:"changed,omitempty"` // what is different in it
	Theirs    string           `json:"theirs,omitempty"`  // of a conflict: what stands there now
	Missing   []string         `json:"missing,omitempty"` // agencies that must still approve; "" = a second person
	Call      *disclosure.Call `json:"call,omitempty"`

	cause error // for the log
}

type purposeView struct {
	Code string `json:"code"`
	Name string `json:"name"`
}

func (p *Problem) Error() string {
	if p.cause != nil {
		return p.Title + ": " + p.cause.Error()
	}
	return p.Title
}

func (p *Problem) Unwrap() error { return p.cause }

// because keeps what went wrong inside, for the log line.
func (p *Problem) because(err error) *Problem {
	p.cause = err
	return p
}

func problem(status int, slug, title, detail string) *Problem {
	return &Problem{Type: "urn:kith:problem:" + slug, Title: title, Status: status, Detail: detail}
}

func badField(field, rule string) *Problem {
	p := problem(http.StatusBadRequest, "bad-request", "A field broke a rule", "Change "+field+" and send the request again. Nothing was done.")
	p.Field, p.Rule = field, rule
	return p
}

// notShown is the one answer for whatever depends on the record's facts:
// unknown, hidden, restricted, not the caller's, without the open work.
func notShown(call disclosure.Call) *Problem {
	p := problem(http.StatusNotFound, "not-shown", "Kith cannot show this",
		"It is unknown, or not open to you for this purpose: a purpose needs a child's open work and your own work with the child or a parent. "+
			"This does not mean that nothing is known. If you need it now, ring one of these numbers.")
	p.Call = &call
	return p
}

func unavailable(err error) *Problem {
	return problem(http.StatusServiceUnavailable, "unavailable", "Nothing was shown", "Try again in a minute. If it is urgent, ring the MASH or the out-of-hours team.").because(err)
}

func unauthenticated(detail string, err error) *Problem {
	return problem(http.StatusUnauthorized, "unauthenticated", "Sign in", detail).because(err)
}

func forbidden(slug, detail string, err error) *Problem {
	return problem(http.StatusForbidden, slug, "Not for this caller", detail).because(err)
}

func purposesOf(list []policy.Purpose) []purposeView {
	out := make([]purposeView, 0, len(list))
	for _, p := range list {
		out = append(out, purposeView{Code: p.Code, Name: p.Name})
	}
	return out
}

func writeProblem(w http.ResponseWriter, p *Problem) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="kith"`)
	}
	if p.Status == http.StatusServiceUnavailable && h.Get("Retry-After") == "" {
		h.Set("Retry-After", "5")
	}
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the client has gone: there is nobody to tell
}
