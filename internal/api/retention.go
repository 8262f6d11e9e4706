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
	var body struct {
		reasonBody
		Class   string `json:"class"`
		Month   string `json:"month"`
		Exports []struct {
			Digest    string `json:"digest"`
			Replica   string `json:"replica"`
			Signature []byte `json:"signature"`
		} `json:"exports"`
	}
	e, _, err := s.disposing(w, r, p, audit.KindDrop, "", &body, roleAuditor)
	if err != nil {
		return err
	}
	if s.Tree == nil {
		return unavailable(errNoTree)
	}
	month, err := time.Parse("2006-01", body.Month)
	if err != nil {
		return badField("month", "must be a month such as 2019-03")
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
	if err := s.mayDispose(p, officers()...); err != nil {
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
