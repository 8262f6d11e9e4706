package disclosure

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
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

// Caseload is what a worker sees of the own open cases: the children's names,
// for what the record may be opened, and nothing else of it.
type Caseload struct {
	Cases   []Case
	More    bool // there are more than are shown
	Receipt string
}

// Case is one family that the caller may open now.
type Case struct {
	Family     uuid.UUID
	Ref        string
	Purpose    policy.Purpose // of the open work
	Children   []CaseChild    // as far as released identity tells
	Reason     bool           // a reason must be given
	CoverUntil *time.Time
	News       CaseNews
}

// CaseChild is a child of a case.
type CaseChild struct {
	ID   uuid.UUID
	Name string
	Born string // YYYY-MM-DD or ""
}

// caseloadMost bounds what one list costs.
const caseloadMost = 60

// loadsAtOnce is how many families' facts are read side by side.
const loadsAtOnce = 4

// errNoVersion: the active version has no text.
var errNoVersion = errors.New("no active policy version")

// Version gives the active policy version: its words and purposes, for pages.
func (d *Door) Version(ctx context.Context, partnership string) (*policy.Version, error) {
	digest, err := policy.Head(ctx, d.Pool, partnership)
	if err != nil {
		return nil, err
	}
	active, err := d.Policy(ctx, digest)
	if err != nil {
		return nil, err
	}
	if active.Version() == nil {
		return nil, errNoVersion
	}
	return active.Version(), nil
}

// VersionAt gives the words of the version that decided an answer.
func (d *Door) VersionAt(ctx context.Context, digest policy.Digest) (*policy.Version, error) {
	active, err := d.Policy(ctx, digest)
	if err != nil {
		return nil, err
	}
	return active.Version(), nil
}

// Caseload lists the caller's open cases, each under the purpose of its open
// work; with a family given, that one if it is among them. What the policy
// would refuse to open is not on the list. It is a search in the log: one row,
// committed before the first name is read.
func (d *Door) Caseload(ctx context.Context, p identity.Principal, of uuid.UUID, requestID string) (Caseload, error) {
	return d.caseloadOf(ctx, p, of, nil, requestID)
}

func (d *Door) caseloadOf(ctx context.Context, p identity.Principal, of uuid.UUID, since map[uuid.UUID]Seen, requestID string) (Caseload, error) {
	for range attempts {
		list, err := d.caseload(ctx, p, of, since, requestID)
		if !errors.Is(err, audit.ErrStale) {
			return list, err
		}
	}
	return Caseload{}, ErrBusy
}

// opening is a case with what was decided about it.
type opening struct {
	of       family.Case
	purpose  policy.Purpose
	facts    family.Facts
	by       policy.Digest // of the version that decided
	q        question
	decision policy.Decision
	reason   bool // it opens only with a reason
	since    map[uuid.UUID]Seen
	released []shown
}

func (d *Door) caseload(ctx context.Context, p identity.Principal, of uuid.UUID, since map[uuid.UUID]Seen, requestID string) (Caseload, error) {
	now := d.Now()
	version, err := d.Version(ctx, p.Partnership)
	if err != nil {
		return Caseload{}, fmt.Errorf("active policy: %w", err)
	}
	purposes := version.PurposesFor(p.Kind, p.Roles)
	cases, err := family.Caseload(ctx, d.Pool, family.Caller{Worker: p.Worker, Agency: p.Agency, Now: now}, of, caseloadMost+1)
	if err != nil {
		return Caseload{}, err
	}
	more := len(cases) > caseloadMost
	cases = cases[:min(len(cases), caseloadMost)]
	open, err := d.openings(ctx, p, purposes, cases, since, now)
	if err != nil {
		return Caseload{}, err
	}
	names, receipt, err := d.names(ctx, p, version, open, requestID)
	if err != nil {
		return Caseload{}, err
	}
	out := Caseload{More: more, Receipt: receipt.String()}
	for i := range open {
		out.Cases = append(out.Cases, open[i].show(p, version, names, now))
	}
	slices.SortFunc(out.Cases, func(a, b Case) int {
		return cmp.Or(strings.Compare(a.title(), b.title()), strings.Compare(a.Ref, b.Ref))
	})
	return out, nil
}

func (c Case) title() string {
	if len(c.Children) == 0 {
		return "\uffff"
	}
	words := strings.Fields(c.Children[0].Name)
	slices.Reverse(words) // by family name, then given name
	return strings.ToLower(strings.Join(words, " "))
}

