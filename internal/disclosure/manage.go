package disclosure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
)

// Roles that change who works with whom, and who may see what (design.md §6).
const (
	roleManager        = "manager"
	roleTeamManager    = "team-manager"
	rolePrivacyOfficer = "privacy-officer"
	roleApprover       = "ig-approver"
	hostKind           = "CSC" // children's social care hosts the hub (domain.md §4)
)

// declaring lists the roles that may declare an involvement of their own:
// strategy discussions, cover and out of hours are theirs (domain.md §3).
func declaring() []string {
	return []string{"emergency-duty", "mash-officer", "conference-chair", "detective", "marac-coordinator", roleTeamManager, roleManager}
}

// Errors of managing.
var (
	ErrUnknown = family.ErrUnknown // unknown, or nothing to do with the caller's agency
	ErrAlready = family.ErrOver    // it was settled or has ended
)

// Denied says that the caller's own roles do not allow this. It is logged.
type Denied struct {
	Code    string
	Shown   string
	Receipt string
}

func (e *Denied) Error() string { return "denied: " + e.Code }

// Change is what every change carries.
type Change struct {
	Once
	RequestID string
}

func manages(p identity.Principal) bool { return p.Has(roleManager) || p.Has(roleTeamManager) }

// eventOf starts the event of a change, or of a list that was read.
func eventOf(p identity.Principal, kind audit.Kind, request, action, reason string) audit.Event {
	return audit.Event{
		Kind: kind, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Principal: principalOf(p),
		Request: request, Reason: reason, Details: map[string]string{"action": action},
	}
}

// deny logs that somebody tried a door that is not theirs.
func (d *Door) deny(ctx context.Context, e audit.Event, code, shown string) error {
	e.Kind, e.Outcome, e.Refusal, e.Reason = audit.KindForbidden, audit.OutcomeDenied, code, ""
	receipt, err := d.Recorder.Append(ctx, e)
	if err != nil {
		return err
	}
	return &Denied{Code: code, Shown: shown, Receipt: receipt.String()}
}

// listed logs that a list was read, before it is read.
func (d *Door) listed(ctx context.Context, e audit.Event) (string, error) {
	receipt, err := d.Recorder.Append(ctx, e)
	if err != nil {
		return "", err
	}
	return receipt.String(), nil
}

// ListLimit is the most that one list answers; the id of the last one goes on.
const ListLimit = 200

// Involve makes an involvement: a manager allocates or covers within the own
// agency; a duty role declares its own for at most a day, which raises an alert
// for review. Nobody allocates themselves. Errors: *Denied, ErrUnknown,
// *family.FieldError, ErrKeyReused.
func (d *Door) Involve(ctx context.Context, p identity.Principal, c Change, a family.Allocation) (Written, error) {
	e := eventOf(p, audit.KindInvolvement, c.RequestID, a.Source, a.Reason)
	self := a.Worker == p.Worker && p.Worker != uuid.Nil
	switch {
	case a.Source == family.Declared && self:
		if !slices.ContainsFunc(declaring(), p.Has) {
			return Written{}, d.deny(ctx, e, "declare", "Your role cannot declare its own involvement. Ask your manager to allocate the case, or the duty worker to declare.")
		}
	case !manages(p):
		return Written{}, d.deny(ctx, e, "role", "A manager of your agency allocates work, and arranges cover.")
	case self:
		return Written{}, d.deny(ctx, e, "self", "Nobody allocates themselves: another manager of your agency can.")
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		ids, people, until, err := family.Involve(ctx, tx, sender(p, now), a)
		if err != nil {
			return Written{}, err
		}
		event.Subjects = people
		event.Declared = a.Source == family.Declared
		if a.Worker != uuid.Nil {
			event.Details["worker"] = a.Worker.String()
		}
		if a.Covers != uuid.Nil {
			event.Details["covers"] = a.Covers.String()
		}
		w := Written{ID: ids[0], Until: until}
		if len(ids) > 1 {
			w.IDs = ids
		}
		if event.Declared {
			w.after = func(tx pgx.Tx, id uuid.UUID) error { return d.Recorder.RaiseTx(ctx, tx, "declared-involvement", id) }
		}
		return w, nil
	})
}

// EndInvolvement ends one: a manager any of the agency's, a worker the own.
// Errors: *Denied, ErrUnknown, ErrAlready, *family.FieldError, ErrKeyReused.
func (d *Door) EndInvolvement(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, why string) (Written, error) {
	e := eventOf(p, audit.KindInvolvement, c.RequestID, "ended", why)
	var only uuid.UUID
	if !manages(p) {
		if p.Worker == uuid.Nil {
			return Written{}, d.deny(ctx, e, "role", "A case system ends involvements in its feed.")
		}
		only = p.Worker
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		person, err := family.EndInvolvement(ctx, tx, sender(p, now), id, only, why)
		event.Subjects = []uuid.UUID{person}
		event.Details["involvement"] = id.String()
		return Written{ID: id}, err
	})
}

