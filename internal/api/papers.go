package api

import (
	"errors"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
)

func (s *Server) paperRoutes() {
	s.mux.Get("/v1/policies/papers/{paper}", s.caller(s.Limits.ReadTimeout, s.getPaper))
	s.mux.Get("/v1/agreements/{agreement}/document", s.caller(s.Limits.ReadTimeout, s.getAgreementDocument))
}

// getPaper answers GET /v1/policies/papers/{paper}: what the active version says
// as a document, and what of it was used.
func (s *Server) getPaper(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if !s.Papers.MayRead(p) {
		return forbidden("role", "These papers are for those who look after information, and for auditors.", nil)
	}
	code := chi.URLParam(r, "paper")
	if code == policy.PaperUse { // it comes from the log
		receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"what": "use of clauses"})
		if err != nil {
			return err
		}
		w.Header().Set("Kith-Receipt", receipt.String())
	}
	paper, err := s.Papers.Paper(r.Context(), p, code)
	return s.writePaper(w, r, paper, err)
}

// getAgreementDocument answers GET /v1/agreements/{agreement}/document.
func (s *Server) getAgreementDocument(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	if !s.Papers.MayRead(p) {
		return forbidden("role", "This document is for those who look after information, and for auditors.", nil)
	}
	paper, err := s.Papers.Agreement(r.Context(), p, chi.URLParam(r, "agreement"))
	return s.writePaper(w, r, paper, err)
}

func (s *Server) writePaper(w http.ResponseWriter, r *http.Request, paper policy.Paper, err error) error {
	if errors.Is(err, disclosure.ErrNoPaper) {
		return problem(http.StatusNotFound, "unknown", "There is nothing like that", "There are the papers processing, privacy-notice and use, and a document for each agreement.")
	}
	if err != nil {
		return unavailable(err)
	}
	switch r.URL.Query().Get("format") {
	case "csv":
		data, err := paper.CSV()
		if err != nil {
			return err
		}
		w.Header().Set("Content-Disposition", `attachment; filename="`+paper.Code+`.csv"`)
		return writeBytes(w, "text/csv; charset=utf-8", data)
	case "html":
		page, err := paper.HTML()
		if err != nil {
			return err
		}
		return writeBytes(w, "text/html; charset=utf-8", page)
	}
	return writeJSON(w, "", paper)
}
