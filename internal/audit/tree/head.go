package tree

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// head is the stored head of the present log.
type head struct {
	Number         int
	Origin         string
	Size           int64
	Root           proof.Digest
	Scanned        uint64
	System         int64
	Checkpoint     []byte
	CheckpointSize int64
	CheckpointAt   *time.Time
}

func (h *head) checkpoint() proof.Checkpoint {
	return proof.Checkpoint{Origin: h.Origin, Size: h.Size, Root: h.Root}
}

const selectHead = `
SELECT number, origin, size, root, scanned, system_identifier, checkpoint, checkpoint_size, checkpoint_at
  FROM kith.log_head ORDER BY number DESC LIMIT 1`

// readHead gives the present log's head. Error: ErrNoCheckpoint before the
// first sequencer has begun the log.
func readHead(ctx context.Context, q querier) (head, error) {
	var h head
	var root []byte
	err := q.QueryRow(ctx, selectHead).Scan(&h.Number, &h.Origin, &h.Size, &root, &h.Scanned, &h.System, &h.Checkpoint, &h.CheckpointSize, &h.CheckpointAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return head{}, ErrNoCheckpoint
	}
	if err != nil {
		return head{}, fmt.Errorf("read the log's head: %w", postgres.Redact(err))
	}
	if len(root) != len(h.Root) {
		return head{}, errBroken
	}
	h.Root = proof.Digest(root)
	return h, nil
}

// row is a committed event without a leaf.
type row struct {
	ID          uuid.UUID
	Retention   string
	OccurredAt  time.Time
	XID         uint64
	Replica     string
	Header      []byte
	Commitments []byte
	Receipt     []byte
	Kind        string
}

// noLeaf is a sub-select with a limit, so that the planner looks each row up
// by index: an anti-join of the whole tree for a few rows is what it would
// choose when its statistics lag behind.
const noLeaf = `(SELECT l.index FROM kith.log_leaf l WHERE l.event = e.id AND l.occurred_at = e.occurred_at AND l.retention = e.retention LIMIT 1) IS NULL`

const selectRow = `
SELECT e.id, e.retention, e.occurred_at, e.xid, e.replica, e.header, e.commitments, e.receipt, e.kind
  FROM kith.access_event e
 WHERE ` + noLeaf

// Steady state: xids of this server, older ones being done. The upper bound
// leaves out rows that came from another server with a greater xid.
const steady = `
   AND (e.xid, e.occurred_at, e.id) > ($1::xid8, $2, $3) AND e.xid < pg_snapshot_xmax(pg_current_snapshot())
 ORDER BY e.xid, e.occurred_at, e.id LIMIT $4`

// After a restore on another server its xids begin anew, so they tell nothing
// about the rows that came along: everything is looked at once.
const everything = `
   AND (e.occurred_at, e.id) > ($1, $2)
 ORDER BY e.occurred_at, e.id LIMIT $3`

func (t *Tree) readRows(ctx context.Context, q querier, p *pass) ([]row, error) {
	var rows pgx.Rows
	var err error
	if p.full {
		rows, err = q.Query(ctx, selectRow+everything, p.since, p.after, t.Batch)
	} else {
		rows, err = q.Query(ctx, selectRow+steady, p.from, p.since, p.after, t.Batch)
	}
	if err != nil {
		return nil, fmt.Errorf("read events without a leaf: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, fmt.Errorf("read events without a leaf: %w", postgres.Redact(err))
	}
	return list, nil
}
