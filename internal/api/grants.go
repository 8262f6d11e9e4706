package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// listGrants answers GET /v1/grants.
func (s *Server) listGrants(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	after, err := optionalID("after", r.URL.Query().Get("after"))
	if err != nil {
		return err
	}
	list, err := s.Door.Grants(r.Context(), p, requestID(r.Context()), after)
	return showList(s, w, r, p, list, err)
}

// giveGrant answers POST /v1/grants.
func (s *Server) giveGrant(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Person  string `json:"person"`
		Agency  string `json:"agency"`
		Worker  string `json:"worker"`
		Section string `json:"section"`
		Level   string `json:"level"`
		Until   string `json:"until"`
		Reason  string `json:"reason"`
	}
	return s.manage(w, r, p, "", &body, func(ctx context.Context, c disclosure.Change, _ uuid.UUID) (disclosure.Written, error) {
		g := family.GrantDraft{Agency: body.Agency, Section: body.Section, Level: body.Level, Reason: body.Reason}
		var err error
		if g.Person, err = optionalID("person", body.Person); err != nil {
			return disclosure.Written{}, err
		}
		if g.Worker, err = optionalID("worker", body.Worker); err != nil {
			return disclosure.Written{}, err
		}
		until, err := optionalTime("until", body.Until)
		if err != nil {
			return disclosure.Written{}, err
		}
		if until == nil {
			return disclosure.Written{}, badField("until", "is required: a grant ends")
		}
		g.Until = *until
		return s.Door.GiveGrant(ctx, p, c, g)
	})
}

// revokeGrant answers POST /v1/grants/{grant}/end.
func (s *Server) revokeGrant(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body reasonBody
	return s.manage(w, r, p, "grant", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Door.RevokeGrant(ctx, p, c, id, body.Reason)
	})
}
