package disclosure

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strconv"
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

// standing is what was decided about a writer, at a state of the facts that is
// asserted again when the write is made.
type standing struct {
	facts    family.Facts
	q        question
	decision policy.Decision
	version  *policy.Version
	event    audit.Event
	now      time.Time
}

// own is the tuple of something that the writer's agency would contribute. An
// own entry opens to whoever works with its people, for the stated purpose, and
// to nobody else: that is the relationship which a writer needs.
func own(agency string, about, mentions []uuid.UUID) family.EntryFacts {
	return family.EntryFacts{Section: "identity", Owner: agency, Sensitivity: 1, SourceKind: "fact", Tagged: true, FullPart: 1, Held: "held", About: about, Mentions: mentions}
}

// stand decides whether the caller works with the people that a write is
// about, for the stated purpose. Wherever a reader would be refused a writer is
// refused, in the same words and with the same row in the log.
func (d *Door) stand(ctx context.Context, p identity.Principal, req Request, kind audit.Kind, details map[string]string, about, mentions []uuid.UUID) (standing, error) {
	s := standing{now: d.Now()}
	desk, err := d.Desk(ctx)
	if err != nil {
		return s, fmt.Errorf("read contact desk: %w", err)
	}
	s.facts, err = family.Load(ctx, d.Pool, req.Family, family.Caller{
		Worker: p.Worker, Agency: p.Agency, Roles: p.Roles, Teams: p.Teams, Purpose: req.Purpose, Now: s.now,
	})
	if err != nil {
		return s, fmt.Errorf("load facts: %w", err)
	}
	active, err := d.Policy(ctx, s.facts.Policy)
	if err != nil {
		return s, fmt.Errorf("active policy: %w", err)
	}
	s.version = active.Version()
	// The draft stands behind the entries of the record, as one of them.
	asked := s.facts
	asked.Entries = append(slices.Clip(s.facts.Entries), own(p.Agency, about, mentions))
	asked.Kinds = map[string]string{p.Agency: p.Kind}
	for agency, kind := range s.facts.Kinds {
		asked.Kinds[agency] = kind
	}
	if s.q, err = ask(p, req, asked, s.now); err != nil {
		return s, err
	}
	s.decision, err = active.Decide(ctx, s.q.input)
	if err != nil || s.decision.Allow && len(s.decision.Entries) != len(s.q.input.Tuples) {
		s.decision = policy.Decision{Refusal: policy.RefusalError, Reasons: []string{policy.RefusalError}}
	}
	nothing := s.facts
	nothing.Entries = nil // a write releases nothing
	if s.event, err = d.event(p, req, nothing, s.q, s.decision); err != nil {
		return s, err
	}
	s.event.Policy = proof.Digest(active.Digest())
	s.event.Kind, s.event.Details = kind, details
	if !s.decision.Allow {
		return s, d.refuse(ctx, p, active, s.event, s.decision, desk)
	}
	s.event.Outcome = audit.OutcomeDone
	if len(about) > 0 {
		draft := s.decision.Entries[s.q.tuple[len(s.facts.Entries)]]
		if draft.Level != policy.Full {
			return s, d.unseen(ctx, p, active, s.event, desk)
		}
		s.event.Subjects = about
	}
	return s, nil
}

// unseen logs and answers what cannot be seen as what does not exist.
func (d *Door) unseen(ctx context.Context, p identity.Principal, active *policy.Active, e audit.Event, desk Desk) error {
	e.Outcome, e.Refusal, e.Subjects, e.Children = audit.OutcomeNotFound, policy.RefusalNotFound, nil, nil
	return d.refuse(ctx, p, active, e, policy.Decision{Refusal: policy.RefusalNotFound}, desk)
}

