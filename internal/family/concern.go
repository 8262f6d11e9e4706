package family

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Concern says that an entry is about the wrong person or says something
// wrong. It is written for the entry's owner.
type Concern struct {
	ID         uuid.UUID
	Entry      uuid.UUID
	Version    int
	Kind       string
	What       string
	Agency     string
	RaisedAt   time.Time
	AnsweredAt *time.Time
	Answer     string
	Upheld     *bool // nil: not answered
}

// ErrNoConcern: there is no such open concern about an entry of this agency.
var ErrNoConcern = errors.New("no such open concern")

// RaiseConcern keeps a concern and marks the entry's latest version as
// questioned. Error: *FieldError.
func RaiseConcern(ctx context.Context, tx pgx.Tx, s Sender, c Concern) (uuid.UUID, error) {
	if err := oneOf("kind", c.Kind, "wrong-person", "wrong-fact"); err != nil {
		return uuid.Nil, err
	}
	if err := reasonText("what", c.What, true); err != nil {
		return uuid.Nil, err
	}
	in := newIntake(tx, s, Catalogue{})
	id, err := in.newID()
	if err != nil {
		return uuid.Nil, err
	}
	b := &pgx.Batch{}
	b.Queue(`INSERT INTO concern (id, entry, version, kind, what, raised_by, agency) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, c.Entry, c.Version, c.Kind, c.What, orNull(s.Worker), s.Agency)
	b.Queue(`UPDATE entry_version SET questioned = true WHERE entry = $1 AND latest AND NOT questioned`, c.Entry)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return uuid.Nil, fmt.Errorf("raise concern: %w", postgres.Redact(err))
	}
	return id, nil
}

// AnswerConcern answers a concern about an entry of the sender's agency. If it
// is upheld, whoever was shown what it is about is told. When it was the last
// open one the entry is no longer questioned, unless it still says what turned
// out to be wrong. Errors: ErrNoConcern, *FieldError.
func AnswerConcern(ctx context.Context, tx pgx.Tx, s Sender, id uuid.UUID, upheld bool, answer string) (entry uuid.UUID, err error) {
	if err := reasonText("answer", answer, true); err != nil {
		return uuid.Nil, err
	}
	var version int
	var kind string
	err = tx.QueryRow(ctx, `
UPDATE concern c SET answered_at = $3, answer = $4, answered_by = $5, upheld = $6
  FROM entry e
 WHERE c.id = $1 AND e.id = c.entry AND e.owner = $2 AND c.answered_at IS NULL
RETURNING c.entry, c.version, c.kind`, id, s.Agency, s.Now, answer, orNull(s.Worker), upheld).Scan(asBytes(&entry), &version, &kind)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, ErrNoConcern
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("answer concern: %w", postgres.Redact(err))
	}
	if upheld {
		if err := newIntake(tx, s, Catalogue{}).upheld(ctx, entry, version, kind); err != nil {
			return uuid.Nil, err
		}
	}
	_, err = tx.Exec(ctx, `
UPDATE entry_version l SET questioned = false
 WHERE l.entry = $1 AND l.latest AND l.questioned
   AND NOT EXISTS (SELECT 1 FROM concern c WHERE c.entry = $1 AND c.answered_at IS NULL)
   AND NOT EXISTS (SELECT 1 FROM concern c JOIN entry_version v ON v.entry = c.entry AND v.version = c.version
                    WHERE c.entry = $1 AND c.upheld AND v.full_part IS NOT DISTINCT FROM l.full_part)`, entry)
	if err != nil {
		return uuid.Nil, fmt.Errorf("settle entry: %w", postgres.Redact(err))
	}
	return entry, nil
}

// Concerns lists what waits for an agency as the owner of entries, oldest
// first, and what the agency itself raised and how it was answered.
func Concerns(ctx context.Context, db *pgxpool.Pool, agency string) (received, raised []Concern, err error) {
	const columns = `SELECT c.id, c.entry, c.version, c.kind, c.what, c.agency, c.raised_at, c.answered_at, coalesce(c.answer, ''), c.upheld FROM concern c`
	rows, _ := db.Query(ctx, columns+` JOIN entry e ON e.id = c.entry WHERE e.owner = $1 AND c.answered_at IS NULL ORDER BY c.raised_at, c.id LIMIT 200`, agency)
	if received, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Concern]); err != nil {
		return nil, nil, fmt.Errorf("list concerns: %w", postgres.Redact(err))
	}
	rows, _ = db.Query(ctx, columns+` WHERE c.agency = $1 ORDER BY c.raised_at DESC, c.id LIMIT 200`, agency)
	if raised, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Concern]); err != nil {
		return nil, nil, fmt.Errorf("list concerns: %w", postgres.Redact(err))
	}
	return received, raised, nil
}
