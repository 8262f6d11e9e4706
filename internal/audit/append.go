package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Errors of an append.
var (
	// ErrNotLogged: the event is not known to be durable. Nothing may be
	// released and nothing may be said to be done; the caller answers 503.
	ErrNotLogged = errors.New("event is not known to be in the log")
	// ErrStale: what the decision rested on has changed. Nothing was logged or
	// opened: load the facts anew and decide again.
	ErrStale = errors.New("facts changed since they were read")
)

// Guard is what must still hold at the moment of the append. The zero value
// holds nowhere.
type Guard struct {
	Families       []FamilyStamp // each family that the answer draws on; a search without a hit has none
	Policy         proof.Digest  // active version
	AgreementStamp int64
	Worker         uuid.UUID
	WorkerStamp    int64
}

// FamilyStamp is a family at the state in which its facts were read.
type FamilyStamp struct {
	Family uuid.UUID
	Stamp  int64
}

// A parameter of INSERT … SELECT has no type of its own: each is cast.
const insertRow = `
INSERT INTO kith.access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt,
  common, common_salt, subjects, subject_salts, subject_parts, input, released,
  kind, agency, acting_for, worker, principal, purpose, family, outcome, declared, emergency, owners, top_level, request_id)
SELECT $1::uuid, $2::text, $3::timestamptz, $4::text, $5::text, $6::bytea, $7::bytea, $8::bytea,
  $9::bytea, $10::bytea, $11::uuid[], $12::bytea[], $13::bytea[], $14::bytea, $15::bigint[],
  $16::text, $17::text, $18::text, $19::uuid, $20::text, $21::text, $22::uuid, $23::text, $24::boolean, $25::boolean, $26::text[], $27::smallint, $28::text`

const guardHub = `
 WHERE EXISTS (SELECT 1 FROM kith.policy_head p WHERE p.partnership = $4::text AND p.digest = $29::bytea)
   AND EXISTS (SELECT 1 FROM kith.agreement_head a WHERE a.partnership = $4::text AND a.stamp = $30::bigint)
   AND EXISTS (SELECT 1 FROM kith.worker w WHERE w.id = $31::uuid AND w.stamp = $32::bigint)`

// One family is the common case and two index look-ups; several are counted.
const (
	guardFamily   = ` AND EXISTS (SELECT 1 FROM kith.family f WHERE f.id = $33::uuid AND f.stamp = $34::bigint)`
	guardFamilies = `
   AND (SELECT count(*) FROM unnest($33::uuid[], $34::bigint[]) AS g (id, stamp)
         JOIN kith.family f ON f.id = g.id AND f.stamp = g.stamp) = cardinality($33::uuid[])`
)

// Both settings in one statement. The event stays set for the session, so that
// the reads behind the COMMIT can name it; QueueReset clears it.
const setEvent = `SELECT set_config('synchronous_commit', 'on', true), set_config('kith.event', $1, false)`

const (
	setDurable = `SELECT set_config('synchronous_commit', 'on', true)`
	clearEvent = `SELECT set_config('kith.event', '', false)`
)

func (r *Row) args() []any {
	return []any{
		r.header.ID, r.class, r.header.Occurred, r.header.Partnership, r.header.Replica, r.entry.Header, r.entry.Commitments, r.entry.Signature,
		r.entry.Common, r.entry.CommonSalt, r.subjects, r.entry.SubjectSalts, r.entry.SubjectParts, r.input, r.released,
		r.header.Kind, r.header.Agency, r.header.ActingFor, orNull(r.common.Principal.Worker), r.common.Principal.Label(),
		r.common.Purpose, orNull(r.common.Family), r.header.Outcome, r.common.Declared, r.common.Emergency, r.owners, int16(r.top), r.common.Request,
	}
}

func orNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// Queued is a row on its way; its results stand first in the batch's.
type Queued struct{ row *Row }

// Queue puts the append at the head of a batch: BEGIN, the settings, the
// INSERT where the guard holds, COMMIT. The caller queues the reads that the
// event opens behind it, then QueueReset, sends all of it on one connection,
// and calls Result before it reads anything else of the batch.
//
// PostgreSQL skips the rest of a pipeline after an error, so nothing behind a
// failed INSERT or COMMIT runs; and where the guard did not hold, the reads
// run and find nothing, since there is no row to open anything.
//
// A statement that fails between BEGIN and COMMIT leaves the connection in a
// failed transaction; a pool closes such a connection when it is released.
func (r *Row) Queue(b *pgx.Batch, g Guard) Queued {
	args := append(r.args(), g.Policy[:], g.AgreementStamp, g.Worker, g.WorkerStamp)
	sql := insertRow + guardHub
	switch len(g.Families) {
	case 0:
	case 1:
		sql += guardFamily
		args = append(args, g.Families[0].Family, g.Families[0].Stamp)
	default:
		ids, stamps := make([]uuid.UUID, len(g.Families)), make([]int64, len(g.Families))
		for i, f := range g.Families {
			ids[i], stamps[i] = f.Family, f.Stamp
		}
		sql += guardFamilies
		args = append(args, ids, stamps)
	}
	b.Queue("BEGIN")
	b.Queue(setEvent, r.header.ID.String())
	b.Queue(sql, args...)
	b.Queue("COMMIT")
	return Queued{row: r}
}

// Result reads the append's part of the batch's results. Errors: ErrStale,
// ErrNotLogged. Without an error the event is durable.
func (q Queued) Result(results pgx.BatchResults) (Receipt, error) {
	inserted, err := readAppend(results)
	if err != nil {
		return Receipt{}, fmt.Errorf("append event %s: %w: %w", q.row.header.ID, ErrNotLogged, err)
	}
	if inserted == 0 {
		return Receipt{}, fmt.Errorf("append event %s: %w", q.row.header.ID, ErrStale)
	}
	return Receipt{signed: q.row.receipt}, nil
}

func readAppend(results pgx.BatchResults) (inserted int64, err error) {
	for range 2 { // BEGIN, settings
		if _, err := results.Exec(); err != nil {
			return 0, postgres.Redact(err)
		}
	}
	insert, err := results.Exec()
	if err != nil {
		return 0, postgres.Redact(err)
	}
	// COMMIT of a failed transaction succeeds with the tag ROLLBACK.
	commit, err := results.Exec()
	if err != nil {
		return 0, postgres.Redact(err)
	}
	if commit.String() != "COMMIT" {
		return 0, fmt.Errorf("transaction ended with %s", commit)
	}
	if insert.RowsAffected() > 1 {
		return 0, fmt.Errorf("%d rows inserted", insert.RowsAffected())
	}
	return insert.RowsAffected(), nil
}

// QueueReset makes the connection forget the event. Queue it last, so that
// whoever has the connection next opens nothing by an event that is not theirs.
func QueueReset(b *pgx.Batch) { b.Queue(clearEvent) }

// Reset does the same at once: for a connection whose pipeline ended with an
// error before the queued reset. When it fails the connection must be closed.
func Reset(ctx context.Context, conn *pgx.Conn) error {
	if conn.PgConn().TxStatus() != 'I' {
		if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
			return fmt.Errorf("reset connection: %w", postgres.Redact(err))
		}
	}
	if _, err := conn.Exec(ctx, clearEvent); err != nil {
		return fmt.Errorf("reset connection: %w", postgres.Redact(err))
	}
	return nil
}
