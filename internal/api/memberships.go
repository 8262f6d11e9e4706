package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

// listMemberships answers GET /v1/memberships: those that wait to be confirmed.
func (s *Server) listMemberships(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	after, err := optionalID("after", r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	list, err := s.Door.Memberships(r.Context(), p, requestID(r.Context()), after)
	return showList(s, w, r, p, list, err)
}

// confirmMembership answers POST /v1/memberships/{membership}/confirmation.
func (s *Server) confirmMembership(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Confirmed *bool  `json:"confirmed"`
		Reason    string `json:"reason"`
	}
	return s.manage(w, r, p, "membership", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		if body.Confirmed == nil {
			return disclosure.Written{}, badField("confirmed", "is required: true, or false with a reason")
		}
		return s.Door.ConfirmMembership(ctx, p, c, id, *body.Confirmed, body.Reason)
	})
}
