package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// writing reads for what a write is made: family, purpose, children, reason.
func (s *Server) writing(r *http.Request, of string) (disclosure.Request, error) {
	id, err := parseID(of)
	if err != nil {
		return disclosure.Request{}, badField("family", "must be a lower-case UUID: the family in whose record you are")
	}
	children, err := childrenOf(r)
	if err != nil {
		return disclosure.Request{}, err
	}
	reason, err := reasonOf(r)
	if err != nil {
		return disclosure.Request{}, err
	}
	return disclosure.Request{
		Family: id, Children: children, Purpose: strings.TrimSpace(r.Header.Get("Kith-Purpose")), Reason: reason, RequestID: requestID(r.Context()),
	}, nil
}

// pathID reads an id of the path.
func pathID(r *http.Request, name string) (uuid.UUID, error) {
	id, err := parseID(chi.URLParam(r, name))
	if err != nil {
		return uuid.Nil, badField(name, "must be a lower-case UUID")
	}
	return id, nil
}

// wantsReaders tells a preview from a write.
func wantsReaders(r *http.Request) bool { return r.URL.Query().Get("preview") == "readers" }

type entryBody struct {
	Family   string             `json:"family"`
	Corrects int                `json:"corrects"` // of a version
	Why      string             `json:"why"`
	Withdraw bool               `json:"withdraw"`
	Entry    family.EntryRecord `json:"entry"`
}

// writeEntry answers POST /v1/entries.
func (s *Server) writeEntry(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body entryBody
	o, err := s.readEntry(w, r, &body)
	if err != nil {
		return err
	}
	if body.Corrects != 0 || body.Why != "" || body.Withdraw {
		return badField("corrects", "belongs to a new version of an entry: /v1/entries/{entry}/versions")
	}
	req, err := s.writing(r, body.Family)
	if err != nil {
		return err
	}
	if wantsReaders(r) {
		return s.showReaders(w, r, p, req, disclosure.EntryDraft{Record: body.Entry})
	}
	answer, err := s.Door.WriteEntry(r.Context(), p, req, o, disclosure.EntryDraft{Record: body.Entry})
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return s.written(w, http.StatusCreated, answer)
}

// readEntry needs no key where nothing will be saved.
func (s *Server) readEntry(w http.ResponseWriter, r *http.Request, body *entryBody) (disclosure.Once, error) {
	if wantsReaders(r) {
		return s.readBody(w, r, body)
	}
	return s.readWrite(w, r, body)
}

func (s *Server) showReaders(w http.ResponseWriter, r *http.Request, p identity.Principal, req disclosure.Request, e disclosure.EntryDraft) error {
	readers, err := s.Door.WhoWouldRead(r.Context(), p, req, e)
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return writeJSON(w, readers.Receipt, readers)
}

// correctEntry answers POST /v1/entries/{entry}/versions.
func (s *Server) correctEntry(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	entry, err := pathID(r, "entry")
	if err != nil {
		return err
	}
	var body entryBody
	o, err := s.readEntry(w, r, &body)
	if err != nil {
		return err
	}
	req, err := s.writing(r, body.Family)
	if err != nil {
		return err
	}
	if body.Withdraw {
		if strings.TrimSpace(body.Why) == "" {
			return badField("why", "is required: say why the entry is withdrawn")
		}
		return s.changeEntry(w, r, p, req, o, entry, disclosure.VersionChange{Corrects: body.Corrects, Withdraw: body.Why})
	}
	draft := disclosure.EntryDraft{Record: body.Entry, Why: body.Why}
	if wantsReaders(r) {
		return s.showReaders(w, r, p, req, draft)
	}
	return s.changeEntry(w, r, p, req, o, entry, disclosure.VersionChange{Corrects: body.Corrects, Draft: &draft})
}

func (s *Server) changeEntry(w http.ResponseWriter, r *http.Request, p identity.Principal, req disclosure.Request, o disclosure.Once, entry uuid.UUID, c disclosure.VersionChange) error {
	if c.Corrects < 1 {
		return badField("corrects", "must be the number of the version that you saw")
	}
	answer, err := s.Door.ChangeEntry(r.Context(), p, req, o, entry, c)
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return s.written(w, http.StatusCreated, answer)
}

