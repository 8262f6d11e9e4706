package disclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// SearchRequest is one search for people. It holds personal data and is never
// logged by slog.
type SearchRequest struct {
	Terms     family.SearchTerms
	Purpose   string
	Reason    string
	RequestID string
}

// LogValue keeps the request out of log lines.
func (SearchRequest) LogValue() slog.Value { return slog.StringValue("disclosure.SearchRequest") }

const (
	// searchMost is how many people one answer lists; there is no total and no
	// next page: who finds too many adds a field.
	searchMost = 20
	// candidatesMost bounds what the keys give, familiesMost how many families
	// are decided. Both are far above what twenty hits need, so that only
	// hundreds of hidden people who match at least as well could be felt.
	candidatesMost = 500
	familiesMost   = 400
	// decidedAtOnce is how many candidates are decided before the next look
	// whether the twenty best are certain.
	decidedAtOnce = 24
)

// Search finds people by names, dates and numbers, through what the caller may
// see and nothing else: a key counts only where the entry that it was made of
// is released to the caller, with that field, by the same decision as a read of
// the family. Who is found by nothing released leaves no trace in hits, count,
// order or score.
//
// It is two events: what was asked, committed before the keys are looked at,
// and what was answered, committed before content is read. A search without a
// hit has both too. It returns a *Refusal for what depends on the caller alone,
// and a *family.FieldError for terms that break a rule.
func (d *Door) Search(ctx context.Context, p identity.Principal, req SearchRequest) (SearchView, error) {
	for range attempts {
		view, err := d.search(ctx, p, req)
		if errors.Is(err, audit.ErrStale) {
			continue
		}
		if err == nil {
			err = d.Looks.found(ctx, p, req.RequestID, view.People)
		}
		if err != nil {
			return SearchView{}, err
		}
		return view, nil
	}
	return SearchView{}, ErrBusy
}

// searching is one search on its way.
type searching struct {
	door    *Door
	caller  identity.Principal
	req     SearchRequest
	query   family.SearchQuery
	now     time.Time
	desk    Desk
	facts   family.Facts // of no family: the caller's own standing and the stamps
	active  *policy.Active
	purpose policy.Purpose
	opened  map[uuid.UUID]*searched
	alerts  []string
}

func (d *Door) search(ctx context.Context, p identity.Principal, req SearchRequest) (SearchView, error) {
	s := &searching{door: d, caller: p, req: req, now: d.Now(), opened: map[uuid.UUID]*searched{}}
	var err error
	if s.query, err = req.Terms.Query(s.now.UTC()); err != nil {
		return SearchView{}, err
	}
	if err := s.stand(ctx); err != nil {
		return SearchView{}, err
	}
	if err := s.numbering(ctx); err != nil {
		return SearchView{}, err
	}
	if err := d.Looks.search(ctx, p, req); err != nil {
		return SearchView{}, err
	}
	asked, found, err := s.candidates(ctx)
	if err != nil {
		return SearchView{}, err
	}
	hits, err := s.hits(ctx, found)
	if err != nil {
		return SearchView{}, err
	}
	return s.answer(ctx, asked, hits)
}

// stand decides whether this caller may search under this purpose at all: by
// the decision on a family that does not exist, which no family's facts touch.
func (s *searching) stand(ctx context.Context) error {
	var err error
	if s.desk, err = s.door.Desk(ctx); err != nil {
		return fmt.Errorf("read contact desk: %w", err)
	}
	if s.facts, err = family.Load(ctx, s.door.Pool, uuid.Nil, s.who()); err != nil {
		return fmt.Errorf("load facts: %w", err)
	}
	if s.active, err = s.door.Policy(ctx, s.facts.Policy); err != nil {
		return fmt.Errorf("active policy: %w", err)
	}
	_, decision, err := s.decide(ctx, s.facts)
	if err != nil {
		return err
	}
	refusal := decision.Refusal
	s.purpose, _ = s.active.Version().Purpose(s.req.Purpose)
	switch {
	case decision.Allow:
		refusal = policy.RefusalError // nobody may be allowed to see a family that is none
	case refusal == policy.RefusalNotFound:
		refusal = ""
		if s.needsReason() && strings.TrimSpace(s.req.Reason) == "" {
			refusal = policy.RefusalReason
		}
	}
	if refusal == "" {
		return nil
	}
	e := s.event("refused")
	e.Outcome, e.Refusal = refusedAs(refusal), refusal
	return s.door.refuse(ctx, s.caller, s.active, e, policy.Decision{Refusal: refusal}, s.desk)
}

