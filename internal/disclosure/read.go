package disclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// Request is one query for a family record. It holds personal data and is
// never logged by slog.
type Request struct {
	Family    uuid.UUID
	Children  []uuid.UUID // as named by the caller; empty is the default set, never everybody
	Purpose   string
	Reason    string
	RequestID string
	Only      *Only // nil: the whole record
}

// LogValue keeps the request out of log lines.
func (Request) LogValue() slog.Value { return slog.StringValue("disclosure.Request") }

// Door is the one way to a family record. It is safe for concurrent use.
type Door struct {
	Pool     *pgxpool.Pool // role kith_app
	Recorder *audit.Recorder
	// Policy gives the compiled version of a digest; an error means that
	// nothing can be decided, and so nothing is shown.
	Policy func(context.Context, policy.Digest) (*policy.Active, error)
	// Desk gives the partnership's contact routes and the state of its feeds.
	Desk func(context.Context) (Desk, error)
	Now  func() time.Time
	Log  *slog.Logger
	// Kept holds facts in memory between reads, so that a read is one round
	// trip; nil reads them anew each time.
	Kept *family.Kept
	// Looks holds back whoever looks up one family after the other; nil nobody.
	Looks *Looks
}

const (
	// attempts: how often a read starts again when the facts changed under it.
	attempts = 3
	// commitLimit bounds the logged read once it has begun. It is cut off from
	// the client's cancellation: who hangs up has been logged all the same.
	commitLimit = 5 * time.Second
)

// Refusal codes of the door, as the faces see them.
const (
	RefusedNotFound    = policy.RefusalNotFound
	RefusedPurpose     = policy.RefusalPurpose
	RefusedRole        = policy.RefusalRole
	RefusedNoAgreement = policy.RefusalNoAgreement
	RefusedEmergency   = policy.RefusalEmergency
	RefusedReason      = policy.RefusalReason
)

// Refusal is a logged no. NotFound is one answer for everything that depends
// on the family; the other codes depend on the caller alone.
type Refusal struct {
	Code     string
	Purposes []policy.Purpose // that the caller may state
	Call     Call
	Receipt  string
}

func (r *Refusal) Error() string { return "refused: " + r.Code }

// ErrBusy says that the facts changed at each attempt: nothing was shown.
var ErrBusy = errors.New("the record kept changing while it was read")

// Read answers one query: facts, decision, a committed row of the log, and
// only then content. It returns a *Refusal for every no, which is logged too.
// Any other error means that nothing was shown and the caller may try again.
//
// The same queries run, and a row of the same kind is written, whether the
// family exists or not (promise 3).
//
// Facts that are kept in memory are tried first. They only ever release: the
// row asserts that they still hold, and where it does not, or where they say
// no, they are read anew.
func (d *Door) Read(ctx context.Context, p identity.Principal, req Request) (View, error) {
	if err := d.Looks.family(ctx, p, req.RequestID, req.Family); err != nil {
		return View{}, err
	}
	if facts, ok := d.Kept.Get(req.Family, who(p, req, d.Now())); ok {
		view, err := d.read(ctx, p, req, &facts)
		if !errors.Is(err, audit.ErrStale) {
			return view, err
		}
	}
	for range attempts {
		view, err := d.read(ctx, p, req, nil)
		if !errors.Is(err, audit.ErrStale) {
			return view, err
		}
	}
	return View{}, ErrBusy
}

func who(p identity.Principal, req Request, now time.Time) family.Caller {
	return family.Caller{Worker: p.Worker, Agency: p.Agency, Roles: p.Roles, Teams: p.Teams, Purpose: req.Purpose, Now: now}
}

// read answers by kept facts, or by those of this moment where kept is nil. It
// returns audit.ErrStale where kept facts allow nothing.
func (d *Door) read(ctx context.Context, p identity.Principal, req Request, kept *family.Facts) (View, error) {
	now := d.Now()
	desk, err := d.Desk(ctx)
	if err != nil {
		return View{}, fmt.Errorf("read contact desk: %w", err)
	}
	facts, err := d.facts(ctx, req.Family, who(p, req, now), req.Only, kept)
	if err != nil {
		return View{}, err
	}
	active, err := d.Policy(ctx, facts.Policy)
	if err != nil {
		return View{}, fmt.Errorf("active policy: %w", err)
	}
	q, err := ask(p, req, facts, now)
	if err != nil {
		return View{}, err
	}
	recorded, err := q.recorded()
	if err != nil {
		return View{}, err
	}
	decision, err := active.DecideRecorded(ctx, q.input, recorded)
	if err != nil {
		d.Log.LogAttrs(ctx, slog.LevelError, "policy error", slog.String("request", req.RequestID), slog.String("cause", err.Error()))
		decision = policy.Decision{Refusal: policy.RefusalError, Reasons: []string{policy.RefusalError}}
	}
	if decision.Allow && len(decision.Entries) != len(q.input.Tuples) {
		decision = policy.Decision{Refusal: policy.RefusalError, Reasons: []string{policy.RefusalError}}
	}
	if kept != nil && !decision.Allow {
		return View{}, audit.ErrStale // a refusal asserts nothing, so it is never made from memory
	}
	event, err := d.event(p, req, facts, q, decision)
	if err != nil {
		return View{}, err
	}
	event.Policy = proof.Digest(active.Digest()) // where the active one is broken, the last good one decides
	if !decision.Allow {
		return View{}, d.refuse(ctx, p, active, event, decision, desk)
	}
	return d.release(ctx, p, active.Version(), facts, q, decision, event, desk, now)
}

