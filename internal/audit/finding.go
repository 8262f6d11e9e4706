package audit

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// FindingKind says why an access is looked at.
type FindingKind string

// The kinds of findings. A new one needs its words (finding_words.go) and a
// place in the schema's list.
const (
	FindingSample         FindingKind = "sample"
	FindingSameSurname    FindingKind = "same-surname"
	FindingOwnRecord      FindingKind = "own-record"
	FindingOwnFamily      FindingKind = "own-family"
	FindingOwnAddress     FindingKind = "own-address"
	FindingColleague      FindingKind = "colleague"
	FindingNoInvolvement  FindingKind = "no-involvement"
	FindingOutOfHours     FindingKind = "out-of-hours"
	FindingVolume         FindingKind = "volume"
	FindingDenials        FindingKind = "denials"
	FindingRestricted     FindingKind = "restricted"
	FindingDeclared       FindingKind = "declared"
	FindingNewInvolvement FindingKind = "new-involvement"
	FindingEmergency      FindingKind = "emergency"
	FindingProtected      FindingKind = "protected-address"
)

// Urgency orders the queue; the smaller number is looked at first.
type Urgency int

// The urgencies.
const (
	Urgent  Urgency = 1
	Soon    Urgency = 2
	Routine Urgency = 3
)

// urgency of a kind: what is done once cannot be undone comes first.
func (k FindingKind) urgency() Urgency {
	switch k {
	case FindingOwnRecord, FindingOwnFamily, FindingEmergency, FindingProtected:
		return Urgent
	case FindingSample, FindingOutOfHours, FindingNewInvolvement:
		return Routine
	}
	return Soon
}

// Excuse is a code of what speaks for innocence.
type Excuse string

// The excuses. "Allocated since" is not among them: it is looked up when the
// finding is read, since it may come about later.
const (
	ExcuseCover      Excuse = "cover"       // the worker covers for a team at that time
	ExcuseDuty       Excuse = "duty"        // the role is on duty for everybody
	ExcuseListed     Excuse = "listed"      // the restriction lets this worker in by name
	ExcuseCommonName Excuse = "common-name" // many bear it
	ExcuseAgency     Excuse = "agency-work" // others of the agency work with the family
	ExcuseWork       Excuse = "work"        // the worker works with the family
	ExcuseManager    Excuse = "manager"     // a manager or the case system made the involvement
	ExcuseRefused    Excuse = "refused"     // nothing was shown
)

// Finding is one reason to look at accesses. It holds personal data and prints
// as its kind.
type Finding struct {
	Kind     FindingKind
	Event    uuid.UUID
	Occurred time.Time
	Worker   uuid.UUID
	Agency   string
	Family   uuid.UUID
	People   []uuid.UUID // whom it is about
	// About joins events to one finding while it is not closed.
	About   string
	Numbers map[string]int
	Excuses []Excuse
	// Readers are the agencies whose privacy officers may know of it. Empty:
	// the auditor alone, since it tells what the agency was not shown.
	Readers []string
	Due     time.Duration // from when it is raised
}

// Format prints the kind alone.
func (f Finding) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "audit.Finding "+string(f.Kind))
}

// LogValue keeps the finding out of log lines.
func (f Finding) LogValue() slog.Value { return slog.StringValue(string(f.Kind)) }

// Access is one event as the watch looks at it: with the people by their ids,
// which no reader of the log is shown. It prints as its id.
type Access struct {
	Event     uuid.UUID
	Kind      Kind
	Outcome   Outcome
	Occurred  time.Time
	Agency    string
	Worker    uuid.UUID
	Roles     []string
	Purpose   string
	Family    uuid.UUID
	Declared  bool
	Emergency bool
	People    []uuid.UUID // whom the event concerns

	lines []line
}

// Format prints the id alone.
func (a Access) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "audit.Access "+a.Event.String())
}

// LogValue keeps the access out of log lines.
func (a Access) LogValue() slog.Value { return slog.StringValue(a.Event.String()) }

// accessOf opens a stored row; of a damaged or erased one what is left.
func accessOf(row *storedRow) Access {
	a := Access{
		Event: row.ID, Kind: Kind(row.Kind), Outcome: Outcome(row.Outcome), Occurred: row.OccurredAt, Agency: row.Agency, Purpose: row.Purpose,
		Declared: row.Declared, Emergency: row.Emergency,
	}
	if row.Worker != nil {
		a.Worker = *row.Worker
	}
	if row.Family != nil {
		a.Family = *row.Family
	}
	entry := row.entry()
	opened, err := entry.Open()
	if err != nil || opened.Header.ID != row.ID {
		return a
	}
	a.lines = linesOf(&opened)
	if opened.Common != nil {
		a.Roles = opened.Common.Principal.Roles
	}
	a.People = peopleOf(&opened, nil, true)
	return a
}

// Released tells whether the access showed anything.
func (a *Access) Released() bool { return a.Outcome == OutcomeReleased }

// Readers are the agencies that may know what the event itself says: the
// caller's, and those of whose data something was released.
func (a *Access) Readers() []string {
	return a.readers(func(line) bool { return true })
}

// KnowersOf are the agencies that may know something of a section about these
// people: the caller's where it was shown that, and those that had told it. A
// finding that rests on a name or an address must not tell it to others.
func (a *Access) KnowersOf(section string, people []uuid.UUID) []string {
	about := func(x line) bool {
		return x.terms.Section == section && x.terms.Level >= proof.Summary &&
			slices.ContainsFunc(x.people, func(id uuid.UUID) bool { return slices.Contains(people, id) })
	}
	if !slices.ContainsFunc(a.lines, about) {
		return nil
	}
	return a.readers(about)
}

func (a *Access) readers(of func(line) bool) []string {
	list := []string{a.Agency}
	for _, x := range a.lines {
		if of(x) {
			list = append(list, x.terms.Owner)
		}
	}
	slices.Sort(list)
	list = slices.Compact(list)
	return slices.DeleteFunc(list, func(s string) bool { return s == "" })
}
