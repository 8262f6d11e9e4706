package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// The floor is what any correct design must do, by bare pgx as a role that row
// security does not bind: read the facts in one round trip, then insert one row
// of the size of Kith's and read the same content in one batch. It decides
// nothing, signs nothing, and its row has one index.
const floorTable = `
CREATE TABLE IF NOT EXISTS public.floor_event (id uuid PRIMARY KEY, at timestamptz NOT NULL, released bigint[] NOT NULL, body bytea NOT NULL);
ALTER TABLE public.floor_event ALTER COLUMN body SET STORAGE EXTERNAL`

// The facts that any design needs, each by the plainest statement there is.
const (
	floorHead    = `SELECT f.stamp, h.digest, w.suspended FROM kith.family f, kith.policy_head h, kith.worker w WHERE f.id = $1 AND w.id = $2`
	floorMembers = `SELECT m.person, m.role, m.valid_from, m.valid_until, p.born, p.expected, p.pregnancy_told FROM kith.membership m JOIN kith.person p ON p.id = m.person WHERE m.family = $1`
	floorTies    = `SELECT r.from_person, r.to_person, r.kind, r.valid_from, r.valid_until FROM kith.membership m JOIN kith.relationship r ON r.from_person = m.person WHERE m.family = $1
 UNION ALL SELECT h.by_person, h.to_person, 'harm', NULL, NULL FROM kith.membership m JOIN kith.alleged_harm h ON h.by_person = m.person WHERE m.family = $1`
	floorWork = `SELECT 'episode', e.person, e.kind, e.valid_from::timestamptz, e.valid_until::timestamptz FROM kith.membership m JOIN kith.episode e ON e.person = m.person WHERE m.family = $1
 UNION ALL SELECT 'involvement', i.person, i.source, i.valid_from, i.valid_until FROM kith.membership m JOIN kith.involvement i ON i.person = m.person WHERE m.family = $1
 UNION ALL SELECT 'grant', g.person, g.section, g.valid_from, g.valid_until FROM kith.membership m JOIN kith.access_grant g ON g.person = m.person WHERE m.family = $1
 UNION ALL SELECT 'told', t.person, t.agreed, t.at::timestamptz, NULL FROM kith.membership m JOIN kith.told_and_agreed t ON t.person = m.person WHERE m.family = $1
 UNION ALL SELECT 'restriction', r.person, r.kind, r.valid_from, r.valid_until FROM kith.membership m JOIN kith.restriction r ON r.person = m.person WHERE m.family = $1
 UNION ALL SELECT 'protection', p.person, '', p.since::timestamptz, NULL FROM kith.membership m JOIN kith.protection p ON p.person = m.person WHERE m.family = $1`
	floorAgreements = `SELECT q.agreement, q.agency, q.state, a.starts_on, a.ends_on FROM kith.agreement_party mine JOIN kith.agreement a ON a.id = mine.agreement JOIN kith.agreement_party q ON q.agreement = a.id WHERE mine.agency = $1`
	floorEntries    = `SELECT s.person, s.relation, v.entry, v.version, v.section, v.schema, v.owner, v.supplied_by, v.source_kind, v.handling, v.existence_ok, v.sensitivity,
       v.event_from, v.event_until, v.event_words, v.recorded_on, v.narrative, v.tagged, v.contains, v.flags, v.onward_label, v.language, v.held, v.fields, v.full_part, v.summary_part
  FROM kith.membership m JOIN kith.entry_subject s ON s.person = m.person JOIN kith.entry_version v ON v.id = s.version
 WHERE m.family = $1 AND v.latest AND NOT v.withdrawn`
	floorInsert  = `INSERT INTO public.floor_event (id, at, released, body) VALUES ($1, $2, $3, $4)`
	floorContent = `SELECT part, body FROM kith.content WHERE part = ANY ($1)`
)

// floor reads families without any of Kith.
type floor struct {
	pool *pgxpool.Pool
	row  []byte // of the size of Kith's
}

func openFloor(ctx context.Context, admin string, connections int32) (*floor, error) {
	pool, err := postgres.Open(ctx, admin, postgres.Options{ApplicationName: "floor", MaxConns: connections, MinIdleConns: 2})
	if err != nil {
		return nil, err
	}
	f := &floor{pool: pool}
	if _, err := pool.Exec(ctx, floorTable); err != nil {
		pool.Close()
		return nil, fmt.Errorf("make the floor's table: %w", err)
	}
	return f, nil
}

// measureRow takes the size of the rows that Kith has just written.
func (f *floor) measureRow(ctx context.Context) error {
	var size float64
	err := f.pool.QueryRow(ctx, `
SELECT avg(pg_column_size(e.*)) FROM (SELECT * FROM kith.access_event WHERE kind = 'read' ORDER BY occurred_at DESC LIMIT 200) e`).Scan(&size)
	if err != nil {
		return fmt.Errorf("measure the log's rows: %w", err)
	}
	f.row = make([]byte, max(int(size)-120, 1))
	return nil
}

// read is one operation of the floor; parts is what Kith released of the family.
func (f *floor) read(ctx context.Context, of reading) error {
	facts := &pgx.Batch{}
	facts.Queue(floorHead, of.family, of.caller.Worker)
	facts.Queue(floorMembers, of.family)
	facts.Queue(floorTies, of.family)
	facts.Queue(floorWork, of.family)
	facts.Queue(floorAgreements, of.caller.Agency)
	facts.Queue(floorEntries, of.family)
	rows := 0
	results := f.pool.SendBatch(ctx, facts)
	for range facts.Len() {
		n, err := drain(results.Query())
		if err != nil {
			return errors.Join(err, results.Close())
		}
		rows += n
	}
	if err := results.Close(); err != nil {
		return err
	}
	if rows < 10 {
		return fmt.Errorf("family %s has %d rows of facts", of.family, rows)
	}
	logged := &pgx.Batch{}
	logged.Queue(floorInsert, uuid.New(), time.Now(), of.parts, f.row)
	logged.Queue(floorContent, of.parts)
	results = f.pool.SendBatch(ctx, logged)
	if _, err := results.Exec(); err != nil {
		return errors.Join(err, results.Close())
	}
	n, err := drain(results.Query())
	if err != nil || n != len(of.parts) {
		return errors.Join(fmt.Errorf("%d parts of %d: %w", n, len(of.parts), err), results.Close())
	}
	return results.Close()
}

// drain reads rows as they came over the wire, and keeps nothing.
func drain(rows pgx.Rows, err error) (n int, _ error) {
	if err != nil {
		return 0, err
	}
	for rows.Next() {
		_ = rows.RawValues()
		n++
	}
	return n, rows.Err()
}