// standOn decides as stand does, and that the caller was shown this entry.
func (d *Door) standOn(ctx context.Context, p identity.Principal, req Request, kind audit.Kind, details map[string]string, entry uuid.UUID) (standing, *family.EntryFacts, error) {
	s, err := d.stand(ctx, p, req, kind, details, nil, nil)
	if err != nil {
		return s, nil, err
	}
	for i := range s.facts.Entries {
		e := &s.facts.Entries[i]
		if e.Entry == entry && partOf(e, &s.decision.Entries[s.q.tuple[i]]) != 0 {
			s.event.Subjects = e.About
			return s, e, nil
		}
	}
	desk, err := d.Desk(ctx)
	if err != nil {
		return s, nil, fmt.Errorf("read contact desk: %w", err)
	}
	active, err := d.Policy(ctx, s.facts.Policy)
	if err != nil {
		return s, nil, fmt.Errorf("active policy: %w", err)
	}
	return s, nil, d.unseen(ctx, p, active, s.event, desk)
}

// notOwner logs that somebody tried to write what is another agency's.
func (d *Door) notOwner(ctx context.Context, s standing) error {
	e := s.event
	e.Outcome, e.Refusal = audit.OutcomeDenied, "not-owner"
	if _, err := d.Recorder.Append(ctx, e); err != nil {
		return err
	}
	return ErrNotOwner
}

// holds asserts, in the writing transaction, that nothing has changed on which
// the decision rested. Error: audit.ErrStale.
func (s *standing) holds(ctx context.Context, tx pgx.Tx, p identity.Principal) error {
	var same bool
	err := tx.QueryRow(ctx, `
SELECT EXISTS (SELECT 1 FROM family f WHERE f.id = $1 AND f.stamp = $2)
   AND EXISTS (SELECT 1 FROM policy_head h WHERE h.partnership = $3 AND h.digest = $4)
   AND EXISTS (SELECT 1 FROM agreement_head a WHERE a.partnership = $3 AND a.stamp = $5)
   AND EXISTS (SELECT 1 FROM worker w WHERE w.id = $6 AND w.stamp = $7)`,
		s.facts.Family, s.facts.Stamp, p.Partnership, s.facts.Policy[:], s.facts.AgreementStamp, p.Worker, s.facts.Worker.Stamp).Scan(&same)
	if err != nil {
		return fmt.Errorf("assert facts: %w", postgres.Redact(err))
	}
	if !same {
		return audit.ErrStale
	}
	return nil
}

// EntryDraft is an entry as a worker writes it: About and Mentions hold ids of
// people whom the worker was shown in this family.
type EntryDraft struct {
	Record family.EntryRecord
	Why    string // of a correction
}

