package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Effect is the part of a submission's report that is computed from what
// happened and from what is there: it comes after the rest, and nobody can
// approve before it is whole. It is counts and references, never a fact about
// a family.
type Effect struct {
	State string      `json:"state"`           // computing, complete, failed
	Stage string      `json:"stage,omitempty"` // past, live: what is being computed
	Done  int64       `json:"done"`
	Total int64       `json:"total"`
	Why   string      `json:"why,omitempty"` // it failed
	Past  *PastEffect `json:"past,omitempty"`
	Live  *LiveEffect `json:"live,omitempty"`
}

// States of an effect.
const (
	EffectComputing = "computing"
	EffectComplete  = "complete"
	EffectFailed    = "failed"
)

// Stages of computing one.
const (
	StagePast = "past"
	StageLive = "live"
)

// Few is the count below which a number is not told: it could tell of somebody.
const Few = 5

// Count is a number of people's doings or records, told from five on.
type Count struct {
	N   int  `json:"n"` // where Few: 4
	Few bool `json:"fewer_than_five,omitempty"`
}

// CountOf tells a number as far as it may be told.
func CountOf(n int) Count {
	if n > 0 && n < Few {
		return Count{N: Few - 1, Few: true}
	}
	return Count{N: n}
}

// String is how people read it.
func (c Count) String() string {
	if c.Few {
		return "fewer than 5"
	}
	return fmt.Sprint(c.N)
}

// PastEffect is how the last accesses would have ended under the draft.
type PastEffect struct {
	Accesses int          `json:"accesses"`        // looked at, the newest first
	Replayed int          `json:"replayed"`        // of them
	Nothing  int          `json:"nothing_decided"` // of them: refused at the door, or found nothing
	Erased   int          `json:"erased"`          // of them: what they rested on is gone, so they cannot be replayed
	Damaged  int          `json:"damaged"`         // of them: what is stored is not what was recorded
	Late     int          `json:"late"`            // of those replayed: the draft did not decide in time, which denies
	Distinct int          `json:"distinct"`        // different questions among them
	From     *time.Time   `json:"from,omitempty"`
	To       *time.Time   `json:"to,omitempty"`
	Agencies []AgencyPast `json:"agencies"`
	Lines    []EffectLine `json:"lines"`
	Took     string       `json:"took"`
}

// AgencyPast is what would have been otherwise for one agency's people.
type AgencyPast struct {
	Agency   string `json:"agency"`
	Accesses Count  `json:"accesses"`
	Opened   Count  `json:"opened"` // accesses that would have shown more
	Closed   Count  `json:"closed"` // accesses that would have shown less
}

// LiveEffect is what would open and close in the records as they stand, to
// those who work with the families now.
type LiveEffect struct {
	Families int          `json:"families"` // that there are
	Looked   int          `json:"looked"`   // at so many; fewer where there are more than may be looked at
	Workers  int          `json:"workers"`  // whose view of them was weighed
	Lines    []EffectLine `json:"lines"`
	Took     string       `json:"took"`
}

// EffectLine is one thing that opens or closes.
type EffectLine struct {
	Gain     bool      `json:"gain"`
	Agency   string    `json:"agency"`            // to whom
	Role     string    `json:"role,omitempty"`    // of the live records
	Section  string    `json:"section,omitempty"` // "": the record as a whole
	Owner    string    `json:"owner,omitempty"`   // of the past
	Before   string    `json:"before"`
	After    string    `json:"after"`
	Accesses *Count    `json:"accesses,omitempty"` // of the past
	Entries  *Count    `json:"entries,omitempty"`  // of the live records
	Families Count     `json:"families"`
	Examples []Example `json:"examples,omitempty"` // none where the families are few
	Words    string    `json:"words"`
}

// Example names an access without its content: the references mean something
// to the auditor alone.
type Example struct {
	Event  uuid.UUID `json:"event"`
	Family string    `json:"family"`
}

