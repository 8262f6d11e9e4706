package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
)

// reviewRoutes are the auditor's and the privacy officers' work.
func (s *Server) reviewRoutes() {
	s.mux.Get("/v1/reviews", s.caller(s.Limits.ReadTimeout, s.listReviews))
	s.mux.Get("/v1/reviews/figures", s.caller(s.Limits.ReadTimeout, s.reviewFigures))
	s.mux.Get("/v1/reviews/{review}", s.caller(s.Limits.ReadTimeout, s.readReview))
	s.mux.Post("/v1/reviews/{review}/open", s.caller(s.Limits.ReadTimeout, s.openReview))
	s.mux.Post("/v1/reviews/{review}/close", s.caller(s.Limits.ReadTimeout, s.closeReview))
	s.mux.Get("/v1/alerts", s.caller(s.Limits.ReadTimeout, s.listAlerts))
	s.mux.Post("/v1/alerts/{alert}/acknowledge", s.caller(s.Limits.ReadTimeout, s.takeAlert))
	s.mux.Post("/v1/alerts/{alert}/close", s.caller(s.Limits.ReadTimeout, s.closeAlert))
	s.mux.Get("/v1/access-events/figures", s.caller(s.Limits.ReadTimeout, s.accessFigures))
}

// reviewView is a finding in the queue: it names nobody.
type reviewView struct {
	ID        uuid.UUID           `json:"id"`
	Reference string              `json:"reference"`
	Kind      audit.FindingKind   `json:"kind"`
	State     audit.ReviewState   `json:"state"`
	Urgency   audit.Urgency       `json:"urgency"`
	Agency    string              `json:"agency"`
	Why       string              `json:"why"`
	Numbers   map[string]int      `json:"numbers"`
	Innocence []string            `json:"innocence"`
	Accesses  int                 `json:"accesses"`
	FirstAt   time.Time           `json:"first_at"`
	LastAt    time.Time           `json:"last_at"`
	RaisedAt  time.Time           `json:"raised_at"`
	DueAt     time.Time           `json:"due_at"`
	Overdue   bool                `json:"overdue"`
	Outcome   audit.ReviewOutcome `json:"outcome,omitempty"`
	Note      string              `json:"note,omitempty"`
	Reviewer  string              `json:"reviewer,omitempty"`
	ClosedAt  *time.Time          `json:"closed_at,omitempty"`
}

// reviewDetail is one of them. References stand until it is opened.
type reviewDetail struct {
	reviewView
	References []string    `json:"references,omitempty"`
	Opened     *openedView `json:"opened,omitempty"`
	Receipt    string      `json:"receipt"`
}

type openedView struct {
	Worker uuid.UUID      `json:"worker"`
	Name   string         `json:"name"`
	Roles  []string       `json:"roles"`
	Family *uuid.UUID     `json:"family"`
	People []uuid.UUID    `json:"people"`
	Events []openedAccess `json:"events"`
}

type openedAccess struct {
	Event      uuid.UUID     `json:"event"`
	Kind       audit.Kind    `json:"kind"`
	OccurredAt time.Time     `json:"occurred_at"`
	Outcome    audit.Outcome `json:"outcome"`
	Purpose    string        `json:"purpose"`
	Reason     string        `json:"reason,omitempty"`
	Refusal    string        `json:"refusal,omitempty"`
	Declared   bool          `json:"declared"`
	Emergency  bool          `json:"emergency"`
	Level      string        `json:"level"`
	Entries    int           `json:"entries"`
	People     []string      `json:"people"`
	Erased     bool          `json:"erased,omitempty"`
}

func (s *Server) reviewOf(r *audit.Review) reviewView {
	v := reviewView{
		ID: r.ID, Reference: r.Reference, Kind: r.Kind, State: r.State, Urgency: r.Urgency, Agency: r.Agency, Why: r.Why(), Numbers: r.Numbers, Innocence: r.Innocence(),
		Accesses: r.Count, FirstAt: r.First.UTC(), LastAt: r.Last.UTC(), RaisedAt: r.Raised.UTC(), DueAt: r.Due.UTC(),
		Overdue: r.State != audit.ReviewClosed && r.Due.Before(s.Now()), Outcome: r.Outcome, Note: r.Note, Reviewer: r.Reviewer,
	}
	if r.Closed != nil {
		at := r.Closed.UTC()
		v.ClosedAt = &at
	}
	return v
}