// draft turns ids into people. A person who is no member of the family is left
// for the policy to find out of reach. Error: *family.FieldError.
func (e EntryDraft) people() (about, mentions []uuid.UUID, err error) {
	read := func(field string, texts []string) ([]uuid.UUID, error) {
		var ids []uuid.UUID
		for i, t := range texts {
			id, err := uuid.Parse(t)
			if err != nil || id.String() != t {
				return nil, &family.FieldError{Field: fmt.Sprintf("entry.%s[%d]", field, i), Rule: "must be a lower-case UUID"}
			}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
		if len(ids) > 30 {
			return nil, &family.FieldError{Field: "entry." + field, Rule: "names more than 30 people"}
		}
		return ids, nil
	}
	if about, err = read("about", e.Record.About); err != nil {
		return nil, nil, err
	}
	if len(about) == 0 {
		return nil, nil, &family.FieldError{Field: "entry.about", Rule: "names nobody"}
	}
	mentions, err = read("mentions", e.Record.Mentions)
	return about, mentions, err
}

// draft puts a family draft together.
func (s *standing) draft(p identity.Principal, e EntryDraft, about, mentions []uuid.UUID) family.Draft {
	child := map[uuid.UUID]bool{}
	for _, x := range s.facts.People {
		child[x.ID] = x.Child
	}
	subjects := func(ids []uuid.UUID) []family.Subject {
		out := []family.Subject{}
		for _, id := range ids {
			out = append(out, family.Subject{Person: id, Child: child[id]})
		}
		return out
	}
	return family.Draft{Record: e.Record, About: subjects(about), Mentions: subjects(mentions), Why: e.Why, ByName: p.WorkerName}
}

// WriteEntry writes a new entry of the caller's agency about people with whom
// the caller works. Errors: *Refusal, *family.FieldError, ErrKeyReused.
func (d *Door) WriteEntry(ctx context.Context, p identity.Principal, req Request, o Once, e EntryDraft) (Written, error) {
	about, mentions, err := e.people()
	if err != nil {
		return Written{}, err
	}
	if w, done, err := d.replayed(ctx, p, o); done || err != nil {
		return w, err
	}
	return again(func() (Written, error) {
		s, err := d.stand(ctx, p, req, audit.KindEntry, map[string]string{"action": "written"}, about, mentions)
		if err != nil {
			return Written{}, err
		}
		draft := s.draft(p, e, about, mentions)
		catalogue := family.CatalogueOf(s.version)
		return d.once(ctx, p, o, s.event, func(tx pgx.Tx, event *audit.Event) (Written, error) {
			if err := s.holds(ctx, tx, p); err != nil {
				return Written{}, err
			}
			id, err := family.WriteEntry(ctx, tx, sender(p, s.now), catalogue, draft)
			event.Details = s.details("written", id, 1, e.Record.Section)
			return Written{ID: id, Version: 1}, err
		})
	})
}

// details say what was done; what the law hides is not named in the log either.
func (s *standing) details(action string, entry uuid.UUID, version int, section string) map[string]string {
	if x, ok := s.version.Section(section); !ok || x.Sensitivity >= 4 {
		section = audit.LegallyRestricted
	}
	return map[string]string{"action": action, "entry": entry.String(), "version": strconv.Itoa(version), "section": section}
}

// VersionChange is one way to change an entry: exactly one field is set.
type VersionChange struct {
	Corrects int // the version that the writer saw

	Draft    *EntryDraft
	Tags     *family.Tags
	Summary  *family.SharedSummary
	Withdraw string // why
}

func (c VersionChange) action() string {
	switch {
	case c.Draft != nil:
		return "corrected"
	case c.Tags != nil:
		return "tagged"
	case c.Summary != nil:
		return "summarised"
	}
	return "withdrawn"
}

// ChangeEntry makes a new version of an entry of the caller's agency. Errors:
// *Refusal, ErrNotOwner, *family.Superseded, *family.FieldError, ErrKeyReused.
func (d *Door) ChangeEntry(ctx context.Context, p identity.Principal, req Request, o Once, entry uuid.UUID, c VersionChange) (Written, error) {
	if w, done, err := d.replayed(ctx, p, o); done || err != nil {
		return w, err
	}
	return again(func() (Written, error) {
		s, e, err := d.standOn(ctx, p, req, audit.KindEntry, map[string]string{"action": c.action()}, entry)
		if err != nil {
			return Written{}, err
		}
		if e.Owner != p.Agency {
			return Written{}, d.notOwner(ctx, s)
		}
		var draft family.Draft
		if c.Draft != nil {
			if draft, err = d.correction(ctx, p, req, &s, *c.Draft); err != nil {
				return Written{}, err
			}
		}
		catalogue, from := family.CatalogueOf(s.version), sender(p, s.now)
		return d.once(ctx, p, o, s.event, func(tx pgx.Tx, event *audit.Event) (Written, error) {
			if err := s.holds(ctx, tx, p); err != nil {
				return Written{}, err
			}
			var version int
			var err error
			switch {
			case c.Draft != nil:
				version, err = family.CorrectEntry(ctx, tx, from, catalogue, entry, c.Corrects, draft)
			case c.Tags != nil:
				version, err = family.TagEntry(ctx, tx, from, catalogue, entry, c.Corrects, *c.Tags)
			case c.Summary != nil:
				version, err = family.SummariseEntry(ctx, tx, from, catalogue, entry, c.Corrects, *c.Summary, p.WorkerName)
			default:
				version, err = family.WithdrawEntry(ctx, tx, from, entry, c.Corrects, c.Withdraw)
			}
			event.Details = s.details(c.action(), entry, version, e.Section)
			return Written{ID: entry, Version: version}, err
		})
	})
}

// correction checks the people whom a corrected entry is about: the writer must
// work with the new ones too.
func (d *Door) correction(ctx context.Context, p identity.Principal, req Request, s *standing, e EntryDraft) (family.Draft, error) {
	about, mentions, err := e.people()
	if err != nil {
		return family.Draft{}, err
	}
	fresh, err := d.stand(ctx, p, req, audit.KindEntry, s.event.Details, about, mentions)
	if err != nil {
		return family.Draft{}, err
	}
	*s = fresh
	return s.draft(p, e, about, mentions), nil
}

// ConcernDraft says what is wrong with an entry that its reader saw.
type ConcernDraft struct {
	Version int
	Kind    string // wrong-person, wrong-fact
	What    string
}

// RaiseConcern tells an entry's owner that it is about the wrong person or says
// something wrong: the entry stands as questioned until the owner answers.
// Whoever was shown the entry may. Errors: *Refusal, *family.FieldError, ErrKeyReused.
func (d *Door) RaiseConcern(ctx context.Context, p identity.Principal, req Request, o Once, entry uuid.UUID, c ConcernDraft) (Written, error) {
	if w, done, err := d.replayed(ctx, p, o); done || err != nil {
		return w, err
	}
	return again(func() (Written, error) {
		s, e, err := d.standOn(ctx, p, req, audit.KindConcern, map[string]string{"action": "raised"}, entry)
		if err != nil {
			return Written{}, err
		}
		if c.Version < 1 || c.Version > e.Version {
			return Written{}, &family.FieldError{Field: "version", Rule: "is no version that you were shown"}
		}
		return d.once(ctx, p, o, s.event, func(tx pgx.Tx, event *audit.Event) (Written, error) {
			if err := s.holds(ctx, tx, p); err != nil {
				return Written{}, err
			}
			id, err := family.RaiseConcern(ctx, tx, sender(p, s.now), family.Concern{Entry: entry, Version: c.Version, Kind: c.Kind, What: c.What})
			event.Details = s.details("raised", entry, c.Version, e.Section)
			event.Details["concern"] = id.String()
			return Written{ID: id}, err
		})
	})
}

// TellPerson records what a person was told and agreed to. Errors: *Refusal,
// *family.FieldError, ErrKeyReused.
func (d *Door) TellPerson(ctx context.Context, p identity.Principal, req Request, o Once, person uuid.UUID, t family.ToldRecord) (Written, error) {
	if w, done, err := d.replayed(ctx, p, o); done || err != nil {
		return w, err
	}
	return again(func() (Written, error) {
		s, err := d.stand(ctx, p, req, audit.KindConsent, map[string]string{"action": "told"}, []uuid.UUID{person}, nil)
		if err != nil {
			return Written{}, err
		}
		return d.once(ctx, p, o, s.event, func(tx pgx.Tx, event *audit.Event) (Written, error) {
			if err := s.holds(ctx, tx, p); err != nil {
				return Written{}, err
			}
			event.Details = map[string]string{"action": "told", "purpose": t.Purpose, "agreed": t.Agreed, "told": t.Told}
			id, err := family.TellPerson(ctx, tx, sender(p, s.now), family.CatalogueOf(s.version), family.Subject{Person: person}, t)
			return Written{ID: id}, err
		})
	})
}

// SectionCodes are the parts of the record that the active policy knows.
func (d *Door) SectionCodes(ctx context.Context, partnership string) ([]string, error) {
	v, err := d.Version(ctx, partnership)
	if err != nil {
		return nil, err
	}
	var codes []string
	for _, s := range v.Sections {
		codes = append(codes, s.Code)
	}
	sort.Strings(codes)
	return codes, nil
}

// PurposeCodes are the purposes that it knows.
func (d *Door) PurposeCodes(ctx context.Context, partnership string) ([]string, error) {
	v, err := d.Version(ctx, partnership)
	if err != nil {
		return nil, err
	}
	var codes []string
	for _, p := range v.Purposes {
		codes = append(codes, p.Code)
	}
	sort.Strings(codes)
	return codes, nil
}
