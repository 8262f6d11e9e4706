package disclosure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// Readers is who would see a draft under the active policy, by kind of agency
// and role. It follows from the policy and from what the writer may know of the
// family: it says nothing of who works with it.
type Readers struct {
	Section string   `json:"section"`
	Readers []Reader `json:"readers"`
	Note    string   `json:"note"`
	Receipt string   `json:"receipt"`
}

// Reader is one kind of agency and role, under one purpose.
type Reader struct {
	Kind     string       `json:"kind"`
	KindName string       `json:"kind_name"`
	Roles    []string     `json:"roles"`   // in words
	Purpose  string       `json:"purpose"` // in words
	Level    policy.Level `json:"level"`
	Masked   []string     `json:"masked,omitempty"`
	TeamOnly bool         `json:"team_only,omitempty"` // only within the family's own team
	Words    string       `json:"words"`
}

const readersNote = "This is what the policy would let somebody see who works with the child, or with a parent, and states that purpose. " +
	"It does not say that anybody does. Named grants, emergency access and MARAC are not listed, nor is every kind of service; restrictions and exclusions can only take readers away."

// Sections by whose release the policy itself says what a writer may know.
const (
	sectionOfProtection = "protected-address"
	sectionOfHarm       = "da-risk"
)

// WhoWouldRead answers who would see a draft, before it is saved. Nothing is
// kept but the event. Errors: *Refusal, *family.FieldError.
func (d *Door) WhoWouldRead(ctx context.Context, p identity.Principal, req Request, e EntryDraft) (Readers, error) {
	for range attempts {
		readers, err := d.whoWouldRead(ctx, p, req, e)
		if !errors.Is(err, audit.ErrStale) {
			return readers, err
		}
	}
	return Readers{}, ErrBusy
}

func (d *Door) whoWouldRead(ctx context.Context, p identity.Principal, req Request, e EntryDraft) (Readers, error) {
	about, mentions, err := e.people()
	if err != nil {
		return Readers{}, err
	}
	s, err := d.stand(ctx, p, req, audit.KindEntry, map[string]string{"action": "previewed"}, about, mentions)
	if err != nil {
		return Readers{}, err
	}
	kept, err := family.CheckDraft(sender(p, s.now), family.CatalogueOf(s.version), s.draft(p, e, about, mentions))
	if err != nil {
		return Readers{}, err
	}
	draft := family.EntryFacts{
		Section: kept.Section, Schema: kept.Schema, Owner: p.Agency, SourceKind: e.Record.Source, Handling: e.Record.Handling, ExistenceOK: e.Record.Existence,
		Sensitivity: kept.Sensitivity, EventFrom: kept.From, EventUntil: kept.Until, Narrative: kept.Narrative, Tagged: kept.Tagged,
		Contains: e.Record.Contains, Flags: e.Record.Flags, Fields: kept.Fields, Held: "held", FullPart: 1, About: about, Mentions: mentions,
	}
	if kept.Summary {
		draft.SummaryPart = 2
	}
	r := reading{door: d, writer: p, s: &s, draft: draft, reason: req.Reason}
	readers, err := r.all(ctx)
	if err != nil {
		return Readers{}, err
	}
	s.event.Details = map[string]string{"action": "previewed"}
	receipt, err := d.Recorder.Append(ctx, s.event)
	if err != nil {
		return Readers{}, err
	}
	return Readers{Section: kept.Section, Readers: readers, Note: readersNote, Receipt: receipt.String()}, nil
}

// reading asks the policy in the place of others.
type reading struct {
	door   *Door
	writer identity.Principal
	s      *standing
	draft  family.EntryFacts
	reason string
}

// service is an agency that could read.
type service struct{ code, kind string }

func (r *reading) all(ctx context.Context) ([]Reader, error) {
	active, err := r.door.Policy(ctx, r.s.facts.Policy)
	if err != nil {
		return nil, fmt.Errorf("active policy: %w", err)
	}
	rows, _ := r.door.Pool.Query(ctx, `
SELECT a.code, a.kind FROM agency a
 WHERE a.partnership = $1 AND a.active_from <= $2 AND (a.active_until IS NULL OR a.active_until >= $2) ORDER BY a.kind, a.code LIMIT 100`,
		r.writer.Partnership, r.s.now.UTC())
	services, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (service, error) {
		var x service
		return x, row.Scan(&x.code, &x.kind)
	})
	if err != nil {
		return nil, fmt.Errorf("list agencies: %w", postgres.Redact(err))
	}
	known, harm, protection, err := r.mayKnow(ctx, active, services)
	if err != nil {
		return nil, err
	}
	found := map[string]*Reader{}
	for _, x := range services {
		if !known[x.kind] {
			continue
		}
		for _, purpose := range r.purposes(x.kind) {
			if err := r.as(ctx, active, x, purpose, harm, protection, found); err != nil {
				return nil, err
			}
		}
	}
	out := []Reader{}
	for _, x := range found {
		slices.Sort(x.Roles)
		x.Words = words(*x)
		out = append(out, *x)
	}
	sort.Slice(out, func(i, j int) bool {
		a, b := out[i], out[j]
		return a.KindName+"\x00"+a.Purpose+"\x00"+a.Words < b.KindName+"\x00"+b.Purpose+"\x00"+b.Words
	})
	return out, nil
}