// refuse logs the no and says it. The caller learns the code; the causes are
// for the auditor.
func (d *Door) refuse(ctx context.Context, p identity.Principal, active *policy.Active, e audit.Event, decision policy.Decision, desk Desk) error {
	receipt, err := d.Recorder.Append(ctx, e)
	if err != nil {
		return err
	}
	for _, kind := range decision.Alerts {
		if err := d.Recorder.Raise(ctx, kind, receipt.Event()); err != nil {
			return err
		}
	}
	return &Refusal{
		Code: decision.Refusal, Purposes: active.Version().PurposesFor(p.Kind, p.Roles), Call: desk.Notice.Call, Receipt: receipt.String(),
	}
}

// release writes the row, commits it, and reads what it opens, in one pipeline
// on one connection.
func (d *Door) release(ctx context.Context, p identity.Principal, v *policy.Version, f family.Facts, q question, decision policy.Decision, e audit.Event, desk Desk, now time.Time) (View, error) {
	row, err := d.Recorder.Seal(e)
	if err != nil {
		return View{}, err
	}
	released := opened(f, q, decision)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitLimit)
	defer cancel()
	conn, err := d.Pool.Acquire(ctx)
	if err != nil {
		return View{}, fmt.Errorf("connection for the logged read: %w", postgres.Redact(err))
	}
	defer conn.Release()

	b := &pgx.Batch{}
	queued := row.Queue(b, audit.Guard{
		Families: []audit.FamilyStamp{{Family: f.Family, Stamp: f.Stamp}}, Policy: proof.Digest(f.Policy), AgreementStamp: f.AgreementStamp,
		Worker: p.Worker, WorkerStamp: f.Worker.Stamp,
	})
	sealed := family.QueueParts(b, row.ID(), wanted(released))
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
		return View{}, err
	}
	bodies, err := sealed.Release(receipt)
	if err != nil {
		return View{}, fmt.Errorf("open content of event %s: %w", receipt.Event(), err)
	}
	view := view(p, q, f, decision, v, released, bodies, desk, now)
	view.Policy = v.Digest
	view.Notice = desk.Notice
	view.Receipt = receipt.String()
	return view, nil
}

// opened lists the entries whose decision releases a part.
func opened(f family.Facts, q question, decision policy.Decision) []shown {
	var out []shown
	for i := range f.Entries {
		verdict := &decision.Entries[q.tuple[i]]
		if part := partOf(&f.Entries[i], verdict); part != 0 {
			out = append(out, shown{facts: &f.Entries[i], verdict: verdict, part: part})
		}
	}
	return out
}

// partOf is the content part that a verdict opens; 0 is none. Whatever is not
// said in so many words opens nothing.
func partOf(e *family.EntryFacts, v *policy.Entry) int64 {
	switch {
	case v.Part == "full" && v.Level == policy.Full:
		return e.FullPart
	case v.Part == "summary" && v.Level >= policy.Summary:
		return e.SummaryPart
	}
	return 0
}

func wanted(released []shown) []family.Part {
	parts := make([]family.Part, 0, len(released))
	for _, s := range released {
		part := family.Part{ID: s.part, Mask: s.verdict.Masked}
		if len(s.verdict.Keep) > 0 { // the kernel shows nothing rather than keep no field
			part.Keep = s.verdict.Keep
		}
		parts = append(parts, part)
	}
	return parts
}

// event is what the log will say of this query.
func (d *Door) event(p identity.Principal, req Request, f family.Facts, q question, decision policy.Decision) (audit.Event, error) {
	input, err := q.recorded()
	if err != nil {
		return audit.Event{}, err
	}
	verdict, err := json.Marshal(decision)
	if err != nil {
		return audit.Event{}, fmt.Errorf("record decision: %w", err)
	}
	e := audit.Event{
		Kind: audit.KindRead, Outcome: audit.OutcomeReleased, Agency: p.Agency, ActingFor: p.ActingFor,
		Principal: proof.Principal{
			ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, System: p.System, Worker: p.Worker,
		},
		Purpose: req.Purpose, Reason: req.Reason, Family: req.Family, Children: req.Children, Declared: decision.Declared,
		Emergency: req.Purpose == "VI", Request: req.RequestID, Details: req.Only.details(), Policy: proof.Digest(f.Policy), Input: input, Decision: verdict,
	}
	if !decision.Allow {
		e.Outcome = refusedAs(decision.Refusal)
		e.Refusal = decision.Refusal
		e.Causes = decision.Reasons
		return e, nil
	}
	e.Children = q.ids(decision.Children)
	e.Subjects = e.Children
	for i := range f.Entries {
		x, verdict := &f.Entries[i], &decision.Entries[q.tuple[i]]
		part := partOf(x, verdict)
		if part == 0 && !verdict.Holder {
			continue
		}
		terms := proof.Terms{
			Clauses: verdict.Clauses, Grant: verdict.Grant, Level: proof.Existence, Owner: x.Owner, Section: x.Section, Sensitivity: x.Sensitivity,
		}
		release := audit.Release{Subjects: x.About, Terms: terms}
		if part != 0 {
			release.Content = part
			release.Entry = proof.EntryRef{Entry: x.Entry, Version: x.Version}
			release.Terms.Level = proof.Level(verdict.Level)
			release.Terms.Part, release.Terms.Masked, release.Terms.Labels = verdict.Part, verdict.Masked, verdict.Labels
		}
		e.Released = append(e.Released, release)
	}
	return e, nil
}

// refusedAs gives a refusal its outcome: whatever depends on the family is
// not-found, here as in the answer.
func refusedAs(code string) audit.Outcome {
	switch code {
	case policy.RefusalNotFound:
		return audit.OutcomeNotFound
	case policy.RefusalPurpose, policy.RefusalReason:
		return audit.OutcomeInvalid
	case policy.RefusalError:
		return audit.OutcomeFailed
	}
	return audit.OutcomeDenied
}
