package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

// listRecords answers GET /v1/people/{person}/records: as whom agencies sent them.
func (s *Server) listRecords(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	person, err := pathID(r, "person")
	if err != nil {
		return err
	}
	list, err := s.Door.Records(r.Context(), p, requestID(r.Context()), person)
	return showList(s, w, r, p, list, err)
}

// separateRecord answers POST /v1/records/{record}/separation: a wrong link is
// taken back.
func (s *Server) separateRecord(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body reasonBody
	return s.manage(w, r, p, "record", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Door.Separate(ctx, p, c, id, body.Reason)
	})
}