// List is a list that was read, with its receipt.
type List[T any] struct {
	Items   []T       `json:"items"`
	Next    uuid.UUID `json:"-"`
	Receipt string    `json:"receipt"`
}

// page cuts a list that was asked for one more than it may hold.
func page[T any](items []T, receipt string, id func(T) uuid.UUID) List[T] {
	l := List[T]{Items: items, Receipt: receipt}
	if len(items) > ListLimit {
		l.Items = items[:ListLimit]
		l.Next = id(l.Items[ListLimit-1])
	}
	if l.Items == nil {
		l.Items = []T{}
	}
	return l
}

// Involvements lists the live involvements of the caller's agency, for a
// manager. For anybody else it lists their own; with a person given, those of
// the colleagues who work with that person as the caller does, without reasons.
func (d *Door) Involvements(ctx context.Context, p identity.Principal, request string, worker, person, after uuid.UUID) (List[family.Work], error) {
	e := eventOf(p, audit.KindInvolvement, request, "listed", "")
	if !manages(p) && !p.Has(rolePrivacyOfficer) {
		if p.Worker == uuid.Nil || worker != uuid.Nil && worker != p.Worker {
			return List[family.Work]{}, d.deny(ctx, e, "role", "A manager of your agency lists its work; you can list your own.")
		}
		if worker == uuid.Nil && person != uuid.Nil {
			return d.workBeside(ctx, p, e, person)
		}
		worker = p.Worker
	}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.Work]{}, err
	}
	items, err := family.Involvements(ctx, d.Pool, p.Agency, worker, person, d.Now(), after, ListLimit+1)
	return page(items, receipt, func(x family.Work) uuid.UUID { return x.ID }), err
}

// GiveGrant gives one worker one part of one person's record until a day. An
// agency gives what it contributed itself: of a section that its kind owns, or
// that no kind owns, where children's social care gives what others contributed
// too (the policy holds to that). For what the law restricts, its approver alone
// (the Caldicott Guardian, SIRO or asset owner). Errors: *Denied, ErrUnknown,
// *family.FieldError, ErrKeyReused.
func (d *Door) GiveGrant(ctx context.Context, p identity.Principal, c Change, g family.GrantDraft) (Written, error) {
	e := eventOf(p, audit.KindGrant, c.RequestID, "given", g.Reason)
	version, err := d.Version(ctx, p.Partnership)
	if err != nil {
		return Written{}, fmt.Errorf("active policy: %w", err)
	}
	section, ok := version.Section(g.Section)
	if !ok {
		return Written{}, &family.FieldError{Field: "section", Rule: "is not a section of the active policy"}
	}
	owner := len(section.Owners) == 0 || slices.Contains(section.Owners, p.Kind) // what it opens of that, the policy says
	switch {
	case !p.Has(roleApprover) && !(manages(p) && section.Sensitivity < 4):
		return Written{}, d.deny(ctx, e, "role", "A manager of the agency that owns this part of the record gives grants; for what the law restricts, its approver.")
	case !owner:
		return Written{}, d.deny(ctx, e, "not-owner", "Another kind of agency owns this part of the record, and gives grants of it.")
	case section.Never:
		return Written{}, &family.FieldError{Field: "section", Rule: "opens to nobody, not by a grant either"}
	case g.Worker == p.Worker:
		return Written{}, d.deny(ctx, e, "self", "Nobody gives a grant to themselves.")
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		id, err := family.GiveGrant(ctx, tx, sender(p, now), g)
		event.Subjects = []uuid.UUID{g.Person}
		event.Details["grant"], event.Details["worker"], event.Details["level"] = id.String(), g.Worker.String(), g.Level
		event.Details["section"] = g.Section
		if section.Sensitivity >= 4 {
			event.Details["section"] = audit.LegallyRestricted
		}
		return Written{ID: id, Until: &g.Until}, err
	})
}

// RevokeGrant ends a grant at once: by the agency that gave it, or that holds it.
func (d *Door) RevokeGrant(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, why string) (Written, error) {
	e := eventOf(p, audit.KindGrant, c.RequestID, "revoked", why)
	if !manages(p) && !p.Has(roleApprover) && !p.Has(rolePrivacyOfficer) {
		return Written{}, d.deny(ctx, e, "role", "A manager, approver or privacy officer of the agency that gave the grant, or holds it, ends it.")
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		person, err := family.RevokeGrant(ctx, tx, sender(p, now), id, why)
		event.Subjects, event.Details["grant"] = []uuid.UUID{person}, id.String()
		return Written{ID: id}, err
	})
}

