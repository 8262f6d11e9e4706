package tree

import (
	"context"
	"time"
)

// Published is the newest checkpoint with its time, which the note itself does
// not have. The time is the database's word and nobody has signed it.
type Published struct {
	Note []byte
	At   time.Time
}

// Published gives the newest checkpoint. Error: ErrNoCheckpoint.
func (r *Reader) Published(ctx context.Context) (Published, error) {
	h, err := readHead(ctx, r.pool)
	if err != nil {
		return Published{}, err
	}
	if len(h.Checkpoint) == 0 || h.CheckpointAt == nil {
		return Published{}, ErrNoCheckpoint
	}
	return Published{Note: h.Checkpoint, At: h.CheckpointAt.UTC()}, nil
}
