package family

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// PurgeRecord withdraws what the sender sent about a person before, under local
// ids that begin with Prefix (or are Prefix, where Exact): entries get a last
// version without content, episodes are withdrawn, involvements end.
type PurgeRecord struct {
	Person string
	Prefix string
	Exact  bool
}

func (in *intake) purgeAll(ctx context.Context, p *PurgeRecord) (Result, error) {
	k, err := in.resolve(ctx, "purge", p.Person)
	var unknown *FieldError
	if errors.As(err, &unknown) && unknown.Field == "purge" {
		// Never sent, or refused at the time: it is as absent as it should be.
		return Result{Outcome: Unchanged}, nil
	}
	if err != nil {
		return Result{}, err
	}
	rows, _ := in.tx.Query(ctx, `
SELECT DISTINCT e.local_id FROM entry_subject s JOIN entry_version v ON v.id = s.version AND v.latest AND NOT v.withdrawn JOIN entry e ON e.id = v.entry
 WHERE s.person = $1 AND e.owner = $2 AND CASE WHEN $4 THEN e.local_id = $3 ELSE starts_with(e.local_id, $3) END
 ORDER BY e.local_id`, k.person, in.Agency, p.Prefix, p.Exact)
	entries, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return Result{}, fmt.Errorf("find what is purged: %w", err)
	}
	for _, local := range entries {
		if _, err := in.purge(ctx, local); err != nil {
			return Result{}, err
		}
	}
	changed := int64(len(entries))
	episodes, err := in.tx.Exec(ctx, `
UPDATE episode SET withdrawn = true
 WHERE person = $1 AND source = $2 AND NOT withdrawn AND CASE WHEN $4 THEN local_id = $3 ELSE starts_with(local_id, $3) END`,
		k.person, in.Agency, p.Prefix, p.Exact)
	if err != nil {
		return Result{}, fmt.Errorf("withdraw episodes: %w", err)
	}
	work, err := in.tx.Exec(ctx, `
UPDATE involvement SET valid_until = greatest(valid_from, $5)
 WHERE person = $1 AND agency = $2 AND source = 'feed' AND (valid_until IS NULL OR valid_until > $5)
   AND CASE WHEN $4 THEN local_id = $3 ELSE starts_with(local_id, $3) END`,
		k.person, in.Agency, p.Prefix, p.Exact, in.Now.UTC().Truncate(time.Microsecond))
	if err != nil {
		return Result{}, fmt.Errorf("end involvements: %w", err)
	}
	if changed+episodes.RowsAffected()+work.RowsAffected() == 0 {
		return Result{Unchanged, uuid.Nil}, nil
	}
	return Result{Changed, k.record}, nil
}
