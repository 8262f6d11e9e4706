package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/policy"
)

const (
	// replayVersions are kept compiled: a range of days seldom holds more.
	replayVersions = 4
	// replayDeadline is an evaluation's in a replay. It is long: whether an
	// answer is the same must not depend on how busy the machine is today.
	replayDeadline = 10 * time.Second
	// tellEvery is how often readers of what was corrected are looked for.
	tellEvery = 2 * time.Second
)

// openExplainer gives what explains the log and decides it again, and starts to
// tell readers of what has been corrected since they were shown it.
func (h *hub) openExplainer(ctx context.Context, app, replay *pgxpool.Pool, door *disclosure.Door, log *audit.Log, metrics *api.Metrics) *disclosure.Explainer {
	c := h.config
	replayer := &disclosure.Replayer{
		Past:     audit.NewPast(replay, c.Identity.Partnership),
		Versions: policy.NewVersions(replay, policy.Options{Deadline: replayDeadline}, replayVersions).At,
		Recorder: h.recorder, Log: c.Log,
	}
	count := func(result, help string, of func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "kith_replay_" + result + "_total", Help: help}, func() float64 { return float64(of()) })
	}
	metrics.Register(
		count("same", "Events decided again with the recorded answer.", func() int64 { n, _, _ := replayer.Counts(); return n }),
		count("different", "Events decided again with ANOTHER answer: each is an alarm.", func() int64 { _, n, _ := replayer.Counts(); return n }),
		count("impossible", "Events that could not be decided again: erased, or not evaluated then.", func() int64 { _, _, n := replayer.Counts(); return n }),
	)
	corrections := &disclosure.Corrections{Pool: app, Recorder: h.recorder, Log: log, Partnership: c.Identity.Partnership, Now: c.Now}
	h.background.Go(func() {
		tick := time.NewTicker(tellEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := corrections.Sweep(ctx); err != nil && ctx.Err() == nil {
					c.Log.ErrorContext(ctx, "readers of a corrected entry not told yet", "cause", err.Error())
				}
			}
		}
	})
	return &disclosure.Explainer{Door: door, Log: log, Replayer: replayer}
}
