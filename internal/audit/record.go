package audit

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// LegallyRestricted stands where the auditor would see the name of a section
// of sensitivity 4: the name alone tells what the law hides.
const LegallyRestricted = "legally-restricted"

// Record is one event as one reader may see it. It prints as its id.
type Record struct {
	ID        uuid.UUID
	Kind      Kind
	Outcome   Outcome
	Occurred  time.Time
	Recorded  time.Time
	Agency    string
	ActingFor string
	Family    uuid.UUID
	Purpose   string
	Declared  bool
	Emergency bool
	Request   string
	Receipt   string // signed, as handed out with the answer

	Worker uuid.UUID
	Name   string // of the worker; empty for a system
	Client string
	Roles  []string
	System bool

	Reason  string            // own and auditor
	Refusal string            // own, own agency and auditor
	Causes  []string          // auditor
	Search  map[string]string // own
	// SearchedBy names the fields of a search without what was typed.
	SearchedBy []string
	Details    map[string]string // own and auditor

	Level    proof.Level // highest level among Released
	Count    int         // entries among Released
	Released []Released
	// Children are the ids that the reader asked with (own scope), else
	// references. Subjects are references, and not shown in the own scope: who
	// an entry is also about may be what was hidden from that reader.
	Children []string
	Subjects []string

	Erased  bool // some of the payload was erased
	Damaged bool // the payload does not match its commitments; the verifier says more
}

// Released is what was released on the same terms.
type Released struct {
	Section     string
	Owner       string
	Level       proof.Level
	Part        string
	Sensitivity int
	Clauses     []string
	Masked      []string
	Labels      []string
	Grant       string
	Entries     []proof.EntryRef
	Subjects    []string // references, as in Record
}

// Format prints the id alone.
func (r Record) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "audit.Record "+r.ID.String()) }

// LogValue keeps the record out of log lines.
func (r Record) LogValue() slog.Value { return slog.StringValue(r.ID.String()) }

// Reference is how a person stands in the log's lists: stable for this log,
// and of no use without its key.
func (l *Log) Reference(person uuid.UUID) string {
	mac := hmac.New(sha256.New, l.key)
	mac.Write([]byte("kith-person-reference/1\n"))
	mac.Write(person[:])
	return "r-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(mac.Sum(nil)[:10]))
}

func (l *Log) references(people []uuid.UUID) []string { return l.referencesIn(people, nil) }

// referencesIn keeps the references in known: the people of one event stand in
// many of its lines.
func (l *Log) referencesIn(people []uuid.UUID, known map[uuid.UUID]string) []string {
	if len(people) == 0 {
		return nil
	}
	refs := make([]string, len(people))
	for i, id := range people {
		if refs[i] = known[id]; refs[i] != "" {
			continue
		}
		refs[i] = l.Reference(id)
		if known != nil {
			known[id] = refs[i]
		}
	}
	slices.Sort(refs) // the order of the parts must not tell the order of the ids
	return refs
}

// view cuts a stored event down to what the scope may see.
func (l *Log) view(row *storedRow, s Scope) (Record, []line) {
	rec := Record{
		ID: row.ID, Kind: Kind(row.Kind), Outcome: Outcome(row.Outcome), Occurred: row.OccurredAt, Recorded: row.RecordedAt,
		Agency: row.Agency, ActingFor: row.ActingFor, Purpose: row.Purpose, Declared: row.Declared, Emergency: row.Emergency,
	}
	if row.Family != nil {
		rec.Family = *row.Family
	}
	if row.Worker != nil {
		rec.Worker = *row.Worker
	}
	opened, err := row.open()
	if err != nil || opened.Header.ID != row.ID {
		rec.Damaged = true
		return rec, nil
	}
	rec.Receipt = opened.Receipt.String()
	lines := linesOf(opened)
	own, auditor := s.worker != uuid.Nil, s.all
	theirs := s.agency != "" && row.Agency == s.agency // by the agency's own people
	if s.agency != "" && !theirs {
		lines = slices.DeleteFunc(lines, func(x line) bool { return x.terms.Owner != s.agency })
	}
	known := map[uuid.UUID]string{}
	rec.Released = l.released(lines, s, known)
	rec.Level, rec.Count = summarise(lines)
	if !own {
		rec.Subjects = l.referencesIn(peopleOf(opened, lines, auditor || theirs), known)
	}
	for _, part := range opened.Subjects {
		rec.Erased = rec.Erased || part == nil
	}
	c := opened.Common
	if c == nil {
		rec.Erased = true
		return rec, lines
	}
	p := &c.Principal
	rec.Name, rec.Client, rec.Roles, rec.System = p.Name, p.Client, p.Roles, p.System
	if own || auditor || theirs {
		rec.Refusal, rec.Request, rec.SearchedBy = c.Refusal, c.Request, slices.Sorted(maps.Keys(c.Search))
		if own {
			for _, id := range c.Children {
				rec.Children = append(rec.Children, id.String())
			}
		} else {
			rec.Children = l.references(c.Children)
		}
	}
	if own || auditor {
		rec.Reason, rec.Details = c.Reason, c.Details
	}
	if theirs && rec.Kind == KindCorrected {
		rec.Details = c.Details // which entry its worker was told about, and no more
	}
	if own {
		rec.Search = c.Search
	}
	if auditor {
		rec.Causes = c.Causes
	}
	return rec, lines
}

