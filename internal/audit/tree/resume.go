package tree

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

const (
	// officers is how many different people must ask for a resumption.
	officers = 2
	// resumeWithin is how long the first one's word stands.
	resumeWithin = time.Hour
)

// Officer takes the requests to resume a stopped log, as the app's role.
type Officer struct {
	Pool     *pgxpool.Pool
	Recorder *audit.Recorder
}

// Ask logs one officer's request and keeps it, in one transaction. e says who
// asks; last is the last known head, which both officers must name alike.
func (o Officer) Ask(ctx context.Context, e audit.Event, last proof.Checkpoint) (proof.Receipt, error) {
	e.Kind, e.Outcome = audit.KindLogResume, audit.OutcomeDone
	e.Details = map[string]string{"origin": last.Origin, "size": strconv.FormatInt(last.Size, 10), "root": last.Root.String()}
	var receipt proof.Receipt
	err := postgres.InTx(ctx, o.Pool, func(tx pgx.Tx) error {
		var err error
		if receipt, err = o.Recorder.AppendTx(ctx, tx, e); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO kith.log_resumption (event, worker, reason, origin, size, root) VALUES ($1, $2, $3, $4, $5, $6)`,
			receipt.Event, e.Principal.Worker, e.Reason, last.Origin, last.Size, last.Root[:])
		return err
	})
	if err != nil {
		return proof.Receipt{}, fmt.Errorf("ask for resumption: %w", err)
	}
	return receipt, nil
}

// LastKnown is the head that this replica's file remembers: what officers are
// shown and must name. A replica on a new machine has no file; where witnesses
// have stopped it, it is the head that was found in the database.
func (t *Tree) LastKnown() (proof.Checkpoint, error) {
	cp, had, err := t.readFile()
	if err == nil && !had {
		t.mu.Lock()
		cp = t.found
		t.mu.Unlock()
	}
	return cp, err
}

// request is one officer's word.
type request struct {
	event  uuid.UUID
	worker uuid.UUID
	reason string
	at     time.Time
	size   int64
	root   []byte
}

// asked gives one request of each officer who named this head, or one head of
// this log that is further (another replica may have published more), as far
// as the event behind it stands in the log under a replica's signature.
func (t *Tree) asked(ctx context.Context, q querier, last proof.Checkpoint) ([]request, error) {
	rows, err := q.Query(ctx, `
		SELECT event, worker, reason, size, root FROM kith.log_resumption
		 WHERE origin = $1 AND (size > $2 OR size = $2 AND root = $3) ORDER BY asked_at`, last.Origin, last.Size, last.Root[:])
	if err != nil {
		return nil, fmt.Errorf("read requests to resume: %w", postgres.Redact(err))
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (request, error) {
		var x request
		return x, r.Scan(&x.event, &x.worker, &x.reason, &x.size, &x.root)
	})
	if err != nil {
		return nil, fmt.Errorf("read requests to resume: %w", postgres.Redact(err))
	}
	var best []request
	type name struct {
		size int64
		root string
	}
	named := map[name][]request{}
	for _, x := range all {
		at, ok, err := t.signed(ctx, q, x.event, string(audit.KindLogResume))
		if err != nil {
			return nil, err
		}
		n := name{x.size, string(x.root)}
		if !ok || slices.ContainsFunc(named[n], func(y request) bool { return y.worker == x.worker }) {
			continue
		}
		x.at = at
		named[n] = append(named[n], x)
		if len(named[n]) > len(best) {
			best = named[n]
		}
	}
	return best, nil
}

// resume starts a new log where two officers have asked for it within an hour.
// Its first leaf is the event that names the last known head and the gap.
func (s *sequencer) resume(ctx context.Context) error {
	t := s.tree
	last, err := t.LastKnown()
	if err != nil || last.Origin == "" || t.Recorder == nil {
		return err
	}
	asked, err := t.asked(ctx, s.conn, last)
	if err != nil {
		return err
	}
	now := t.Now()
	fresh := asked[:0]
	for _, x := range asked {
		if now.Sub(x.at) <= resumeWithin {
			fresh = append(fresh, x)
		}
	}
	if len(fresh) < officers {
		return nil
	}
	t.mu.Lock()
	gap := max(0, max(last.Size, t.longest)-s.head.Size)
	t.mu.Unlock()
	number := max(s.head.Number, t.number(last.Origin)) + 1
	receipt, err := t.Recorder.Append(ctx, audit.Event{
		Kind: audit.KindLogResume, Outcome: audit.OutcomeDone, Reason: fresh[0].reason,
		Principal: proof.Principal{Client: "sequencer", System: true},
		Details: map[string]string{
			"last_origin": last.Origin, "last_size": strconv.FormatInt(last.Size, 10), "last_root": last.Root.String(),
			"restored_size": strconv.FormatInt(s.head.Size, 10), "gap": strconv.FormatInt(gap, 10), "origin": t.originName(number),
			"first_request": fresh[0].event.String(), "second_request": fresh[1].event.String(),
		},
	})
	if err != nil {
		return err
	}
	if err := s.restart(ctx, number, receipt.Event()); err != nil {
		return err
	}
	if err := s.publish(ctx); err != nil {
		return err
	}
	t.gate.clear(ReasonRolledBack, ReasonBroken)
	t.mu.Lock()
	t.found, t.longest = proof.Checkpoint{}, 0
	t.seen = s.head.checkpoint()
	t.mu.Unlock()
	return postgres.Redact(t.raise(ctx, t.Pool, "log-resumed", nil))
}

// restart begins the new log with the one leaf.
func (s *sequencer) restart(ctx context.Context, number int, event uuid.UUID) error {
	t := s.tree
	empty := edge{}
	next := head{Number: number, Origin: t.originName(number), Root: empty.root(), Scanned: s.head.Scanned, System: s.head.System}
	err := pgx.BeginTxFunc(ctx, s.conn, pgx.TxOptions{BeginQuery: "BEGIN; SET LOCAL synchronous_commit = on"}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO kith.log_head (number, origin, resumed_by, root) VALUES ($1, $2, $3, $4)`, number, next.Origin, event, next.Root[:])
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, selectRow+` AND e.id = $1`, event)
		if err != nil {
			return err
		}
		first, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[row])
		if err != nil {
			return err
		}
		s.head, s.pass = next, nil
		_, err = s.write(ctx, tx, []row{first}, &next, &empty)
		return err
	})
	if err != nil {
		return fmt.Errorf("resume the log: %w", postgres.Redact(err))
	}
	s.head, s.edge = next, empty
	return nil
}
