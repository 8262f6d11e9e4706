package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/audit/tree"
	"kith/internal/postgres"
)

// trees measures what the log's tree costs: reads beside a sequencer at work
// and beside none, how far it lags at full load, how fast it works off a
// backlog, and how long a proof takes at that size.
func (b *bench) trees(ctx context.Context, w *benchWorld) error {
	// What changes on a machine that others use too must not fall on one of them alone: they take turns.
	const turns = 3
	var off, on, watched []measure
	var lags []time.Duration
	for range turns {
		for _, x := range []struct {
			what        string
			tree, watch bool
			into        *[]measure
		}{{"read, tree off", false, false, &off}, {"read, tree on", true, false, &on}, {"read, tree on and watched", true, true, &watched}} {
			m, some, err := b.readsBeside(ctx, w, x.what, x.tree, x.watch)
			if err != nil {
				return err
			}
			*x.into, lags = append(*x.into, m), append(lags, some...)
		}
	}
	without, with, whole := average(off), average(on), average(watched)
	for _, m := range []measure{without, with, whole} {
		b.add(w, m)
	}
	b.note("%d families: durable audited reads with the tree on against off: %.2f of the rate, %.2f of the CPU; with the watch for findings beside it %.2f of the rate, %.2f of the CPU.", w.families,
		with.rate/without.rate, float64(with.cpu())/float64(without.cpu()), whole.rate/without.rate, float64(whole.cpu())/float64(without.cpu()))
	if len(lags) > 0 {
		b.note("%d families: from the row to its leaf at full load: median %s, p99 %s, at most %s (%d events).", w.families, quantile(lags, 50), quantile(lags, 99), quantile(lags, 100), len(lags))
	}
	return b.backlog(ctx, w)
}

// average of measures of one thing.
func average(list []measure) measure {
	all := list[0]
	n := float64(len(list))
	of := func(get func(measure) float64) (sum float64) {
		for _, m := range list {
			sum += get(m)
		}
		return sum / n
	}
	duration := func(get func(measure) time.Duration) time.Duration {
		return time.Duration(of(func(m measure) float64 { return float64(get(m)) }))
	}
	all.done = int(of(func(m measure) float64 { return float64(m.done) }) * n)
	all.rate = of(func(m measure) float64 { return m.rate })
	all.allocs, all.bytes = of(func(m measure) float64 { return m.allocs }), of(func(m measure) float64 { return m.bytes })
	all.p50, all.p99 = duration(func(m measure) time.Duration { return m.p50 }), duration(func(m measure) time.Duration { return m.p99 })
	all.own, all.database = duration(func(m measure) time.Duration { return m.own }), duration(func(m measure) time.Duration { return m.database })
	return all
}

