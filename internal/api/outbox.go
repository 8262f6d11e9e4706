package api

import (
	"net/http"

	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/outbox"
)

// outboxPage is the most messages that one answer has.
const outboxPage = 200

// listOutbox answers GET /v1/outbox: what word went out, to whose office, and
// how its deliveries stand. Officers see their own agency's, auditor and
// administrator all; nobody is named in any.
func (s *Server) listOutbox(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	agency := p.Agency
	switch {
	case p.Has(roleAuditor), p.Has("admin"):
		agency = ""
	case p.Has("ig-author"), p.Has("ig-approver"), p.Has(rolePrivacyOfficer):
	default:
		return forbidden("role", "The outbox is for officers, auditors and administrators.", nil)
	}
	var after uuid.UUID
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = parseID(text); err != nil {
			return badField("after", "must be the id of a message")
		}
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"what": "outbox"})
	if err != nil {
		return err
	}
	list, err := s.Outbox.List(r.Context(), agency, after, outboxPage)
	if err != nil {
		return unavailable(err)
	}
	if list == nil {
		list = []outbox.Message{}
	}
	next := ""
	if len(list) == outboxPage {
		next = list[len(list)-1].ID.String()
	}
	return writeJSON(w, receipt.String(), struct {
		Messages []outbox.Message `json:"messages"`
		Next     string           `json:"next,omitempty"`
		Receipt  string           `json:"receipt"`
	}{list, next, receipt.String()})
}