// line is terms with the people whom they were about.
type line struct {
	terms  proof.Terms
	people []uuid.UUID
}

// linesOf joins the parts again: an entry about two people stands in both
// their parts and is shown once.
func linesOf(o *proof.Opened) []line {
	var lines []line
	add := func(t proof.Terms, person uuid.UUID) {
		at := slices.IndexFunc(lines, func(x line) bool { return sameTerms(&x.terms, &t) })
		if at < 0 {
			at = len(lines)
			fresh := line{terms: t}
			fresh.terms.Entries = nil
			lines = append(lines, fresh)
		}
		x := &lines[at]
		for _, e := range t.Entries {
			if !slices.Contains(x.terms.Entries, e) {
				x.terms.Entries = append(x.terms.Entries, e)
			}
		}
		if person != uuid.Nil && !slices.Contains(x.people, person) {
			x.people = append(x.people, person)
		}
	}
	if o.Common != nil {
		for _, t := range o.Common.Released {
			add(t, uuid.Nil)
		}
	}
	for _, part := range o.Subjects {
		if part == nil {
			continue
		}
		for _, t := range part.Released {
			add(t, part.Person)
		}
	}
	return lines
}

func (l *Log) released(lines []line, s Scope, known map[uuid.UUID]string) []Released {
	var list []Released
	var unnamed []string
	for _, x := range lines {
		t := &x.terms
		if !s.all && t.Level == proof.Existence && t.Owner != s.agency {
			// The answer told of a service and not of which, nor of what it holds
			// (domain.md §3); a look at the log afterwards tells no more.
			if !slices.Contains(unnamed, t.Owner) {
				unnamed = append(unnamed, t.Owner)
				list = append(list, Released{Level: proof.Existence})
			}
			continue
		}
		out := Released{
			Section: t.Section, Owner: t.Owner, Level: t.Level, Part: t.Part, Sensitivity: t.Sensitivity,
			Clauses: t.Clauses, Masked: t.Masked, Labels: t.Labels, Grant: t.Grant, Entries: t.Entries,
		}
		if s.worker == uuid.Nil {
			out.Subjects = l.referencesIn(x.people, known)
			if t.Sensitivity >= 4 && t.Owner != s.agency {
				out.Section, out.Masked, out.Entries = LegallyRestricted, nil, nil // field names and entries would tell it
			}
		}
		list = append(list, out)
	}
	return list
}

func summarise(lines []line) (top proof.Level, count int) {
	seen := make(map[uuid.UUID]bool)
	for _, x := range lines {
		top = max(top, x.terms.Level)
		for _, e := range x.terms.Entries {
			seen[e.Entry] = true
		}
	}
	return top, len(seen)
}

// peopleOf are those of the lines; where the whole event may be seen, all whom
// it concerns.
func peopleOf(o *proof.Opened, lines []line, whole bool) []uuid.UUID {
	var people []uuid.UUID
	if whole {
		for _, part := range o.Subjects {
			if part != nil {
				people = append(people, part.Person)
			}
		}
		return people
	}
	for _, x := range lines {
		for _, id := range x.people {
			if !slices.Contains(people, id) {
				people = append(people, id)
			}
		}
	}
	return people
}
