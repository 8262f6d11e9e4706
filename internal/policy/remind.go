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

// Reminded is when an agency was last asked again for its approval.
type Reminded struct {
	Agency string // "" = anybody but the authors
	At     time.Time
}

// Remind asks the agencies that have not approved a proposal again, each at most
// once a day, whoever asks: word goes out by the outbox. It gives the agencies
// that were asked. Errors: ErrClosed (decided, taken back or void), *Blocked
// (nobody is missing; all were asked today).
func (o *Office) Remind(ctx context.Context, p identity.Principal, request string, id uuid.UUID) ([]string, string, error) {
	if err := may(p, RoleAuthor, RoleApprover); err != nil {
		return nil, "", err
	}
	s, err := o.Submission(ctx, p, id)
	switch {
	case err != nil:
		return nil, "", err
	case s.State != "open" || s.Void:
		return nil, "", ErrClosed
	case len(s.Missing) == 0:
		return nil, "", &Blocked{Code: "policy-none-missing"}
	}
	var asked []string
	e := o.event(p, request, "reminded", "", map[string]string{"submission": id.String(), "digest": s.Digest.String()})
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, e *audit.Event) error {
		rows, _ := tx.Query(ctx, `INSERT INTO policy_reminder (submission, agency, day, worker)
			SELECT $1, m, (now() AT TIME ZONE 'Europe/London')::date, $3 FROM unnest($2::text[]) m ON CONFLICT DO NOTHING RETURNING agency`, id, s.Missing, p.Worker)
		var err error
		if asked, err = pgx.CollectRows(rows, pgx.RowTo[string]); err != nil {
			return fmt.Errorf("remind: %w", postgres.Redact(err))
		}
		if len(asked) == 0 {
			return &Blocked{Code: "policy-reminded"}
		}
		e.Details["asked"] = strings.TrimSpace(strings.Join(asked, " "))
		if e.Details["asked"] == "" {
			e.Details["asked"] = "second person"
		}
		return nil
	})
	if err != nil {
		return nil, "", err
	}
	return asked, receipt, nil
}

// Reminders lists when each agency was last asked again about a proposal.
func (o *Office) Reminders(ctx context.Context, p identity.Principal, id uuid.UUID) ([]Reminded, error) {
	if err := mayRead(p); err != nil {
		return nil, err
	}
	rows, _ := o.Pool.Query(ctx, `SELECT r.agency, max(r.sent_at) FROM policy_reminder r JOIN policy_submission s ON s.id = r.submission
		WHERE r.submission = $1 AND s.partnership = $2 GROUP BY r.agency ORDER BY 1`, id, o.Partnership)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Reminded])
	if err != nil {
		return nil, fmt.Errorf("read reminders: %w", postgres.Redact(err))
	}
	return list, nil
}