// openings decides each case under the purposes that its open work carries,
// the gravest first, and keeps the first that opens.
func (d *Door) openings(ctx context.Context, p identity.Principal, purposes []policy.Purpose, cases []family.Case, since map[uuid.UUID]Seen, now time.Time) ([]opening, error) {
	found := make([]*opening, len(cases))
	errs := make([]error, len(cases))
	var wait sync.WaitGroup
	turn := make(chan struct{}, loadsAtOnce)
	for i := range cases {
		wait.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			found[i], errs[i] = d.opening(ctx, p, purposes, cases[i], since, now)
		})
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	var open []opening
	for _, o := range found {
		if o != nil {
			open = append(open, *o)
		}
	}
	return open, nil
}

func (d *Door) opening(ctx context.Context, p identity.Principal, purposes []policy.Purpose, c family.Case, since map[uuid.UUID]Seen, now time.Time) (*opening, error) {
	for _, purpose := range fitting(purposes, c.Open) {
		facts, err := family.Load(ctx, d.Pool, c.Family, family.Caller{
			Worker: p.Worker, Agency: p.Agency, Roles: p.Roles, Teams: p.Teams, Purpose: purpose.Code, Now: now, Few: few(since, c.Family, now),
		})
		if err != nil {
			return nil, fmt.Errorf("load facts: %w", err)
		}
		active, err := d.Policy(ctx, facts.Policy)
		if err != nil {
			return nil, fmt.Errorf("active policy: %w", err)
		}
		wants := listed(p, since, c.Family, now)
		facts.Entries = slices.DeleteFunc(facts.Entries, func(e family.EntryFacts) bool { return !wants(&e) })
		// First as one click would ask; where only the reason is missing, the
		// list says so and the page asks for it.
		var q question
		var decision policy.Decision
		asked := false
		for _, reason := range []string{"", "own open work"} {
			q, err = ask(p, Request{Family: c.Family, Purpose: purpose.Code, Reason: reason}, facts, now)
			if err != nil {
				return nil, err
			}
			decision, err = active.Decide(ctx, q.input)
			asked = reason != ""
			if err != nil || decision.Refusal != policy.RefusalReason {
				break
			}
		}
		if err != nil || !decision.Allow || len(decision.Entries) != len(q.input.Tuples) {
			continue // what cannot be decided is not on the list
		}
		o := &opening{of: c, purpose: purpose, facts: facts, by: active.Digest(), q: q, decision: decision, reason: asked}
		o.released = o.identities()
		return o, nil
	}
	return nil, nil
}

// gravity orders open work: where two kinds are open, the list opens under the
// one that matters most now.
func gravity(kind string) int {
	return slices.Index([]string{"section-47", "care", "child-protection-plan", "child-in-need", "early-help", "contact", "marac", "encompass"}, kind)
}

// fitting lists the purposes that rest on this open work, best first. Among
// those for the same work the later in the version's order is the team's own.
func fitting(purposes []policy.Purpose, open []string) []policy.Purpose {
	best := func(p policy.Purpose) int {
		at := -1
		for _, kind := range p.OpenWork {
			if g := gravity(kind); g >= 0 && slices.Contains(open, kind) && (at < 0 || g < at) {
				at = g
			}
		}
		return at
	}
	var out []policy.Purpose
	for _, p := range purposes {
		if best(p) >= 0 {
			out = append(out, p)
		}
	}
	slices.Reverse(out)
	slices.SortStableFunc(out, func(a, b policy.Purpose) int { return cmp.Compare(best(a), best(b)) })
	return out
}

// identities are the released identity entries of the children asked about,
// and what else the list tells of a case.
func (o *opening) identities() []shown {
	children := o.q.ids(o.decision.Children)
	var out []shown
	for _, s := range opened(o.facts, o.q, o.decision) {
		if s.facts.Section != "identity" || len(s.facts.About) == 1 && slices.Contains(children, s.facts.About[0]) {
			out = append(out, s)
		}
	}
	return out
}

