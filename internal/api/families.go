package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"kith/internal/disclosure"
	"kith/internal/identity"
)

// readFamily answers GET /v1/families/{family}.
func (s *Server) readFamily(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := parseID(chi.URLParam(r, "family"))
	if err != nil {
		return badField("family", "must be a lower-case UUID")
	}
	children, err := childrenOf(r)
	if err != nil {
		return err
	}
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	view, err := s.Door.Read(r.Context(), p, disclosure.Request{
		Family: id, Children: children, Purpose: strings.TrimSpace(r.Header.Get("Kith-Purpose")), Reason: reason, RequestID: requestID(r.Context()),
	})
	if err != nil {
		return s.refused(w, err)
	}
	s.Metrics.Released.Inc()
	return writeJSON(w, view.Receipt, view)
}

// refused turns a refusal of the door into a problem. What depends on the
// family becomes the one 404; the others depend on the caller alone.
func (s *Server) refused(w http.ResponseWriter, err error) error {
	var refusal *disclosure.Refusal
	if !errors.As(err, &refusal) {
		return unavailable(err)
	}
	s.Metrics.Refused.WithLabelValues(refusal.Code).Inc()
	if refusal.Receipt != "" {
		w.Header().Set("Kith-Receipt", refusal.Receipt)
	}
	switch refusal.Code {
	case disclosure.RefusedNotFound:
		return notShown(refusal.Call)
	case disclosure.RefusedPurpose:
		p := badField("Kith-Purpose", "must be one of the purposes that your role has, listed in purposes")
		p.Purposes = purposesOf(refusal.Purposes)
		return p
	case disclosure.RefusedReason:
		return badField("Kith-Reason", "is required: say why you need this record (you are not the allocated worker, or the purpose asks for it)")
	case disclosure.RefusedRole:
		p := forbidden("role", "None of your roles opens family records for this purpose.", nil)
		p.Purposes = purposesOf(refusal.Purposes)
		return p
	case disclosure.RefusedNoAgreement:
		return forbidden("no-agreement", "Your agency is party to no sharing agreement in force for this purpose. Ask your agency's information governance lead.", nil)
	case disclosure.RefusedEmergency:
		return forbidden("emergency", "Emergency access needs a live grant made for you, and there is none.", nil)
	}
	return unavailable(err)
}

// writeJSON writes an answer whole: it is encoded before the first byte leaves,
// so that an error cannot follow half an answer.
func writeJSON(w http.ResponseWriter, receipt string, v any) error {
	return writeJSONStatus(w, http.StatusOK, receipt, v)
}

func writeJSONStatus(w http.ResponseWriter, status int, receipt string, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	if receipt != "" {
		w.Header().Set("Kith-Receipt", receipt)
	}
	if out, ok := w.(*recorder); ok && out.most > 0 && body.Len() > out.most {
		return problem(http.StatusRequestEntityTooLarge, "answer-too-large", "The answer is too large",
			"It is larger than this hub gives at once, and was not given; that it was asked for is in the log. Ask for less: of a family for one child (Kith-Children), of a list for a shorter page (limit).")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, err := w.Write(body.Bytes())
	return ignoreGone(err)
}
