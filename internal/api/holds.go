package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/identity"
)

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
	if err := s.mayDispose(p, officers()...); err != nil {
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
	var body struct {
		reasonBody
		Person   string `json:"person"`
		Family   string `json:"family"`
		Agency   string `json:"agency"`
		ReviewOn string `json:"review_on"`
	}
	e, _, err := s.disposing(w, r, p, audit.KindHold, "", &body, officers()...)
	if err != nil {
		return err
	}
	h := audit.Hold{Agency: body.Agency, Reason: body.Reason}
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
	if h.ReviewOn, err = s.reviewDay(body.ReviewOn); err != nil {
		return err
	}
	done, err := s.Keeper.Place(r.Context(), e, h)
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusCreated, &done)
}

// reviewHold answers POST /v1/holds/{hold}/review.
func (s *Server) reviewHold(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		reasonBody
		ReviewOn string `json:"review_on"`
	}
	e, id, err := s.disposing(w, r, p, audit.KindHold, "hold", &body, officers()...)
	if err != nil {
		return err
	}
	day, err := s.reviewDay(body.ReviewOn)
	if err != nil {
		return err
	}
	receipt, err := s.Keeper.Review(r.Context(), e, id, whose(p), day)
	if err != nil {
		return notDisposed(err)
	}
	return writeJSON(w, receipt.String(), map[string]any{"id": id, "review_on": body.ReviewOn, "receipt": receipt.String()})
}

// liftHold answers POST /v1/holds/{hold}/lift.
func (s *Server) liftHold(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	e, id, err := s.disposing(w, r, p, audit.KindHold, "hold", &reasonBody{}, officers()...)
	if err != nil {
		return err
	}
	done, err := s.Keeper.Lift(r.Context(), e, id, whose(p))
	if err != nil {
		return notDisposed(err)
	}
	return disposed(w, http.StatusOK, &done)
}
