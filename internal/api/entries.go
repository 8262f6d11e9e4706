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

// write is a write in a family's record, without what its body says.
type write struct {
	of   uuid.UUID // what the path names
	once disclosure.Once
	req  disclosure.Request
}

// readIn reads a write in a family's record: what the path names (unless name
// is empty), the body, of which in is the family, and for which purpose, children
// and reason. Where nothing will be saved it needs no key.
func (s *Server) readIn(w http.ResponseWriter, r *http.Request, name string, body any, in *string) (write, error) {
	var x write
	var err error
	if name != "" {
		if x.of, err = pathID(r, name); err != nil {
			return write{}, err
		}
	}
	read := s.readWrite
	if wantsReaders(r) {
		read = s.readBody
	}
	if x.once, err = read(w, r, body); err != nil {
		return write{}, err
	}
	x.req, err = s.writing(r, *in)
	return x, err
}

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

// made answers a write of something new, or says why it was not made.
func (s *Server) made(w http.ResponseWriter, r *http.Request, p identity.Principal, answer disclosure.Written, err error) error {
	if err != nil {
		return s.notWritten(w, r, p, err)
	}
	return s.written(w, http.StatusCreated, answer)
}

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
	x, err := s.readIn(w, r, "", &body, &body.Family)
	if err != nil {
		return err
	}
	if body.Corrects != 0 || body.Why != "" || body.Withdraw {
		return badField("corrects", "belongs to a new version of an entry: /v1/entries/{entry}/versions")
	}
	draft := disclosure.EntryDraft{Record: body.Entry}
	if wantsReaders(r) {
		return s.showReaders(w, r, p, x.req, draft)
	}
	answer, err := s.Door.WriteEntry(r.Context(), p, x.req, x.once, draft)
	return s.made(w, r, p, answer, err)
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
	var body entryBody
	x, err := s.readIn(w, r, "entry", &body, &body.Family)
	if err != nil {
		return err
	}
	draft := disclosure.EntryDraft{Record: body.Entry, Why: body.Why}
	switch {
	case body.Withdraw && strings.TrimSpace(body.Why) == "":
		return badField("why", "is required: say why the entry is withdrawn")
	case body.Withdraw:
		return s.changeEntry(w, r, p, x, disclosure.VersionChange{Corrects: body.Corrects, Withdraw: body.Why})
	case wantsReaders(r):
		return s.showReaders(w, r, p, x.req, draft)
	}
	return s.changeEntry(w, r, p, x, disclosure.VersionChange{Corrects: body.Corrects, Draft: &draft})
}

func (s *Server) changeEntry(w http.ResponseWriter, r *http.Request, p identity.Principal, x write, c disclosure.VersionChange) error {
	if c.Corrects < 1 {
		return badField("corrects", "must be the number of the version that you saw")
	}
	answer, err := s.Door.ChangeEntry(r.Context(), p, x.req, x.once, x.of, c)
	return s.made(w, r, p, answer, err)
}

// tagEntry answers POST /v1/entries/{entry}/tags.
func (s *Server) tagEntry(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Family   string   `json:"family"`
		Corrects int      `json:"corrects"`
		Contains []string `json:"contains"`
		Flags    []string `json:"flags"`
	}
	x, err := s.readIn(w, r, "entry", &body, &body.Family)
	if err != nil {
		return err
	}
	return s.changeEntry(w, r, p, x, disclosure.VersionChange{Corrects: body.Corrects, Tags: &family.Tags{Contains: body.Contains, Flags: body.Flags}})
}

// summariseEntry answers POST /v1/entries/{entry}/summary.
func (s *Server) summariseEntry(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Family   string `json:"family"`
		Corrects int    `json:"corrects"`
		Text     string `json:"text"`
		Review   string `json:"review"`
	}
	x, err := s.readIn(w, r, "entry", &body, &body.Family)
	if err != nil {
		return err
	}
	return s.changeEntry(w, r, p, x, disclosure.VersionChange{Corrects: body.Corrects, Summary: &family.SharedSummary{Text: body.Text, Review: body.Review}})
}

// raiseConcern answers POST /v1/entries/{entry}/concerns.
func (s *Server) raiseConcern(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Family  string `json:"family"`
		Version int    `json:"version"`
		Kind    string `json:"kind"`
		What    string `json:"what"`
	}
	x, err := s.readIn(w, r, "entry", &body, &body.Family)
	if err != nil {
		return err
	}
	answer, err := s.Door.RaiseConcern(r.Context(), p, x.req, x.once, x.of, disclosure.ConcernDraft{Version: body.Version, Kind: body.Kind, What: body.What})
	return s.made(w, r, p, answer, err)
}

// tellPerson answers POST /v1/people/{person}/told-and-agreed.
func (s *Server) tellPerson(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Family string            `json:"family"`
		Told   family.ToldRecord `json:"told_and_agreed"`
	}
	x, err := s.readIn(w, r, "person", &body, &body.Family)
	if err != nil {
		return err
	}
	if body.Told.Person != "" {
		return badField("told_and_agreed.person", "stands in the address: leave it out")
	}
	answer, err := s.Door.TellPerson(r.Context(), p, x.req, x.once, x.of, body.Told)
	return s.made(w, r, p, answer, err)
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
	Upheld     *bool      `json:"upheld,omitempty"`
}

func concernViews(list []family.Concern, from func(agency string) string) []concernView {
	out := make([]concernView, 0, len(list))
	for _, c := range list {
		out = append(out, concernView{ID: c.ID, Entry: c.Entry, Version: c.Version, Kind: c.Kind, What: c.What, From: from(c.Agency),
			RaisedAt: c.RaisedAt.UTC(), AnsweredAt: c.AnsweredAt, Answer: c.Answer, Upheld: c.Upheld})
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
		Upheld bool   `json:"upheld"`
	}
	return s.manage(w, r, p, "concern", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Door.AnswerConcern(ctx, p, c, id, body.Upheld, body.Answer)
	})
}
