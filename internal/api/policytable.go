package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/identity"
	"kith/internal/policy"
)

// policyTableRoutes are the matrix cell by cell, and what officers do with a
// draft or a proposal beside deciding on it.
func (s *Server) policyTableRoutes() {
	read, work := s.Limits.ReadTimeout, policyTimeout
	s.mux.Get("/v1/policies/drafts/{draft}/cells", s.caller(read, s.listCells))
	s.mux.Put("/v1/policies/drafts/{draft}/cells/{section}/{kind}/{purpose}", s.caller(read, s.putCell))
	s.mux.Get("/v1/policies/drafts/{draft}/stories", s.caller(read, s.listStories))
	s.mux.Post("/v1/policies/drafts/{draft}/trials", s.caller(work, s.tryDraft))
	s.mux.Get("/v1/policies/drafts/{draft}/preview", s.caller(read, s.readPreview))
	s.mux.Post("/v1/policies/drafts/{draft}/preview", s.caller(work, s.askPreview))
	s.mux.Post("/v1/policies/submissions/{submission}/refusals", s.caller(read, s.refuseSubmission))
	s.mux.Post("/v1/policies/submissions/{submission}/reminders", s.caller(read, s.remindOfSubmission))
}

// listCells gives the matrix of a draft beside today's, or what of it is asked for.
func (s *Server) listCells(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	q := r.URL.Query()
	d, cells, err := s.Office.Cells(r.Context(), p, id, q.Get("section"), q.Get("kind"), q.Get("purpose"))
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", map[string]any{"draft": d.ID, "revision": d.Revision, "cells": cells})
}

// putCell gives one cell of a draft other rows. The caller gives back what it
// read of the cell, so that nobody's change is lost: other cells of the same
// file are no hindrance.
func (s *Server) putCell(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Seen    string           `json:"seen"`
		Rows    []policy.CellRow `json:"rows"`
		Restore bool             `json:"restore"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	if body.Restore && len(body.Rows) > 0 {
		return badField("rows", "are left out where the cell is put back")
	}
	key := policy.CellKey{Section: chi.URLParam(r, "section"), Kind: chi.URLParam(r, "kind"), Letter: chi.URLParam(r, "purpose")}
	d, receipt, err := s.Office.PutCell(r.Context(), p, requestID(r.Context()), id, key, body.Seen, body.Rows, body.Restore)
	var changed *policy.CellConflict
	if errors.As(err, &changed) {
		x := problem(http.StatusConflict, "cell-changed", "Somebody changed this cell since you read it", "Nothing was saved. What it says now stands beside this; read the cell again, and save yours on top of it.")
		theirs, err := json.Marshal(policy.CellRows(changed.Rows))
		if err != nil {
			return fmt.Errorf("write what stands in the cell: %w", err)
		}
		x.Theirs = string(theirs)
		return x
	}
	d.Files = nil // the cell was changed, not the files
	return s.draft(w, d, receipt, err)
}

// listStories gives the stories of a draft: invented families that can be asked about.
func (s *Server) listStories(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	d, err := s.Office.Draft(r.Context(), p, id)
	if err != nil {
		return s.notChanged(err)
	}
	stories, err := d.Stories()
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", map[string]any{"stories": stories})
}

// mostQuestions bounds what is tried at a time.
const mostQuestions = 40

// tryDraft asks what somebody would see of a story's family under the draft,
// beside today. Without a question it gives every question of the stories whose
// answer differs.
func (s *Server) tryDraft(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Questions []policy.Question `json:"questions"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	if len(body.Questions) > mostQuestions {
		return badField("questions", fmt.Sprintf("are at most %d", mostQuestions))
	}
	tried, err := s.Office.Try(r.Context(), p, id, body.Questions...)
	if err != nil {
		return s.notChanged(err)
	}
	if tried == nil {
		tried = []policy.Tried{}
	}
	return writeJSON(w, "", map[string]any{"tried": tried})
}

func (s *Server) readPreview(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "draft")
	if err != nil {
		return err
	}
	v, err := s.Office.Previewed(r.Context(), p, id)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSON(w, "", v)
}

// askPreview asks for the whole report of a draft that is not submitted yet. The
// part that takes long is there later: 202, and GET tells how far it is.
func (s *Server) askPreview(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Revision int64 `json:"revision"`
	}
	id, err := s.ofDraft(w, r, &body)
	if err != nil {
		return err
	}
	v, receipt, err := s.Office.Preview(r.Context(), p, requestID(r.Context()), id, body.Revision)
	if err != nil {
		return s.notChanged(err)
	}
	status := http.StatusAccepted
	if v.Effect != nil && v.Effect.State == policy.EffectComplete {
		status = http.StatusOK
	}
	return writeJSONStatus(w, status, receipt, v)
}

func (s *Server) refuseSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body whyBody
	id, err := s.ofSubmission(w, r, &body)
	if err != nil {
		return err
	}
	receipt, err := s.Office.Refuse(r.Context(), p, requestID(r.Context()), id, body.Why)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, map[string]string{"receipt": receipt})
}

// remindOfSubmission asks those who have not approved it again.
func (s *Server) remindOfSubmission(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "submission")
	if err != nil {
		return err
	}
	asked, receipt, err := s.Office.Remind(r.Context(), p, requestID(r.Context()), id)
	if err != nil {
		return s.notChanged(err)
	}
	return writeJSONStatus(w, http.StatusCreated, receipt, map[string]any{"asked": asked, "receipt": receipt})
}

func (s *Server) ofSubmission(w http.ResponseWriter, r *http.Request, body any) (uuid.UUID, error) {
	id, err := pathID(r, "submission")
	if err != nil {
		return uuid.Nil, err
	}
	_, err = s.readBody(w, r, body)
	return id, err
}
