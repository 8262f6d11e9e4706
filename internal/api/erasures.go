package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// askErasure answers POST /v1/people/{person}/erasure: the first officer's word.
func (s *Server) askErasure(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		reasonBody
		Rule string `json:"rule"`
	}
	e, person, err := s.disposing(w, r, p, audit.KindErasure, "person", &body, rolePrivacyOfficer, roleSAR)
	if err != nil {
		return err
	}
	if n := len(body.Rule); n < 3 || n > 200 {
		return badField("rule", "must name the law, such as UK GDPR article 17, in 3 to 200 characters")
	}
	id, receipt, err := s.Keeper.AskErasure(r.Context(), e, person, body.Rule)
	if err != nil {
		return notDisposed(err)
	}
	return writeJSONStatus(w, http.StatusAccepted, receipt.String(), map[string]any{"id": id, "receipt": receipt.String(),
		"next": "Another officer, of another agency, must confirm it. Nothing is erased before."})
}

type erasureView struct {
	ID      uuid.UUID     `json:"id"`
	Person  string        `json:"person"` // by reference
	Rule    string        `json:"rule"`
	Reason  string        `json:"reason"`
	AskedBy proof.Officer `json:"asked_by"`
	AskedAt time.Time     `json:"asked_at"`
}

// listErasures answers GET /v1/erasures.
func (s *Server) listErasures(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, officers()...); err != nil {
		return err
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"what": "erasures"})
	if err != nil {
		return err
	}
	list, err := s.Keeper.Erasures(r.Context())
	if err != nil {
		return unavailable(err)
	}
	views := make([]erasureView, 0, len(list))
	for _, x := range list {
		views = append(views, erasureView{ID: x.ID, Person: x.Reference, Rule: x.Rule, Reason: x.Reason, AskedBy: x.By, AskedAt: x.Asked.UTC()})
	}
	return writeJSON(w, receipt.String(), map[string]any{"erasures": views, "receipt": receipt.String()})
}

// confirmErasure answers POST /v1/erasures/{erasure}/confirmation: the second
// officer's word, and the erasure.
func (s *Server) confirmErasure(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	e, id, err := s.disposing(w, r, p, audit.KindErasure, "erasure", &struct{}{}, officers()...)
	if err != nil {
		return err
	}
	done, err := s.Keeper.Erase(r.Context(), e, id)
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusOK, &done)
}

// withdrawErasure answers POST /v1/erasures/{erasure}/withdrawal.
func (s *Server) withdrawErasure(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	e, id, err := s.disposing(w, r, p, audit.KindErasure, "erasure", &reasonBody{}, officers()...)
	if err != nil {
		return err
	}
	receipt, err := s.Keeper.WithdrawErasure(r.Context(), e, id)
	if err != nil {
		return notDisposed(err)
	}
	return writeJSON(w, receipt.String(), map[string]any{"id": id, "receipt": receipt.String()})
}
