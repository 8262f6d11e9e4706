package policy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// Preview is the whole report of a draft that is not submitted yet: what it
// would be if it were. It speaks of one revision and one active version, and is
// void when either changes; then it holds no figures any more.
type Preview struct {
	Draft        uuid.UUID     `json:"draft"`
	Revision     int64         `json:"revision"`
	ComparedWith Digest        `json:"compared_with"`
	Agency       string        `json:"agency"` // whose officer asked
	AskedAt      time.Time     `json:"asked_at"`
	Void         bool          `json:"void"`
	Report       *ChangeReport `json:"report,omitempty"`
	Effect       *Effect       `json:"effect,omitempty"`
}

// Preview asks for the whole report of a draft as it stands. What was asked
// before of the same revision and is still true is given again; what failed is
// tried again. Errors: *Conflict (the draft is at another revision), *Blocked
// (what nobody can approve is not weighed), *DraftError, ErrClosed.
func (o *Office) Preview(ctx context.Context, p identity.Principal, request string, id uuid.UUID, revision int64) (Preview, string, error) {
	if err := may(p, RoleAuthor, RoleApprover); err != nil {
		return Preview{}, "", err
	}
	d, err := o.Draft(ctx, p, id)
	switch {
	case err != nil:
		return Preview{}, "", err
	case d.Submitted:
		return Preview{}, "", ErrClosed
	case d.Revision != revision:
		return Preview{}, "", &Conflict{Revision: d.Revision}
	}
	made, err := o.Previewed(ctx, p, id)
	switch {
	case err == nil && !made.Void && made.Effect.State != EffectFailed:
		return made, "", nil
	case err != nil && !errors.Is(err, ErrUnknown):
		return Preview{}, "", err
	}
	b, err := d.pack()
	if err != nil {
		return Preview{}, "", err
	}
	space, err := o.space(ctx)
	if err != nil {
		return Preview{}, "", err
	}
	report, head, err := o.compareWithActive(ctx, b, d.Agency, space)
	if err != nil {
		return Preview{}, "", err
	}
	digest := b.Digest()
	switch {
	case digest == head:
		return Preview{}, "", &Blocked{Code: "policy-changes-nothing"}
	case len(report.Refused) > 0:
		return Preview{}, "", &Blocked{Code: "policy-refused", Reasons: report.Refused}
	}
	kept, err := json.Marshal(report)
	if err != nil {
		return Preview{}, "", fmt.Errorf("encode report: %w", err)
	}
	e := o.event(p, request, "preview-asked", "", map[string]string{"draft": id.String(), "revision": fmt.Sprint(revision), "compared_with": head.String()})
	receipt, err := o.step(ctx, e, func(tx pgx.Tx, _ *audit.Event) error {
		var now int64 // nobody changes the draft meanwhile
		if err := tx.QueryRow(ctx, `SELECT revision FROM policy_draft WHERE id = $1 AND NOT submitted AND NOT discarded FOR UPDATE`, id).Scan(&now); errors.Is(err, pgx.ErrNoRows) {
			return ErrClosed
		} else if err != nil {
			return fmt.Errorf("ask about draft: %w", err)
		}
		if now != revision {
			return &Conflict{Revision: now}
		}
		_, err := tx.Exec(ctx, `
INSERT INTO policy_preview (draft, revision, digest, compared_with, agency, asked_by, report) VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (draft) DO UPDATE SET revision = excluded.revision, digest = excluded.digest, compared_with = excluded.compared_with, agency = excluded.agency,
   asked_by = excluded.asked_by, asked_at = clock_timestamp(), report = excluded.report, state = 'computing', stage = 'past', done = 0, total = 0,
   progress = NULL, result = NULL, holder = NULL, held_until = '-infinity'`, id, revision, digest[:], head[:], p.Agency, p.Worker, kept)
		if err != nil {
			return fmt.Errorf("ask about draft: %w", err)
		}
		return nil
	})
	if err != nil {
		return Preview{}, "", err
	}
	if o.Submitted != nil {
		o.Submitted()
	}
	made, err = o.Previewed(ctx, p, id)
	return made, receipt, err
}

// Previewed gives the report that was asked for last, as far as it is. Error:
// ErrUnknown where nobody asked.
func (o *Office) Previewed(ctx context.Context, p identity.Principal, id uuid.UUID) (Preview, error) {
	if err := mayRead(p); err != nil {
		return Preview{}, err
	}
	v := Preview{Draft: id}
	var with, report, result []byte
	var e Effect
	err := o.Pool.QueryRow(ctx, `
SELECT v.revision, v.compared_with, v.agency, v.asked_at, v.report, v.state, v.stage, v.done, v.total, v.result,
       d.revision <> v.revision OR d.submitted OR NOT EXISTS (SELECT 1 FROM policy_head h WHERE h.partnership = d.partnership AND h.digest = v.compared_with)
  FROM policy_preview v JOIN policy_draft d ON d.id = v.draft
 WHERE v.draft = $1 AND d.partnership = $2 AND NOT d.discarded`, id, o.Partnership).Scan(&v.Revision, &with, &v.Agency, &v.AskedAt, &report, &e.State, &e.Stage, &e.Done, &e.Total, &result, &v.Void)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Preview{}, ErrUnknown
	case err != nil:
		return Preview{}, fmt.Errorf("read what a draft would change: %w", postgres.Redact(err))
	}
	copy(v.ComparedWith[:], with)
	if v.Void {
		return v, nil
	}
	if err := json.Unmarshal(report, &v.Report); err != nil {
		return Preview{}, fmt.Errorf("read what draft %s would change: %w", id, err)
	}
	v.Effect, err = e.whole(result)
	return v, err
}

// takePreview is TakeWork for a draft. What became void is not worked on.
func (o *Office) takePreview(ctx context.Context, holder uuid.UUID) (*Work, error) {
	w := Work{office: o, holder: holder, table: workTable{"policy_preview", "draft", "draft"}}
	var digest, with []byte
	var revision int64
	err := o.Pool.QueryRow(ctx, `
UPDATE policy_preview v SET holder = $2, held_until = clock_timestamp() + $3
 WHERE v.draft = (
   SELECT x.draft FROM policy_preview x JOIN policy_draft d ON d.id = x.draft AND d.revision = x.revision JOIN policy_head h ON h.partnership = d.partnership AND h.digest = x.compared_with
    WHERE x.state = 'computing' AND NOT d.submitted AND NOT d.discarded AND d.partnership = $1 AND x.held_until < clock_timestamp() ORDER BY x.asked_at LIMIT 1 FOR UPDATE OF x SKIP LOCKED)
RETURNING v.draft, v.revision, v.stage, v.progress, v.digest, v.compared_with, v.agency`, o.Partnership, holder, hold).Scan(&w.Of, &revision, &w.Stage, &w.Progress, &digest, &with, &w.agency)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("take a draft's report to compute: %w", postgres.Redact(err))
	}
	if w.Before, err = o.bundle(ctx, Digest(with)); err != nil {
		return nil, err
	}
	files, err := o.draftFiles(ctx, w.Of)
	if err != nil {
		return nil, err
	}
	w.Digest = Digest(digest)
	w.After, err = Draft{Files: files}.pack()
	if err == nil && w.After.Digest() != w.Digest {
		// Changed since it was taken, so void; or another release's replica must go on with it.
		return nil, w.Release(ctx)
	}
	return &w, err
}
