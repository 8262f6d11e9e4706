package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Answered is a recorded event with what it says of its answer: what deciding
// it again is held against. It prints as its id.
type Answered struct {
	Recorded
	// Damaged: header and payload contradict one another, or do not decode.
	Damaged bool
	Refusal string // code that the caller was told; "" also where the common part was erased
	// Terms are what the event says that it released, as far as it still says so.
	Terms []proof.Terms
}

type answeredRow struct {
	ID           uuid.UUID
	OccurredAt   time.Time
	Kind         string
	Agency       string
	Family       *uuid.UUID
	Outcome      string
	Header       []byte
	Commitments  []byte
	Receipt      []byte
	Common       []byte
	CommonSalt   []byte
	SubjectSalts [][]byte
	SubjectParts [][]byte
	Input        []byte
}

const selectAnswered = `
SELECT id, occurred_at, kind, agency, family, outcome, header, commitments, receipt, common, common_salt, subject_salts, subject_parts, input
  FROM kith.access_event WHERE partnership = $1 AND `

// Answer reads one event. Error: ErrNotFound.
func (p *Past) Answer(ctx context.Context, event uuid.UUID) (Answered, error) {
	rows, _ := p.pool.Query(ctx, selectAnswered+`id = $2`, p.partnership, event)
	row, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[answeredRow])
	if errors.Is(err, pgx.ErrNoRows) {
		return Answered{}, fmt.Errorf("recorded answer of event %s: %w", event, ErrNotFound)
	}
	if err != nil {
		return Answered{}, fmt.Errorf("recorded answer of event %s: %w", event, postgres.Redact(err))
	}
	return row.answered(), nil
}

// Count is how many events have occurred in [from, until).
func (p *Past) Count(ctx context.Context, from, until time.Time) (n int64, err error) {
	err = p.pool.QueryRow(ctx, `SELECT count(*) FROM kith.access_event WHERE partnership = $1 AND occurred_at >= $2 AND occurred_at < $3`,
		p.partnership, from, until).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count events: %w", postgres.Redact(err))
	}
	return n, nil
}

// walkSome is how many events Walk gives at a time.
const walkSome = 200

// Walk gives the events of every kind that have occurred in [from, until),
// oldest first and some at a time, so that memory stays flat whatever the
// range. An error of each ends it.
func (p *Past) Walk(ctx context.Context, from, until time.Time, each func([]Answered) error) error {
	after := position{occurred: from.Add(-time.Microsecond)}
	for {
		rows, _ := p.pool.Query(ctx, selectAnswered+`occurred_at >= $2 AND occurred_at < $3 AND (occurred_at, id) > ($4, $5) ORDER BY occurred_at, id LIMIT $6`,
			p.partnership, from, until, after.occurred, after.id, walkSome)
		list, err := pgx.CollectRows(rows, pgx.RowToStructByName[answeredRow])
		if err != nil {
			return fmt.Errorf("walk recorded answers: %w", postgres.Redact(err))
		}
		if len(list) == 0 {
			return nil
		}
		events := make([]Answered, len(list))
		for i := range list {
			events[i] = list[i].answered()
		}
		last := &list[len(list)-1]
		from = last.OccurredAt // what is older is behind: the planner may leave its months out
		after = position{last.OccurredAt, last.ID}
		if err := each(events); err != nil {
			return err
		}
	}
}

// answered checks the row against its own commitments: what does not belong
// together is not taken for what was decided.
func (row *answeredRow) answered() Answered {
	a := Answered{Recorded: Recorded{Event: row.ID, Occurred: row.OccurredAt, Kind: Kind(row.Kind), Agency: row.Agency, Outcome: Outcome(row.Outcome), sealed: row.Input}}
	if row.Family != nil {
		a.Family = *row.Family
	}
	entry := proof.Entry{Header: row.Header, Commitments: row.Commitments, Signature: row.Receipt, Common: row.Common, CommonSalt: row.CommonSalt,
		SubjectParts: row.SubjectParts, SubjectSalts: row.SubjectSalts}
	opened, err := entry.Open()
	if err != nil || opened.Header.ID != row.ID {
		a.Damaged = true
		return a
	}
	a.Header = opened.Header
	a.Kind, a.Outcome, a.Agency = Kind(a.Header.Kind), Outcome(a.Header.Outcome), a.Header.Agency // the columns are copies
	if opened.Common != nil {
		a.Refusal = opened.Common.Refusal
	}
	for _, x := range linesOf(&opened) {
		a.Terms = append(a.Terms, x.terms)
	}
	return a
}
