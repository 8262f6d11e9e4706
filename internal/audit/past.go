package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Past reads what was decided in the past from the recorded inputs, on a pool
// of the role kith_replay. Nobody else may read those; nothing of them may
// leave the process but what a replay makes of them.
type Past struct {
	pool        *pgxpool.Pool
	partnership string
}

// NewPast gives the past of one partnership.
func NewPast(pool *pgxpool.Pool, partnership string) *Past {
	return &Past{pool: pool, partnership: partnership}
}

// Recorded is one event with what its decision rested on. It prints as its id.
type Recorded struct {
	Event    uuid.UUID
	Occurred time.Time
	Kind     Kind
	Agency   string
	Family   uuid.UUID // uuid.Nil: of none, or of several
	Outcome  Outcome
	Header   proof.Header
	sealed   []byte
}

// Format prints the id alone.
func (r Recorded) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "audit.Recorded "+r.Event.String())
}

// PastState says whether an event can be replayed.
type PastState uint8

// The states. The zero value is an event that cannot.
const (
	PastErased PastState = iota // it had an input, which was erased
	PastNone                    // nothing was decided: there never was one
	PastInput                   // it can
)

// State says whether the event can be replayed.
func (r *Recorded) State() PastState {
	switch {
	case r.Header.Input == proof.Digest{}:
		return PastNone
	case len(r.sealed) == 0:
		return PastErased
	}
	return PastInput
}

// Inputs gives the recorded inputs, as they were encoded: one of a read or a
// write, several of a list or a search. Errors: ErrNotFound where there is none
// (any more), proof.ErrInput where what is stored is not what the header names.
func (r *Recorded) Inputs() ([]json.RawMessage, error) {
	if r.State() != PastInput {
		return nil, fmt.Errorf("recorded input of event %s: %w", r.Event, ErrNotFound)
	}
	text, err := proof.OpenInput(r.sealed, r.Header)
	if err != nil {
		return nil, fmt.Errorf("recorded input of event %s: %w", r.Event, err)
	}
	if !bytes.HasPrefix(text, []byte("[")) {
		return []json.RawMessage{text}, nil
	}
	var several []json.RawMessage
	if err := json.Unmarshal(text, &several); err != nil {
		return nil, fmt.Errorf("recorded inputs of event %s: %w", r.Event, proof.ErrInput)
	}
	return several, nil
}

// SameDecision says whether a decision, made again, is the one that was made.
func (r *Recorded) SameDecision(decision []byte) bool {
	return proof.SameDecision(r.sealed, decision, r.Header)
}

// PastMark is a place in the past, between two events; the zero value is its
// newer end.
type PastMark struct {
	Occurred time.Time `json:"occurred"`
	Event    uuid.UUID `json:"event"`
}

const selectPast = `SELECT id, occurred_at, kind, agency, family, outcome, header, input FROM kith.access_event WHERE `

func (r *Recorded) scan(row pgx.Row) error {
	var header []byte
	var family *uuid.UUID
	*r = Recorded{}
	if err := row.Scan(&r.Event, &r.Occurred, &r.Kind, &r.Agency, &family, &r.Outcome, &header, &r.sealed); err != nil {
		return err
	}
	if family != nil {
		r.Family = *family
	}
	var err error
	r.Header, err = proof.DecodeHeader(header)
	return err
}

// One reads one event. Error: ErrNotFound.
func (p *Past) One(ctx context.Context, event uuid.UUID) (Recorded, error) {
	var r Recorded
	err := r.scan(p.pool.QueryRow(ctx, selectPast+`partnership = $1 AND id = $2`, p.partnership, event))
	if errors.Is(err, pgx.ErrNoRows) {
		return Recorded{}, fmt.Errorf("recorded input of event %s: %w", event, ErrNotFound)
	}
	if err != nil {
		return Recorded{}, fmt.Errorf("recorded input of event %s: %w", event, postgres.Redact(err))
	}
	return r, nil
}

// Accesses counts the accesses, up to most.
func (p *Past) Accesses(ctx context.Context, most int) (int, error) {
	var n int
	err := p.pool.QueryRow(ctx, `
SELECT count(*) FROM (SELECT 1 FROM kith.access_event WHERE retention = 'access' AND partnership = $1 LIMIT $2) AS newest`, p.partnership, most).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count accesses: %w", postgres.Redact(err))
	}
	return n, nil
}

// Each gives the accesses before a mark, the newest first and at most so many,
// to do, and the mark behind the last one. It looks at header and input alone,
// so that a million are read in half a minute. An error of do ends the walk.
func (p *Past) Each(ctx context.Context, before PastMark, most int, do func(*Recorded) error) (PastMark, error) {
	if before.Event == uuid.Nil {
		before = PastMark{Occurred: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), Event: uuid.Max} // whatever was logged is older
	}
	// The first bound lets the planner skip months; the second is the place.
	rows, err := p.pool.Query(ctx, selectPast+`retention = 'access' AND partnership = $1 AND occurred_at <= $2 AND (occurred_at, id) < ($2, $3)
 ORDER BY occurred_at DESC, id DESC LIMIT $4`, p.partnership, before.Occurred, before.Event, most)
	if err != nil {
		return before, fmt.Errorf("read recorded inputs: %w", postgres.Redact(err))
	}
	defer rows.Close()
	for rows.Next() {
		var r Recorded
		if err := r.scan(rows); err != nil {
			return before, fmt.Errorf("read recorded input: %w", postgres.Redact(err))
		}
		if err := do(&r); err != nil {
			return before, err
		}
		before = PastMark{Occurred: r.Occurred, Event: r.Event}
	}
	if err := rows.Err(); err != nil {
		return before, fmt.Errorf("read recorded inputs: %w", postgres.Redact(err))
	}
	return before, nil
}
