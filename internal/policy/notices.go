package policy

import (
	"cmp"
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/outbox"
	"kith/internal/postgres"
)

// Notices are the reasons to write to approvers: a submission that waits for
// an agency's approval, or for anybody's but the author's.
func (o *Office) Notices(ctx context.Context) ([]outbox.Notice, error) {
	rows, _ := o.Pool.Query(ctx, `
SELECT s.id, s.digest, s.agency, m.agency FROM kith.policy_submission s CROSS JOIN LATERAL unnest(kith.policy_approvals_missing(s.id)) AS m (agency)
 WHERE s.partnership = $1 AND s.state = 'open'`, o.Partnership)
	var out []outbox.Notice
	var id uuid.UUID
	var digest []byte
	var from, missing string
	_, err := pgx.ForEachRow(rows, []any{&id, &digest, &from, &missing}, func() error {
		out = append(out, outbox.Notice{Key: outbox.Key(outbox.ApprovalWaiting, id.String(), missing), Kind: outbox.ApprovalWaiting,
			Agency: cmp.Or(missing, from), Role: "ig-approver", Reference: outbox.Short(digest)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reasons to write to approvers: %w", postgres.Redact(err))
	}
	return out, nil
}