// Grants lists live grants that the caller's agency gave or holds; for whoever
// does not manage, those that they hold.
func (d *Door) Grants(ctx context.Context, p identity.Principal, request string, after uuid.UUID) (List[family.Granted], error) {
	e := eventOf(p, audit.KindGrant, request, "listed", "")
	var worker uuid.UUID
	if !manages(p) && !p.Has(roleApprover) && !p.Has(rolePrivacyOfficer) {
		if p.Worker == uuid.Nil {
			return List[family.Granted]{}, d.deny(ctx, e, "role", "A case system holds no grants.")
		}
		worker = p.Worker
	}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.Granted]{}, err
	}
	items, err := family.Grants(ctx, d.Pool, p.Agency, worker, d.Now(), after, ListLimit+1)
	return page(items, receipt, func(x family.Granted) uuid.UUID { return x.ID }), err
}

// restricts tells who closes people: children's social care's managers, and its
// privacy officers, who open no records themselves.
func restricts(p identity.Principal) bool {
	return p.Kind == hostKind && (manages(p) || p.Has(rolePrivacyOfficer))
}

const restrictsShown = "A manager or privacy officer of children's social care sets and reviews restrictions."

// SetRestriction closes a person to all but some, or to some. Errors: *Denied,
// ErrUnknown, *family.FieldError, ErrKeyReused.
func (d *Door) SetRestriction(ctx context.Context, p identity.Principal, c Change, person uuid.UUID, r family.RestrictionDraft) (Written, error) {
	e := eventOf(p, audit.KindRestriction, c.RequestID, "set", r.Reason)
	if !restricts(p) {
		return Written{}, d.deny(ctx, e, "role", restrictsShown)
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		id, err := family.SetRestriction(ctx, tx, sender(p, now), person, r)
		event.Subjects, event.Details["restriction"], event.Details["kind"] = []uuid.UUID{person}, id.String(), r.Kind
		return Written{ID: id, Until: r.Until}, err
	})
}

// ChangeRestriction reviews a restriction, or ends it where no day is given.
// Whom it keeps out cannot lift it. Errors: *Denied, ErrUnknown,
// *family.FieldError, ErrKeyReused.
func (d *Door) ChangeRestriction(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, reviewOn, why string) (Written, error) {
	action := "reviewed"
	if reviewOn == "" {
		action = "ended"
	}
	e := eventOf(p, audit.KindRestriction, c.RequestID, action, why)
	if !restricts(p) {
		return Written{}, d.deny(ctx, e, "role", restrictsShown)
	}
	now := d.Now()
	errKeptOut := errors.New("kept out by it")
	may := func(r family.Restricted) error {
		if reviewOn == "" && !p.Has(rolePrivacyOfficer) && r.KeepsOut(p.Worker, p.Agency) {
			return errKeptOut
		}
		return nil
	}
	w, err := d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		person, err := family.ChangeRestriction(ctx, tx, sender(p, now), id, reviewOn, why, may)
		event.Subjects, event.Details["restriction"] = []uuid.UUID{person}, id.String()
		return Written{ID: id}, err
	})
	if errors.Is(err, errKeptOut) {
		return Written{}, d.deny(ctx, e, "kept-out", "This restriction keeps you out, so you cannot lift it: the privacy officer can.")
	}
	return w, err
}

// Restrictions lists the live ones of a person.
func (d *Door) Restrictions(ctx context.Context, p identity.Principal, request string, person uuid.UUID) (List[family.Restricted], error) {
	e := eventOf(p, audit.KindRestriction, request, "listed", "")
	if !restricts(p) {
		return List[family.Restricted]{}, d.deny(ctx, e, "role", restrictsShown)
	}
	e.Subjects = []uuid.UUID{person}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.Restricted]{}, err
	}
	items, err := family.Restrictions(ctx, d.Pool, person, d.Now())
	return page(items, receipt, func(x family.Restricted) uuid.UUID { return x.ID }), err
}

const confirmsShown = "A manager of children's social care confirms who belongs to a family."

// ConfirmMembership lets a membership open records, or ends it as wrong.
// Errors: *Denied, ErrUnknown, ErrAlready, *family.FieldError, ErrKeyReused.
func (d *Door) ConfirmMembership(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, confirmed bool, why string) (Written, error) {
	e := eventOf(p, audit.KindMembership, c.RequestID, "confirmed", why)
	e.Details["confirmed"] = strconv.FormatBool(confirmed)
	if p.Kind != hostKind || !manages(p) {
		return Written{}, d.deny(ctx, e, "role", confirmsShown)
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		of, person, err := family.ConfirmMembership(ctx, tx, sender(p, now), id, confirmed, why)
		event.Family, event.Subjects, event.Details["membership"] = of, []uuid.UUID{person}, id.String()
		return Written{ID: id}, err
	})
}

