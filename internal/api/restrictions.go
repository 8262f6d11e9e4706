package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// listRestrictions answers GET /v1/people/{person}/restrictions.
func (s *Server) listRestrictions(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	person, err := pathID(r, "person")
	if err != nil {
		return err
	}
	list, err := s.Door.Restrictions(r.Context(), p, requestID(r.Context()), person)
	return showList(s, w, r, p, list, err)
}

// setRestriction answers POST /v1/people/{person}/restrictions.
func (s *Server) setRestriction(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Kind     string   `json:"kind"`
		Workers  []string `json:"workers"`
		Agencies []string `json:"agencies"`
		Reason   string   `json:"reason"`
		ReviewOn string   `json:"review_on"`
		Until    string   `json:"until"`
	}
	return s.manage(w, r, p, "person", &body, func(ctx context.Context, c disclosure.Change, person uuid.UUID) (disclosure.Written, error) {
		draft := family.RestrictionDraft{Kind: body.Kind, Agencies: body.Agencies, Reason: body.Reason, ReviewOn: body.ReviewOn}
		for _, text := range body.Workers {
			id, err := parseID(text)
			if err != nil {
				return disclosure.Written{}, badField("workers", "must be lower-case UUIDs")
			}
			draft.Workers = append(draft.Workers, id)
		}
		var err error
		if draft.Until, err = optionalTime("until", body.Until); err != nil {
			return disclosure.Written{}, err
		}
		return s.Door.SetRestriction(ctx, p, c, person, draft)
	})
}

// reviewRestriction answers POST /v1/restrictions/{restriction}/review.
func (s *Server) reviewRestriction(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		ReviewOn string `json:"review_on"`
		Reason   string `json:"reason"`
	}
	return s.manage(w, r, p, "restriction", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		if body.ReviewOn == "" {
			return disclosure.Written{}, badField("review_on", "is required: the day of the next review")
		}
		return s.Door.ChangeRestriction(ctx, p, c, id, body.ReviewOn, body.Reason)
	})
}

// endRestriction answers POST /v1/restrictions/{restriction}/end.
func (s *Server) endRestriction(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body reasonBody
	return s.manage(w, r, p, "restriction", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Door.ChangeRestriction(ctx, p, c, id, "", body.Reason)
	})
}
