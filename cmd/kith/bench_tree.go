package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/postgres"
)

// The backlogs that a sequencer is given, quick and whole.
const (
	quickBacklog = 100_000
	wholeBacklog = 1_000_000
)

// tree measures what the log's tree costs: reads beside a sequencer at work and
// beside none, how far it lags at full load, how fast it works off a backlog,
// and how long a proof takes at that size.
func (b *bench) tree(ctx context.Context, w *benchWorld) error {
	off, _, err := b.readsBeside(ctx, w, false)
	if err != nil {
		return err
	}
	on, lags, err := b.readsBeside(ctx, w, true)
	if err != nil {
		return err
	}
	b.note("%d families: durable audited reads with the tree on against off: %.2f of the rate, %.2f of the CPU.", w.families, on.rate/off.rate, float64(on.cpu())/float64(off.cpu()))
	if len(lags) > 0 {
		b.note("%d families: from commit to leaf at full load: median %s, p99 %s (%d samples).", w.families, quantile(lags, 50), quantile(lags, 99), len(lags))
	}
	return b.backlog(ctx, w)
}

func (b *bench) readsBeside(ctx context.Context, w *benchWorld, sequencer bool) (measure, []time.Duration, error) {
	what, lags := "read, tree off", []time.Duration(nil)
	sampling, stop := context.WithCancel(ctx)
	defer stop()
	var group sync.WaitGroup
	if sequencer {
		what = "read, tree on"
		var mu sync.Mutex
		for n := range 4 {
			group.Go(func() {
				for sampling.Err() == nil {
					if lag, err := w.untilLeaf(sampling, n); err == nil {
						mu.Lock()
						lags = append(lags, lag)
						mu.Unlock()
					}
				}
			})
		}
	} else {
		hold, err := w.holdTree(ctx)
		if err != nil {
			return measure{}, nil, err
		}
		defer hold()
	}
	m, err := w.processes().run(ctx, what, 16, b.long, func(ctx context.Context, caller, i int) error {
		r := w.pick(caller, i)
		_, err := w.kept.Read(ctx, r.caller, familyRequest(r.family))
		return err
	})
	stop()
	group.Wait()
	if err == nil {
		b.add(w, m)
	}
	return m, lags, err
}