func (s *Server) reviewDetailOf(x *disclosure.Shown) reviewDetail {
	d := reviewDetail{reviewView: s.reviewOf(&x.Review), References: x.References, Receipt: x.Receipt}
	o := x.Opened
	if o == nil {
		// The note is about the person: it opens with the review, as they do.
		d.Note = ""
		return d
	}
	d.Opened = &openedView{Worker: o.Worker, Name: o.Name, Roles: orEmpty(o.Roles), People: orEmpty(o.People), Events: []openedAccess{}}
	if o.Family != uuid.Nil {
		d.Opened.Family = &o.Family
	}
	for i := range o.Events {
		e := &o.Events[i]
		d.Opened.Events = append(d.Opened.Events, openedAccess{
			Event: e.ID, Kind: e.Kind, OccurredAt: e.Occurred.UTC(), Outcome: e.Outcome, Purpose: e.Purpose, Reason: e.Reason, Refusal: e.Refusal,
			Declared: e.Declared, Emergency: e.Emergency, Level: e.Level.String(), Entries: e.Count, People: orEmpty(e.Subjects), Erased: e.Erased,
		})
	}
	return d
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// listReviews answers GET /v1/reviews.
func (s *Server) listReviews(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	q := r.URL.Query()
	f := audit.ReviewFilter{Kind: audit.FindingKind(q.Get("kind")), State: audit.ReviewState(q.Get("state"))}
	due, err := optionalTime("due", q.Get("due"))
	if err != nil {
		return err
	}
	if due != nil {
		f.DueBy = *due
	}
	page, err := pageOf(r)
	if err != nil {
		return err
	}
	list, err := s.Reviews.List(r.Context(), p, requestID(r.Context()), f, page)
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	answer := struct {
		Reviews []reviewView `json:"reviews"`
		Next    string       `json:"next,omitempty"`
		Receipt string       `json:"receipt"`
	}{Reviews: []reviewView{}, Next: list.Next, Receipt: list.Receipt}
	for i := range list.Reviews {
		v := s.reviewOf(&list.Reviews[i])
		v.Note = ""
		answer.Reviews = append(answer.Reviews, v)
	}
	return writeJSON(w, answer.Receipt, answer)
}

// pageOf reads limit and cursor.
func pageOf(r *http.Request) (audit.Page, error) {
	p := audit.Page{After: r.URL.Query().Get("cursor")}
	if v := r.URL.Query().Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > audit.MaxLimit {
			return p, badField("limit", "must be 1 to 500")
		}
		p.Limit = n
	}
	return p, nil
}

// readReview answers GET /v1/reviews/{review}.
func (s *Server) readReview(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "review")
	if err != nil {
		return err
	}
	x, err := s.Reviews.Read(r.Context(), p, requestID(r.Context()), id)
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	return writeJSON(w, x.Receipt, s.reviewDetailOf(&x))
}

// openReview answers POST /v1/reviews/{review}/open with what opens.
func (s *Server) openReview(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := pathID(r, "review")
	if err != nil {
		return err
	}
	o, err := s.readWrite(w, r, &struct{}{})
	if err != nil {
		return err
	}
	x, written, err := s.Reviews.Open(r.Context(), p, disclosure.Change{Once: o, RequestID: requestID(r.Context())}, id)
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	if written.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	return writeJSON(w, x.Receipt, s.reviewDetailOf(&x))
}

// closeReview answers POST /v1/reviews/{review}/close.
func (s *Server) closeReview(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var body struct {
		Outcome string `json:"outcome"`
		Note    string `json:"note"`
	}
	return s.manage(w, r, p, "review", &body, func(ctx context.Context, c disclosure.Change, id uuid.UUID) (disclosure.Written, error) {
		return s.Reviews.Close(ctx, p, c, id, audit.ReviewOutcome(body.Outcome), body.Note)
	})
}

