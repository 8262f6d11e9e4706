package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
)

func (s *Server) agreementRoutes() {
	read := s.Limits.ReadTimeout
	s.mux.Get("/v1/agreements", s.caller(read, s.listAgreements))
	s.mux.Get("/v1/agreements/{agreement}/acts", s.caller(read, s.listAgreementActs))
	s.mux.Get("/v1/agreements/{agreement}/affected", s.caller(read, s.affectedByAgreement))
	s.mux.Post("/v1/agreements/{agreement}/signatures", s.caller(read, s.signAgreement))
	s.mux.Post("/v1/agreements/{agreement}/suspensions", s.caller(read, s.suspendAgreement))
	s.mux.Post("/v1/agreements/{agreement}/resumptions", s.caller(read, s.resumeAgreement))
	s.mux.Post("/v1/agreements/{agreement}/extensions", s.caller(read, s.extendAgreement))
}

type agreementView struct {
	ID       string             `json:"id"`
	Title    string             `json:"title"`
	From     string             `json:"from"`
	Review   string             `json:"review"`
	End      string             `json:"end"`
	Warning  string             `json:"warning,omitempty"` // review-30, end-7, review-past, …
	Purposes []string           `json:"purposes"`
	Clauses  []clauseView       `json:"clauses"`
	Parties  []agreement.Part   `json:"parties"`
	Open     []agreementActView `json:"open"`   // waiting for a second party
	Digest   string             `json:"digest"` // of the text, which a signature names
}

type clauseView struct {
	No   string `json:"no"`
	Text string `json:"text"`
}

type agreementActView struct {
	agreement.Act
	EndsOn string `json:"ends_on,omitempty"`
}

// listAgreements gives every agreement of the partnership as it stands today,
// to everybody who signs in for it: what is agreed is no secret.
func (s *Server) listAgreements(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	live, err := s.Agreements.List(r.Context())
	if err != nil {
		return unavailable(err)
	}
	v, err := s.Door.Version(r.Context(), p.Partnership)
	if err != nil {
		return unavailable(err)
	}
	views := []agreementView{}
	for _, l := range live {
		text, _ := v.Agreement(l.ID)
		x := agreementView{ID: l.ID, Title: text.Title, From: l.From.Format(time.DateOnly), Review: l.Review.Format(time.DateOnly), End: l.End.Format(time.DateOnly),
			Warning: l.Warning(s.Door.Now()), Purposes: append([]string{}, text.Purposes...), Clauses: []clauseView{}, Parties: l.Parties, Open: []agreementActView{}, Digest: text.Digest()}
		for _, c := range text.Clauses {
			x.Clauses = append(x.Clauses, clauseView{c.No, c.Text})
		}
		for _, a := range l.Open {
			act := agreementActView{Act: a}
			if a.EndsOn != nil {
				act.EndsOn = a.EndsOn.Format(time.DateOnly)
			}
			x.Open = append(x.Open, act)
		}
		views = append(views, x)
	}
	return writeJSON(w, "", map[string]any{"agreements": views})
}

// listAgreementActs gives what parties did to an agreement, the newest first:
// signatures with post, date and evidence, stops, extensions.
func (s *Server) listAgreementActs(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if !s.Papers.MayRead(p) {
		return forbidden("role", "Sign-off is for those who look after information, and for auditors.", nil)
	}
	acts, err := s.Agreements.History(r.Context(), chi.URLParam(r, "agreement"))
	if err != nil {
		return unavailable(err)
	}
	views := []agreementActView{}
	for _, a := range acts {
		view := agreementActView{Act: a}
		if a.EndsOn != nil {
			view.EndsOn = a.EndsOn.Format(time.DateOnly)
		}
		views = append(views, view)
	}
	return writeJSON(w, "", map[string]any{"acts": views})
}

// affectedBy counts whom it would hit if the caller's agency stopped its part.
func (s *Server) affectedBy(ctx context.Context, p identity.Principal, id string) (disclosure.Affected, error) {
	v, err := s.Door.Version(ctx, p.Partnership)
	if err != nil {
		return disclosure.Affected{}, unavailable(err)
	}
	text, ok := v.Agreement(id)
	if !ok || !text.Party(p.Agency) {
		return disclosure.Affected{}, problem(http.StatusNotFound, "unknown", "There is nothing like that", "There is no such agreement, or your agency is no party of it.")
	}
	a, err := s.Door.AffectedBy(ctx, p, v, text)
	if err != nil {
		return a, unavailable(err)
	}
	return a, nil
}

func (s *Server) affectedByAgreement(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if !p.Has("ig-approver") && !p.Has("ig-author") && !p.Has("privacy-officer") {
		return forbidden("role", "None of your roles does this.", nil)
	}
	a, err := s.affectedBy(r.Context(), p, chi.URLParam(r, "agreement"))
	if err != nil {
		return err
	}
	return writeJSON(w, "", a)
}

type agreementBody struct {
	Agency   string `json:"agency"`
	Reason   string `json:"reason"`
	Post     string `json:"post"`
	Evidence string `json:"evidence"`
	EndsOn   string `json:"ends_on"`
	Document string `json:"document"`
	Deputy   *struct {
		For   string `json:"for"`
		From  string `json:"from"`
		Until string `json:"until"`
	} `json:"deputy"`
}