// holdTree keeps every sequencer from working until the returned function is
// called.
func (w *benchWorld) holdTree(ctx context.Context) (release func(), err error) {
	conn, err := postgres.Connect(ctx, w.admin)
	if err != nil {
		return nil, err
	}
	release = func() { _ = conn.Close(context.WithoutCancel(ctx)) }
	_, err = conn.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = $1`, int64(tree.Election))
	if err == nil {
		_, err = conn.Exec(ctx, `SELECT pg_advisory_lock($1)`, int64(tree.Election))
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("hold the tree: %w", postgres.Redact(err))
	}
	return release, nil
}

// untilLeaf reads a family and waits until the tree has the event.
func (w *benchWorld) untilLeaf(ctx context.Context, n int) (time.Duration, error) {
	r := w.pick(n, rand.IntN(len(w.readings)))
	view, err := w.kept.Read(ctx, r.caller, familyRequest(r.family))
	if err != nil {
		return 0, err
	}
	committed := time.Now()
	receipt, err := proof.ParseReceipt(view.Receipt)
	if err != nil {
		return 0, err
	}
	for {
		var there bool
		err := w.floor.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kith.log_leaf WHERE event = $1)`, receipt.Event).Scan(&there)
		if err != nil || there {
			return time.Since(committed), err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func millisEach(d time.Duration, n int) float64 {
	return float64(d) / float64(n) / float64(time.Millisecond)
}

func quantile(of []time.Duration, percent int) time.Duration {
	slices.Sort(of)
	return of[min(len(of)*percent/100, len(of)-1)].Round(10 * time.Microsecond)
}

// backlog gives the sequencer many events at once, and then asks for proofs.
func (b *bench) backlog(ctx context.Context, w *benchWorld) error {
	n := wholeBacklog
	if b.quick {
		n = quickBacklog
	}
	hold, err := w.holdTree(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	ids, err := w.copyEvents(ctx, n)
	if err != nil {
		hold()
		return err
	}
	var leaves int64
	if err := w.floor.pool.QueryRow(ctx, `SELECT count(*) FROM kith.log_leaf`).Scan(&leaves); err != nil {
		hold()
		return fmt.Errorf("count leaves: %w", err)
	}
	fmt.Fprintf(b.stderr, "  a backlog of %d events was copied in within %s\n", n, time.Since(began).Round(time.Second))
	hold()
	before := w.processes().spent()
	began = time.Now()
	for {
		var now int64
		var forged bool
		err := w.floor.pool.QueryRow(ctx, `SELECT count(*), bool_or(forged) FROM kith.log_leaf`).Scan(&now, &forged)
		switch {
		case err != nil:
			return fmt.Errorf("count leaves: %w", err)
		case forged:
			return fmt.Errorf("the bench's own events are taken for forged")
		}
		if now >= leaves+int64(n) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	took, after := time.Since(began), w.processes().spent()
	b.note("%d families: a backlog of %d events got its leaves in %s: %.0f a second (CPU each: own %.3f ms, PostgreSQL %.3f ms).", w.families, n, took.Round(time.Millisecond), float64(n)/took.Seconds(),
		millisEach(after.own-before.own, n), millisEach(after.database-before.database, n))

	reader := tree.NewReader(w.floor.pool)
	var latencies []time.Duration
	for range 500 {
		start := time.Now()
		if _, err := reader.Prove(ctx, ids[rand.IntN(len(ids))]); err != nil {
			return fmt.Errorf("prove: %w", err)
		}
		latencies = append(latencies, time.Since(start))
	}
	b.note("%d families: a proof of inclusion among %d leaves: median %s, p99 %s.", w.families, leaves+int64(n), quantile(latencies, 50), quantile(latencies, 99))
	return nil
}

// copyEvents copies a read of the log many times over, each with an id, a time
// and a good receipt of its own, as the database's administrator.
func (w *benchWorld) copyEvents(ctx context.Context, n int) ([]uuid.UUID, error) {
	const columns = `retention, partnership, replica, commitments, common, common_salt, subjects, subject_salts, subject_parts, kind, agency, worker, principal, purpose, family, outcome, owners, top_level`
	var encoded, commitments []byte
	rest := make([]any, 18)
	into := []any{&encoded}
	for i := range rest {
		into = append(into, &rest[i])
	}
	err := w.floor.pool.QueryRow(ctx, `SELECT header, `+columns+` FROM kith.access_event WHERE kind = 'read' AND cardinality(released) > 0 ORDER BY occurred_at DESC LIMIT 1`).Scan(into...)
	if err != nil {
		return nil, fmt.Errorf("an event to copy: %w", postgres.Redact(err))
	}
	header, err := proof.DecodeHeader(encoded)
	if err != nil {
		return nil, fmt.Errorf("an event to copy: %w", err)
	}
	commitments, _ = rest[3].([]byte)
	key := w.hub.config.ReceiptKey
	ids := make([]uuid.UUID, n)
	start := time.Now().UTC().Truncate(time.Microsecond).Add(-time.Minute)
	names := append([]string{"id", "occurred_at", "recorded_at", "header", "receipt"}, strings.Split(columns, ", ")...)
	// A backlog comes from many transactions, not from one.
	const together = 100
	for first := 0; first < n && err == nil; first += together {
		_, err = w.floor.pool.CopyFrom(ctx, pgx.Identifier{"kith", "access_event"}, names, pgx.CopyFromSlice(min(together, n-first), func(i int) ([]any, error) {
			i += first
			ids[i] = uuid.New()
			h := header
			h.ID, h.Occurred = ids[i], start.Add(time.Duration(i)*time.Microsecond)
			text, err := h.Encode()
			if err != nil {
				return nil, err
			}
			receipt := proof.SignReceipt(key, h.Replica, h.ID, h.Occurred, proof.LeafHash(text, commitments))
			return append([]any{h.ID, h.Occurred, h.Occurred, text, receipt.Signature[:]}, rest...), nil
		}))
	}
	if err != nil {
		return nil, fmt.Errorf("copy events: %w", postgres.Redact(err))
	}
	return ids, nil
}