// reviewFigures answers GET /v1/reviews/figures.
func (s *Server) reviewFigures(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var bounds [2]time.Time
	for i, name := range []string{"from", "until"} {
		at, err := optionalTime(name, r.URL.Query().Get(name))
		if err != nil {
			return err
		}
		if at != nil {
			bounds[i] = *at
		}
	}
	f, receipt, err := s.Reviews.Figures(r.Context(), p, requestID(r.Context()), bounds[0], bounds[1])
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	type kind struct {
		Kind       audit.FindingKind `json:"kind"`
		Raised     int               `json:"raised"`
		Closed     int               `json:"closed"`
		Right      int               `json:"right"`
		Poorly     int               `json:"right_poorly_recorded"`
		Wrong      int               `json:"wrong"`
		CannotTell int               `json:"cannot_tell"`
		Innocent   *float64          `json:"innocent_share"`
	}
	answer := struct {
		Raised     int      `json:"raised"`
		Closed     int      `json:"closed"`
		Wrong      int      `json:"wrong"`
		Overdue    int      `json:"overdue"`
		MedianDays *float64 `json:"median_days"`
		Kinds      []kind   `json:"kinds"`
		Receipt    string   `json:"receipt"`
	}{f.Raised, f.Closed, f.Wrong, f.Overdue, f.MedianDays, []kind{}, receipt}
	for _, k := range f.Kinds {
		answer.Kinds = append(answer.Kinds, kind{k.Kind, k.Raised, k.Closed, k.Right, k.Poorly, k.Wrong, k.CannotTell, k.Innocent})
	}
	return writeJSON(w, receipt, answer)
}

// accessFigures answers GET /v1/access-events/figures.
func (s *Server) accessFigures(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	var days [2]*time.Time
	for i, name := range []string{"from", "until"} {
		var err error
		if days[i], err = optionalDay(name, r.URL.Query().Get(name)); err != nil {
			return err
		}
		if days[i] == nil {
			return badField(name, "is required: a day such as 2026-11-02")
		}
	}
	list, receipt, err := s.Reviews.Counts(r.Context(), p, requestID(r.Context()), *days[0], *days[1])
	if errors.Is(err, audit.ErrDays) {
		return badField("until", "must be from, or up to 91 days after it")
	}
	if err != nil {
		return s.notReviewed(w, r, p, err)
	}
	type count struct {
		Day       string        `json:"day"`
		Agency    string        `json:"agency"`
		Purpose   string        `json:"purpose"`
		Outcome   audit.Outcome `json:"outcome"`
		Kind      audit.Kind    `json:"kind"`
		Emergency bool          `json:"emergency"`
		Count     int64         `json:"count"`
	}
	answer := struct {
		Counts  []count `json:"counts"`
		Receipt string  `json:"receipt"`
	}{Counts: []count{}, Receipt: receipt}
	for _, c := range list {
		answer.Counts = append(answer.Counts, count{c.Day.Format(time.DateOnly), c.Agency, c.Purpose, c.Outcome, c.Kind, c.Emergency, c.Count})
	}
	return writeJSON(w, receipt, answer)
}

// notReviewed turns the error of a reviewer's route into a problem.
func (s *Server) notReviewed(w http.ResponseWriter, r *http.Request, p identity.Principal, err error) error {
	var field *family.FieldError
	var denied *disclosure.Denied
	switch {
	case errors.Is(err, audit.ErrPage):
		return badField("cursor", "must be the next of an earlier answer")
	case errors.Is(err, disclosure.ErrUnknown):
		return problem(http.StatusNotFound, "not-shown", "Kith cannot show this", "There is no such review or alert within your view of the log.")
	case errors.Is(err, disclosure.ErrAlertInReview):
		return problem(http.StatusConflict, "in-review", "This alert stands in a review", "It is settled with its review: open that, and close it. Nothing was done.").because(err)
	case errors.Is(err, disclosure.ErrAlertStands):
		return problem(http.StatusConflict, "stands", "This alert stands while its cause lasts", "Take it up, and mend the cause: it is over by itself then. Nothing was done.").because(err)
	case errors.As(err, &field), errors.As(err, &denied), errors.Is(err, disclosure.ErrAlready), errors.Is(err, disclosure.ErrKeyReused):
		return s.notWritten(w, r, p, err)
	}
	return unavailable(err)
}
