package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// replays measures the decision made again from the log: the recorded input is
// read, decided under the recorded version, and held against the row.
func (b *bench) replays(ctx context.Context, w *benchWorld) error {
	dsn, err := w.world.DSN(postgres.RoleReplay)
	if err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, dsn, postgres.Options{ApplicationName: "kith bench replay", MaxConns: 4})
	if err != nil {
		return err
	}
	defer pool.Close()
	rows, _ := w.floor.pool.Query(ctx, `SELECT id FROM kith.access_event WHERE kind = 'read' AND input IS NOT NULL ORDER BY occurred_at DESC LIMIT 1000`)
	events, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil || len(events) == 0 {
		return fmt.Errorf("find %d events to decide again: %w", len(events), postgres.Redact(err))
	}
	replayer := &disclosure.Replayer{
		Past:     audit.NewPast(pool, w.hub.config.Identity.Partnership),
		Versions: policy.NewVersions(pool, policy.Options{Deadline: benchDeadline}, 1).At, Recorder: w.hub.recorder, Log: b.log,
	}
	errOther := errors.New("a decision made again is another")
	for _, callers := range []int{1, 16} {
		m, err := w.processes().run(ctx, "replay of one event", callers, b.long, func(ctx context.Context, caller, i int) error {
			x, err := replayer.Event(ctx, events[(i*callers+caller)%len(events)])
			if err == nil && x.Result != disclosure.ReplaySame {
				err = fmt.Errorf("event %s: %w", x.Event, errOther)
			}
			return err
		})
		if err != nil {
			return err
		}
		b.add(w, m)
	}
	return nil
}