// Memberships lists those that wait. Who sent one is named only where the name
// may stand: for some services it is the secret itself.
func (d *Door) Memberships(ctx context.Context, p identity.Principal, request string, after uuid.UUID) (List[family.Waiting], error) {
	e := eventOf(p, audit.KindMembership, request, "listed", "")
	if p.Kind != hostKind || !manages(p) {
		return List[family.Waiting]{}, d.deny(ctx, e, "role", confirmsShown)
	}
	from, err := d.nameable(ctx, p)
	if err != nil {
		return List[family.Waiting]{}, err
	}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return List[family.Waiting]{}, err
	}
	items, err := family.Memberships(ctx, d.Pool, p.Partnership, after, ListLimit+1)
	for i := range items {
		items[i].SuppliedBy = from(items[i].SuppliedBy)
	}
	return page(items, receipt, func(x family.Waiting) uuid.UUID { return x.ID }), err
}

// nameable gives an agency's code where its kind may be named, else nothing.
func (d *Door) nameable(ctx context.Context, p identity.Principal) (func(agency string) string, error) {
	version, err := d.Version(ctx, p.Partnership)
	if err != nil {
		return nil, fmt.Errorf("active policy: %w", err)
	}
	agencies, err := d.directory(p).Agencies(ctx)
	if err != nil {
		return nil, err
	}
	plain := map[string]bool{p.Agency: true}
	for _, a := range agencies {
		if kind, ok := version.Kind(a.Kind); ok && kind.Plain {
			plain[a.Code] = true
		}
	}
	return func(agency string) string {
		if plain[agency] {
			return agency
		}
		return ""
	}, nil
}

// directory is the worker directory of the caller's partnership.
func (d *Door) directory(p identity.Principal) *identity.Directory {
	return identity.NewDirectory(d.Pool, p.Partnership, 0, d.Log)
}

// ConcernList is what an agency was told about its entries, and what it raised.
type ConcernList struct {
	Received, Raised []family.Concern
	From             func(agency string) string // names an agency where it may be named
	Receipt          string
}

// Concerns lists them for whoever answers for the agency's entries: its
// managers, its privacy officers and its case system.
func (d *Door) Concerns(ctx context.Context, p identity.Principal, request string) (ConcernList, error) {
	e := eventOf(p, audit.KindConcern, request, "listed", "")
	if !manages(p) && !p.Has(rolePrivacyOfficer) && !p.System {
		return ConcernList{}, d.deny(ctx, e, "role", "A manager or privacy officer of your agency, or its case system, looks after concerns.")
	}
	from, err := d.nameable(ctx, p)
	if err != nil {
		return ConcernList{}, err
	}
	receipt, err := d.listed(ctx, e)
	if err != nil {
		return ConcernList{}, err
	}
	received, raised, err := family.Concerns(ctx, d.Pool, p.Agency)
	return ConcernList{Received: received, Raised: raised, From: from, Receipt: receipt}, err
}

// AnswerConcern answers a concern about an entry of the caller's agency: upheld
// or not. Errors: *Denied, family.ErrNoConcern, *family.FieldError, ErrKeyReused.
func (d *Door) AnswerConcern(ctx context.Context, p identity.Principal, c Change, id uuid.UUID, upheld bool, answer string) (Written, error) {
	e := eventOf(p, audit.KindConcern, c.RequestID, "answered", "")
	if upheld {
		e.Details["action"] = "upheld"
	}
	if !manages(p) && !p.Has(rolePrivacyOfficer) && !p.System {
		return Written{}, d.deny(ctx, e, "role", "A manager or privacy officer of the agency that owns the entry, or its case system, answers.")
	}
	now := d.Now()
	return d.once(ctx, p, c.Once, e, func(tx pgx.Tx, event *audit.Event) (Written, error) {
		entry, err := family.AnswerConcern(ctx, tx, sender(p, now), id, upheld, answer)
		event.Details["concern"], event.Details["entry"] = id.String(), entry.String()
		return Written{ID: id}, err
	})
}

// WorkerChange is what is to become of a worker's access.
type WorkerChange struct {
	Worker uuid.UUID
	Action string // accept, withdraw, suspend, resume, end, wake
	Roles  []string
	Until  *time.Time // last day: of an acceptance, or of the access that ends
	Reason string
}

// workerActions is the closed list.
func workerActions() []string {
	return []string{"accept", "withdraw", "suspend", "resume", "end", "wake"}
}
