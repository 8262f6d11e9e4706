package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
)

// Roles that open the log wider than one's own accesses.
const (
	roleAuditor        = "auditor"
	rolePrivacyOfficer = "privacy-officer"
)

// scopeOf is how much of the log a caller sees (design.md §5): everybody their
// own accesses, a privacy officer their agency's, an auditor all. A system has none.
func scopeOf(p identity.Principal) (audit.Scope, error) {
	switch {
	case p.Has(roleAuditor):
		return audit.AuditorScope(), nil
	case p.Has(rolePrivacyOfficer):
		return audit.AgencyScope(p.Agency), nil
	case p.Worker != uuid.Nil:
		return audit.OwnScope(p.Worker), nil
	}
	return audit.Scope{}, forbidden("log", "A case system has no accesses of its own to look at.", nil)
}

// listAccessEvents answers GET /v1/access-events.
func (s *Server) listAccessEvents(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	scope, err := scopeOf(p)
	if err != nil {
		return err
	}
	filter, page, err := filterOf(r)
	if err != nil {
		return err
	}
	filter.Section = r.URL.Query().Get("section")
	if r.URL.Query().Get("out_of_hours") == "true" {
		if filter.From.IsZero() || filter.Until.IsZero() {
			return badField("out_of_hours", "needs from and until: the bank holidays of that time are looked up")
		}
		filter.Outside = s.Reviews.Hours(filter.From, filter.Until)
	}
	// Reading the log is an event, and it is written before anything is read.
	viewed := eventBy(r.Context(), p, audit.KindLogView, audit.OutcomeDone)
	viewed.Details, viewed.Family = filterDetails(r), filter.Family
	if filter.Subject != uuid.Nil {
		viewed.Subjects = []uuid.UUID{filter.Subject} // a part of their own, that can be erased
	}
	receipt, err := s.Recorder.Append(r.Context(), viewed)
	if err != nil {
		return unavailable(err)
	}
	records, next, err := s.Log.List(r.Context(), scope, filter, page)
	switch {
	case errors.Is(err, audit.ErrPage):
		return badField("cursor", "must be the next of an earlier answer")
	case err != nil:
		return unavailable(err)
	}
	answer := eventPage{Events: make([]eventView, 0, len(records)), Next: next, Receipt: receipt.String()}
	for i := range records {
		answer.Events = append(answer.Events, eventOf(&records[i]))
	}
	return writeJSON(w, answer.Receipt, answer)
}

// readAccessEvent answers GET /v1/access-events/{event}.
func (s *Server) readAccessEvent(w http.ResponseWriter, r *http.Request, p identity.Principal) error {
	id, err := parseID(chi.URLParam(r, "event"))
	if err != nil {
		return badField("event", "must be a lower-case UUID")
	}
	scope, err := scopeOf(p)
	if err != nil {
		return err
	}
	receipt, err := s.logView(r.Context(), p, uuid.Nil, map[string]string{"event": id.String()})
	if err != nil {
		return err
	}
	record, err := s.Log.Get(r.Context(), scope, id)
	switch {
	case errors.Is(err, audit.ErrNotFound):
		w.Header().Set("Kith-Receipt", receipt.String())
		return problem(http.StatusNotFound, "not-shown", "Kith cannot show this", "There is no such event within your view of the log.")
	case err != nil:
		return unavailable(err)
	}
	return writeJSON(w, receipt.String(), eventOf(&record))
}

func (s *Server) logView(ctx context.Context, p identity.Principal, family uuid.UUID, details map[string]string) (audit.Receipt, error) {
	e := eventBy(ctx, p, audit.KindLogView, audit.OutcomeDone)
	e.Details = details
	e.Family = family
	receipt, err := s.Recorder.Append(ctx, e)
	if err != nil {
		return audit.Receipt{}, unavailable(err)
	}
	return receipt, nil
}

// eventBy starts an event of a verified caller.
func eventBy(ctx context.Context, p identity.Principal, kind audit.Kind, outcome audit.Outcome) audit.Event {
	return audit.Event{
		Kind: kind, Outcome: outcome, Agency: p.Agency, ActingFor: p.ActingFor, Request: requestID(ctx),
		Principal: proof.Principal{
			ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, System: p.System, Worker: p.Worker,
		},
	}
}

// filterOf reads the query; the spec has checked each form already.
func filterOf(r *http.Request) (audit.Filter, audit.Page, error) {
	q := r.URL.Query()
	var f audit.Filter
	var p audit.Page
	if v := q.Get("limit"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > audit.MaxLimit {
			return f, p, badField("limit", "must be 1 to 500")
		}
		p.Limit = n
	}
	p.After = q.Get("cursor")
	for _, t := range []struct {
		name string
		to   *time.Time
	}{{"from", &f.From}, {"until", &f.Until}} {
		if v := q.Get(t.name); v != "" {
			at, err := time.Parse(time.RFC3339, v)
			if err != nil {
				return f, p, badField(t.name, "must be a time such as 2026-11-02T09:30:00Z")
			}
			*t.to = at
		}
	}
	if !f.From.IsZero() && !f.Until.IsZero() && !f.From.Before(f.Until) {
		return f, p, badField("until", "must be after from")
	}
	for _, x := range []struct {
		name string
		to   *uuid.UUID
	}{{"worker", &f.Worker}, {"family", &f.Family}, {"subject", &f.Subject}} {
		if v := q.Get(x.name); v != "" {
			id, err := parseID(v)
			if err != nil {
				return f, p, badField(x.name, "must be a lower-case UUID")
			}
			*x.to = id
		}
	}
	f.Agency, f.Purpose = q.Get("agency"), q.Get("purpose")
	f.Outcome, f.Kind = audit.Outcome(q.Get("outcome")), audit.Kind(q.Get("kind"))
	if v := q.Get("level"); v != "" {
		if err := f.Level.UnmarshalText([]byte(v)); err != nil {
			return f, p, badField("level", "must be one of hidden, existence, summary, full")
		}
	}
	f.Owner = q.Get("owner")
	f.Emergency, f.Declared = q.Get("emergency") == "true", q.Get("declared") == "true"
	return f, p, nil
}

