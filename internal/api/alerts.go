package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
)

// alertView is an alert: a reference and a code, never a name. Who took it up or
// settled it, and why, stands in the log.
type alertView struct {
	ID        uuid.UUID  `json:"id"`
	Reference string     `json:"reference"`
	Kind      string     `json:"kind"`
	RaisedAt  time.Time  `json:"raised_at"`
	State     string     `json:"state"`
	TakenAt   *time.Time `json:"acknowledged_at,omitempty"`
	ClosedAt  *time.Time `json:"closed_at,omitempty"`
	Outcome   string     `json:"outcome,omitempty"`
	Review    *uuid.UUID `json:"review,omitempty"`
}

func alertOf(a audit.Alert) alertView {
	v := alertView{ID: a.ID, Reference: a.Reference(), Kind: a.Kind, RaisedAt: a.Raised.UTC(), State: "standing", TakenAt: a.Taken, ClosedAt: a.Closed, Outcome: a.Outcome, Review: a.Review}
	switch {
	case a.Closed != nil:
		v.State = "closed"
	case a.Taken != nil:
		v.State = "acknowledged"
	}
	return v
}

// listAlerts answers GET /v1/alerts.
func (s *Server) listAlerts(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q := r.URL.Query()
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	list, err := s.Reviews.Alerts(r.Context(), p, requestID(r.Context()), audit.AlertFilter{Kind: q.Get("kind"), Standing: q.Get("state") == "standing"}, page)
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	answer := struct {
		Alerts  []alertView `json:"alerts"`
		Next    string      `json:"next,omitempty"`
		Receipt string      `json:"receipt"`
	}{Alerts: []alertView{}, Next: list.Next, Receipt: list.Receipt}
	for _, a := range list.Alerts {
		answer.Alerts = append(answer.Alerts, alertOf(a))
	}
	return writeJSON(w, answer.Receipt, answer)
}

// takeAlert answers POST /v1/alerts/{alert}/acknowledge: somebody looks into it.
func (s *Server) takeAlert(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Note string `json:"note"`
	}
	return s.settleAlert(w, r, p, &body, func(c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Reviews.TakeAlert(r.Context(), p, c, id, body.Note)
	})
}

// closeAlert answers POST /v1/alerts/{alert}/close.
func (s *Server) closeAlert(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Outcome string `json:"outcome"`
		Note    string `json:"note"`
	}
	return s.settleAlert(w, r, p, &body, func(c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Reviews.CloseAlert(r.Context(), p, c, id, audit.AlertOutcome(body.Outcome), body.Note)
	})
}

func (s *Server) settleAlert(w http.ResponseWriter, r *http.Request, p identity.Principal, body any, settle func(disclosure.Change, uuid.UUID) (disclosure.Written, error)) error {
	id, err := pathID(r, "alert")
	if err != nil {
		return err
	}
	o, err := s.readWrite(w, r, body)
	if err != nil {
		return err
	}
	written, err := settle(disclosure.Change{Once: o, RequestID: requestID(r.Context())}, id)
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	return s.written(w, http.StatusOK, written)
}
