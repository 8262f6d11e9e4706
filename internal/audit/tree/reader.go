package tree

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Reader serves what is public of the tree, on a pool of kith_auditor. Nothing
// that it gives names a person.
type Reader struct{ pool *pgxpool.Pool }

// NewReader reads on a pool of kith_auditor.
func NewReader(pool *pgxpool.Pool) *Reader { return &Reader{pool: pool} }

// Checkpoint is the newest signed note of the present log. Error: ErrNoCheckpoint.
func (r *Reader) Checkpoint(ctx context.Context) ([]byte, error) { return r.CheckpointOf(ctx, 0) }

// Tile gives width hashes of a tile of the present log. Errors: as TileOf.
func (r *Reader) Tile(ctx context.Context, level int, n int64, width int) ([]byte, error) {
	return r.TileOf(ctx, 0, level, n, width)
}

// Prove gives an event's place against the newest checkpoint of its log, with
// the leaf's data as the proof's extra. Error: ErrNoLeaf.
func (r *Reader) Prove(ctx context.Context, event uuid.UUID) (proof.Inclusion, error) {
	var number int
	var index, size int64
	var header, commitments, checkpoint []byte
	err := r.pool.QueryRow(ctx, `
		SELECT l.number, l.index, e.header, e.commitments, h.checkpoint, h.checkpoint_size
		  FROM kith.access_event e
		  JOIN kith.log_leaf l ON l.event = e.id AND l.occurred_at = e.occurred_at AND l.retention = e.retention
		  JOIN kith.log_head h ON h.number = l.number
		 WHERE e.id = $1`, event).Scan(&number, &index, &header, &commitments, &checkpoint, &size)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && index >= size {
		return proof.Inclusion{}, fmt.Errorf("event %s: %w", event, ErrNoLeaf)
	}
	if err != nil {
		return proof.Inclusion{}, fmt.Errorf("find leaf of event %s: %w", event, postgres.Redact(err))
	}
	path, err := tilesOf(ctx, r.pool, number).Inclusion(size, index)
	if err != nil {
		return proof.Inclusion{}, fmt.Errorf("prove event %s: %w", event, err)
	}
	return proof.Inclusion{Extra: proof.LeafData(header, commitments), Index: index, Path: path, Checkpoint: checkpoint}, nil
}