// InWords says the line as an officer would.
func (l EffectLine) InWords(before, after *Version) string {
	what := "the record"
	level := l.After
	if !l.Gain {
		level = l.Before
	}
	if l.Section != "" {
		what = levelWords(level) + " of " + sectionName(before, after, l.Section)
		if l.Before == l.After {
			what = "other fields of " + sectionName(before, after, l.Section)
		}
	}
	who := l.Agency
	if l.Role != "" {
		who += " (" + l.Role + ")"
	}
	if l.Owner != "" {
		what += ", contributed by " + l.Owner
	}
	if l.Accesses != nil {
		verb := "would not have seen"
		if l.Gain {
			verb = "would have seen"
		}
		return fmt.Sprintf("%s %s %s: accesses %s, families %s.", who, verb, what, l.Accesses, l.Families)
	}
	verb := "lose"
	if l.Gain {
		verb = "gain"
	}
	return fmt.Sprintf("%s %s %s: entries %s, families %s.", who, verb, what, l.Entries, l.Families)
}

// hold is how long a replica may be silent before another goes on.
const hold = time.Minute

// Work is the effect of one submission, or of one draft, while it is being
// computed.
type Work struct {
	Of            uuid.UUID // the submission, or the draft
	Digest        Digest
	Before, After Bundle
	Stage         string
	Progress      []byte // what Save was given last, by whomever
	office        *Office
	table         workTable
	holder        uuid.UUID
	agency        string
}

// workTable is where effects of one sort are kept, and by what.
type workTable struct{ name, key, event string }

// TakeWork gives a submission whose effect nobody computes at the moment, else
// a draft that an officer asked about, or nil. It is this replica's until it is
// silent for a minute.
func (o *Office) TakeWork(ctx context.Context, holder uuid.UUID) (*Work, error) {
	w, err := o.takeSubmission(ctx, holder)
	if w != nil || err != nil {
		return w, err
	}
	return o.takePreview(ctx, holder)
}

func (o *Office) takeSubmission(ctx context.Context, holder uuid.UUID) (*Work, error) {
	w := Work{office: o, holder: holder, table: workTable{"policy_effect", "submission", "submission"}}
	var digest, with []byte
	err := o.Pool.QueryRow(ctx, `
UPDATE policy_effect f SET holder = $2, held_until = clock_timestamp() + $3
  FROM policy_submission s
 WHERE s.id = f.submission AND f.submission = (
   SELECT g.submission FROM policy_effect g JOIN policy_submission t ON t.id = g.submission JOIN policy_head h ON h.partnership = t.partnership AND h.digest = t.compared_with
    WHERE g.state = 'computing' AND t.state = 'open' AND t.partnership = $1 AND g.held_until < clock_timestamp() ORDER BY t.submitted_at LIMIT 1 FOR UPDATE OF g SKIP LOCKED)
RETURNING f.submission, f.stage, f.progress, s.digest, s.compared_with, s.agency`, o.Partnership, holder, hold).Scan(&w.Of, &w.Stage, &w.Progress, &digest, &with, &w.agency)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take a report to compute: %w", postgres.Redact(err))
	}
	if w.Before, err = o.bundle(ctx, Digest(with)); err != nil {
		return nil, err
	}
	w.Digest = Digest(digest)
	w.After, err = o.bundle(ctx, w.Digest)
	return &w, err
}

// Save keeps how far it is. Error: ErrClosed where it is another's by now.
func (w *Work) Save(ctx context.Context, stage string, done, total int64, progress []byte) error {
	tag, err := w.office.Pool.Exec(ctx, `
UPDATE `+w.table.name+` SET stage = $3, done = $4, total = $5, progress = coalesce($6, progress), held_until = clock_timestamp() + $7
 WHERE `+w.table.key+` = $1 AND holder = $2 AND state = 'computing'`, w.Of, w.holder, stage, done, total, progress, hold)
	if err != nil {
		return fmt.Errorf("save how far the report of %s is: %w", w.Of, postgres.Redact(err))
	}
	if tag.RowsAffected() != 1 {
		return ErrClosed
	}
	return nil
}