// readsBeside measures reads. lags are those of every event that was logged
// meanwhile, where the tree is on.
func (b *bench) readsBeside(ctx context.Context, w *benchWorld, what string, sequencer, watch bool) (m measure, lags []time.Duration, err error) {
	if !watch {
		resume, err := w.holdWatch(ctx)
		if err != nil {
			return measure{}, nil, err
		}
		defer func() { err = errors.Join(err, resume()) }()
	}
	finish := func() ([]time.Duration, error) { return nil, nil }
	if sequencer {
		if err := w.settle(ctx); err != nil {
			return measure{}, nil, err
		}
		finish = w.followHead(ctx)
	} else {
		release, err := w.holdTree(ctx)
		if err != nil {
			return measure{}, nil, err
		}
		defer release()
	}
	m, err = w.processes().run(ctx, what, 16, b.long, func(ctx context.Context, caller, i int) error {
		r := w.pick(caller, i)
		_, err := w.kept.Read(ctx, r.caller, familyRequest(r.family))
		return err
	})
	lags, followed := finish()
	return m, lags, errors.Join(err, followed)
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

// holdWatch puts the place from which accesses are looked at behind every leaf
// that may come, until the returned function puts it behind the newest.
func (w *benchWorld) holdWatch(ctx context.Context) (resume func() error, err error) {
	move := func(ctx context.Context, to string) error {
		_, err := w.floor.pool.Exec(ctx, `UPDATE kith.finding_scan SET number = (SELECT max(number) FROM kith.log_head), index = `+to)
		if err != nil {
			return fmt.Errorf("hold the watch: %w", postgres.Redact(err))
		}
		return nil
	}
	return func() error {
		return move(context.WithoutCancel(ctx), `(SELECT size - 1 FROM kith.log_head ORDER BY number DESC LIMIT 1)`)
	}, move(ctx, `9000000000000000000`)
}

// size is how many leaves the log has.
func (w *benchWorld) size(ctx context.Context) (size int64, err error) {
	if err = w.floor.pool.QueryRow(ctx, `SELECT size FROM kith.log_head ORDER BY number DESC LIMIT 1`).Scan(&size); err != nil {
		return 0, fmt.Errorf("read the log's head: %w", postgres.Redact(err))
	}
	return size, nil
}

// until waits until the log has so many leaves.
func (w *benchWorld) until(ctx context.Context, want int64) error {
	for {
		size, err := w.size(ctx)
		if err != nil || size >= want {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// settle waits until every event has its leaf.
func (w *benchWorld) settle(ctx context.Context) error {
	var events int64
	if err := w.floor.pool.QueryRow(ctx, `SELECT count(*) FROM kith.access_event`).Scan(&events); err != nil {
		return fmt.Errorf("count events: %w", postgres.Redact(err))
	}
	return w.until(ctx, events)
}

// followHead notes when the log grew. The returned function ends it and gives,
// for each event that got its leaf meanwhile, how long it took from the row.
func (w *benchWorld) followHead(ctx context.Context) func() ([]time.Duration, error) {
	const each = 50 * time.Millisecond
	type grown struct {
		size int64
		at   time.Time
	}
	var seen []grown
	var failed error
	stop := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(each)
		defer tick.Stop()
		for {
			size, err := w.size(ctx)
			if err != nil {
				failed = err
				return
			}
			if len(seen) == 0 || size > seen[len(seen)-1].size {
				seen = append(seen, grown{size, time.Now()})
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	return func() (lags []time.Duration, err error) {
		err = w.settle(ctx) // else those that waited longest were left out
		close(stop)
		group.Wait()
		if err = errors.Join(err, failed); err != nil {
			return nil, err
		}
		rows, _ := w.floor.pool.Query(ctx, `
			SELECT l.index, e.recorded_at FROM kith.log_leaf l
			  JOIN kith.access_event e ON e.id = l.event AND e.occurred_at = l.occurred_at AND e.retention = l.retention
			 WHERE l.number = (SELECT max(number) FROM kith.log_head) AND l.index >= $1 AND l.index < $2`, seen[0].size, seen[len(seen)-1].size)
		var index int64
		var recorded time.Time
		_, err = pgx.ForEachRow(rows, []any{&index, &recorded}, func() error {
			at, _ := slices.BinarySearchFunc(seen, index, func(g grown, index int64) int {
				if g.size > index {
					return 1
				}
				return -1
			})
			lags = append(lags, seen[at].at.Sub(recorded))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("measure the lag: %w", postgres.Redact(err))
		}
		return lags, nil
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
	n := b.accesses
	resume, err := w.holdWatch(ctx) // it would take its share of the machine
	if err != nil {
		return err
	}
	release, err := w.holdTree(ctx)
	if err != nil {
		return errors.Join(err, resume())
	}
	began := time.Now()
	ids, err := w.copyEvents(ctx, n)
	if err == nil {
		_, err = w.floor.pool.Exec(ctx, `VACUUM (ANALYZE) kith.access_event`)
	}
	var events int64
	if err == nil {
		err = w.floor.pool.QueryRow(ctx, `SELECT count(*) FROM kith.access_event`).Scan(&events)
	}
	if err != nil {
		release()
		return errors.Join(err, resume())
	}
	fmt.Fprintf(b.stderr, "  a backlog of %d events was copied in within %s\n", n, time.Since(began).Round(time.Second))
	before, err := w.size(ctx)
	if err != nil {
		release()
		return errors.Join(err, resume())
	}
	used := w.processes().spent()
	began = time.Now()
	release()
	if err := errors.Join(w.until(ctx, events), resume()); err != nil {
		return err
	}
	took, now, given := time.Since(began), w.processes().spent(), int(events-before)
	var forged bool
	if err := w.floor.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kith.log_leaf WHERE forged)`).Scan(&forged); err != nil {
		return fmt.Errorf("look for forged leaves: %w", postgres.Redact(err))
	}
	if forged {
		return errors.New("the bench's own events are taken for forged")
	}
	b.note("%d families: a backlog of %d events got its leaves in %s: %.0f a second (CPU each: own %.3f ms, PostgreSQL %.3f ms).", w.families, given, took.Round(time.Millisecond), float64(given)/took.Seconds(),
		millisEach(now.own-used.own, given), millisEach(now.database-used.database, given))

	reader := tree.NewReader(w.floor.pool)
	var latencies []time.Duration
	for range 500 {
		start := time.Now()
		if _, err := reader.Prove(ctx, ids[rand.IntN(len(ids))]); errors.Is(err, tree.ErrNoLeaf) {
			time.Sleep(100 * time.Millisecond) // the newest have no checkpoint yet
			continue
		} else if err != nil {
			return fmt.Errorf("prove: %w", err)
		}
		latencies = append(latencies, time.Since(start))
	}
	if len(latencies) == 0 {
		return errors.New("nothing can be proved")
	}
	b.note("%d families: a proof of inclusion among %d leaves: median %s, p99 %s.", w.families, events, quantile(latencies, 50), quantile(latencies, 99))
	return nil
}
