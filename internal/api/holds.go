package api

import (
	"errors"
	"net/http"
	"time"

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

// mayDispose: the officers who look after what is kept, in person. An auditor
// acts for the whole hub, the others for their agency.
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

type holdView struct {
	ID       uuid.UUID  `json:"id"`
	Person   string     `json:"person,omitempty"` // its id to who placed it, a reference to others
	Family   *uuid.UUID `json:"family,omitempty"`
	Agency   string     `json:"agency,omitempty"`
	Reason   string     `json:"reason"`
	ReviewOn string     `json:"review_on"`
	Overdue  bool       `json:"overdue"` // the day of review is past
	PlacedAt time.Time  `json:"placed_at"`
	PlacedBy string     `json:"placed_by"` // agency
}

// listHolds answers GET /v1/holds.
func (s *Server) listHolds(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"what": "holds"})
	if err != nil {
		return err
	}
	list, err := s.Keeper.Holds(r.Context(), whose(p))
	if err != nil {
		return unavailable(err)
	}
	views := make([]holdView, 0, len(list))
	for i := range list {
		h := &list[i]
		v := holdView{ID: h.ID, Agency: h.Agency, Reason: h.Reason, ReviewOn: h.ReviewOn.Format(time.DateOnly), PlacedAt: h.Placed.UTC(), PlacedBy: h.PlacedFor,
			Overdue: h.ReviewOn.AddDate(0, 0, 1).Before(s.Now())}
		if h.Person != uuid.Nil {
			if v.Person = h.Person.String(); h.PlacedFor != p.Agency {
				v.Person = s.Keeper.Reference(h.Person)
			}
		}
		if h.Family != uuid.Nil {
			v.Family = &h.Family
		}
		views = append(views, v)
	}
	return writeJSON(w, receipt.String(), map[string]any{"holds": views, "receipt": receipt.String()})
}

// reviewDay reads the day on which a hold is looked at again: within a year.
func (s *Server) reviewDay(text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || !day.After(s.Now()) || day.After(s.Now().AddDate(1, 0, 0)) {
		return time.Time{}, badField("review_on", "must be a day such as 2026-12-31, within a year from now")
	}
	return day, nil
}

// placeHold answers POST /v1/holds.
func (s *Server) placeHold(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	var body struct {
		Person   string `json:"person"`
		Family   string `json:"family"`
		Agency   string `json:"agency"`
		Reason   string `json:"reason"`
		ReviewOn string `json:"review_on"`
	}
	if _, err := s.readBody(w, r, &body); err != nil {
		return err
	}
	h := audit.Hold{Agency: body.Agency, Reason: body.Reason}
	var err error
	if h.Person, err = optionalID("person", body.Person); err != nil {
		return err
	}
	if h.Family, err = optionalID("family", body.Family); err != nil {
		return err
	}
	covered := 0
	for _, text := range []string{body.Person, body.Family, body.Agency} {
		if text != "" {
			covered++
		}
	}
	if covered != 1 {
		return badField("body", "must name one of person, family and agency")
	}
	if h.Agency != "" && h.Agency != p.Agency && !p.Has(roleAuditor) {
		return badField("agency", "must be your own; an auditor may hold any")
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	if h.ReviewOn, err = s.reviewDay(body.ReviewOn); err != nil {
		return err
	}
	done, err := s.Keeper.Place(r.Context(), eventBy(r.Context(), p, audit.KindHold, audit.OutcomeDone), h)
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusCreated, &done)
}

func checkReason(text string) error {
	if n := len([]rune(text)); n < 10 || n > maxReason {
		return badField("reason", "must say why, in 10 to 2 000 characters")
	}
	return nil
}

// reviewHold answers POST /v1/holds/{hold}/review.
func (s *Server) reviewHold(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	var body struct {
		ReviewOn string `json:"review_on"`
		Reason   string `json:"reason"`
	}
	id, err := s.disposalOf(w, r, "hold", &body)
	if err != nil {
		return err
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	day, err := s.reviewDay(body.ReviewOn)
	if err != nil {
		return err
	}
	e := eventBy(r.Context(), p, audit.KindHold, audit.OutcomeDone)
	e.Reason = body.Reason
	receipt, err := s.Keeper.Review(r.Context(), e, id, whose(p), day)
	if err != nil {
		return notDisposed(err)
	}
	return writeJSON(w, receipt.String(), map[string]any{"id": id, "review_on": body.ReviewOn, "receipt": receipt.String()})
}

// liftHold answers POST /v1/holds/{hold}/lift.
func (s *Server) liftHold(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if err := s.mayDispose(p, roleAuditor, rolePrivacyOfficer, roleSAR); err != nil {
		return err
	}
	var body reasonBody
	id, err := s.disposalOf(w, r, "hold", &body)
	if err != nil {
		return err
	}
	if err := checkReason(body.Reason); err != nil {
		return err
	}
	e := eventBy(r.Context(), p, audit.KindHold, audit.OutcomeDone)
	e.Reason = body.Reason
	done, err := s.Keeper.Lift(r.Context(), e, id, whose(p))
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusOK, &done)
}

// disposalOf reads the id in the path, and the body.
func (s *Server) disposalOf(w http.ResponseWriter, r *http.Request, name string, body any) (uuid.UUID, error) {
	id, err := pathID(r, name)
	if err != nil {
		return uuid.Nil, err
	}
	_, err = s.readBody(w, r, body)
	return id, err
}

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
