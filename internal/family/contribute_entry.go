package family

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/policy"
)

// checkedEntry is an entry record whose every field kept its rule.
type checkedEntry struct {
	*EntryRecord
	section     policy.Section
	schema      string
	sensitivity int
	when        When
	recorded    time.Time
	language    string
	fields      []string // that the catalogue does not know
	summary     map[string]any
	summaryOn   *time.Time
	review      *time.Time
	about       []known
	mentions    []known
	why         string // of a correction by hand
}

// entry takes one entry, owned by the sender: a new version where its content
// differs from the last, a withdrawn one where it is purged.
func (in *intake) entry(ctx context.Context, r *EntryRecord) (Result, error) {
	const field = "entry"
	// A worker who writes one by hand has no case system to name it.
	if err := label(field+".local_id", r.LocalID, in.Worker == uuid.Nil || r.Purge); err != nil {
		return Result{}, err
	}
	if r.Purge {
		return in.purge(ctx, r.LocalID)
	}
	e, err := in.checkEntry(field, r)
	if err != nil {
		return Result{}, err
	}
	if err := in.subjects(ctx, field, &e); err != nil {
		return Result{}, err
	}
	canonical, err := json.Marshal(r)
	if err != nil {
		return Result{}, fmt.Errorf("write entry: %w", err)
	}
	digest := sha256.Sum256(canonical)
	id, version, same, err := in.entryHead(ctx, r.LocalID, digest)
	if err != nil {
		return Result{}, err
	}
	if same {
		return Result{Unchanged, id}, nil
	}
	if err := in.insertVersion(ctx, id, version+1, &e, digest[:]); err != nil {
		return Result{}, err
	}
	if version > 0 {
		return Result{Changed, id}, nil
	}
	return Result{New, id}, nil
}

// entryHead finds the entry that the sender knows by that name, or makes it:
// its last version's number (0 for none), and whether that one is the same.
func (in *intake) entryHead(ctx context.Context, local string, digest [32]byte) (id uuid.UUID, version int, same bool, err error) {
	if local != "" {
		err = in.tx.QueryRow(ctx, `
SELECT e.id, v.version, NOT v.withdrawn AND entry_unchanged(e.id, $3)
  FROM entry e JOIN entry_version v ON v.entry = e.id AND v.latest
 WHERE e.owner = $1 AND e.local_id = $2`, in.Agency, local, digest[:]).Scan(asBytes(&id), &version, &same)
		if err == nil {
			return id, version, same, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return uuid.Nil, 0, false, fmt.Errorf("find entry: %w", err)
		}
	}
	if id, err = in.newID(); err != nil {
		return uuid.Nil, 0, false, err
	}
	_, err = in.tx.Exec(ctx, `INSERT INTO entry (id, partnership, owner, local_id) VALUES ($1, $2, $3, $4)`, id, in.Partnership, in.Agency, textOrNull(local))
	if err != nil {
		return uuid.Nil, 0, false, fmt.Errorf("make entry: %w", err)
	}
	return id, 0, false, nil
}

// checkEntry checks everything that needs no look at the database.
func (in *intake) checkEntry(field string, r *EntryRecord) (checkedEntry, error) {
	e := checkedEntry{EntryRecord: r, language: r.Language, schema: r.Schema, sensitivity: r.Sensitivity, recorded: in.today}
	section, ok := in.catalogue.section(r.Section)
	if !ok {
		return e, &FieldError{field + ".section", "is not a section of the active policy"}
	}
	e.section = section
	if e.schema == "" {
		e.schema = section.Schema
	}
	if e.language == "" {
		e.language = "en"
	}
	switch {
	case !schemaForm.MatchString(e.schema):
		return e, &FieldError{field + ".schema", "is not of the form section/1"}
	case !languageForm.MatchString(e.language):
		return e, &FieldError{field + ".language", "is not a language tag"}
	case e.sensitivity == 0:
		e.sensitivity = section.Sensitivity
	case e.sensitivity < section.Sensitivity:
		return e, &FieldError{field + ".sensitivity", "is lower than that of its section"}
	case e.sensitivity > 4:
		return e, &FieldError{field + ".sensitivity", "is higher than 4"}
	}
	if err := oneOf(field+".source", r.Source, "fact", "allegation", "opinion", "self-report", "third-party"); err != nil {
		return e, err
	}
	if r.Handling != "" {
		if err := oneOf(field+".handling", r.Handling, "P", "C"); err != nil {
			return e, err
		}
	}
	if r.Existence && r.Handling != "C" {
		return e, &FieldError{field + ".existence_may_be_shown", "stands only beside handling code C"}
	}
	for _, c := range r.Contains {
		if _, ok := in.catalogue.section(c); !ok {
			return e, &FieldError{field + ".contains", "names what is not a section of the active policy"}
		}
	}
	for _, f := range r.Flags {
		if err := oneOf(field+".flags", f, entryFlags()...); err != nil {
			return e, err
		}
	}
	if err := label(field+".onward_label", r.Onward, false); err != nil {
		return e, err
	}
	if markingInLabel.MatchString(r.Onward) {
		return e, &FieldError{field + ".onward_label", ruleMarking}
	}
	if err := e.checkTimes(field, in.today); err != nil {
		return e, err
	}
	return e, e.checkContent(field)
}

