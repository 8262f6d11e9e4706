package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// copied are an event's columns less those that a copy has of its own. The
// recorded input goes with its copies: a header names it by its digest, which
// does not depend on the event.
const copied = `retention, partnership, replica, commitments, common, common_salt, subjects, subject_salts, subject_parts, input, released,
	kind, agency, acting_for, worker, principal, purpose, family, outcome, declared, emergency, owners, top_level, request_id`

// sample is an event that is copied.
type sample struct {
	header      proof.Header
	commitments []byte
	rest        []any // copied, in their order
}

// copyEvents copies reads of the log many times over, each with an id, a time,
// a header and a good receipt of its own, as the database's administrator.
func (w *benchWorld) copyEvents(ctx context.Context, n int) ([]uuid.UUID, error) {
	samples, err := w.samples(ctx)
	if err != nil {
		return nil, err
	}
	key := w.hub.config.ReceiptKey
	ids := make([]uuid.UUID, n)
	start := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Minute)
	conn, err := w.floor.pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("copy events: %w", postgres.Redact(err))
	}
	defer conn.Release()
	// What is measured begins behind the copies: that each is durable is not waited for.
	if _, err := conn.Exec(ctx, `SET synchronous_commit = off`); err != nil {
		return nil, fmt.Errorf("copy events: %w", postgres.Redact(err))
	}
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `RESET synchronous_commit`) }()
	names := append([]string{"id", "occurred_at", "recorded_at", "header", "receipt"}, columnsOf(copied)...)
	// A backlog comes from many transactions, not from one.
	const together = 100
	for first := 0; first < n && err == nil; first += together {
		_, err = conn.CopyFrom(ctx, pgx.Identifier{"kith", "access_event"}, names, pgx.CopyFromSlice(min(together, n-first), func(i int) ([]any, error) {
			i += first
			of := &samples[i%len(samples)]
			h := of.header
			ids[i] = uuid.New()
			h.ID, h.Occurred = ids[i], start.Add(time.Duration(i)*time.Microsecond)
			text, err := h.Encode()
			if err != nil {
				return nil, err
			}
			receipt := proof.SignReceipt(key, h.Replica, h.ID, h.Occurred, proof.LeafHash(text, of.commitments))
			return append([]any{h.ID, h.Occurred, h.Occurred, text, receipt.Signature[:]}, of.rest...), nil
		}))
	}
	if err != nil {
		return nil, fmt.Errorf("copy events: %w", postgres.Redact(err))
	}
	return ids, nil
}

func columnsOf(list string) []string {
	names := strings.Split(list, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// samples are up to a thousand reads that released something.
func (w *benchWorld) samples(ctx context.Context) ([]sample, error) {
	rows, _ := w.floor.pool.Query(ctx, `
		SELECT header, `+copied+` FROM kith.access_event
		 WHERE retention = 'access' AND kind = 'read' AND cardinality(released) > 0 AND input IS NOT NULL ORDER BY occurred_at DESC LIMIT 1000`)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s sample, err error) {
		values, err := row.Values()
		if err != nil {
			return s, err
		}
		encoded, _ := values[0].([]byte)
		s.rest = values[1:]
		s.commitments, _ = s.rest[3].([]byte)
		s.header, err = proof.DecodeHeader(encoded)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("events to copy: %w", postgres.Redact(err))
	}
	if len(list) == 0 {
		return nil, errors.New("the log has no reads to copy")
	}
	return list, nil
}

// atLeast copies accesses until the log has so many, and waits until each has
// its leaf, so that what is measured then has the machine for itself.
func (w *benchWorld) atLeast(ctx context.Context, want int) (err error) {
	resume, err := w.holdWatch(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, resume()) }()
	var have int
	if err := w.floor.pool.QueryRow(ctx, `SELECT count(*) FROM kith.access_event WHERE retention = 'access'`).Scan(&have); err != nil {
		return fmt.Errorf("count accesses: %w", postgres.Redact(err))
	}
	if have < want {
		if _, err := w.copyEvents(ctx, want-have); err != nil {
			return err
		}
		if _, err := w.floor.pool.Exec(ctx, `VACUUM (ANALYZE) kith.access_event`); err != nil {
			return fmt.Errorf("fill the log: %w", postgres.Redact(err))
		}
	}
	return w.settle(ctx)
}
