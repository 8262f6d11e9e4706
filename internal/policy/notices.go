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
// an agency's approval, or for anybody's but the author's, and a reminder of it,
// which is a message of its own for each day on which somebody asked again; and
// to those who lost access by a version.
func (o *Office) Notices(ctx context.Context) ([]outbox.Notice, error) {
	rows, _ := o.Pool.Query(ctx, `
SELECT s.id, s.digest, s.agency, m.agency, coalesce(r.day::text, '')
  FROM kith.policy_submission s CROSS JOIN LATERAL unnest(kith.policy_approvals_missing(s.id)) AS m (agency)
 CROSS JOIN LATERAL (SELECT NULL::date AS day UNION ALL SELECT r.day FROM kith.policy_reminder r
   WHERE r.submission = s.id AND r.agency = m.agency AND r.sent_at > now() - interval '7 days') r
 WHERE s.partnership = $1 AND s.state = 'open'`, o.Partnership)
	var out []outbox.Notice
	var id uuid.UUID
	var digest []byte
	var from, missing, day string
	_, err := pgx.ForEachRow(rows, []any{&id, &digest, &from, &missing, &day}, func() error {
		key := outbox.Key(outbox.ApprovalWaiting, id.String(), missing)
		if day != "" {
			key = outbox.Key(outbox.ApprovalWaiting, id.String(), missing, day)
		}
		out = append(out, outbox.Notice{Key: key, Kind: outbox.ApprovalWaiting,
			Agency: cmp.Or(missing, from), Role: "ig-approver", Reference: outbox.Short(digest)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reasons to write to approvers: %w", postgres.Redact(err))
	}
	lost, err := o.lossNotices(ctx)
	return append(out, lost...), err
}