// needsReason: nobody is the allocated worker of those who are still looked
// for. Among the own open cases the terms say enough, as in the list of these.
func (s *searching) needsReason() bool {
	return s.purpose.Reason != "no" && (s.purpose.Reason == "always" || s.purpose.Relationship != policy.ByInvolvement)
}

func (s *searching) who() family.Caller {
	p := s.caller
	return family.Caller{Worker: p.Worker, Agency: p.Agency, Roles: p.Roles, Teams: p.Teams, Purpose: s.req.Purpose, Now: s.now}
}

// decide asks the policy about one family, as a read of it would. Whether a
// reason is needed was settled before anybody was found.
func (s *searching) decide(ctx context.Context, f family.Facts) (question, policy.Decision, error) {
	reason := s.req.Reason
	if strings.TrimSpace(reason) == "" {
		reason = "search"
	}
	q, err := ask(s.caller, Request{Family: f.Family, Purpose: s.req.Purpose, Reason: reason}, f, s.now)
	if err != nil {
		return question{}, policy.Decision{}, err
	}
	decision, err := s.active.Decide(ctx, q.input)
	if err != nil {
		s.door.Log.LogAttrs(ctx, slog.LevelError, "policy error", slog.String("request", s.req.RequestID), slog.String("cause", err.Error()))
		decision = policy.Decision{Refusal: policy.RefusalError}
	}
	if decision.Allow && len(decision.Entries) != len(q.input.Tuples) {
		decision = policy.Decision{Refusal: policy.RefusalError}
	}
	return q, decision, nil
}

// numbering refuses a scheme whose numbers this caller may not search by: those
// of services whose involvement is itself a secret are their own alone.
func (s *searching) numbering(ctx context.Context) error {
	id := s.req.Terms.Identifier
	if id == nil {
		return nil
	}
	all, err := family.Numberings(ctx, s.door.Pool, s.caller.Partnership)
	if err != nil {
		return err
	}
	var known []string
	for _, n := range all {
		kind, _ := s.active.Version().Kind(n.Kind)
		if n.Agency == s.caller.Agency || kind.Plain {
			known = append(known, n.Agency)
		}
	}
	if !slices.Contains(known, id.Scheme) {
		return &family.FieldError{Field: "identifier.scheme", Rule: "is none of " + strings.Join(known, ", ")}
	}
	return nil
}

// scope is where the caller can find anybody under this purpose.
func (s *searching) scope() family.SearchScope {
	out := family.SearchScope{Works: s.purpose.OpenWork, Sections: readable(s.active.Version(), s.caller, s.purpose)}
	switch s.purpose.Relationship {
	case policy.ByInvolvement:
		out.Kind = "involvement"
	case policy.ByMashRole:
		out.Kind = "everybody"
		if len(s.purpose.OpenWork) > 0 && !s.purpose.Declared {
			out.Kind = "open-work"
		}
	case policy.ByMaracList, policy.ByNamedLead:
		out.Kind = "listed"
	}
	return out
}

// readable lists the sections that some row of the matrix may open to this
// caller under this purpose. What no row opens is not even compared.
func readable(v *policy.Version, p identity.Principal, purpose policy.Purpose) []string {
	letters := []string{purpose.Letter, purpose.Inside}
	if purpose.Letter == "" {
		letters[0] = purpose.Code
	}
	var out []string
	for _, row := range v.Matrix {
		if (row.To == p.Kind || row.To == p.Agency) && (row.Level == "full" || row.Level == "summary") && !slices.Contains(out, row.Section) &&
			slices.ContainsFunc(row.Purposes, func(code string) bool { return slices.Contains(letters, code) }) {
			out = append(out, row.Section)
		}
	}
	return out
}

// event is what both events of a search say of the asking.
func (s *searching) event(phase string) audit.Event {
	p := s.caller
	return audit.Event{
		Kind: audit.KindSearch, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Purpose: s.req.Purpose, Reason: s.req.Reason,
		Request: s.req.RequestID, Policy: proof.Digest(s.active.Digest()), Search: s.req.Terms.Given(), Details: map[string]string{"phase": phase},
		Principal: proof.Principal{
			ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, System: p.System, Worker: p.Worker,
		},
	}
}

