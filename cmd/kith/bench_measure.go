package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// measure is one line of the table: what one operation costs at one load.
type measure struct {
	what     string
	families int
	callers  int
	done     int
	rate     float64 // operations a second
	p50, p99 time.Duration
	allocs   float64       // of this process, an operation
	bytes    float64       // likewise
	own      time.Duration // CPU of this process, an operation
	database time.Duration // CPU of PostgreSQL's processes, an operation
	other    time.Duration // CPU of a server beside it, an operation
}

// cpu is what one operation costs all processes together.
func (m measure) cpu() time.Duration { return m.own + m.database + m.other }

// processes are those whose CPU counts beside this one's.
type processes struct {
	database func() int // the postmaster's id; 0 = none
	other    func() int
}

// spent is the CPU time that processes have used.
type spent struct{ own, database, other time.Duration }

func (p processes) spent() spent {
	s := spent{own: ownCPU()}
	if p.database != nil {
		s.database = treeCPU(p.database())
	}
	if p.other != nil {
		s.other = treeCPU(p.other())
	}
	return s
}

// run lets callers repeat an operation for a while. do gets the caller's
// number and how many it has made; its first error ends the measurement.
func (p processes) run(ctx context.Context, what string, callers int, long time.Duration, do func(ctx context.Context, caller, i int) error) (measure, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	took := make([][]time.Duration, callers)
	next := make([]int, callers)
	repeat := func(lasting time.Duration) {
		var group sync.WaitGroup
		var stop atomic.Bool
		for caller := range callers {
			took[caller] = make([]time.Duration, 0, 1<<14)
			group.Go(func() {
				for !stop.Load() && ctx.Err() == nil {
					start := time.Now()
					if err := do(ctx, caller, next[caller]); err != nil {
						cancel(fmt.Errorf("%s: %w", what, err))
						return
					}
					took[caller] = append(took[caller], time.Since(start))
					next[caller]++
				}
			})
		}
		timer := time.NewTimer(lasting)
		defer timer.Stop()
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		stop.Store(true)
		group.Wait()
	}
	repeat(max(long/3, time.Second)) // connections, prepared statements and their plans
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	used, began := p.spent(), time.Now()
	repeat(long)
	lasted, now := time.Since(began), p.spent()
	runtime.ReadMemStats(&after)
	if err := context.Cause(ctx); err != nil {
		return measure{}, err
	}

	all := slices.Concat(took...)
	if len(all) == 0 {
		return measure{}, fmt.Errorf("%s: nothing was done in %s", what, long)
	}
	slices.Sort(all)
	n := time.Duration(len(all))
	return measure{
		what: what, callers: callers, done: len(all), rate: float64(len(all)) / lasted.Seconds(),
		p50: all[len(all)/2], p99: all[len(all)*99/100],
		allocs: float64(after.Mallocs-before.Mallocs) / float64(n), bytes: float64(after.TotalAlloc-before.TotalAlloc) / float64(n),
		own: (now.own - used.own) / n, database: (now.database - used.database) / n, other: (now.other - used.other) / n,
	}, nil
}
