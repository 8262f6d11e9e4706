package family

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// ErrKeyReused: the idempotency key was used before, for other content.
var ErrKeyReused = errors.New("idempotency key was used for other content")

// Totals counts the lines of a submission's report.
type Totals struct {
	Taken, Refused, New, Changed, Unchanged int
}

// Took counts a record that was taken.
func (t *Totals) Took(o Outcome) {
	t.Taken++
	switch o {
	case New:
		t.New++
	case Changed:
		t.Changed++
	case Unchanged:
		t.Unchanged++
	}
}

// String is the last line of a report.
func (t Totals) String() string {
	return fmt.Sprintf("taken %d refused %d new %d changed %d unchanged %d", t.Taken, t.Refused, t.New, t.Changed, t.Unchanged)
}

// Submission is one body of records on its way in. It keeps nothing of it but
// counts and a digest, so a file of any size takes the same memory.
type Submission struct {
	ID     uuid.UUID
	Totals Totals

	pool   *pgxpool.Pool
	digest hash.Hash
	before []byte // digest of the content that the key stands for; nil where it was never finished
}

// Begin opens a submission. With a key that the agency used before, a
// submission that was cut off is taken up again (its records are unchanged as
// far as they were taken); one that was finished is Replayed. Errors:
// ErrKeyReused where the key was used for another format, *FieldError.
func Begin(ctx context.Context, pool *pgxpool.Pool, s Sender, format, key string) (*Submission, error) {
	if err := label("Idempotency-Key", key, false); err != nil {
		return nil, err
	}
	random := s.Random
	if random == nil {
		random = rand.Reader
	}
	id, err := uuid.NewRandomFromReader(random)
	if err != nil {
		return nil, fmt.Errorf("begin submission: %w", err)
	}
	sub := &Submission{ID: id, pool: pool, digest: sha256.New()}
	b := &pgx.Batch{}
	b.Queue(`
INSERT INTO submission (id, partnership, agency, principal, format, idempotency_key) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (agency, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING`, id, s.Partnership, s.Agency, s.Principal, format, textOrNull(key))
	if key != "" {
		b.Queue(`
SELECT s.id, s.finished_at IS NOT NULL, s.format, s.digest, s.taken, s.refused, s.created, s.changed, s.unchanged
  FROM submission s WHERE s.agency = $1 AND s.idempotency_key = $2`, s.Agency, key).QueryRow(func(row pgx.Row) error {
			var finished bool
			var used string
			var digest []byte
			var t Totals
			if err := row.Scan(asBytes(&sub.ID), &finished, &used, &digest, &t.Taken, &t.Refused, &t.New, &t.Changed, &t.Unchanged); err != nil {
				return err
			}
			if used != format {
				return ErrKeyReused
			}
			if finished {
				sub.before, sub.Totals = digest, t
			}
			return nil
		})
	}
	if err := pool.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("begin submission: %w", postgres.Redact(err))
	}
	return sub, nil
}

// Replayed tells that a submission with this key was finished before. Then the
// body is to be read through Body to its end and nothing of it contributed;
// Finish compares, and Totals are those of the first time.
func (s *Submission) Replayed() bool { return s.before != nil }

// Body passes the body on and takes its digest.
func (s *Submission) Body(r io.Reader) io.Reader { return io.TeeReader(r, s.digest) }

// Finish writes the counts down once the body was read to its end. A body that
// broke off is not finished: its key can be sent again. Error: ErrKeyReused.
func (s *Submission) Finish(ctx context.Context) error {
	digest := s.digest.Sum(nil)
	if s.Replayed() {
		if !slices.Equal(digest, s.before) {
			return fmt.Errorf("finish submission %s: %w", s.ID, ErrKeyReused)
		}
		return nil
	}
	t := s.Totals
	_, err := s.pool.Exec(ctx, `
UPDATE submission SET digest = $2, finished_at = clock_timestamp(), taken = $3, refused = $4, created = $5, changed = $6, unchanged = $7 WHERE id = $1`,
		s.ID, digest, t.Taken, t.Refused, t.New, t.Changed, t.Unchanged)
	if err != nil {
		return fmt.Errorf("finish submission %s: %w", s.ID, postgres.Redact(err))
	}
	return nil
}
