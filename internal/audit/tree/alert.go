package tree

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"kith/internal/postgres"
)

// KeepAlerts keeps the two alerts that stand while something lasts, on each
// tick until ctx ends: a log that is late, and a quorum that is missing. Of
// all replicas together each stands once; the one that leads speaks.
func (t *Tree) KeepAlerts(ctx context.Context, tick <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		if err := t.keepAlerts(ctx); err != nil {
			t.report(ctx, "alerts of the log were not kept", err)
		}
	}
}

func (t *Tree) keepAlerts(ctx context.Context) error {
	s := t.Status()
	if !s.Leading && !s.Late {
		return nil // a late log may have no leader at all: then every replica says so
	}
	standing := map[string]bool{"log-late": s.Late}
	if s.Leading {
		standing["quorum-missing"] = !s.Quorum
	}
	for kind, stands := range standing {
		id, err := uuid.NewRandomFromReader(t.Random)
		if err != nil {
			return fmt.Errorf("keep alert: randomness: %w", err)
		}
		if _, err := t.Pool.Exec(ctx, `SELECT kith.keep_alert($1, $2, $3, $4)`, id, t.Partnership, kind, stands); err != nil {
			return fmt.Errorf("keep alert %s: %w", kind, postgres.Redact(err))
		}
	}
	return nil
}