// checkTimes reads when it happened and when it was written down.
func (e *checkedEntry) checkTimes(field string, today time.Time) error {
	when, rule := ParseWhen(e.Event)
	if rule != "" {
		return &FieldError{field + ".event", rule}
	}
	if e.EventUntil != "" {
		end, rule := ParseWhen(e.EventUntil)
		if rule == "" && end.Until == nil {
			rule = "gives no day"
		}
		if rule == "" && when.From != nil && end.Until.Before(*when.From) {
			rule = "lies before its beginning"
		}
		if rule != "" {
			return &FieldError{field + ".event_until", rule}
		}
		when.Until = end.Until
	}
	e.when = when
	recorded, err := dayOf(field+".recorded", e.Recorded)
	if err != nil {
		return err
	}
	if recorded != nil {
		e.recorded = *recorded
	}
	if e.recorded.After(today.AddDate(0, 0, 1)) { // a sender may be a time zone ahead
		return &FieldError{field + ".recorded", "lies in the future"}
	}
	return nil
}

func (e *checkedEntry) checkContent(field string) error {
	if len(e.Content) == 0 {
		return &FieldError{field + ".content", "is missing"}
	}
	names := e.Section == "identity" || e.Section == "former-names" || e.Section == "earlier-identity"
	if err := content(field+".content", e.Content, names); err != nil {
		return err
	}
	if s := e.Summary; s != nil {
		if !e.section.Narrative {
			return &FieldError{field + ".summary", "is written only for narrative: this section's is made of its fields"}
		}
		if err := content(field+".summary", map[string]any{"text": s.Text}, false); err != nil {
			return err
		}
		if s.Text == "" {
			return &FieldError{field + ".summary.text", "is missing"}
		}
		if err := label(field+".summary.by", s.By, true); err != nil {
			return err
		}
		if s.On == "" {
			return &FieldError{field + ".summary.on", "is missing"}
		}
		var err error
		if e.summaryOn, e.review, err = days(field+".summary", s.On, s.Review, "on", "review"); err != nil {
			return err
		}
	}
	e.fields = unknownFields(e.section, e.schema, e.Content)
	e.summary = summaryOf(e.section, e.schema, e.EntryRecord)
	return nil
}

// subjects resolves whom the entry is about and whom it mentions. Adults whom
// it is about must be tied to a child with open work.
func (in *intake) subjects(ctx context.Context, field string, e *checkedEntry) error {
	if len(e.About) == 0 {
		return &FieldError{field + ".about", "names nobody"}
	}
	resolve := func(list string, locals []string) ([]known, error) {
		var people []known
		for i, local := range locals {
			k, err := in.resolve(ctx, fmt.Sprintf("%s.%s[%d]", field, list, i), local)
			if err != nil {
				return nil, err
			}
			if !slices.ContainsFunc(people, func(o known) bool { return o.person == k.person }) {
				people = append(people, k)
			}
		}
		return people, nil
	}
	var err error
	if e.about, err = resolve("about", e.About); err != nil {
		return err
	}
	if e.mentions, err = resolve("mentions", e.Mentions); err != nil {
		return err
	}
	for i, k := range e.about {
		if k.about != "child" {
			in.adults = append(in.adults, adult{k.person, fmt.Sprintf("%s.about[%d]", field, i)})
		}
	}
	return nil
}

