package family

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Draft is an entry that a worker writes by hand. Its people are the hub's own,
// as the worker was shown them; the record's About and Mentions are not read.
type Draft struct {
	Record   EntryRecord
	About    []Subject
	Mentions []Subject
	Why      string // of a correction
	ByName   string // of the worker: who wrote the shared summary
}

// Subject is a person in the hub's own terms.
type Subject struct {
	Person uuid.UUID
	Child  bool
}

// Superseded says that the version that was to be corrected is not the latest:
// Changed names what is different now, never its content.
type Superseded struct {
	Latest  int
	At      time.Time
	Changed []string
}

func (s *Superseded) Error() string {
	return fmt.Sprintf("the latest version is %d", s.Latest)
}

// ErrNoEntry: the sender owns no such entry, or withdrew it.
var ErrNoEntry = errors.New("no such entry of this agency")

// newIntake prepares the taking of one thing outside a group.
func newIntake(tx pgx.Tx, s Sender, c Catalogue) *intake {
	if s.Random == nil {
		s.Random = rand.Reader
	}
	return &intake{Sender: s, tx: tx, catalogue: c, today: day(s.Now)}
}

// CheckDraft holds a draft against every rule that needs no look at the
// database, and says how it would be kept. Error: *FieldError.
func CheckDraft(s Sender, c Catalogue, d Draft) (DraftFacts, error) {
	e, err := newIntake(nil, s, c).checkDraft(&d)
	if err != nil {
		return DraftFacts{}, err
	}
	return DraftFacts{
		Section: e.Section, Schema: e.schema, Sensitivity: e.sensitivity, Narrative: e.section.Narrative, Tagged: e.Contains != nil,
		From: e.when.From, Until: e.when.Until, Fields: e.fields, Summary: len(e.summary) > 0,
	}, nil
}

// DraftFacts is what a decision would know of a draft, beside what the draft says itself.
type DraftFacts struct {
	Section     string
	Schema      string
	Sensitivity int
	Narrative   bool
	Tagged      bool
	From, Until *time.Time
	Fields      []string
	Summary     bool // there is a shared summary
}

// checkDraft is checkEntry for what a worker writes: ids, author and date of a
// summary are the hub's to give.
func (in *intake) checkDraft(d *Draft) (checkedEntry, error) {
	const field = "entry"
	r := d.Record
	switch {
	case r.LocalID != "":
		return checkedEntry{}, &FieldError{field + ".local_id", "is given by case systems: leave it out"}
	case r.Purge:
		return checkedEntry{}, &FieldError{field + ".purge", "is for case systems: withdraw a version instead"}
	}
	if r.Summary != nil {
		summary, err := in.handSummary(field+".summary", *r.Summary, d.ByName)
		if err != nil {
			return checkedEntry{}, err
		}
		r.Summary = &summary
	}
	r.Author = in.Worker
	if err := reasonText("why", d.Why, false); err != nil {
		return checkedEntry{}, err
	}
	return in.checkEntry(field, &r)
}

// handSummary fills in who wrote a shared summary, and when.
func (in *intake) handSummary(field string, s SharedSummary, by string) (SharedSummary, error) {
	if s.By != "" || s.On != "" {
		return s, &FieldError{field, "is signed and dated by the hub: leave by and on out"}
	}
	s.By, s.On = by, in.today.Format(time.DateOnly)
	return s, nil
}

// people fills the subjects of a draft in: where the agency sent a record of
// the person the entry hangs on that, so that it follows when the link changes.
func (in *intake) people(ctx context.Context, d *Draft, e *checkedEntry) error {
	if len(d.About) == 0 {
		return &FieldError{"entry.about", "names nobody"}
	}
	resolve := func(list []Subject) ([]known, error) {
		var out []known
		for _, s := range list {
			k := known{person: s.Person, about: "adult"}
			if s.Child {
				k.about = "child"
			}
			var err error
			if k.record, err = in.ownRecord(ctx, s.Person); err != nil {
				return nil, err
			}
			out = append(out, k)
		}
		return out, nil
	}
	var err error
	if e.about, err = resolve(d.About); err != nil {
		return err
	}
	if e.mentions, err = resolve(d.Mentions); err != nil {
		return err
	}
	for i, k := range e.about {
		if k.about == "child" {
			continue
		}
		if err := in.checkAdult(ctx, adult{k.person, fmt.Sprintf("entry.about[%d]", i)}); err != nil {
			return err
		}
	}
	return nil
}

