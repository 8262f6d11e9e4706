package tree

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Election is the key of the advisory lock by which sequencers are elected
// ("KITHSEQ1"). Who holds it and is none keeps the tree as it is, for a
// measurement.
const Election = 0x4b49544853455131

// A leader's session. A leader that was frozen or cut off loses the session,
// and with it the lock, within 4 s: it speaks each second.
var leaderSettings = []string{
	`SET idle_session_timeout = '4s'`,
	`SET idle_in_transaction_session_timeout = '4s'`,
	`SET tcp_keepalives_idle = 1`,
	`SET tcp_keepalives_interval = 1`,
	`SET tcp_keepalives_count = 3`,
}

// sequencer is a replica's candidate for the election.
type sequencer struct {
	tree *Tree
	conn *pgxpool.Conn // holds the lock
	head head
	edge edge
	pass *pass
	// written is the horizon as it is stored; the head in memory may be further.
	written   uint64
	published time.Time
	busy      bool // the last round gave leaves: more are likely to wait
	stale     bool // head and edge must be read again before anything is added
	// unelected sequences without the lock: for the test that forces two at once.
	unelected bool
}

// idleXIDs is how far the horizon may move before it is stored without a leaf.
const idleXIDs = 10_000

// pass is one scan over the rows that may lack a leaf. It begins with a
// horizon: whatever is committed later belongs to a transaction at or above it
// and to the next pass. So a transaction that stays open holds the horizon
// back and nothing else, and what lies behind a batch need not be looked at
// again in the same pass.
type pass struct {
	horizon uint64
	system  int64
	full    bool
	// The last row of the batch before.
	from  uint64 // xid
	since time.Time
	after uuid.UUID
}

// resign gives up the lock.
func (s *sequencer) resign() {
	s.tree.leading.Store(false)
	if s.conn == nil {
		return
	}
	// Closing the session is the one release that cannot be half done.
	conn := s.conn.Hijack()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
	s.conn, s.pass = nil, nil
}

// stand tries to be elected. True: this replica leads.
func (s *sequencer) stand(ctx context.Context) (bool, error) {
	if s.conn != nil {
		return true, nil
	}
	conn, err := s.tree.Pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("stand for election: %w", postgres.Redact(err))
	}
	elected := s.unelected
	if !elected {
		if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, int64(Election)).Scan(&elected); err != nil || !elected {
			conn.Release()
			return false, postgres.Redact(err)
		}
	}
	s.conn = conn
	for _, sql := range leaderSettings {
		if _, err := conn.Exec(ctx, sql); err != nil {
			s.resign()
			return false, fmt.Errorf("%s: %w", sql, postgres.Redact(err))
		}
	}
	if err := s.load(ctx); err != nil {
		s.resign()
		return false, err
	}
	s.tree.leading.Store(true)
	return true, nil
}

// load reads head and right side; it begins the log where there is none.
func (s *sequencer) load(ctx context.Context) error {
	t := s.tree
	h, err := readHead(ctx, s.conn)
	if errors.Is(err, ErrNoCheckpoint) {
		// A hub that remembers a log does not begin another.
		if old, had, err := t.readFile(); err != nil || had && old.Size > 0 {
			t.gate.stop(ReasonRolledBack, fmt.Sprintf("the database has no log, the published checkpoint has %d entries", old.Size))
			s.head, s.edge, s.pass = head{}, edge{}, nil
			return err
		}
		empty := (&edge{}).root()
		_, err = s.conn.Exec(ctx, `INSERT INTO kith.log_head (number, origin, root) VALUES (1, $1, $2) ON CONFLICT DO NOTHING`, t.Origin, empty[:])
		if err != nil {
			return fmt.Errorf("begin the log: %w", postgres.Redact(err))
		}
		h, err = readHead(ctx, s.conn)
	}
	if err != nil {
		return err
	}
	if s.edge, err = loadEdge(ctx, s.conn, h); err != nil {
		if errors.Is(err, errBroken) || errors.Is(err, ErrNoTile) {
			t.gate.stop(ReasonBroken, "the stored tree does not give its own root")
			err = nil // it still leads: two officers may resume the log
		}
		s.edge = edge{}
	}
	s.head, s.pass, s.written = h, nil, h.Scanned
	return err
}

// alive keeps the session, and the lock with it.
func (s *sequencer) alive(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, `SELECT 1`)
	return postgres.Redact(err)
}

