package family

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// keptLife bounds how old a kept copy may be. Stamps say at once what changed;
// this is for what no stamp can say, such as a database that was put back to an
// earlier state under a running hub.
const keptLife = 10 * time.Minute

// Kept holds facts in memory, each as one caller asked for them. Facts from
// here are a proposal: whoever acts on them must assert their stamps (family,
// worker, agreements, policy) in the statement that logs the access, and load
// anew where that fails or where the answer would be no, since a no asserts
// nothing. It is safe for concurrent use; nil keeps nothing.
//
// What a stamp does not say is time itself. A copy serves on the day of its
// reading alone, since days are compared in UTC, and only until the first
// moment at which one of its instants begins or ends.
type Kept struct {
	copies *lru.Cache[keptKey, keptFacts]
}

// keptKey is all that Load depends on beside the database and the moment.
type keptKey struct {
	family, worker  uuid.UUID
	agency, purpose string
}

type keptFacts struct {
	facts       Facts
	read, until time.Time
}

// NewKept keeps the facts of that many pairs of family and caller, each some
// tens of kilobytes; 0 gives nil.
func NewKept(most int) (*Kept, error) {
	if most == 0 {
		return nil, nil
	}
	copies, err := lru.New[keptKey, keptFacts](most)
	if err != nil {
		return nil, fmt.Errorf("keep facts of %d families: %w", most, err)
	}
	return &Kept{copies: copies}, nil
}

func keyOf(of uuid.UUID, c Caller) keptKey {
	return keptKey{family: of, worker: c.Worker, agency: c.Agency, purpose: c.Purpose}
}

// Get gives the kept facts of a family for a caller, if there are any that time
// has not passed over. They are shared: who gets them changes nothing in them.
func (k *Kept) Get(of uuid.UUID, c Caller) (Facts, bool) {
	if k == nil {
		return Facts{}, false
	}
	key := keyOf(of, c)
	have, ok := k.copies.Get(key)
	if !ok {
		return Facts{}, false
	}
	if c.Now.Before(have.read) || !c.Now.Before(have.until) {
		k.copies.Remove(key)
		return Facts{}, false
	}
	return have.facts, true
}

// Load is [Load], and keeps what it found. A family that was not found is not
// kept.
func (k *Kept) Load(ctx context.Context, db Batcher, of uuid.UUID, c Caller) (Facts, error) {
	if k == nil {
		return Load(ctx, db, of, c)
	}
	until := c.Now.Add(keptLife)
	if next := day(c.Now).AddDate(0, 0, 1); next.Before(until) {
		until = next
	}
	var turns *time.Time
	facts, err := load(ctx, db, of, c, func(b *pgx.Batch) {
		b.Queue(selectTurn, of, day(c.Now), c.Agency, c.Worker, c.Now.UTC()).QueryRow(func(row pgx.Row) error {
			if err := row.Scan(&turns); err != nil {
				return fmt.Errorf("read the next turn: %w", err)
			}
			return nil
		})
	})
	if err != nil {
		return Facts{}, err
	}
	if !facts.Found {
		k.Forget(of, c)
		return facts, nil
	}
	if turns != nil && turns.Before(until) {
		until = *turns
	}
	k.copies.Add(keyOf(of, c), keptFacts{facts: facts, read: c.Now, until: until})
	return facts, nil
}

// Forget drops what is kept of a family for a caller.
func (k *Kept) Forget(of uuid.UUID, c Caller) {
	if k != nil {
		k.copies.Remove(keyOf(of, c))
	}
}

// load runs the statements of Load, and what more is queued, in one round trip.
func load(ctx context.Context, db Batcher, of uuid.UUID, c Caller, more func(*pgx.Batch)) (Facts, error) {
	l := &loader{facts: Facts{Family: of, Kinds: map[string]string{}}, today: day(c.Now), words: map[string]string{}}
	b := &pgx.Batch{}
	l.queue(b, of, c)
	if more != nil {
		more(b)
	}
	if err := db.SendBatch(ctx, b).Close(); err != nil {
		return Facts{}, fmt.Errorf("load facts of family %s: %w", of, postgres.Redact(err))
	}
	return l.finish(), nil
}
