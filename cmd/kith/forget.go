package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/family"
)

// writeKeysKept is how long the key of a write is remembered by default.
const writeKeysKept = 30 * 24 * time.Hour

// forgetKeys forgets the keys of writes that are older than the hub's limit,
// now and at each tick until ctx ends. The role is the background's, which may
// forget keys and nothing else of what agencies sent.
func (h *hub) forgetKeys(ctx context.Context, sequencer *pgxpool.Pool, ticks <-chan time.Time) {
	kept := h.config.WriteKeysKept
	if kept == 0 {
		kept = writeKeysKept
	}
	for {
		gone, err := family.ForgetWriteKeys(ctx, sequencer, h.config.Now().Add(-kept))
		switch {
		case err != nil && ctx.Err() == nil:
			h.config.Log.ErrorContext(ctx, "keys of old writes not forgotten", "cause", err.Error())
		case gone > 0:
			h.config.Log.InfoContext(ctx, "keys of old writes forgotten", "keys", gone)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticks:
		}
	}
}
