package main

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"kith/internal/audit/tree"
	"kith/internal/disclosure"
	"kith/internal/policy"
)

// weighConfig bounds what a proposed version is weighed by; 0 is the default,
// less than 0 is nothing.
type weighConfig struct {
	Accesses int // the last so many, replayed
	Views    int // of live records
}

const (
	// headEvery is how often a replica asks for the active version, in case that
	// it was not told.
	headEvery = 2 * time.Second
	// weighEvery is how often it looks for proposals that nobody weighs.
	weighEvery = 5 * time.Second
)

// alertBroken is raised where the active policy version cannot be decided by.
const alertBroken = "policy-broken"

// guardReads stops the reads where the log cannot be trusted, or where this
// replica is behind the active policy version.
func (h *hub) guardReads(log *tree.Tree, follower *policy.Follower) {
	h.recorder.Guard(func() error {
		if log != nil {
			if err := log.Gate().Check(); err != nil {
				return err
			}
		}
		return follower.Gate()
	})
}

// runPolicy follows the active version, starts what was scheduled, and computes
// what proposals would change.
func (h *hub) runPolicy(ctx context.Context, follower *policy.Follower, office *policy.Office, weigher *disclosure.Weigher) {
	heard, submitted := make(chan struct{}, 1), make(chan struct{}, 1)
	office.Submitted = func() {
		select {
		case submitted <- struct{}{}:
		default:
		}
	}
	h.background.Go(func() { policy.Listen(ctx, h.config.App, heard) })
	h.background.Go(func() {
		tick := time.NewTicker(headEvery)
		defer tick.Stop()
		follower.Run(ctx, tick.C, heard)
	})
	h.background.Go(func() {
		tick := time.NewTicker(weighEvery)
		defer tick.Stop()
		weigher.Run(ctx, tick.C, submitted)
	})
	h.background.Go(func() {
		tick := time.NewTicker(headEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := office.StartDue(ctx); err != nil && ctx.Err() == nil {
					h.config.Log.ErrorContext(ctx, "a scheduled start was not tried yet", "cause", err.Error())
				}
			}
		}
	})
}

// brokenPolicy tells everybody whose work it is, once for each version.
func (h *hub) brokenPolicy(ctx context.Context, digest policy.Digest, cause error) {
	h.config.Log.ErrorContext(ctx, "the active policy version is broken: deciding by the last good one", "digest", digest.String(), "cause", cause.Error())
	if h.recorder == nil {
		return // the hub is starting, and will not
	}
	if err := h.recorder.Raise(ctx, alertBroken, uuid.Nil); err != nil {
		h.config.Log.ErrorContext(ctx, "alert not raised", "kind", alertBroken, "cause", err.Error())
	}
}

// policyMetrics watch that every replica decides by the version that is active.
func policyMetrics(f *policy.Follower) []prometheus.Collector {
	gauge := func(name, help string, value func(policy.FollowerStatus) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(f.Status()) })
	}
	count := func(name, help string, value func(policy.FollowerStatus) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(f.Status()) })
	}
	return []prometheus.Collector{
		gauge("kith_policy_behind_seconds", "For how long this replica has known of an active policy version that it cannot decide by, or could not ask for it.",
			func(s policy.FollowerStatus) float64 { return s.Behind.Seconds() }),
		gauge("kith_policy_broken", "1: the active policy version is broken, and the last good one decides.", func(s policy.FollowerStatus) float64 {
			if s.Broken.IsZero() {
				return 0
			}
			return 1
		}),
		count("kith_policy_heard_total", "Activations that this replica was told of; it finds out about others by asking.", func(s policy.FollowerStatus) float64 { return float64(s.Told) }),
		count("kith_policy_changes_total", "Policy versions that became active under this replica.", func(s policy.FollowerStatus) float64 { return float64(s.Changes) }),
	}
}
