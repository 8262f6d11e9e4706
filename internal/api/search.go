package api

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// searchBytes bounds the body of a search: seven short fields.
const searchBytes = 16 << 10

// searchPeople answers POST /v1/searches. Terms travel in the body, never in an
// address. Nobody found and nobody who may be found give the same answer.
func (s *Server) searchPeople(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	reason, err := reasonOf(r)
	if err != nil {
		return err
	}
	terms, err := searchTerms(w, r)
	if err != nil {
		return err
	}
	view, err := s.Door.Search(r.Context(), p, disclosure.SearchRequest{
		Terms: terms, Purpose: strings.TrimSpace(r.Header.Get("Kith-Purpose")), Reason: reason, RequestID: requestID(r.Context()),
	})
	var field *family.FieldError
	if errors.As(err, &field) {
		return s.badRule(r, p, field)
	}
	if err != nil {
		return s.refused(w, err)
	}
	s.Metrics.Released.Inc()
	return writeJSON(w, view.Receipt, view)
}

// searchTerms reads the body strictly: a misspelt field would find somebody
// else than was meant.
func searchTerms(w http.ResponseWriter, r *http.Request) (family.SearchTerms, error) {
	var terms family.SearchTerms
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		p := problem(http.StatusUnsupportedMediaType, "media-type", "This media type is not taken", "Send application/json.")
		p.Field, p.Rule = "Content-Type", "must be application/json"
		return terms, p
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, searchBytes))
	if err != nil {
		return terms, badField("body", "must be a JSON object of at most 16 KiB")
	}
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&terms); err != nil {
		return terms, badField("body", "must be a JSON object with texts in given_name, family_name, date_of_birth, nhs_number, upn, postcode, and identifier {scheme, value}")
	}
	if _, err := dec.Token(); err != io.EOF {
		return terms, badField("body", "must be one JSON object")
	}
	return terms, nil
}