// round is one tick: what is new gets its leaves, then a checkpoint.
func (s *sequencer) round(ctx context.Context) error {
	elected, err := s.stand(ctx)
	if err != nil || !elected {
		return err
	}
	size := s.head.Size
	err = s.sequence(ctx)
	s.busy = s.head.Size != size
	if err != nil {
		s.resign() // what this replica believes of the head may be wrong: look again
		return err
	}
	return nil
}

func (s *sequencer) sequence(ctx context.Context) error {
	t := s.tree
	if t.gate.wrong() {
		if err := s.resume(ctx); err != nil {
			return err
		}
		if t.gate.wrong() {
			s.stale = true
			return s.alive(ctx) // nothing is added to a log that is not what it was
		}
	}
	if !t.gate.compared() {
		return s.alive(ctx) // nor to one that nobody has compared yet
	}
	if s.stale {
		if err := s.load(ctx); err != nil {
			return err
		}
		if s.stale = t.gate.wrong(); s.stale {
			return nil
		}
	}
	for {
		more, err := s.step(ctx)
		if err != nil {
			return err
		}
		if now := t.Now(); !more || now.Sub(s.published) >= time.Second {
			if err := s.publish(ctx); err != nil {
				return err
			}
			s.published = now
		}
		if !more || ctx.Err() != nil {
			return postgres.Redact(ctx.Err())
		}
	}
}

// begin opens a pass.
func (s *sequencer) begin(ctx context.Context, tx pgx.Tx) error {
	var horizon uint64
	var system int64
	err := tx.QueryRow(ctx, `SELECT pg_snapshot_xmin(pg_current_snapshot()), (SELECT system_identifier FROM pg_control_system())`).Scan(&horizon, &system)
	if err != nil {
		return fmt.Errorf("ask for the horizon: %w", postgres.Redact(err))
	}
	s.pass = &pass{horizon: horizon, system: system, from: s.head.Scanned, full: system != s.head.System}
	return nil
}

// step gives leaves to one batch. More is false when the pass is at its end.
func (s *sequencer) step(ctx context.Context) (more bool, err error) {
	t := s.tree
	next, edge := s.head, s.edge.clone()
	var rows []row
	var forged int64
	var wrote bool
	p := pass{}
	err = pgx.BeginTxFunc(ctx, s.conn, pgx.TxOptions{BeginQuery: "BEGIN; SET LOCAL synchronous_commit = on"}, func(tx pgx.Tx) error {
		if s.pass == nil {
			if err := s.begin(ctx, tx); err != nil {
				return err
			}
		}
		p = *s.pass
		var err error
		if rows, err = t.readRows(ctx, tx, &p); err != nil {
			return err
		}
		if more = len(rows) == t.Batch; more {
			last := &rows[len(rows)-1]
			p.from, p.since, p.after = last.XID, last.OccurredAt, last.ID
		} else {
			next.Scanned, next.System = p.horizon, p.system
		}
		// The horizon moves with every transaction of the hub; alone it is worth a write only now and then.
		if len(rows) == 0 && !p.full && next.Scanned < s.written+idleXIDs {
			return nil
		}
		wrote = true
		forged, err = s.write(ctx, tx, rows, &next, &edge)
		return err
	})
	if err != nil {
		s.pass = nil
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "23505" {
			return false, fmt.Errorf("%w: %w", ErrFenced, postgres.Redact(err))
		}
		return false, postgres.Redact(err)
	}
	s.head, s.edge = next, edge
	if wrote {
		s.written = next.Scanned
	}
	s.pass = &p
	if !more {
		s.pass = nil
	}
	t.leaves.Add(int64(len(rows)))
	t.forged.Add(forged)
	return more, nil
}

