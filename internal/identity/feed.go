package identity

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// ErrTaken: a sign-in or a case-system id of the record names somebody else.
var ErrTaken = errors.New("the sign-in or case-system id is another worker's")

// Fed says what a feed's record became.
type Fed int

// What becomes of a record. The zero value changed nothing.
const (
	FedUnchanged Fed = iota
	FedNew
	FedChanged
)

// FeedWorker takes one worker of an agency from the agency's own feed, in the
// caller's transaction; said is the digest of the record as sent. The caller
// has checked roles and dates. What the hub decided since (a suspension) stays.
// Error: ErrTaken, after which the transaction must go back to its savepoint.
func FeedWorker(ctx context.Context, tx pgx.Tx, partnership string, w WorkerRecord, said []byte, now time.Time) (Fed, error) {
	if w.Roles = tidy(w.Roles); w.Roles == nil {
		w.Roles = []string{}
	}
	var before []byte
	err := tx.QueryRow(ctx, `SELECT coalesce(file_digest, ''), suspended FROM worker WHERE id = $1 AND partnership = $2 AND agency = $3`,
		w.ID, partnership, w.Agency).Scan(&before, &w.Suspended)
	became := FedChanged
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		became = FedNew
	case err != nil:
		return FedUnchanged, fmt.Errorf("find worker %s: %w", w.ID, postgres.Redact(err))
	case slices.Equal(before, said):
		return FedUnchanged, nil
	}
	var taken bool
	err = tx.QueryRow(ctx, `
		SELECT EXISTS (SELECT FROM worker w WHERE w.issuer = nullif($1, '') AND w.subject = nullif($2, '') AND w.id <> $3)
		    OR EXISTS (SELECT FROM worker w WHERE w.id = $3 AND (w.partnership, w.agency) <> ($4, $5))`,
		w.Issuer, w.Subject, w.ID, partnership, w.Agency).Scan(&taken)
	if err != nil {
		return FedUnchanged, fmt.Errorf("look for sign-in: %w", postgres.Redact(err))
	}
	for _, c := range w.CaseIDs {
		var other bool
		err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM worker_case_id c WHERE c.agency = $1 AND c.scheme = $2 AND c.value = $3 AND c.worker <> $4)`,
			c.Agency, c.Scheme, c.Value, w.ID).Scan(&other)
		if err != nil {
			return FedUnchanged, fmt.Errorf("look for case-system id: %w", postgres.Redact(err))
		}
		taken = taken || other
	}
	if taken {
		return FedUnchanged, ErrTaken
	}
	if err := loadWorker(ctx, tx, partnership, w, said, now); err != nil {
		return FedUnchanged, fmt.Errorf("take worker %s: %w", w.ID, postgres.Redact(err))
	}
	return became, nil
}
