package api

import (
	"errors"
	"net/http"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// roleSAR answers what people ask about their own data.
const roleSAR = "sar-officer"

// errNoKeeper: this hub has no address for kith_retention.
var errNoKeeper = errors.New("this hub erases, holds and drops nothing: database.retention is not configured")

func (s *Server) disposalRoutes() {
	read, long := s.Limits.ReadTimeout, s.Limits.SubmissionTimeout
	s.mux.Get("/v1/holds", s.caller(read, s.listHolds))
	s.mux.Post("/v1/holds", s.caller(read, s.placeHold))
	s.mux.Post("/v1/holds/{hold}/review", s.caller(read, s.reviewHold))
	s.mux.Post("/v1/holds/{hold}/lift", s.caller(read, s.liftHold))
	s.mux.Get("/v1/erasures", s.caller(read, s.listErasures))
	s.mux.Post("/v1/people/{person}/erasure", s.caller(read, s.askErasure))
	s.mux.Post("/v1/erasures/{erasure}/confirmation", s.caller(long, s.confirmErasure))
	s.mux.Post("/v1/erasures/{erasure}/withdrawal", s.caller(read, s.withdrawErasure))
	s.mux.Get("/v1/log/retention", s.caller(long, s.listRetention))
	s.mux.Post("/v1/log/drops", s.caller(long, s.dropMonth))
	s.mux.Get("/v1/log/certificates", s.caller(read, s.listCertificates))
	s.mux.Get("/v1/log/keys", s.caller(read, s.getLogKeys))
}

// officers look after what is kept. An auditor acts for the whole hub, the others
// for their agency.
func officers() []string { return []string{roleAuditor, rolePrivacyOfficer, roleSAR} }

// mayDispose lets those with one of the roles in, in person.
func (s *Server) mayDispose(p identity.Principal, roles ...string) error {
	for _, role := range roles {
		if p.Has(role) && p.Worker != uuid.Nil {
			if s.Keeper == nil {
				return unavailable(errNoKeeper)
			}
			return nil
		}
	}
	return forbidden("role", "None of your roles does this.", nil)
}

// whose is the agency whose holds an officer looks after; "" is every one's.
func whose(p identity.Principal) string {
	if p.Has(roleAuditor) {
		return ""
	}
	return p.Agency
}

// disposing reads what an officer asks for: who may, the id in the path (name; ""
// where there is none), the body, and the reason in it, which begins the event.
func (s *Server) disposing(w http.ResponseWriter, r *http.Request, p identity.Principal, kind audit.Kind, name string, body any, roles ...string) (e audit.Event, id uuid.UUID, err error) {
	if err := s.mayDispose(p, roles...); err != nil {
		return e, id, err
	}
	if name != "" {
		if id, err = pathID(r, name); err != nil {
			return e, id, err
		}
	}
	if _, err := s.readBody(w, r, body); err != nil {
		return e, id, err
	}
	e = eventBy(r.Context(), p, kind, audit.OutcomeDone)
	if said, ok := body.(interface{ why() string }); ok {
		e.Reason = said.why()
		if n := len([]rune(e.Reason)); n < 10 || n > maxReason {
			return e, id, badField("reason", "must say why, in 10 to 2 000 characters")
		}
	}
	return e, id, nil
}

// why makes what holds a reasonBody say its reason.
func (b *reasonBody) why() string { return b.Reason }

type doneView struct {
	ID          uuid.UUID         `json:"id"`
	Certificate proof.Certificate `json:"certificate"`
	Receipt     string            `json:"receipt"`
}

// disposed answers with the certificate of what was done.
func disposed(w http.ResponseWriter, status int, done *audit.Done) error {
	return writeJSONStatus(w, status, done.Receipt.String(), doneView{ID: done.ID, Certificate: done.Certificate, Receipt: done.Receipt.String()})
}

// notDisposed turns a Keeper's error into a problem.
func notDisposed(err error) error {
	conflict := func(slug, title, detail string) error {
		return problem(http.StatusConflict, slug, title, detail).because(err)
	}
	switch {
	case errors.Is(err, audit.ErrNoHold), errors.Is(err, audit.ErrNoErasure):
		return problem(http.StatusNotFound, "unknown", "There is nothing like that", "It is unknown, has ended, or is not your agency's. Nothing was done.").because(err)
	case errors.Is(err, audit.ErrSecond):
		return forbidden("second-officer", "Another officer, of another agency, must confirm this erasure.", err)
	case errors.Is(err, audit.ErrAsked):
		return conflict("already", "This was asked for already", "An erasure of this person waits for its second officer.")
	case errors.Is(err, audit.ErrNotDue):
		return conflict("not-due", "The month is not due", "It is not past the retention of its class, or that class is kept for ever. Nothing was dropped.")
	case errors.Is(err, audit.ErrNoExport):
		return conflict("no-export", "No export holds this month", "Take an export of the whole month as an auditor (kith audit export), keep it, and name it. Nothing was dropped.")
	case errors.Is(err, audit.ErrNotWhole):
		return conflict("not-whole", "The month is not as it was logged", "The log says so itself: it is evidence now. Take an export and let kith-verify name what is wrong. Nothing was dropped.")
	case errors.Is(err, audit.ErrNothing):
		return conflict("nothing", "There is nothing to drop", "There is no such month, or all that is left of it is held or protects a record that stands.")
	case errors.Is(err, audit.ErrChanged):
		return conflict("changed", "Something changed meanwhile", "A hold was placed or lifted, or a record ended. Nothing was dropped; try again.")
	}
	return unavailable(err)
}
