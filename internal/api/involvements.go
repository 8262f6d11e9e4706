package api

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// manage reads a change of something that the path names, makes it, and answers.
func (s *Server) manage(w http.ResponseWriter, r *http.Request, p identity.Principal, name string, body any, change func(context.Context, disclosure.Change, uuid.UUID) (disclosure.Written, error)) error {
	var id uuid.UUID
	var err error
	status := http.StatusCreated
	if name != "" {
		if id, err = pathID(r, name); err != nil {
			return err
		}
		status = http.StatusOK
	}
	o, err := s.readWrite(w, r, body)
	if err != nil {
		return err
	}
	answer, err := change(r.Context(), disclosure.Change{Once: o, RequestID: requestID(r.Context())}, id)
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return s.written(w, status, answer)
}

// reasonBody is what ends something.
type reasonBody struct {
	Reason string `json:"reason"`
}

// optionalID reads an id that may be missing.
func optionalID(field, text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	id, err := parseID(text)
	if err != nil {
		return uuid.Nil, badField(field, "must be a lower-case UUID")
	}
	return id, nil
}

// optionalTime reads a moment that may be missing.
func optionalTime(field, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, badField(field, "must be a time such as 2026-11-02T09:30:00Z")
	}
	return &at, nil
}

// optionalDay reads a day that may be missing.
func optionalDay(field, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return nil, badField(field, "must be a day such as 2026-11-02")
	}
	return &day, nil
}

// showList answers a list that was read.
func showList[T any](s *Server, w http.ResponseWriter, r *http.Request, p identity.Principal, list disclosure.List[T], err error) error {
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	answer := struct {
		disclosure.List[T]
		Next string `json:"next,omitempty"`
	}{List: list}
	if list.Next != uuid.Nil {
		answer.Next = list.Next.String()
	}
	return writeJSON(w, list.Receipt, answer)
}

// listInvolvements answers GET /v1/involvements.
func (s *Server) listInvolvements(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var ids [3]uuid.UUID
	for i, name := range []string{"worker", "person", "after"} {
		var err error
		if ids[i], err = optionalID(name, r.URL.Query().Get(name)); err != nil {
			return err
		}
	}
	list, err := s.Door.Involvements(r.Context(), p, requestID(r.Context()), ids[0], ids[1], ids[2])
	return showList(s, w, r, p, list, err)
}

// involve answers POST /v1/involvements.
func (s *Server) involve(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Source string `json:"source"`
		Person string `json:"person"`
		Worker string `json:"worker"`
		Covers string `json:"covers"`
		Team   string `json:"team"`
		Role   string `json:"role"`
		From   string `json:"from"`
		Until  string `json:"until"`
		Reason string `json:"reason"`
	}
	return s.manage(w, r, p, "", &body, func(ctx context.Context, c disclosure.Change, _ uuid.UUID) (disclosure.Written, error) {
		a := family.Allocation{Source: body.Source, Team: body.Team, Role: body.Role, Reason: body.Reason}
		var err error
		for _, x := range []struct {
			field, text string
			to          *uuid.UUID
		}{{"person", body.Person, &a.Person}, {"worker", body.Worker, &a.Worker}, {"covers", body.Covers, &a.Covers}} {
			if *x.to, err = optionalID(x.field, x.text); err != nil {
				return disclosure.Written{}, err
			}
		}
		if a.From, err = optionalTime("from", body.From); err != nil {
			return disclosure.Written{}, err
		}
		if a.Until, err = optionalTime("until", body.Until); err != nil {
			return disclosure.Written{}, err
		}
		if a.Source == family.Declared && a.Worker == uuid.Nil {
			a.Worker = p.Worker // whoever declares means themselves
		}
		return s.Door.Involve(ctx, p, c, a)
	})
}

// endInvolvement answers POST /v1/involvements/{involvement}/end.
func (s *Server) endInvolvement(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body reasonBody
	return s.manage(w, r, p, "involvement", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Door.EndInvolvement(ctx, p, c, id, body.Reason)
	})
}
