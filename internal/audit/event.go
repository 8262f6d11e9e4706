package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// ErrEvent means that an event contradicts itself and cannot be logged.
var ErrEvent = errors.New("event cannot be logged")

// maxText bounds each text of an event; the faces refuse a reason of more than
// 2 000 characters long before.
const maxText = 16 << 10

// Event is one access or change, before it is sealed. Id and time are given by
// the Signer. It holds personal data and prints as nothing.
type Event struct {
	Kind    Kind
	Outcome Outcome

	Agency    string // for which the caller spoke
	ActingFor string
	Principal proof.Principal

	Purpose string
	Reason  string
	Family  uuid.UUID // as asked for, whether there is such a family or not
	// Children whom the request was for. Of a refused request these are the
	// ones that the caller named: what was found out must leave no trace.
	Children  []uuid.UUID
	Declared  bool
	Emergency bool
	Request   string // request id

	Refusal string            // code of a refusal, which the caller was told too
	Causes  []string          // codes behind it: for the auditor alone
	Search  map[string]string // search terms by field; keys are lower-case ASCII
	Details map[string]string // specific to the kind; likewise

	// Released is what this event opens; only OutcomeReleased may have any.
	Released []Release
	// Subjects are people whom the event concerns without releasing anything
	// about them: each has a payload part too.
	Subjects []uuid.UUID

	Policy   proof.Digest // of the version that decided
	Input    []byte       // recorded decision input, for the replayer alone
	Decision []byte       // only its digest is kept
}

// Release is one part of one version of an entry, or an agency's involvement
// (no entry), released.
type Release struct {
	Content  int64          // number of the content part that the event opens; 0 = none
	Entry    proof.EntryRef // zero where only an involvement was told
	Subjects []uuid.UUID    // whom it is about
	Terms    proof.Terms    // Entries is left empty
}

// Format prints nothing of the event, whatever the verb.
func (Event) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "audit.Event") }

// LogValue keeps the event out of log lines.
func (Event) LogValue() slog.Value { return slog.StringValue("audit.Event") }

// check refuses what would make a row that says two things.
func (e *Event) check() error {
	if e.Kind.class() == "" {
		return fmt.Errorf("%w: kind %q is not known", ErrEvent, e.Kind)
	}
	if !e.Outcome.known() {
		return fmt.Errorf("%w: outcome %q is not known", ErrEvent, e.Outcome)
	}
	if len(e.Released) > 0 && (e.Outcome != OutcomeReleased || e.Kind.class() != "access") {
		return fmt.Errorf("%w: %s with outcome %s releases something", ErrEvent, e.Kind, e.Outcome)
	}
	for _, r := range e.Released {
		switch {
		case len(r.Terms.Entries) > 0:
			return fmt.Errorf("%w: a release names its entry itself", ErrEvent)
		case r.Terms.Level == proof.Hidden:
			return fmt.Errorf("%w: what is hidden is not released", ErrEvent)
		case r.Content < 0 || r.Content > 0 && (r.Entry == proof.EntryRef{} || r.Terms.Level < proof.Summary):
			return fmt.Errorf("%w: content is opened without an entry or below summary", ErrEvent)
		case (r.Entry.Entry == uuid.Nil) != (r.Entry.Version == 0):
			return fmt.Errorf("%w: an entry is released without its version", ErrEvent)
		case slices.Contains(r.Subjects, uuid.Nil):
			return fmt.Errorf("%w: a subject has no id", ErrEvent)
		}
	}
	if slices.Contains(e.Subjects, uuid.Nil) {
		return fmt.Errorf("%w: a subject has no id", ErrEvent)
	}
	for _, s := range []string{e.Agency, e.ActingFor, e.Purpose, e.Reason, e.Request, e.Refusal, e.Principal.Label()} {
		if len(s) > maxText || strings.ContainsRune(s, 0) || !utf8.ValidString(s) {
			return fmt.Errorf("%w: a text is too long or is not text", ErrEvent)
		}
	}
	return nil
}

// split gives the terms of each subject, in the order of their ids, and the
// terms of what is about nobody.
func (e *Event) split() (nobody []proof.Terms, subjects []proof.Subject) {
	people := slices.Clone(e.Subjects)
	for i := range e.Released {
		people = append(people, e.Released[i].Subjects...)
	}
	slices.SortFunc(people, compareIDs)
	people = slices.Compact(people)

	subjects = make([]proof.Subject, len(people))
	for i, id := range people {
		subjects[i].Person = id
	}
	for i := range e.Released {
		r := &e.Released[i]
		if len(r.Subjects) == 0 {
			nobody = addTerms(nobody, r)
			continue
		}
		for j, id := range r.Subjects {
			if slices.Contains(r.Subjects[:j], id) {
				continue
			}
			at, _ := slices.BinarySearchFunc(people, id, compareIDs)
			subjects[at].Released = addTerms(subjects[at].Released, r)
		}
	}
	return nobody, subjects
}

// addTerms adds a release to the terms that it shares. A list is short: it has
// one item for each section, level and clause.
func addTerms(list []proof.Terms, r *Release) []proof.Terms {
	at := slices.IndexFunc(list, func(t proof.Terms) bool { return sameTerms(&t, &r.Terms) })
	if at < 0 {
		at = len(list)
		list = append(list, r.Terms)
	}
	if r.Entry != (proof.EntryRef{}) && !slices.Contains(list[at].Entries, r.Entry) {
		list[at].Entries = append(list[at].Entries, r.Entry)
	}
	return list
}

// sameTerms compares all but the entries.
func sameTerms(a, b *proof.Terms) bool {
	return a.Section == b.Section && a.Owner == b.Owner && a.Level == b.Level && a.Part == b.Part && a.Sensitivity == b.Sensitivity &&
		a.Grant == b.Grant && slices.Equal(a.Clauses, b.Clauses) && slices.Equal(a.Masked, b.Masked) && slices.Equal(a.Labels, b.Labels)
}

func compareIDs(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