// filterDetails keeps what was looked for in the log-view event. The family
// and the person have fields of their own.
func filterDetails(r *http.Request) map[string]string {
	details := map[string]string{}
	for name, values := range r.URL.Query() {
		if name != "family" && name != "subject" && name != "cursor" && len(values) == 1 && values[0] != "" {
			details[strings.ToLower(name)] = values[0]
		}
	}
	return details
}

type eventPage struct {
	Events  []eventView `json:"events"`
	Next    string      `json:"next,omitempty"`
	Receipt string      `json:"receipt"`
}

// eventView is one event as its reader may see it.
type eventView struct {
	ID         uuid.UUID         `json:"id"`
	Kind       audit.Kind        `json:"kind"`
	OccurredAt time.Time         `json:"occurred_at"`
	RecordedAt time.Time         `json:"recorded_at"`
	Outcome    audit.Outcome     `json:"outcome"`
	Family     *uuid.UUID        `json:"family"`
	Principal  principalView     `json:"principal"`
	ActingFor  string            `json:"acting_for,omitempty"`
	Purpose    string            `json:"purpose"`
	Reason     string            `json:"reason,omitempty"`
	Refusal    string            `json:"refusal,omitempty"`
	Causes     []string          `json:"causes,omitempty"`
	Declared   bool              `json:"declared"`
	Emergency  bool              `json:"emergency"`
	Children   []string          `json:"children,omitempty"`
	Subjects   []string          `json:"subjects,omitempty"`
	Search     map[string]string `json:"search,omitempty"`
	SearchedBy []string          `json:"searched_by,omitempty"`
	Details    map[string]string `json:"details,omitempty"`
	Level      string            `json:"level"`
	Entries    int               `json:"entries"`
	Released   []releasedView    `json:"released,omitempty"`
	Request    string            `json:"request_id,omitempty"`
	Receipt    string            `json:"receipt"`
	Erased     bool              `json:"erased,omitempty"`
	Damaged    bool              `json:"damaged,omitempty"`
}

type principalView struct {
	Worker *uuid.UUID `json:"worker,omitempty"`
	Name   string     `json:"name,omitempty"`
	Agency string     `json:"agency"`
	Roles  []string   `json:"roles"`
	Client string     `json:"client,omitempty"`
	System bool       `json:"system,omitempty"`
}

type releasedView struct {
	Section  string   `json:"section"`
	Owner    string   `json:"owner"`
	Level    string   `json:"level"`
	Part     string   `json:"part,omitempty"`
	Clauses  []string `json:"clauses,omitempty"`
	Masked   []string `json:"masked,omitempty"`
	Labels   []string `json:"labels,omitempty"`
	Grant    string   `json:"grant,omitempty"`
	Entries  []string `json:"entries,omitempty"` // ID/VERSION
	Subjects []string `json:"subjects,omitempty"`
}

func eventOf(r *audit.Record) eventView {
	v := eventView{
		ID: r.ID, Kind: r.Kind, OccurredAt: r.Occurred.UTC(), RecordedAt: r.Recorded.UTC(), Outcome: r.Outcome, ActingFor: r.ActingFor,
		Principal: principalView{Name: r.Name, Agency: r.Agency, Roles: r.Roles, Client: r.Client, System: r.System},
		Purpose:   r.Purpose, Reason: r.Reason, Refusal: r.Refusal, Causes: r.Causes, Declared: r.Declared, Emergency: r.Emergency,
		Children: r.Children, Subjects: r.Subjects, Search: r.Search, SearchedBy: r.SearchedBy, Details: r.Details,
		Level: r.Level.String(), Entries: r.Count, Request: r.Request, Receipt: r.Receipt, Erased: r.Erased, Damaged: r.Damaged,
	}
	if v.Principal.Roles == nil {
		v.Principal.Roles = []string{}
	}
	if r.Family != uuid.Nil {
		v.Family = &r.Family
	}
	if r.Worker != uuid.Nil {
		v.Principal.Worker = &r.Worker
	}
	for _, x := range r.Released {
		out := releasedView{
			Section: x.Section, Owner: x.Owner, Level: x.Level.String(), Part: x.Part,
			Clauses: x.Clauses, Masked: x.Masked, Labels: x.Labels, Grant: x.Grant, Subjects: x.Subjects,
		}
		for _, e := range x.Entries {
			out.Entries = append(out.Entries, e.String())
		}
		v.Released = append(v.Released, out)
	}
	return v
}