// mayKnow asks the policy, for the writer, which kinds of service may be known
// to be involved with these people, and whether harm and protected addresses may.
func (r *reading) mayKnow(ctx context.Context, active *policy.Active, services []service) (known map[string]bool, harm, protection bool, err error) {
	known = map[string]bool{}
	facts := r.s.facts
	facts.Entries, facts.Kinds = nil, map[string]string{}
	probe := func(section, owner string) {
		facts.Entries = append(facts.Entries, family.EntryFacts{
			Section: section, Owner: owner, Sensitivity: r.sensitivity(section), SourceKind: "fact", Tagged: true, Schema: section + "/1",
			FullPart: 1, SummaryPart: 2, Held: "held", About: r.draft.About,
		})
	}
	asked := []string{} // kind by probe, as long as it is about one
	host := ""
	for _, x := range services {
		facts.Kinds[x.code] = x.kind
		kind, ok := r.s.version.Kind(x.kind)
		switch {
		case !ok || !kind.Records:
		case kind.Involvement == "", x.kind == r.writer.Kind:
			known[x.kind] = true
		default:
			asked = append(asked, x.kind)
			probe(kind.Involvement, x.code)
		}
		if host == "" && x.code != r.writer.Agency && known[x.kind] {
			host = x.code
		}
	}
	probe(sectionOfHarm, host)
	probe(sectionOfProtection, host)
	q, err := ask(r.writer, Request{Purpose: r.s.q.input.Request.Purpose, Children: r.children(), Reason: r.reason}, facts, r.s.now)
	if err != nil {
		return nil, false, false, err
	}
	decision, err := active.Decide(ctx, q.input)
	if err != nil || !decision.Allow || len(decision.Entries) != len(q.input.Tuples) {
		return known, false, false, nil // in doubt, nothing more is known
	}
	level := func(i int) policy.Level { return decision.Entries[q.tuple[i]].Level }
	for i, kind := range asked {
		known[kind] = known[kind] || level(i) > policy.Hidden
	}
	return known, level(len(asked)) > policy.Hidden, level(len(asked)+1) > policy.Hidden, nil
}

func (r *reading) sensitivity(section string) int {
	x, ok := r.s.version.Section(section)
	if !ok {
		return 4
	}
	return x.Sensitivity
}

// children are those for whom the writer was answered.
func (r *reading) children() []uuid.UUID { return r.s.q.ids(r.s.decision.Children) }

// purposes are those that somebody of that kind could state today: the child
// has the open work, and working with the family is what they need.
func (r *reading) purposes(kind string) []policy.Purpose {
	open := map[string]bool{}
	for _, e := range r.s.facts.Episodes {
		if slices.Contains(r.children(), e.Person) {
			open[e.Kind] = true
		}
	}
	var out []policy.Purpose
	for _, p := range r.s.version.Purposes {
		if p.Relationship != "involvement" && p.Relationship != "mash-role" {
			continue
		}
		if slices.ContainsFunc(p.OpenWork, func(work string) bool { return open[work] }) && len(r.roles(kind, p)) > 0 {
			out = append(out, p)
		}
	}
	return out
}

// roles are the professional roles of a kind that may state a purpose; the
// general ones stand in only where a kind has no other.
func (r *reading) roles(kind string, p policy.Purpose) []policy.Role {
	var special, general []policy.Role
	for _, x := range r.s.version.Roles {
		if !x.Records || !slices.Contains(x.Kinds, kind) || !slices.Contains(p.Roles, x.Code) {
			continue
		}
		if x.Code == "practitioner" || x.Code == "manager" {
			general = append(general, x)
		} else {
			special = append(special, x)
		}
	}
	if len(special) > 0 {
		return special
	}
	return general
}