// Finish keeps the effect with its submission, where nobody changes it any more,
// and logs that recorded inputs were replayed. Error: ErrClosed.
func (w *Work) Finish(ctx context.Context, e Effect) error {
	result, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode the effect of %s: %w", w.Of, err)
	}
	event := audit.Event{Kind: audit.KindPolicy, Outcome: audit.OutcomeDone, Agency: w.agency, Principal: proof.Principal{System: true, Client: "hub"},
		Details: map[string]string{"action": "report-computed", w.table.event: w.Of.String(), "digest": w.Digest.String(), "state": e.State}}
	if e.Past != nil {
		event.Details["replayed"] = fmt.Sprint(e.Past.Replayed)
	}
	if e.State != EffectComplete {
		event.Outcome = audit.OutcomeFailed
	}
	_, err = w.office.step(ctx, event, func(tx pgx.Tx, _ *audit.Event) error {
		tag, err := tx.Exec(ctx, `UPDATE `+w.table.name+` SET state = $3, done = $4, total = $5, progress = NULL, result = $6
 WHERE `+w.table.key+` = $1 AND holder = $2 AND state = 'computing'`, w.Of, w.holder, e.State, e.Done, e.Total, result)
		if err != nil {
			return fmt.Errorf("finish the report of %s: %w", w.Of, err)
		}
		if tag.RowsAffected() != 1 {
			return ErrClosed
		}
		return nil
	})
	return err
}

// Release gives it up at once, for another replica or a later try.
func (w *Work) Release(ctx context.Context) error {
	_, err := w.office.Pool.Exec(ctx, `UPDATE `+w.table.name+` SET held_until = clock_timestamp() WHERE `+w.table.key+` = $1 AND holder = $2 AND state = 'computing'`, w.Of, w.holder)
	if err != nil {
		return fmt.Errorf("give up the report of %s: %w", w.Of, postgres.Redact(err))
	}
	return nil
}

// effect reads how far the effect of a submission is, or what it is.
func (o *Office) effect(ctx context.Context, submission uuid.UUID) (*Effect, error) {
	var e Effect
	var result []byte
	err := o.Pool.QueryRow(ctx, `SELECT state, stage, done, total, result FROM policy_effect WHERE submission = $1`, submission).Scan(&e.State, &e.Stage, &e.Done, &e.Total, &result)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil // submitted before there was such a thing
	}
	if err != nil {
		return nil, fmt.Errorf("read the effect of submission %s: %w", submission, postgres.Redact(err))
	}
	return e.whole(result)
}

// whole is the effect as it was kept, or how far it is where there is none yet.
func (e *Effect) whole(result []byte) (*Effect, error) {
	if result == nil {
		return e, nil
	}
	var kept Effect
	if err := json.Unmarshal(result, &kept); err != nil {
		return nil, fmt.Errorf("read a kept effect: %w", err)
	}
	return &kept, nil
}

// await begins the effect of a submission in the transaction that makes it, and
// keeps who owned what it opens.
func (o *Office) await(ctx context.Context, tx pgx.Tx, submission uuid.UUID, report *ChangeReport, s Space) error {
	if _, err := tx.Exec(ctx, `INSERT INTO policy_effect (submission, total) VALUES ($1, 0)`, submission); err != nil {
		return fmt.Errorf("submit: begin its effect: %w", err)
	}
	kept := map[string]bool{}
	for _, c := range report.Changes {
		if !c.Gain || kept[c.Section] {
			continue
		}
		kept[c.Section] = true
		if _, err := tx.Exec(ctx, `INSERT INTO policy_opening (submission, section, owners) VALUES ($1, $2, $3)`, submission, c.Section, append([]string{}, s.Entries[c.Section]...)); err != nil {
			return fmt.Errorf("submit: part %s: %w", c.Section, err)
		}
	}
	return nil
}
