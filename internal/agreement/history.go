package agreement

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// History lists what parties did to an agreement, the newest first: signatures
// with post and evidence, stops, and acts of two parties.
func (r *Register) History(ctx context.Context, id string) ([]Act, error) {
	rows, _ := r.Pool.Query(ctx, `SELECT c.id, c.kind, c.agency, c.asked_agency, c.name, c.post, c.evidence, c.reason, c.document, c.deputy_for, c.deputy_from, c.deputy_until, c.ends_on, c.asked_at, c.done_at
		FROM agreement_act c JOIN agreement a ON a.id = c.agreement WHERE c.agreement = $1 AND a.partnership = $2 ORDER BY c.asked_at DESC LIMIT 200`, id, r.Partnership)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Act, error) {
		var a Act
		var deputised string
		var from, until *time.Time
		err := row.Scan(&a.ID, &a.Kind, &a.Agency, &a.AskedAgency, &a.Name, &a.Post, &a.Evidence, &a.Reason, &a.Document, &deputised, &from, &until, &a.EndsOn, &a.AskedAt, &a.DoneAt)
		if deputised != "" && from != nil && until != nil {
			a.Deputy = &Deputy{For: deputised, From: *from, Until: *until}
		}
		return a, err
	})
	if err != nil {
		return nil, fmt.Errorf("list acts on agreement %s: %w", id, postgres.Redact(err))
	}
	return list, nil
}

// Digest names the text of an agreement, so that a paper that was signed can be
// compared with what stands in a policy version.
func (t Text) Digest() string {
	text, err := json.Marshal(t)
	if err != nil { // a Text is strings and lists of them
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