// write stores leaves and tiles and moves the head, if it is still where this
// sequencer believes it to be.
func (s *sequencer) write(ctx context.Context, tx pgx.Tx, rows []row, next *head, edge *edge) (forged int64, err error) {
	t := s.tree
	hashes := make([]proof.Digest, len(rows))
	bad := make([]bool, len(rows))
	t.verify(rows, hashes, bad)
	first := edge.size
	tiles := edge.append(hashes)
	next.Size, next.Root = edge.size, edge.root()

	b := &pgx.Batch{}
	b.Queue(`UPDATE kith.log_head SET size = $1, root = $2, scanned = $3::xid8, system_identifier = $4 WHERE number = $5 AND size = $6 AND root = $7`,
		next.Size, next.Root[:], next.Scanned, next.System, s.head.Number, s.head.Size, s.head.Root[:])
	for _, tile := range tiles {
		b.Queue(`INSERT INTO kith.log_tile (number, level, n, hashes) VALUES ($1, $2, $3, $4)
			ON CONFLICT (number, level, n) DO UPDATE SET hashes = excluded.hashes`, s.head.Number, tile.level, tile.n, tile.hashes)
	}
	results := tx.SendBatch(ctx, b)
	moved, err := results.Exec()
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return 0, fmt.Errorf("move the log's head: %w", postgres.Redact(err))
	}
	if moved.RowsAffected() != 1 {
		return 0, ErrFenced
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"kith", "log_leaf"}, []string{"number", "index", "event", "retention", "occurred_at", "xid", "hash", "forged"},
		pgx.CopyFromSlice(len(rows), func(i int) ([]any, error) {
			r := &rows[i]
			return []any{s.head.Number, first + int64(i), pgtype.UUID{Bytes: r.ID, Valid: true}, r.Retention, r.OccurredAt, r.XID, hashes[i][:], bad[i]}, nil
		}))
	if err != nil {
		return 0, fmt.Errorf("store leaves: %w", postgres.Redact(err))
	}
	alarms := &pgx.Batch{}
	for i := range rows {
		if !bad[i] {
			continue
		}
		id, err := uuid.NewRandomFromReader(t.Random)
		if err != nil {
			return 0, fmt.Errorf("raise alert: randomness: %w", err)
		}
		alarms.Queue(insertAlert, id, t.Partnership, "forged-receipt", rows[i].ID)
	}
	if alarms.Len() > 0 {
		if err := tx.SendBatch(ctx, alarms).Close(); err != nil {
			return 0, fmt.Errorf("raise alerts: %w", postgres.Redact(err))
		}
	}
	return int64(alarms.Len()), nil
}

// verify computes leaves and checks receipts, on all processors: the
// signatures take longer than all the rest.
func (t *Tree) verify(rows []row, hashes []proof.Digest, bad []bool) {
	const least = 256 // that are worth a processor of their own
	keys := t.Replicas()
	workers := min(runtime.GOMAXPROCS(0), 1+len(rows)/least)
	var wg sync.WaitGroup
	for w := range workers {
		from, until := w*len(rows)/workers, (w+1)*len(rows)/workers
		wg.Go(func() { genuine(rows[from:until], hashes[from:until], bad[from:until], keys) })
	}
	wg.Wait()
}

// genuine computes leaves, and marks the rows as bad that no replica's key has
// signed as they are: header, commitments, and the id and time that the row is
// filed by.
func genuine(rows []row, hashes []proof.Digest, bad []bool, keys proof.Keys) {
	receipts := make([]proof.Receipt, len(rows))
	for i := range rows {
		r := &rows[i]
		hashes[i] = proof.LeafHash(r.Header, r.Commitments)
		h, err := proof.DecodeHeader(r.Header)
		if err != nil || h.ID != r.ID || !h.Occurred.Equal(r.OccurredAt) || h.Kind != r.Kind || h.Replica != r.Replica || len(r.Receipt) != 64 {
			bad[i] = true // whatever its receipt says
			continue
		}
		receipts[i] = proof.Receipt{Event: h.ID, Occurred: h.Occurred, Leaf: hashes[i], Replica: h.Replica, Signature: [64]byte(r.Receipt)}
	}
	for i, err := range proof.VerifyReceipts(keys, receipts) {
		bad[i] = bad[i] || err != nil
	}
}

// signed tells whether an event of a kind is in the log under a replica's
// signature, and when it was.
func (t *Tree) signed(ctx context.Context, q querier, event uuid.UUID, kind string) (time.Time, bool, error) {
	rows, err := q.Query(ctx, `SELECT e.id, e.retention, e.occurred_at, e.xid, e.replica, e.header, e.commitments, e.receipt, e.kind FROM kith.access_event e WHERE e.id = $1`, event)
	if err != nil {
		return time.Time{}, false, postgres.Redact(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return time.Time{}, false, postgres.Redact(err)
	}
	hashes, bad := make([]proof.Digest, len(list)), make([]bool, len(list))
	if genuine(list, hashes, bad, t.Replicas()); len(list) != 1 || list[0].Kind != kind || bad[0] {
		return time.Time{}, false, nil
	}
	return list[0].OccurredAt, true, nil
}