// ownRecord is the record of a person that the sender's agency sent; zero where
// it sent none.
func (in *intake) ownRecord(ctx context.Context, person uuid.UUID) (record uuid.UUID, err error) {
	err = in.tx.QueryRow(ctx, `
SELECT r.id FROM person_link l JOIN source_record r ON r.id = l.record
 WHERE l.person = $1 AND l.ended_at IS NULL AND r.agency = $2 ORDER BY r.id LIMIT 1`, person, in.Agency).Scan(asBytes(&record))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, fmt.Errorf("find own record: %w", err)
	}
	return record, nil
}

// WriteEntry makes a new entry of the sender's agency, by hand. The caller has
// decided that the writer works with its people. Error: *FieldError.
func WriteEntry(ctx context.Context, tx pgx.Tx, s Sender, c Catalogue, d Draft) (uuid.UUID, error) {
	in := newIntake(tx, s, c)
	e, err := in.checkDraft(&d)
	if err != nil {
		return uuid.Nil, err
	}
	if err := in.people(ctx, &d, &e); err != nil {
		return uuid.Nil, explain(err)
	}
	id, err := in.newID()
	if err != nil {
		return uuid.Nil, err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO entry (id, partnership, owner) VALUES ($1, $2, $3)`, id, s.Partnership, s.Agency); err != nil {
		return uuid.Nil, fmt.Errorf("make entry: %w", postgres.Redact(err))
	}
	if err := in.insertVersion(ctx, id, 1, &e, nil); err != nil {
		return uuid.Nil, explain(err)
	}
	return id, nil
}

// CorrectEntry makes a new version of an entry of the sender's agency in place
// of the one that is named; the old one stays as it was. Errors: ErrNoEntry,
// *Superseded, *FieldError.
func CorrectEntry(ctx context.Context, tx pgx.Tx, s Sender, c Catalogue, entry uuid.UUID, corrects int, d Draft) (int, error) {
	in := newIntake(tx, s, c)
	e, err := in.checkDraft(&d)
	if err != nil {
		return 0, err
	}
	last, err := in.lockLatest(ctx, entry, corrects)
	if err != nil {
		return 0, err
	}
	if last.section != e.Section {
		return 0, &FieldError{"entry.section", "may not change: withdraw the entry and write a new one"}
	}
	if err := in.people(ctx, &d, &e); err != nil {
		return 0, explain(err)
	}
	e.why = d.Why
	if err := in.insertVersion(ctx, entry, corrects+1, &e, nil); err != nil {
		return 0, explain(err)
	}
	return corrects + 1, nil
}

// WithdrawEntry takes an entry of the sender's agency back: a last version
// without content, about the same people. Errors: as CorrectEntry.
func WithdrawEntry(ctx context.Context, tx pgx.Tx, s Sender, entry uuid.UUID, corrects int, why string) (int, error) {
	if err := reasonText("why", why, true); err != nil {
		return 0, err
	}
	in := newIntake(tx, s, Catalogue{})
	last, err := in.lockLatest(ctx, entry, corrects)
	if err != nil {
		return 0, err
	}
	return corrects + 1, in.withdraw(ctx, last.id, why)
}

// Tags say what a text repeats, and what binds it.
type Tags struct {
	Contains []string `json:"contains"`
	Flags    []string `json:"flags"` // nil leaves them as they are
}

// TagEntry makes a new version with the same content and these tags. Errors:
// as CorrectEntry.
func TagEntry(ctx context.Context, tx pgx.Tx, s Sender, c Catalogue, entry uuid.UUID, corrects int, t Tags) (int, error) {
	in := newIntake(tx, s, c)
	if t.Contains == nil {
		return 0, &FieldError{"contains", "is missing: [] says that the text repeats nothing"}
	}
	for _, code := range t.Contains {
		if _, ok := c.section(code); !ok {
			return 0, &FieldError{"contains", "names what is not a section of the active policy"}
		}
	}
	for _, f := range t.Flags {
		if err := oneOf("flags", f, entryFlags()...); err != nil {
			return 0, err
		}
	}
	last, err := in.lockLatest(ctx, entry, corrects)
	if err != nil {
		return 0, err
	}
	return corrects + 1, in.again(ctx, last.id, change{tags: &t})
}

// SummariseEntry writes the shared summary of a narrative entry, or reviews it:
// a new version with the same text. Errors: as CorrectEntry.
func SummariseEntry(ctx context.Context, tx pgx.Tx, s Sender, c Catalogue, entry uuid.UUID, corrects int, summary SharedSummary, by string) (int, error) {
	in := newIntake(tx, s, c)
	summary, err := in.handSummary("summary", summary, by)
	if err != nil {
		return 0, err
	}
	last, err := in.lockLatest(ctx, entry, corrects)
	if err != nil {
		return 0, err
	}
	section, ok := c.section(last.section)
	if !ok {
		return 0, &FieldError{"entry.section", "is not a section of the active policy"}
	}
	// The rules are those of an entry's own summary; its content stands for what cannot be read here.
	e := checkedEntry{EntryRecord: &EntryRecord{Section: last.section, Content: map[string]any{"text": "held"}, Summary: &summary}, section: section, schema: last.schema}
	if err := e.checkContent("entry"); err != nil {
		return 0, err
	}
	body := summaryOf(section, section.Schema, &EntryRecord{Summary: &summary})
	part, err := in.content(ctx, body)
	if err != nil {
		return 0, err
	}
	return corrects + 1, in.again(ctx, last.id, change{summary: &summary, part: part, review: e.review, on: in.today})
}

// version is the row that a correction starts from.
type version struct {
	id      int64
	section string
	schema  string
}

// lockLatest locks the latest version of the sender's entry, if it is the one
// that the writer has seen. Two writers at once cannot both find it latest.
func (in *intake) lockLatest(ctx context.Context, entry uuid.UUID, corrects int) (version, error) {
	var v version
	var number int
	var withdrawn bool
	err := in.tx.QueryRow(ctx, `
SELECT v.id, v.version, v.section, v.schema, v.withdrawn
  FROM entry_version v JOIN entry e ON e.id = v.entry
 WHERE v.entry = $1 AND v.latest AND e.owner = $2
   FOR UPDATE OF v`, entry, in.Agency).Scan(&v.id, &number, &v.section, &v.schema, &withdrawn)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		// Unknown, or another writer was faster while this one waited.
		return version{}, in.superseded(ctx, entry, corrects)
	case err != nil:
		return version{}, fmt.Errorf("lock entry %s: %w", entry, err)
	case corrects > number || corrects < 1:
		return version{}, &FieldError{"corrects", "is no version of this entry"}
	case corrects < number:
		return version{}, in.superseded(ctx, entry, corrects)
	case withdrawn:
		return version{}, ErrNoEntry
	}
	return v, nil
}

// superseded says what is different since the version that the writer saw.
func (in *intake) superseded(ctx context.Context, entry uuid.UUID, corrects int) error {
	s := &Superseded{Changed: []string{}}
	var different [6]bool
	err := in.tx.QueryRow(ctx, `
SELECT l.version, l.received_at, l.full_part IS DISTINCT FROM c.full_part,
       (l.summary_part, l.summary_review) IS DISTINCT FROM (c.summary_part, c.summary_review),
       (l.tagged, l.contains, l.flags) IS DISTINCT FROM (c.tagged, c.contains, c.flags),
       (l.event_from, l.event_until, l.event_words) IS DISTINCT FROM (c.event_from, c.event_until, c.event_words),
       (SELECT array_agg((s.person, s.relation) ORDER BY s.person, s.relation) FROM entry_subject s WHERE s.version = l.id)
         IS DISTINCT FROM (SELECT array_agg((s.person, s.relation) ORDER BY s.person, s.relation) FROM entry_subject s WHERE s.version = c.id),
       l.withdrawn
  FROM entry_version l JOIN entry e ON e.id = l.entry LEFT JOIN entry_version c ON c.entry = l.entry AND c.version = $3
 WHERE l.entry = $1 AND l.latest AND e.owner = $2`, entry, in.Agency, corrects).Scan(
		&s.Latest, &s.At, &different[0], &different[1], &different[2], &different[3], &different[4], &different[5])
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoEntry
	}
	if err != nil {
		return fmt.Errorf("compare versions of entry %s: %w", entry, err)
	}
	for i, what := range []string{"content", "summary", "tags", "event", "people", "withdrawn"} {
		if different[i] {
			s.Changed = append(s.Changed, what)
		}
	}
	return s
}

// change is what a version changes that keeps the content of the one before.
type change struct {
	tags    *Tags
	summary *SharedSummary
	part    *int64
	on      time.Time
	review  *time.Time
}

// again copies the latest version with one change. Both versions name the same
// content part, which is written once and never altered.
func (in *intake) again(ctx context.Context, last int64, c change) error {
	if _, err := in.tx.Exec(ctx, `UPDATE entry_version SET latest = false WHERE id = $1`, last); err != nil {
		return fmt.Errorf("retire version: %w", err)
	}
	var contains, flags []string
	if c.tags != nil {
		contains, flags = c.tags.Contains, c.tags.Flags
	}
	var by *string
	var on *time.Time
	if c.summary != nil {
		by, on = &c.summary.By, &c.on
	}
	var id int64
	err := in.tx.QueryRow(ctx, `
INSERT INTO entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, handling, existence_ok, sensitivity,
  event_from, event_until, event_words, recorded_on, narrative, tagged, contains, flags, onward_label, language, held, fields,
  full_part, summary_part, summary_by, summary_on, summary_review, event_of, author, author_words, questioned)
SELECT v.entry, v.owner, v.version + 1, true, v.section, v.schema, v.supplied_by, v.source_kind, v.handling, v.existence_ok, v.sensitivity,
  v.event_from, v.event_until, v.event_words, v.recorded_on, v.narrative, v.tagged OR $2::text[] IS NOT NULL, coalesce($2::text[], v.contains), coalesce($3::text[], v.flags),
  v.onward_label, v.language, v.held, v.fields,
  v.full_part, coalesce($4::bigint, v.summary_part), coalesce($5::text, v.summary_by), coalesce($6::date, v.summary_on),
  CASE WHEN $5::text IS NULL THEN v.summary_review ELSE $7::date END, v.event_of, v.author, v.author_words, v.questioned
  FROM entry_version v WHERE v.id = $1
RETURNING id`, last, contains, flags, c.part, by, on, c.review).Scan(&id)
	if err != nil {
		return fmt.Errorf("add version: %w", postgres.Redact(err))
	}
	return in.sameSubjects(ctx, last, id)
}

func (in *intake) sameSubjects(ctx context.Context, from, to int64) error {
	_, err := in.tx.Exec(ctx, `
INSERT INTO entry_subject (version, record, person, relation)
SELECT $2::bigint, s.record, s.person, s.relation FROM entry_subject s WHERE s.version = $1`, from, to)
	if err != nil {
		return fmt.Errorf("add subjects: %w", err)
	}
	return nil
}

// TellPerson takes what one person was told and agreed to, by hand. Error: *FieldError.
func TellPerson(ctx context.Context, tx pgx.Tx, s Sender, c Catalogue, of Subject, t ToldRecord) (uuid.UUID, error) {
	in := newIntake(tx, s, c)
	record, err := in.ownRecord(ctx, of.Person)
	if err != nil {
		return uuid.Nil, explain(err)
	}
	r, err := in.toldAbout(ctx, &t, known{record: record, person: of.Person})
	if err != nil {
		return uuid.Nil, explain(err)
	}
	return r.ID, nil
}

// ReadJSON reads one JSON object from a request strictly: no unknown, repeated
// or differently spelt name, no second value, UTF-8 alone. Error: *FieldError.
func ReadJSON(body []byte, into any) error {
	if !utf8.Valid(body) {
		return &FieldError{"body", "is not UTF-8"}
	}
	body = bytes.TrimSpace(body)
	if len(body) == 0 || body[0] != '{' {
		return &FieldError{"body", "is not a JSON object"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := checkNames(dec, "", 0); err != nil {
		var field *FieldError
		if errors.As(err, &field) {
			return field
		}
		return &FieldError{"body", "is not a JSON object"}
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &FieldError{"body", "holds more than one JSON object"}
	}
	dec = json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return explainJSON(err)
	}
	return nil
}

// ReasonText holds a reason given in words against the house's rules. Error: *FieldError.
func ReasonText(field, text string, required bool) error { return reasonText(field, text, required) }