// insertVersion writes content, facts and subjects of a new latest version. The
// earlier ones stay as they are: a correction hides nothing that was once read.
// Without a digest it carries that of the version before.
func (in *intake) insertVersion(ctx context.Context, entry uuid.UUID, version int, e *checkedEntry, digest []byte) error {
	full, err := in.content(ctx, e.Content)
	if err != nil {
		return err
	}
	if full != nil {
		if err := keepKeys(ctx, in.tx, *full, e.Section, e.Content); err != nil {
			return err
		}
	}
	summary, err := in.content(ctx, e.summary)
	if err != nil {
		return err
	}
	var summaryBy *string
	if e.Summary != nil {
		summaryBy = &e.Summary.By
	}
	contains := e.Contains
	if contains == nil {
		contains = []string{}
	}
	flags := e.Flags
	if flags == nil {
		flags = []string{}
	}
	if version > 1 {
		if _, err := in.tx.Exec(ctx, `UPDATE entry_version SET latest = false WHERE entry = $1 AND latest`, entry); err != nil {
			return fmt.Errorf("retire version: %w", err)
		}
		if err := in.corrected(ctx, entry, version, "corrected"); err != nil {
			return err
		}
	}
	var id int64
	err = in.tx.QueryRow(ctx, `
INSERT INTO entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, handling, existence_ok, sensitivity,
  event_from, event_until, event_words, recorded_on, narrative, tagged, contains, flags, onward_label, language, fields,
  full_part, summary_part, summary_by, summary_on, summary_review, author, digest, submission, why)
VALUES ($1, $2, $3, true, $4, $5, $2, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)
RETURNING id`,
		entry, in.Agency, version, e.Section, e.schema, e.Source, textOrNull(e.Handling), e.Existence, e.sensitivity,
		e.when.From, e.when.Until, textOrNull(e.when.Words), e.recorded, e.section.Narrative, e.Contains != nil, contains, flags, textOrNull(e.Onward), e.language, e.fields,
		full, summary, summaryBy, e.summaryOn, e.review, orNull(e.Author), digest, orNull(in.Submission), e.why).Scan(&id)
	if err != nil {
		return fmt.Errorf("add version: %w", err)
	}
	b := &pgx.Batch{}
	for _, k := range e.about {
		b.Queue(insertSubject, id, orNull(k.record), k.person, "about")
	}
	for _, k := range e.mentions {
		b.Queue(insertSubject, id, orNull(k.record), k.person, "mentions")
	}
	if err := in.tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("add subjects: %w", err)
	}
	if e.Section == protectedAddress || version > 1 {
		return in.shelter(ctx, entry, e)
	}
	return nil
}

const insertSubject = `INSERT INTO entry_subject (version, record, person, relation) VALUES ($1, $2, $3, $4)`

// content seals a part; nil for an empty one, which is no part.
func (in *intake) content(ctx context.Context, body map[string]any) (*int64, error) {
	if len(body) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("write content: %w", err)
	}
	var part int64
	if err := in.tx.QueryRow(ctx, `SELECT nextval('part_id')`).Scan(&part); err != nil {
		return nil, fmt.Errorf("number content: %w", err)
	}
	if _, err := in.tx.Exec(ctx, `INSERT INTO content (part, body) VALUES ($1, $2)`, part, json.RawMessage(text)); err != nil {
		return nil, fmt.Errorf("add content: %w", err)
	}
	return &part, nil
}

// purge withdraws an entry: a latest version without parts, about the same
// people. What was read before stays in the log and in the older versions,
// which nobody is shown; retention erases their content.
func (in *intake) purge(ctx context.Context, local string) (Result, error) {
	var id uuid.UUID
	var last int64
	var withdrawn bool
	err := in.tx.QueryRow(ctx, `
SELECT e.id, v.id, v.withdrawn FROM entry e JOIN entry_version v ON v.entry = e.id AND v.latest
 WHERE e.owner = $1 AND e.local_id = $2`, in.Agency, local).Scan(asBytes(&id), &last, &withdrawn)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		// Never sent, or refused at the time: it is as absent as it should be.
		return Result{Outcome: Unchanged}, nil
	case err != nil:
		return Result{}, fmt.Errorf("find entry: %w", err)
	case withdrawn:
		return Result{Unchanged, id}, nil
	}
	if err := in.withdraw(ctx, last, ""); err != nil {
		return Result{}, err
	}
	return Result{Changed, id}, nil
}

// withdraw puts a version without parts in place of the latest.
func (in *intake) withdraw(ctx context.Context, last int64, why string) error {
	if _, err := in.tx.Exec(ctx, `UPDATE entry_version SET latest = false WHERE id = $1`, last); err != nil {
		return fmt.Errorf("retire version: %w", err)
	}
	var version int64
	var entry uuid.UUID
	var number int
	err := in.tx.QueryRow(ctx, `
INSERT INTO entry_version (entry, owner, version, latest, section, schema, supplied_by, source_kind, sensitivity, recorded_on, narrative, tagged, withdrawn, submission, why)
SELECT v.entry, v.owner, v.version + 1, true, v.section, v.schema, v.supplied_by, v.source_kind, v.sensitivity, $2, v.narrative, false, true, $3, $4
  FROM entry_version v WHERE v.id = $1
RETURNING id, entry, version`, last, in.today, orNull(in.Submission), why).Scan(&version, asBytes(&entry), &number)
	if err != nil {
		return fmt.Errorf("withdraw entry: %w", err)
	}
	if err := in.corrected(ctx, entry, number, "withdrawn"); err != nil {
		return err
	}
	if err := in.unshelter(ctx, last); err != nil {
		return err
	}
	return in.sameSubjects(ctx, last, version)
}

// entryFlags is the closed list of what binds an entry.
func entryFlags() []string {
	return []string{"do-not-inform", "onward", "court", "legal", "new-name", "places", "encompass"}
}