// names logs the list and reads the children's identity behind it.
func (d *Door) names(ctx context.Context, p identity.Principal, version *policy.Version, open []opening, requestID string) (map[int64]json.RawMessage, audit.Receipt, error) {
	e := audit.Event{
		Kind: audit.KindSearch, Outcome: audit.OutcomeNothing, Agency: p.Agency, ActingFor: p.ActingFor, Request: requestID,
		Principal: proof.Principal{
			ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, Worker: p.Worker,
		},
		Details: map[string]string{"list": "my-families"}, Policy: proof.Digest(version.Digest),
	}
	guard := audit.Guard{Policy: proof.Digest(version.Digest), Worker: p.Worker, WorkerStamp: p.WorkerStamp}
	var parts []family.Part
	var inputs []policy.Input
	var decisions []policy.Decision
	for i := range open {
		o := &open[i]
		if i > 0 && o.facts.AgreementStamp != guard.AgreementStamp || i > 0 && o.facts.Policy != open[0].facts.Policy || o.by != version.Digest {
			return nil, audit.Receipt{}, audit.ErrStale // changed between two families
		}
		guard.Policy = proof.Digest(o.facts.Policy)
		guard.AgreementStamp, guard.WorkerStamp = o.facts.AgreementStamp, o.facts.Worker.Stamp
		guard.Families = append(guard.Families, audit.FamilyStamp{Family: o.facts.Family, Stamp: o.facts.Stamp})
		inputs, decisions = append(inputs, o.q.input), append(decisions, o.decision)
		parts = append(parts, wanted(o.released)...)
		for _, s := range o.released {
			e.Outcome = audit.OutcomeReleased
			e.Released = append(e.Released, audit.Release{
				Content: s.part, Entry: proof.EntryRef{Entry: s.facts.Entry, Version: s.facts.Version}, Subjects: s.facts.About,
				Terms: proof.Terms{
					Clauses: s.verdict.Clauses, Grant: s.verdict.Grant, Level: proof.Level(s.verdict.Level), Owner: s.facts.Owner, Section: s.facts.Section,
					Sensitivity: s.facts.Sensitivity, Part: s.verdict.Part, Masked: s.verdict.Masked, Labels: s.verdict.Labels,
				},
			})
		}
	}
	if e.Outcome == audit.OutcomeNothing {
		receipt, err := d.Recorder.Append(ctx, e)
		return nil, receipt, err
	}
	input, err := json.Marshal(inputs)
	if err != nil {
		return nil, audit.Receipt{}, fmt.Errorf("record input: %w", err)
	}
	e.Input = input
	if e.Decision, err = json.Marshal(decisions); err != nil {
		return nil, audit.Receipt{}, fmt.Errorf("record decision: %w", err)
	}
	row, err := d.Recorder.Seal(e)
	if err != nil {
		return nil, audit.Receipt{}, err
	}
	return d.readLogged(ctx, row, guard, parts)
}

// readLogged writes a row, commits it and reads what it opens, in one pipeline.
func (d *Door) readLogged(ctx context.Context, row *audit.Row, guard audit.Guard, parts []family.Part) (map[int64]json.RawMessage, audit.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	conn, err := d.Pool.Acquire(ctx)
	if err != nil {
		return nil, audit.Receipt{}, fmt.Errorf("connection for the logged read: %w", postgres.Redact(err))
	}
	defer conn.Release()
	b := &pgx.Batch{}
	queued := row.Queue(b, guard)
	sealed := family.QueueParts(b, row.ID(), parts)
	audit.QueueReset(b)
	results := conn.SendBatch(ctx, b)
	receipt, err := queued.Result(results)
	closed := results.Close()
	if err != nil || closed != nil {
		if reset := audit.Reset(ctx, conn.Conn()); reset != nil {
			_ = conn.Conn().Close(ctx) // a connection that cannot forget its event is not used again
		}
		if err == nil {
			err = fmt.Errorf("read content: %w", postgres.Redact(closed))
		}
		return nil, audit.Receipt{}, err
	}
	bodies, err := sealed.Release(receipt)
	if err != nil {
		return nil, audit.Receipt{}, fmt.Errorf("open content of event %s: %w", receipt.Event(), err)
	}
	return bodies, receipt, nil
}

func (o *opening) show(p identity.Principal, v *policy.Version, bodies map[int64]json.RawMessage, now time.Time) Case {
	c := Case{Family: o.facts.Family, Ref: o.facts.Ref, Purpose: o.purpose, CoverUntil: o.of.CoverUntil, Reason: o.reason}
	seen := map[uuid.UUID]bool{}
	for _, s := range o.released {
		if s.facts.Section != "identity" {
			continue
		}
		id := s.facts.About[0]
		name := nameIn(bodies[s.part])
		if name == "" || seen[id] {
			continue
		}
		seen[id] = true
		var born struct {
			Date string `json:"date_of_birth"`
		}
		_ = json.Unmarshal(bodies[s.part], &born) // a date that does not read is not shown
		c.Children = append(c.Children, CaseChild{ID: id, Name: name, Born: born.Date})
	}
	slices.SortFunc(c.Children, func(a, b CaseChild) int {
		return cmp.Or(strings.Compare(a.Born, b.Born), strings.Compare(a.Name, b.Name))
	})
	c.News = o.news(p, v, bodies, now)
	return c
}
