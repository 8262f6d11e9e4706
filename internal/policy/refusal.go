package policy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// Refused is an approver's no, with its reason. It blocks nothing by itself: a
// proposal lacks what was not given. It is what the author answers to.
type Refused struct {
	Agency  string    `json:"agency"`
	Name    string    `json:"name"`
	Why     string    `json:"why"`
	GivenAt time.Time `json:"given_at"`
}

// Refuse records that the caller's agency does not approve a proposal, and why.
// An officer who has approved it cannot refuse it; one who refused can still
// approve. Errors: *DraftError (no reason), ErrClosed, *Blocked.
func (o *Office) Refuse(ctx context.Context, p identity.Principal, request string, id uuid.UUID, why string) (string, error) {
	if err := may(p, RoleApprover); err != nil {
		return "", err
	}
	if why = strings.TrimSpace(why); why == "" || len(why) > 2000 {
		return "", &DraftError{Text: "say why, in at most 2 000 characters"}
	}
	s, err := o.Submission(ctx, p, id)
	switch {
	case err != nil:
		return "", err
	case s.State != "open":
		return "", ErrClosed
	case containsID(s.Authors, p.Worker):
		return "", &Blocked{Code: "policy-own-draft"} // an author takes it back
	}
	own, err := uuid.NewRandomFromReader(o.Random)
	if err != nil {
		return "", fmt.Errorf("refuse: %w", err)
	}
	e := o.event(p, request, "refused", why, map[string]string{"submission": id.String(), "digest": s.Digest.String()})
	return o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error {
		tag, err := tx.Exec(ctx, `INSERT INTO policy_refusal (id, submission, agency, worker, name, why)
			SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM policy_approval a WHERE a.submission = $2 AND a.worker = $4)`,
			own, id, p.Agency, p.Worker, p.WorkerName, why)
		if err != nil {
			return fmt.Errorf("refuse: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return &Blocked{Code: "policy-approved-already"}
		}
		return nil
	})
}

// Refusals lists who refused a proposal, in the order of time.
func (o *Office) Refusals(ctx context.Context, p identity.Principal, id uuid.UUID) ([]Refused, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT r.agency, r.name, r.why, r.given_at FROM policy_refusal r JOIN policy_submission s ON s.id = r.submission
		WHERE r.submission = $1 AND s.partnership = $2 ORDER BY r.given_at`, id, o.Partnership)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Refused])
	if err != nil {
		return nil, fmt.Errorf("read refusals: %w", postgres.Redact(err))
	}
	return list, nil
}
