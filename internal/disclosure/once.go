package disclosure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// Once makes a write happen once: the same key with the same content is
// answered as the first time. The zero value guards nothing and is refused.
type Once struct {
	Key    string
	Digest [32]byte // of all that was asked
}

// Errors of a write, beside those of the door.
var (
	// ErrKeyReused: the key stands for another content.
	ErrKeyReused = errors.New("the key was used with another content")
	// ErrNotOwner: the entry can be seen, and is another agency's to write.
	ErrNotOwner = errors.New("the entry is another agency's")
	// ErrNoKey: a write needs a key.
	ErrNoKey = errors.New("a write needs an idempotency key")
)

// Written is the answer to a write: what it became, and nothing of others.
type Written struct {
	ID       uuid.UUID   `json:"id"`
	IDs      []uuid.UUID `json:"ids,omitempty"` // where one request made several
	Version  int         `json:"version,omitempty"`
	Until    *time.Time  `json:"until,omitempty"`
	Receipt  string      `json:"receipt"`
	Replayed bool        `json:"-"`

	// after is what refers to the event, in the transaction that logs it.
	after func(tx pgx.Tx, event uuid.UUID) error
}

// sender is the writer as the record will know them.
func sender(p identity.Principal, now time.Time) family.Sender {
	who := p.Client
	if p.Worker != uuid.Nil {
		who = p.Worker.String()
	}
	return family.Sender{Partnership: p.Partnership, Agency: p.Agency, Kind: p.Kind, Worker: p.Worker, Principal: who, Now: now}
}

// once makes a write, its event and its answer in one transaction: all of them
// or none. write fills in the answer and may change the event.
func (d *Door) once(ctx context.Context, p identity.Principal, o Once, e audit.Event, write func(tx pgx.Tx, e *audit.Event) (Written, error)) (Written, error) {
	if o.Key == "" {
		return Written{}, ErrNoKey
	}
	actor := sender(p, time.Time{}).Principal
	var answer Written
	err := postgres.InTx(ctx, d.Pool, func(tx pgx.Tx) error {
		answer = Written{}
		event := e
		tag, err := tx.Exec(ctx, `INSERT INTO write_once (partnership, actor, key, digest) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`,
			p.Partnership, actor, o.Key, o.Digest[:])
		if err != nil {
			return fmt.Errorf("claim key: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return replay(ctx, tx, p.Partnership, actor, o, &answer)
		}
		if answer, err = write(tx, &event); err != nil {
			return err
		}
		receipt, err := d.Recorder.AppendTx(ctx, tx, event)
		if err != nil {
			return err
		}
		if answer.after != nil {
			if err := answer.after(tx, receipt.Event); err != nil {
				return err
			}
		}
		answer.Receipt = receipt.String()
		kept, err := json.Marshal(answer)
		if err != nil {
			return fmt.Errorf("keep answer: %w", err)
		}
		if _, err := tx.Exec(ctx, `UPDATE write_once SET answer = $4 WHERE partnership = $1 AND actor = $2 AND key = $3`, p.Partnership, actor, o.Key, json.RawMessage(kept)); err != nil {
			return fmt.Errorf("keep answer: %w", err)
		}
		return nil
	})
	if err != nil {
		return Written{}, err
	}
	return answer, nil
}

// replay gives the answer of the first time.
func replay(ctx context.Context, tx pgx.Tx, partnership, actor string, o Once, answer *Written) error {
	var digest []byte
	var kept json.RawMessage
	err := tx.QueryRow(ctx, `SELECT w.digest, w.answer FROM write_once w WHERE w.partnership = $1 AND w.actor = $2 AND w.key = $3`, partnership, actor, o.Key).Scan(&digest, &kept)
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if !slices.Equal(digest, o.Digest[:]) || kept == nil {
		return ErrKeyReused
	}
	if err := json.Unmarshal(kept, answer); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	answer.Replayed = true
	return nil
}

// replayed looks for the answer of an earlier time before anything is decided:
// a correction that was made must not be told that its version is out of date.
func (d *Door) replayed(ctx context.Context, p identity.Principal, o Once) (Written, bool, error) {
	if o.Key == "" {
		return Written{}, false, ErrNoKey
	}
	var answer Written
	err := postgres.InTx(ctx, d.Pool, func(tx pgx.Tx) error {
		answer = Written{}
		return replay(ctx, tx, p.Partnership, sender(p, time.Time{}).Principal, o, &answer)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return Written{}, false, nil
	}
	return answer, err == nil, err
}

// again runs a write anew while the facts change under it.
func again(write func() (Written, error)) (Written, error) {
	for range attempts {
		answer, err := write()
		if !errors.Is(err, audit.ErrStale) {
			return answer, err
		}
	}
	return Written{}, ErrBusy
}

// principalOf is the caller as the log knows them.
func principalOf(p identity.Principal) proof.Principal {
	return proof.Principal{
		ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, System: p.System, Worker: p.Worker,
	}
}
