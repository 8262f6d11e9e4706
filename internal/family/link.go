package family

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Errors of Link and Unlink.
var (
	// ErrNoRecord: there is no such source record.
	ErrNoRecord = errors.New("no such source record")
	// ErrNoReason: who a record is may not change without a reason.
	ErrNoReason = errors.New("a link needs a reason")
)

// Link says that a source record is that person, and takes the link that held
// before back. Entries, episodes, involvements and told-and-agreed that came
// with the record go along. Restrictions, exclusions and protected addresses of
// the person left behind are set on the new one too: a wrong link may close a
// record, it must not open one. Who was shown what came with the record as that
// person's is told of it. by is the worker, or zero for a match by rule.
// Errors: ErrNoRecord, ErrNoReason.
func Link(ctx context.Context, tx pgx.Tx, record, person, by uuid.UUID, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return ErrNoReason
	}
	var link, before uuid.UUID
	var since time.Time
	var partnership string
	err := tx.QueryRow(ctx, `
SELECT l.id, l.person, l.linked_at, r.partnership FROM person_link l JOIN source_record r ON r.id = l.record
 WHERE l.record = $1 AND l.ended_at IS NULL FOR UPDATE OF l`, record).Scan(asBytes(&link), asBytes(&before), &since, &partnership)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrNoRecord
	}
	if err != nil {
		return fmt.Errorf("find link of record %s: %w", record, postgres.Redact(err))
	}
	if before == person {
		return nil
	}
	if err := newIntake(tx, Sender{Partnership: partnership, Worker: by}, Catalogue{}).separated(ctx, record, before, since); err != nil {
		return err
	}
	id, err := uuid.NewRandomFromReader(rand.Reader)
	if err != nil {
		return fmt.Errorf("make an id: %w", err)
	}
	b := &pgx.Batch{}
	b.Queue(`UPDATE person_link SET ended_at = clock_timestamp(), ended_by = $2, ended_why = $3 WHERE id = $1`, link, orNull(by), reason)
	b.Queue(`
INSERT INTO restriction (id, person, kind, workers, agencies, reason, set_by, valid_from, review_on, valid_until)
SELECT gen_random_uuid(), $2, r.kind, r.workers, r.agencies, r.reason, r.set_by, r.valid_from, r.review_on, r.valid_until
  FROM restriction r WHERE r.person = $1 AND (r.valid_until IS NULL OR r.valid_until > now())
   AND NOT EXISTS (SELECT 1 FROM restriction o WHERE o.person = $2 AND (o.kind, o.workers, o.agencies, o.valid_from) = (r.kind, r.workers, r.agencies, r.valid_from))`, before, person)
	b.Queue(`
INSERT INTO protection (id, person, since, valid_until, set_by, reason, entry)
SELECT gen_random_uuid(), $2, x.since, x.valid_until, x.set_by, x.reason, x.entry
  FROM protection x WHERE x.person = $1 AND (x.valid_until IS NULL OR x.valid_until >= current_date)
   AND NOT EXISTS (SELECT 1 FROM protection o WHERE o.person = $2 AND (o.since, o.set_by) = (x.since, x.set_by))`, before, person)
	b.Queue(`INSERT INTO person_link (id, record, person, linked_by, reason) VALUES ($1, $2, $3, $4, $5)`, id, record, person, orNull(by), reason)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("link record %s: %w", record, postgres.Redact(err))
	}
	return nil
}

// Unlink takes the present link back: the record is again the person that it
// was before or, if it never was another, a person of its own. It returns that
// person. Errors: ErrNoRecord, ErrNoReason.
func Unlink(ctx context.Context, tx pgx.Tx, record, by uuid.UUID, reason string) (uuid.UUID, error) {
	if strings.TrimSpace(reason) == "" {
		return uuid.Nil, ErrNoReason
	}
	var person *uuid.UUID
	var partnership string
	err := tx.QueryRow(ctx, `
SELECT r.partnership,
       (SELECT b.person FROM person_link b JOIN person_link c ON c.record = b.record AND c.ended_at IS NULL
         WHERE b.record = r.id AND b.ended_at IS NOT NULL AND b.person <> c.person
         ORDER BY b.ended_at DESC, b.linked_at DESC LIMIT 1)
  FROM source_record r WHERE r.id = $1`, record).Scan(&partnership, &person)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, ErrNoRecord
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("find earlier link of record %s: %w", record, postgres.Redact(err))
	}
	if person == nil {
		id, err := uuid.NewRandomFromReader(rand.Reader)
		if err != nil {
			return uuid.Nil, fmt.Errorf("make an id: %w", err)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO person (id, partnership) VALUES ($1, $2)`, id, partnership); err != nil {
			return uuid.Nil, fmt.Errorf("make person: %w", postgres.Redact(err))
		}
		person = &id
	}
	if err := Link(ctx, tx, record, *person, by, reason); err != nil {
		return uuid.Nil, err
	}
	return *person, nil
}

// SentRecord is a person as one agency sent them, under the person who they are
// taken for. LocalID is that agency's own.
type SentRecord struct {
	ID      uuid.UUID `json:"id"`
	Agency  string    `json:"agency"`
	LocalID string    `json:"local_id,omitempty"`
	Since   time.Time `json:"since"`
	ByHand  bool      `json:"by_hand"`
}

// SentRecords lists the records that are taken for one person.
func SentRecords(ctx context.Context, db *pgxpool.Pool, partnership string, person uuid.UUID) ([]SentRecord, error) {
	rows, _ := db.Query(ctx, `
SELECT r.id, r.agency, r.local_id, l.linked_at, l.linked_by IS NOT NULL
  FROM person_link l JOIN source_record r ON r.id = l.record
 WHERE l.person = $1 AND l.ended_at IS NULL AND r.partnership = $2 ORDER BY r.agency, r.id LIMIT 200`, person, partnership)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[SentRecord])
	if err != nil {
		return nil, fmt.Errorf("list records of person %s: %w", person, postgres.Redact(err))
	}
	return list, nil
}

// Separate takes the present link of a record back, as Unlink does, for a
// sender: any record of the partnership, or where own is set those that the
// sender's agency sent. It returns whom the record was taken for and who it is
// now. Errors: ErrUnknown, *FieldError.
func Separate(ctx context.Context, tx pgx.Tx, s Sender, record uuid.UUID, own bool, reason string) (from, to uuid.UUID, err error) {
	if err := reasonText("reason", reason, true); err != nil {
		return uuid.Nil, uuid.Nil, err
	}
	err = tx.QueryRow(ctx, `
SELECT l.person FROM person_link l JOIN source_record r ON r.id = l.record
 WHERE r.id = $1 AND l.ended_at IS NULL AND r.partnership = $2 AND (NOT $3 OR r.agency = $4)`, record, s.Partnership, own, s.Agency).Scan(asBytes(&from))
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, uuid.Nil, ErrUnknown
	}
	if err != nil {
		return uuid.Nil, uuid.Nil, fmt.Errorf("find record: %w", postgres.Redact(err))
	}
	to, err = Unlink(ctx, tx, record, s.Worker, reason)
	return from, to, err
}
