package policy

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/outbox"
	"kith/internal/postgres"
)

// keepLosses writes down whom an activation takes something from, in its own
// transaction, so that they are told whatever happens next: by the report the
// managers of every agency that receives less and works with somebody today,
// and by the live records the roles whose people see less.
func keepLosses(ctx context.Context, tx pgx.Tx, submission uuid.UUID) error {
	if _, err := tx.Exec(ctx, `
WITH report AS (
  SELECT convert_from(s.report, 'UTF8')::jsonb AS report, convert_from(f.result, 'UTF8')::jsonb AS effect
    FROM policy_submission s LEFT JOIN policy_effect f ON f.submission = s.id AND f.state = 'complete' WHERE s.id = $1
), loses AS (
  SELECT g.agency #>> '{}' AS agency, 'manager' AS role
    FROM report r CROSS JOIN LATERAL jsonb_path_query(r.report, '$.changes[*] ? (@.gain == false && !(@.terms_only == true)).agencies[*]') AS g (agency)
   UNION
  SELECT l.line ->> 'agency', n.role
    FROM report r CROSS JOIN LATERAL jsonb_path_query(r.effect, '$.live.lines[*] ? (@.gain == false)') AS l (line)
    CROSS JOIN LATERAL unnest(array_append(string_to_array(l.line ->> 'role', ', '), 'manager')) AS n (role)
)
INSERT INTO policy_loss (submission, agency, role)
SELECT $1, a.code, l.role FROM loses l JOIN agency a ON a.code = l.agency
 WHERE l.role <> '' AND EXISTS (SELECT 1 FROM involvement i WHERE i.agency = a.code AND i.valid_from <= now() AND (i.valid_until IS NULL OR i.valid_until > now()))`, submission); err != nil {
		return fmt.Errorf("keep who loses access: %w", err)
	}
	return nil
}

// toldOfLoss is how long after an activation those who lost by it are written
// to, in case that no replica could at once.
const toldOfLoss = 14 * 24 * time.Hour

// lossNotices are the reasons to write to those who lost access by a version.
func (o *Office) lossNotices(ctx context.Context) ([]outbox.Notice, error) {
	rows, _ := o.Pool.Query(ctx, `
SELECT s.id, s.digest, l.agency, l.role FROM kith.policy_loss l JOIN kith.policy_submission s ON s.id = l.submission
 WHERE s.partnership = $1 AND l.lost_at > $2 ORDER BY l.lost_at, l.agency, l.role`, o.Partnership, o.Now().Add(-toldOfLoss))
	var out []outbox.Notice
	var id uuid.UUID
	var digest []byte
	var agency, role string
	_, err := pgx.ForEachRow(rows, []any{&id, &digest, &agency, &role}, func() error {
		out = append(out, outbox.Notice{Key: outbox.Key(outbox.AccessLost, id.String(), agency, role), Kind: outbox.AccessLost, Agency: agency, Role: role, Reference: outbox.Short(digest)})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reasons to write to those who lost access: %w", postgres.Redact(err))
	}
	return out, nil
}