// as asks for every role of one agency under one purpose.
func (r *reading) as(ctx context.Context, active *policy.Active, x service, purpose policy.Purpose, harm, protection bool, found map[string]*Reader) error {
	facts, err := family.Load(ctx, r.door.Pool, r.s.facts.Family, family.Caller{Agency: x.code, Purpose: purpose.Code, Now: r.s.now})
	if err != nil {
		return fmt.Errorf("load facts as another: %w", err)
	}
	if facts.Stamp != r.s.facts.Stamp || facts.Policy != r.s.facts.Policy {
		return audit.ErrStale
	}
	kind, _ := r.s.version.Kind(x.kind)
	facts.Entries, facts.Grants, facts.Restricted, facts.Named, facts.Marac, facts.Lead = []family.EntryFacts{r.draft}, nil, nil, false, false, false
	facts.Kinds = map[string]string{r.writer.Agency: r.writer.Kind}
	if !harm {
		facts.Harm = nil
	}
	if !protection {
		facts.Protected = nil
	}
	facts.Involvements = r.clients(facts, kind)
	for _, role := range r.roles(x.kind, purpose) {
		caller := identity.Principal{Partnership: r.writer.Partnership, Agency: x.code, Kind: x.kind, Roles: []string{role.Code}, System: true}
		ask := func(team bool) (policy.Entry, error) {
			facts.FamilyTeam = team
			return r.verdict(ctx, active, caller, purpose, facts)
		}
		inside, err := ask(true)
		if err != nil {
			return err
		}
		outside, err := ask(false)
		if err != nil {
			return err
		}
		r.note(found, kind, purpose, role, outside, false)
		if inside.Level > outside.Level {
			r.note(found, kind, purpose, role, inside, true)
		}
	}
	return nil
}

// clients gives the reader whom somebody of that kind would work with: the
// child and those near; a kind that is always walled works with the alleged
// abuser, else with a parent.
func (r *reading) clients(facts family.Facts, kind policy.Kind) []family.InvolvementFacts {
	var people []uuid.UUID
	if kind.Wall == "always" {
		for _, h := range facts.Harm {
			people = append(people, h.By)
		}
		for _, n := range facts.Near {
			if len(facts.Harm) == 0 && n.Kind == "parent" {
				people = append(people, n.Other)
			}
		}
	} else {
		people = r.children()
		for _, n := range facts.Near {
			if slices.Contains(r.children(), n.Child) {
				people = append(people, n.Other)
			}
		}
	}
	var out []family.InvolvementFacts
	for _, id := range people {
		out = append(out, family.InvolvementFacts{Person: id, Mine: true, ByName: true, Source: "feed"})
	}
	return out
}

func (r *reading) verdict(ctx context.Context, active *policy.Active, caller identity.Principal, purpose policy.Purpose, facts family.Facts) (policy.Entry, error) {
	q, err := ask(caller, Request{Purpose: purpose.Code, Children: r.children(), Reason: "a preview"}, facts, r.s.now)
	if err != nil {
		return policy.Entry{}, err
	}
	decision, err := active.Decide(ctx, q.input)
	if err != nil || !decision.Allow || len(decision.Entries) != len(q.input.Tuples) {
		return policy.Entry{}, ctx.Err() // who cannot ask does not read
	}
	return decision.Entries[q.tuple[0]], nil
}

func (r *reading) note(found map[string]*Reader, kind policy.Kind, purpose policy.Purpose, role policy.Role, e policy.Entry, team bool) {
	if e.Level == policy.Hidden {
		return
	}
	key := fmt.Sprint(kind.Code, purpose.Code, e.Level, e.Masked, team)
	x := found[key]
	if x == nil {
		x = &Reader{Kind: kind.Code, KindName: kind.Name, Purpose: purpose.Name, Level: e.Level, TeamOnly: team}
		if e.Level > policy.Existence {
			x.Masked = e.Masked
		}
		found[key] = x
	}
	if !slices.Contains(x.Roles, role.Name) {
		x.Roles = append(x.Roles, role.Name)
	}
}

// words says one reader as a sentence.
func words(x Reader) string {
	what := map[policy.Level]string{
		policy.Full: "sees all of it", policy.Summary: "sees the shared summary", policy.Existence: "sees only that a service holds something, and whom to ask",
	}[x.Level]
	s := x.KindName + ", " + strings.Join(x.Roles, ", ") + ", for " + x.Purpose + ": " + what // names of roles have brackets of their own
	if len(x.Masked) > 0 {
		s += ", without " + strings.ReplaceAll(strings.Join(x.Masked, ", "), "_", " ")
	}
	if x.TeamOnly {
		s += ", within the family's own team"
	}
	return s + "."
}
