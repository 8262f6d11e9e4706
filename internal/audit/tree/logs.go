package tree

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// A hub has one log, until it is restored from a backup and resumed: then the
// older log ends where the backup did, and a newer one goes on under a name of
// its own. Both stay readable, each with its checkpoint and its tiles.

// Numbered is one of a hub's logs under its newest checkpoint.
type Numbered struct {
	Number int
	Origin string
	Size   int64 // entries under the newest checkpoint; 0 before the first
}

// Logs are all of them, the oldest first.
func (r *Reader) Logs(ctx context.Context) ([]Numbered, error) {
	rows, err := r.pool.Query(ctx, `SELECT number, origin, checkpoint_size FROM kith.log_head ORDER BY number`)
	if err != nil {
		return nil, fmt.Errorf("list the logs: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Numbered])
	if err != nil {
		return nil, fmt.Errorf("list the logs: %w", postgres.Redact(err))
	}
	return list, nil
}

// CheckpointOf is the newest signed note of a log; 0 is the present one. Error:
// ErrNoCheckpoint, also where there is no such log.
func (r *Reader) CheckpointOf(ctx context.Context, number int) ([]byte, error) {
	h, err := r.numbered(ctx, number)
	return h.Checkpoint, err
}

// TileOf gives width hashes of a tile of a log (0 is the present one), which
// must lie under its newest checkpoint: what is not published yet may still be
// rolled back. Errors: ErrNoTile, ErrNoCheckpoint.
func (r *Reader) TileOf(ctx context.Context, number, level int, n int64, width int) ([]byte, error) {
	h, err := r.numbered(ctx, number)
	if err != nil {
		return nil, err
	}
	if level < 0 || level > 7 || n < 0 || width < 1 || width > proof.TileWidth {
		return nil, ErrNoTile
	}
	if have := h.CheckpointSize>>(proof.TileHeight*level) - n*proof.TileWidth; n > h.CheckpointSize || have < int64(width) {
		return nil, ErrNoTile
	}
	return readTile(ctx, r.pool, h.Number, level, n, width)
}
