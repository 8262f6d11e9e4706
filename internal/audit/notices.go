package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/outbox"
	"kith/internal/postgres"
)

// Notices are the reasons to write to those who look after the log: each alert
// that is open. operator is the agency that runs the hub, whose auditors they
// are.
func (r *Recorder) Notices(operator string, now func() time.Time) outbox.Source {
	return func(ctx context.Context) ([]outbox.Notice, error) {
		rows, _ := r.pool.Query(ctx, `SELECT id FROM kith.alerts_since($1, $2)`, r.signer.Partnership, now().AddDate(0, 0, -7))
		ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			return nil, fmt.Errorf("reasons to write of alerts: %w", postgres.Redact(err))
		}
		out := make([]outbox.Notice, 0, len(ids))
		for _, id := range ids {
			out = append(out, outbox.Notice{Key: outbox.Key(outbox.AlertRaised, id.String()), Kind: outbox.AlertRaised, Agency: operator, Role: "auditor", Reference: id.String()})
		}
		return out, nil
	}
}