// tagEntry answers POST /v1/entries/{entry}/tags.
func (s *Server) tagEntry(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	entry, err := pathID(r, "entry")
	if err != nil {
		return err
	}
	var body struct {
		Family   string   `json:"family"`
		Corrects int      `json:"corrects"`
		Contains []string `json:"contains"`
		Flags    []string `json:"flags"`
	}
	o, err := s.readWrite(w, r, &body)
	if err != nil {
		return err
	}
	req, err := s.writing(r, body.Family)
	if err != nil {
		return err
	}
	return s.changeEntry(w, r, p, req, o, entry, disclosure.VersionChange{Corrects: body.Corrects, Tags: &family.Tags{Contains: body.Contains, Flags: body.Flags}})
}

// summariseEntry answers POST /v1/entries/{entry}/summary.
func (s *Server) summariseEntry(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	entry, err := pathID(r, "entry")
	if err != nil {
		return err
	}
	var body struct {
		Family   string `json:"family"`
		Corrects int    `json:"corrects"`
		Text     string `json:"text"`
		Review   string `json:"review"`
	}
	o, err := s.readWrite(w, r, &body)
	if err != nil {
		return err
	}
	req, err := s.writing(r, body.Family)
	if err != nil {
		return err
	}
	return s.changeEntry(w, r, p, req, o, entry, disclosure.VersionChange{Corrects: body.Corrects, Summary: &family.SharedSummary{Text: body.Text, Review: body.Review}})
}

// raiseConcern answers POST /v1/entries/{entry}/concerns.
func (s *Server) raiseConcern(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	entry, err := pathID(r, "entry")
	if err != nil {
		return err
	}
	var body struct {
		Family  string `json:"family"`
		Version int    `json:"version"`
		Kind    string `json:"kind"`
		What    string `json:"what"`
	}
	o, err := s.readWrite(w, r, &body)
	if err != nil {
		return err
	}
	req, err := s.writing(r, body.Family)
	if err != nil {
		return err
	}
	answer, err := s.Door.RaiseConcern(r.Context(), p, req, o, entry, disclosure.ConcernDraft{Version: body.Version, Kind: body.Kind, What: body.What})
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return s.written(w, http.StatusCreated, answer)
}

// tellPerson answers POST /v1/people/{person}/told-and-agreed.
func (s *Server) tellPerson(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	person, err := pathID(r, "person")
	if err != nil {
		return err
	}
	var body struct {
		Family string            `json:"family"`
		Told   family.ToldRecord `json:"told_and_agreed"`
	}
	o, err := s.readWrite(w, r, &body)
	if err != nil {
		return err
	}
	if body.Told.Person != "" {
		return badField("told_and_agreed.person", "stands in the address: leave it out")
	}
	req, err := s.writing(r, body.Family)
	if err != nil {
		return err
	}
	answer, err := s.Door.TellPerson(r.Context(), p, req, o, person, body.Told)
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return s.written(w, http.StatusCreated, answer)
}

type concernView struct {
	ID         uuid.UUID  `json:"id"`
	Entry      uuid.UUID  `json:"entry"`
	Version    int        `json:"version"`
	Kind       string     `json:"kind"`
	What       string     `json:"what"`
	From       string     `json:"from,omitempty"` // of those received: who raised it, where that may be known
	RaisedAt   time.Time  `json:"raised_at"`
	AnsweredAt *time.Time `json:"answered_at,omitempty"`
	Answer     string     `json:"answer,omitempty"`
}

func concernViews(list []family.Concern, from func(agency string) string) []concernView {
	out := make([]concernView, 0, len(list))
	for _, c := range list {
		out = append(out, concernView{ID: c.ID, Entry: c.Entry, Version: c.Version, Kind: c.Kind, What: c.What, From: from(c.Agency),
			RaisedAt: c.RaisedAt.UTC(), AnsweredAt: c.AnsweredAt, Answer: c.Answer})
	}
	return out
}

// listConcerns answers GET /v1/concerns.
func (s *Server) listConcerns(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	list, err := s.Door.Concerns(r.Context(), p, requestID(r.Context()))
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return writeJSON(w, list.Receipt, struct {
		Received []concernView `json:"received"`
		Raised   []concernView `json:"raised"`
		Receipt  string        `json:"receipt"`
	}{concernViews(list.Received, list.From), concernViews(list.Raised, func(string) string { return "" }), list.Receipt})
}

// answerConcern answers POST /v1/concerns/{concern}/answer.
func (s *Server) answerConcern(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Answer string `json:"answer"`
	}
	return s.manage(w, r, p, "concern", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Door.AnswerConcern(ctx, p, c, id, body.Answer)
	})
}
