package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// askErasure answers POST /v1/people/{person}/erasure: the first officer's word.
func (s *Server) askErasure(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	var body struct {
		Rule   string `json:"rule"`
		Reason string `json:"reason"`
	}
	person, err := s.disposalOf(w, r, "person", &body)
	if err != nil {
		return err
	}
	if n := len(body.Rule); n < 3 || n > 200 {
		return badField("rule", "must name the law, such as UK GDPR article 17, in 3 to 200 characters")
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	e := eventBy(r.Context(), p, audit.KindErasure, audit.OutcomeDone)
	e.Reason = body.Reason
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
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
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
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	id, err := s.disposalOf(w, r, "erasure", &struct{}{})
	if err != nil {
		return err
	}
	done, err := s.Keeper.Erase(r.Context(), eventBy(r.Context(), p, audit.KindErasure, audit.OutcomeDone), id)
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusOK, &done)
}

// withdrawErasure answers POST /v1/erasures/{erasure}/withdrawal.
func (s *Server) withdrawErasure(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	var body reasonBody
	id, err := s.disposalOf(w, r, "erasure", &body)
	if err != nil {
		return err
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	e := eventBy(r.Context(), p, audit.KindErasure, audit.OutcomeDone)
	e.Reason = body.Reason
	receipt, err := s.Keeper.WithdrawErasure(r.Context(), e, id)
	if err != nil {
		return notDisposed(err)
	}
	return writeJSON(w, receipt.String(), map[string]any{"id": id, "receipt": receipt.String()})
}

type monthView struct {
	Class string `json:"class"`
	Month string `json:"month"`
	// Due is when the month may be dropped; empty: its class is kept for ever.
	Due      string `json:"due,omitempty"`
	IsDue    bool   `json:"is_due"`
	Events   int64  `json:"events,omitempty"` // these four of what is due
	Held     int64  `json:"held,omitempty"`
	Record   int64  `json:"record,omitempty"`
	Exported bool   `json:"exported,omitempty"`
}

// listRetention answers GET /v1/log/retention. It names nobody.
func (s *Server) listRetention(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, "admin"); err != nil {
		return err
	}
	list, err := s.Keeper.Months(r.Context())
	if err != nil {
		return unavailable(err)
	}
	views := make([]monthView, 0, len(list))
	for _, m := range list {
		v := monthView{Class: m.Class, Month: m.Month.Format("2006-01"), Events: m.Events, Held: m.Held, Record: m.Record, Exported: m.Exported}
		if !m.Due.IsZero() {
			v.Due, v.IsDue = m.Due.Format(time.DateOnly), !m.Due.After(s.Keeper.Now())
		}
		views = append(views, v)
	}
	return writeJSON(w, "", map[string]any{"months": views, "keep_months": s.Keeper.Periods})
}

// dropMonth answers POST /v1/log/drops.
func (s *Server) dropMonth(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor); err != nil {
		return err
	}
	if s.Tree == nil {
		return unavailable(errNoTree)
	}
	var body struct {
		Class   string `json:"class"`
		Month   string `json:"month"`
		Reason  string `json:"reason"`
		Exports []struct {
			Digest    string `json:"digest"`
			Replica   string `json:"replica"`
			Signature []byte `json:"signature"`
		} `json:"exports"`
	}
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	month, err := time.Parse("2006-01", body.Month)
	if err != nil {
		return badField("month", "must be a month such as 2019-03")
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	keys := proof.NewKeys(s.Tree.Keys.Replicas...)
	var exports []proof.Digest
	for _, x := range body.Exports {
		var d proof.Digest
		if err := d.UnmarshalText([]byte(x.Digest)); err != nil || !proof.SignedExport(keys[x.Replica], d, x.Signature) {
			return badField("exports", "must be the last lines of exports that this hub made")
		}
		exports = append(exports, d)
	}
	if len(exports) == 0 {
		return badField("exports", "must name the export that holds the month")
	}
	e := eventBy(r.Context(), p, audit.KindDrop, audit.OutcomeDone)
	e.Reason = body.Reason
	verify := func(ctx context.Context, number int, first, end int64) error {
		// Whoever dropped what is gone already was certified under a key of the list.
		return s.Tree.Reader.Verify(ctx, s.Log, s.Tree.Keys, s.Recorder.SignExport, number, first, end)
	}
	done, err := s.Keeper.Drop(r.Context(), e, body.Class, month, exports, verify)
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusCreated, &done)
}

// listCertificates answers GET /v1/log/certificates.
func (s *Server) listCertificates(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"what": "certificates"})
	if err != nil {
		return err
	}
	scope := audit.AgencyScope(p.Agency)
	if p.Has(roleAuditor) {
		scope = audit.AuditorScope()
	}
	list, err := s.Log.Certificates(r.Context(), scope)
	if err != nil {
		return unavailable(err)
	}
	certificates := make([]proof.Certificate, 0, len(list))
	for i := range list {
		certificates = append(certificates, list[i].Certificate)
	}
	return writeJSON(w, receipt.String(), map[string]any{"certificates": certificates, "receipt": receipt.String()})
}