func (s *Server) agreementRequest(w http.ResponseWriter, r *http.Request) (agreement.Request, error) {
	var body agreementBody
	if _, err := s.readBody(w, r, &body); err != nil {
		return agreement.Request{}, err
	}
	q := agreement.Request{Agreement: chi.URLParam(r, "agreement"), Agency: body.Agency, Reason: body.Reason, Post: body.Post, Evidence: body.Evidence, Document: body.Document, RequestID: requestID(r.Context())}
	if d := body.Deputy; d != nil {
		q.Deputy = &agreement.Deputy{For: d.For}
		for name, day := range map[string]struct {
			text string
			at   *time.Time
		}{"deputy.from": {d.From, &q.Deputy.From}, "deputy.until": {d.Until, &q.Deputy.Until}} {
			var err error
			if *day.at, err = time.Parse(time.DateOnly, day.text); err != nil {
				return q, badField(name, "is a day such as 2026-11-02")
			}
		}
	}
	for name, text := range map[string]string{"reason": body.Reason, "post": body.Post, "evidence": body.Evidence} {
		if len(text) > 2000 {
			return q, badField(name, "has at most 2 000 characters")
		}
	}
	if body.EndsOn != "" {
		on, err := time.Parse(time.DateOnly, body.EndsOn)
		if err != nil {
			return q, badField("ends_on", "is a day such as 2026-11-02")
		}
		q.EndsOn = on
	}
	return q, nil
}

func (s *Server) signAgreement(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q, err := s.agreementRequest(w, r)
	if err != nil {
		return err
	}
	v, err := s.Door.Version(r.Context(), p.Partnership)
	if err != nil {
		return unavailable(err)
	}
	text, ok := v.Agreement(q.Agreement)
	if !ok {
		return agreementDone(w, "", false, nil, agreement.ErrUnknown)
	}
	// Whoever names the digest of the paper in hand learns whether it is still the text.
	if digest := text.Digest(); q.Document == "" {
		q.Document = digest
	} else if q.Document != digest {
		return problem(http.StatusConflict, "document", "That is not the text of today", "The agreement's text has changed since the document was printed. Read it again. Nothing was signed.")
	}
	receipt, err := s.Agreements.Signed(r.Context(), p, q)
	return agreementDone(w, receipt, true, nil, err)
}

// suspendAgreement stops the caller's own part at once. The answer says whom it
// hits; GET …/affected says it beforehand.
func (s *Server) suspendAgreement(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q, err := s.agreementRequest(w, r)
	if err != nil {
		return err
	}
	affected, err := s.affectedBy(r.Context(), p, q.Agreement)
	if err != nil {
		return err
	}
	q.Impact = map[string]string{"children": strconv.Itoa(affected.Children), "child_protection": strconv.Itoa(affected.Protection), "families": strconv.Itoa(affected.Families)}
	receipt, err := s.Agreements.Suspend(r.Context(), p, q)
	return agreementDone(w, receipt, true, &affected, err)
}

func (s *Server) resumeAgreement(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q, err := s.agreementRequest(w, r)
	if err != nil {
		return err
	}
	receipt, done, err := s.Agreements.Resume(r.Context(), p, q)
	return agreementDone(w, receipt, done, nil, err)
}

func (s *Server) extendAgreement(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q, err := s.agreementRequest(w, r)
	if err != nil {
		return err
	}
	if q.EndsOn.IsZero() {
		return badField("ends_on", "is required: the new last day")
	}
	receipt, done, err := s.Agreements.Extend(r.Context(), p, q)
	return agreementDone(w, receipt, done, nil, err)
}

// agreementDone answers 200 for what is done, 202 for what waits for a second party.
func agreementDone(w http.ResponseWriter, receipt string, done bool, affected *disclosure.Affected, err error) error {
	switch {
	case err == nil:
	case errors.Is(err, audit.ErrNotLogged):
		return unavailable(err)
	case errors.Is(err, agreement.ErrUnknown):
		return problem(http.StatusNotFound, "unknown", "There is nothing like that", "There is no such agreement, or the agency is no party of it.")
	case errors.Is(err, agreement.ErrNotOfficer):
		return forbidden("role", "This needs a policy approver of the party itself.", nil)
	case errors.Is(err, agreement.ErrReason):
		return badField("reason", "is required (a signature needs post and evidence)")
	case errors.Is(err, agreement.ErrDeputy):
		return badField("deputy", "says for which post, and from when to when; today is within those days")
	case errors.Is(err, agreement.ErrSecond):
		return problem(http.StatusConflict, "second-party", "This needs a second party", "An officer of another party must confirm it. Nothing was done.")
	case errors.Is(err, agreement.ErrState):
		return problem(http.StatusConflict, "state", "This does not fit how things stand", "Read the agreement again. Nothing was done.")
	case errors.Is(err, agreement.ErrTooFar):
		return badField("ends_on", "is later than the present end, by 30 days at most in all")
	default:
		return unavailable(err)
	}
	status := http.StatusOK
	if !done {
		status = http.StatusAccepted
	}
	return writeJSONStatus(w, status, receipt, struct {
		Done     bool                 `json:"done"`
		Affected *disclosure.Affected `json:"affected,omitempty"`
		Receipt  string               `json:"receipt"`
	}{done, affected, receipt})
}