// guard is what must still hold when either event is written.
func (s *searching) guard() audit.Guard {
	return audit.Guard{
		Policy: proof.Digest(s.facts.Policy), AgreementStamp: s.facts.AgreementStamp, Worker: s.caller.Worker, WorkerStamp: s.facts.Worker.Stamp,
	}
}

// candidates logs what is asked and looks at the keys behind that event, in one
// pipeline on one connection.
func (s *searching) candidates(ctx context.Context) (audit.Receipt, []family.Candidate, error) {
	row, err := s.door.Recorder.Seal(s.event("asked"))
	if err != nil {
		return audit.Receipt{}, nil, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	conn, err := s.door.Pool.Acquire(ctx)
	if err != nil {
		return audit.Receipt{}, nil, fmt.Errorf("connection for the search: %w", postgres.Redact(err))
	}
	defer conn.Release()
	b := &pgx.Batch{}
	queued := row.Queue(b, s.guard())
	found, err := family.QueueSearch(b, s.caller.Partnership, s.who(), s.query, s.scope(), candidatesMost)
	if err != nil {
		return audit.Receipt{}, nil, err
	}
	family.QueueWatch(b, s.caller.Partnership, s.req.Terms, s.now)
	audit.QueueReset(b)
	results := conn.SendBatch(ctx, b)
	receipt, err := queued.Result(results)
	closed := results.Close()
	if err != nil || closed != nil {
		if reset := audit.Reset(ctx, conn.Conn()); reset != nil {
			_ = conn.Conn().Close(ctx) // a connection that cannot forget its event is not used again
		}
		if err == nil {
			err = fmt.Errorf("look at search keys: %w", postgres.Redact(closed))
		}
		return audit.Receipt{}, nil, err
	}
	return receipt, found.List, nil
}

// answer logs what was found, or that nothing was, and reads the content of the
// hits behind that event.
func (s *searching) answer(ctx context.Context, asked audit.Receipt, hits []hit) (SearchView, error) {
	e := s.event("answered")
	e.Details["asked"] = asked.Event().String()
	e.Outcome = audit.OutcomeNothing
	guard := s.guard()
	var inputs []policy.Input
	var decisions []policy.Decision
	var parts []family.Part
	stamped := map[uuid.UUID]bool{}
	for _, h := range hits {
		e.Outcome = audit.OutcomeReleased
		for _, f := range h.families {
			if !stamped[f.facts.Family] {
				stamped[f.facts.Family] = true
				guard.Families = append(guard.Families, audit.FamilyStamp{Family: f.facts.Family, Stamp: f.facts.Stamp})
				inputs, decisions = append(inputs, f.q.input), append(decisions, f.decision)
			}
		}
		for _, x := range h.entries {
			e.Released = append(e.Released, releaseOf(x))
		}
		parts = append(parts, wanted(h.entries)...)
	}
	var receipt audit.Receipt
	bodies := map[int64]json.RawMessage{}
	var err error
	if len(hits) == 0 {
		receipt, err = s.door.Recorder.Append(ctx, e)
	} else {
		if e.Input, err = json.Marshal(inputs); err != nil {
			return SearchView{}, fmt.Errorf("record input: %w", err)
		}
		if e.Decision, err = json.Marshal(decisions); err != nil {
			return SearchView{}, fmt.Errorf("record decision: %w", err)
		}
		var row *audit.Row
		if row, err = s.door.Recorder.Seal(e); err != nil {
			return SearchView{}, err
		}
		bodies, receipt, err = s.door.readLogged(ctx, row, guard, parts)
	}
	if err != nil {
		return SearchView{}, err
	}
	for _, kind := range s.alerts {
		if err := s.door.Recorder.Raise(ctx, kind, receipt.Event()); err != nil {
			return SearchView{}, err
		}
	}
	return s.view(hits, bodies, receipt), nil
}

func releaseOf(s shown) audit.Release {
	return audit.Release{
		Content: s.part, Entry: proof.EntryRef{Entry: s.facts.Entry, Version: s.facts.Version}, Subjects: s.facts.About,
		Terms: proof.Terms{
			Clauses: s.verdict.Clauses, Grant: s.verdict.Grant, Level: proof.Level(s.verdict.Level), Owner: s.facts.Owner, Section: s.facts.Section,
			Sensitivity: s.facts.Sensitivity, Part: s.verdict.Part, Masked: s.verdict.Masked, Labels: s.verdict.Labels,
		},
	}
}
