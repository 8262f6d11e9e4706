package identity

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"kith/internal/postgres"
)

const (
	sightingEvery  = 5 * time.Minute // last_seen is no more exact than that
	sightingsMost  = 4096            // waiting to be written; more are dropped, and seen again next time
	sightingWithin = 5 * time.Second
)

// sightings are workers seen and not yet written down: the write is not worth
// a caller's wait, nor a refusal when it fails.
type sightings struct {
	mu      sync.Mutex
	waiting map[uuid.UUID]time.Time
	wake    chan struct{}
}

func newSightings() *sightings {
	return &sightings{waiting: map[uuid.UUID]time.Time{}, wake: make(chan struct{}, 1)}
}

// seen notes that a worker was let in, unless that is known well enough.
func (d *Directory) seen(worker uuid.UUID, last *time.Time, now time.Time) {
	if last != nil && now.Sub(*last) < sightingEvery {
		return
	}
	s := d.sightings
	s.mu.Lock()
	if _, ok := s.waiting[worker]; ok || len(s.waiting) < sightingsMost {
		s.waiting[worker] = now
	}
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run writes down who was seen until ctx ends, and then what is left.
func (d *Directory) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			d.flush(context.WithoutCancel(ctx))
			return
		case <-d.sightings.wake:
			d.flush(ctx)
		}
	}
}

func (d *Directory) flush(ctx context.Context) {
	s := d.sightings
	s.mu.Lock()
	batch := s.waiting
	s.waiting = map[uuid.UUID]time.Time{}
	s.mu.Unlock()
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, sightingWithin)
	defer cancel()
	if err := d.writeSeen(ctx, batch); err != nil {
		// They are seen again at their next request.
		d.log.Warn("last seen not written", slog.Int("workers", len(batch)), slog.Any("error", err))
	}
}

func (d *Directory) writeSeen(ctx context.Context, batch map[uuid.UUID]time.Time) error {
	ids := make([]uuid.UUID, 0, len(batch))
	times := make([]time.Time, 0, len(batch))
	for id, at := range batch {
		ids, times = append(ids, id), append(times, at)
	}
	// The condition keeps several replicas to one write, and time from running back.
	_, err := d.pool.Exec(ctx, `
		UPDATE worker w
		   SET last_seen = s.at
		  FROM unnest($1::uuid[], $2::timestamptz[]) AS s (id, at)
		 WHERE w.id = s.id AND (w.last_seen IS NULL OR w.last_seen <= s.at - $3::interval)`,
		ids, times, sightingEvery)
	if err != nil {
		return fmt.Errorf("write last seen: %w", postgres.Redact(err))
	}
	return nil
}
