package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Draft is what somebody was typing. It belongs to one worker speaking for one
// agency. It holds personal data and prints as nothing.
type Draft struct {
	ID    uuid.UUID
	Place string // the form's address
	Title string // without anybody's name
	Body  url.Values
	Kept  time.Time
}

// String names nothing.
func (Draft) String() string { return "draft" }

// LogValue keeps the draft out of log lines.
func (Draft) LogValue() slog.Value { return slog.StringValue("draft") }

const (
	// draftLife is how long what was typed is kept: a working day.
	draftLife = 10 * time.Hour
	// draftsMost bounds what one worker may have begun.
	draftsMost = 200
	// draftBytes bounds one draft; a form is smaller.
	draftBytes = 100_000
)

// ErrNoDraft: there is none, or it is another person's.
var ErrNoDraft = errors.New("no such draft of this person")

// BeginDraft makes room for what will be typed into a form, and gives the id
// that the form carries. It throws old ones away.
func (s *SignIn) BeginDraft(ctx context.Context, p Principal, place, title string) (uuid.UUID, error) {
	id, err := uuid.NewRandomFromReader(s.Random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("randomness: %w", err)
	}
	now := s.Now()
	err = postgres.InTx(ctx, s.Pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		b.Queue(`DELETE FROM web_draft WHERE expires_at < $1`, now)
		b.Queue(`DELETE FROM web_draft WHERE id IN (SELECT d.id FROM web_draft d WHERE d.worker = $1 AND d.body IS NULL ORDER BY d.begun_at DESC OFFSET $2)`, p.Worker, draftsMost)
		b.Queue(`INSERT INTO web_draft (id, partnership, worker, agency, place, title, begun_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, p.Partnership, p.Worker, p.Agency, LocalPath(place), title, now, now.Add(draftLife))
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("begin draft: %w", postgres.Redact(err))
	}
	return id, nil
}

// KeepDraft keeps what was typed. It needs no session: whoever sends the form
// has the id, and only its owner is ever shown what was kept. Error: ErrNoDraft.
func (s *SignIn) KeepDraft(ctx context.Context, id uuid.UUID, body url.Values) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("keep draft: %w", err)
	}
	if len(text) > draftBytes {
		return ErrNoDraft
	}
	now := s.Now()
	tag, err := s.Pool.Exec(ctx, `UPDATE web_draft SET body = $2, kept_at = $3, expires_at = $4 WHERE id = $1 AND expires_at >= $3`, id, json.RawMessage(text), now, now.Add(draftLife))
	if err != nil {
		return fmt.Errorf("keep draft: %w", postgres.Redact(err))
	}
	if tag.RowsAffected() == 0 {
		return ErrNoDraft
	}
	return nil
}

const selectDrafts = `SELECT d.id, d.place, d.title, d.body, d.kept_at FROM web_draft d
 WHERE d.worker = $1 AND d.agency = $2 AND d.expires_at >= $3 AND d.body IS NOT NULL`

func readDraft(row pgx.CollectableRow) (Draft, error) {
	var d Draft
	var body []byte
	if err := row.Scan(&d.ID, &d.Place, &d.Title, &body, &d.Kept); err != nil {
		return d, err
	}
	return d, json.Unmarshal(body, &d.Body)
}

// Drafts lists what a person left unfinished, newest first.
func (s *SignIn) Drafts(ctx context.Context, p Principal) ([]Draft, error) {
	rows, _ := s.Pool.Query(ctx, selectDrafts+` ORDER BY d.kept_at DESC LIMIT 20`, p.Worker, p.Agency, s.Now())
	list, err := pgx.CollectRows(rows, readDraft)
	if err != nil {
		return nil, fmt.Errorf("list drafts: %w", postgres.Redact(err))
	}
	return list, nil
}

// Draft reads one. Error: ErrNoDraft.
func (s *SignIn) Draft(ctx context.Context, p Principal, id uuid.UUID) (Draft, error) {
	rows, _ := s.Pool.Query(ctx, selectDrafts+` AND d.id = $4`, p.Worker, p.Agency, s.Now(), id)
	d, err := pgx.CollectExactlyOneRow(rows, readDraft)
	if errors.Is(err, pgx.ErrNoRows) {
		return Draft{}, ErrNoDraft
	}
	if err != nil {
		return Draft{}, fmt.Errorf("read draft: %w", postgres.Redact(err))
	}
	return d, nil
}

// DropDraft throws one away: it was saved, or is not wanted. Another's stays.
func (s *SignIn) DropDraft(ctx context.Context, p Principal, id uuid.UUID) error {
	if _, err := s.Pool.Exec(ctx, `DELETE FROM web_draft WHERE id = $1 AND worker = $2 AND agency = $3`, id, p.Worker, p.Agency); err != nil {
		return fmt.Errorf("drop draft: %w", postgres.Redact(err))
	}
	return nil
}

// Cover puts a neutral page over a session until Uncover, which says where the
// worker was.
func (s *SignIn) Cover(ctx context.Context, token, back string) error {
	if _, err := s.Pool.Exec(ctx, `UPDATE web_session SET covered_back = $2 WHERE token_hash = $1`, hashOf(token), LocalPath(back)); err != nil {
		return fmt.Errorf("cover session: %w", postgres.Redact(err))
	}
	return nil
}

// Uncover takes it away.
func (s *SignIn) Uncover(ctx context.Context, token string) error {
	if _, err := s.Pool.Exec(ctx, `UPDATE web_session SET covered_back = NULL WHERE token_hash = $1`, hashOf(token)); err != nil {
		return fmt.Errorf("uncover session: %w", postgres.Redact(err))
	}
	return nil
}
