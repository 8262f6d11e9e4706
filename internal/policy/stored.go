package policy

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Querier reads rows: a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Errors of stored versions.
var (
	// ErrNoActive: the partnership has no active policy version.
	ErrNoActive = errors.New("no active policy version; publish one with `kith migrate --policy DIR`")
	// ErrDamaged: what is stored under a digest does not have that digest.
	ErrDamaged = errors.New("stored policy version does not match its digest")
	// ErrBroken: what is stored can be read, and nothing can be decided by it.
	ErrBroken = errors.New("stored policy version is broken")
)

// Head reads the digest of the partnership's active version. Errors: ErrNoActive.
func Head(ctx context.Context, db Querier, partnership string) (Digest, error) {
	var digest []byte
	err := db.QueryRow(ctx, `SELECT digest FROM kith.policy_head WHERE partnership = $1`, partnership).Scan(&digest)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Digest{}, ErrNoActive
	case err != nil:
		return Digest{}, fmt.Errorf("read policy head: %w", postgres.Redact(err))
	case len(digest) != len(Digest{}):
		return Digest{}, ErrDamaged
	}
	return Digest(digest), nil
}

// Publish stores a version and makes it the active one, in the transaction
// given. It compiles it first: what does not compile is not stored. It is for
// whoever sets up a hub; a running hub changes its policy with the consent of
// the agencies whose information a change opens.
func Publish(ctx context.Context, tx pgx.Tx, partnership string, b Bundle) (Digest, error) {
	active, err := Activate(b, Options{})
	if err != nil {
		return Digest{}, fmt.Errorf("publish policy version: %w", err)
	}
	encoded, err := b.Encode()
	if err != nil {
		return Digest{}, err
	}
	digest := active.Digest()
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{`UPDATE kith.policy_version SET state = 'retired' WHERE partnership = $1 AND state = 'active' AND digest <> $2`, []any{partnership, digest[:]}},
		{`INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES ($1, $2, $3, $4, 'active')
		  ON CONFLICT (digest) DO UPDATE SET state = 'active'`, []any{digest[:], partnership, active.Version().Name, encoded}},
		{`INSERT INTO kith.policy_head (partnership, digest) VALUES ($1, $2)
		  ON CONFLICT (partnership) DO UPDATE SET digest = excluded.digest, stamp = policy_head.stamp + 1, activated_at = clock_timestamp()
		   WHERE policy_head.digest <> excluded.digest`, []any{partnership, digest[:]}},
	} {
		if _, err := tx.Exec(ctx, step.sql, step.args...); err != nil {
			return Digest{}, fmt.Errorf("publish policy version: %w", postgres.Redact(err))
		}
	}
	return digest, nil
}

// Versions gives compiled versions by digest, from the database, and keeps the
// last few. A read that finds a new active digest beside its facts gets the new
// version in that very request; no replica decides by an old one.
type Versions struct {
	db   Querier
	opts Options
	most int

	compiling sync.Mutex // compiling once is better than compiling side by side
	mu        sync.RWMutex
	kept      map[Digest]*Active
	order     []Digest // least recently compiled first
}

// NewVersions keeps up to most compiled versions.
func NewVersions(db Querier, opts Options, most int) *Versions {
	return &Versions{db: db, opts: opts, most: max(most, 1), kept: map[Digest]*Active{}}
}

// At gives the version of a digest. A zero digest is ErrNoActive.
func (v *Versions) At(ctx context.Context, digest Digest) (*Active, error) {
	if digest.IsZero() {
		return nil, ErrNoActive
	}
	if active := v.find(digest); active != nil {
		return active, nil
	}
	v.compiling.Lock()
	defer v.compiling.Unlock()
	if active := v.find(digest); active != nil {
		return active, nil
	}
	active, err := v.load(ctx, digest)
	if err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.order) == v.most {
		delete(v.kept, v.order[0])
		v.order = v.order[1:]
	}
	v.kept[digest] = active
	v.order = append(v.order, digest)
	return active, nil
}

func (v *Versions) find(digest Digest) *Active {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.kept[digest]
}

func (v *Versions) load(ctx context.Context, digest Digest) (*Active, error) {
	var encoded []byte
	err := v.db.QueryRow(ctx, `SELECT bundle FROM kith.policy_version WHERE digest = $1`, digest[:]).Scan(&encoded)
	if err != nil {
		return nil, fmt.Errorf("load policy version %s: %w", digest, postgres.Redact(err))
	}
	bundle, err := LoadBundle(encoded)
	if err != nil {
		return nil, fmt.Errorf("load policy version %s: %w: %w", digest, ErrBroken, err)
	}
	if bundle.Digest() != digest {
		return nil, fmt.Errorf("load policy version %s: %w: %w", digest, ErrBroken, ErrDamaged)
	}
	active, err := Activate(bundle, v.opts)
	if err != nil {
		return nil, fmt.Errorf("compile policy version %s: %w: %w", digest, ErrBroken, err)
	}
	return active, nil
}
