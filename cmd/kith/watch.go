package main

import (
	"context"
	"fmt"
	"time"
	_ "time/tzdata" // working hours are London's, on a machine without time zones too

	"kith/internal/audit"
	"kith/internal/audit/tree"
	"kith/internal/disclosure"
)

// reviewConfig is the section `reviews` of the configuration: what the auditor
// and the privacy officers are given to look at.
type reviewConfig struct {
	// SampleRate is the share of accesses that are drawn at random. Default
	// 0.01; -1 none.
	SampleRate float64 `yaml:"sample_rate"`
	// Opens and Closes are the working hours of weekdays in London, as 7h and
	// 19h30m from midnight. What is opened outside is looked at. Default 7h, 19h.
	Opens  time.Duration `yaml:"opens"`
	Closes time.Duration `yaml:"closes"`
	// Denials is how many refused requests within 24 hours are too many. Default 5.
	Denials int `yaml:"denials"`
	// VolumeFactor and VolumeFloor: a day is unusual with so many times the
	// families of the worker's busiest day in four weeks, and at least the
	// floor. Default 2 and 20.
	VolumeFactor float64 `yaml:"volume_factor"`
	VolumeFloor  int     `yaml:"volume_floor"`
	// DueEmergency, DueUrgent, DueSoon and DueRoutine are how long a review may
	// take: of emergency access (24h), of what touches the worker's own life
	// (48h), of most (168h), of samples and the like (504h).
	DueEmergency time.Duration `yaml:"due_emergency"`
	DueUrgent    time.Duration `yaml:"due_urgent"`
	DueSoon      time.Duration `yaml:"due_soon"`
	DueRoutine   time.Duration `yaml:"due_routine"`
}

func (c reviewConfig) rules(add func(format string, args ...any)) disclosure.WatchRules {
	if c.Denials < 0 || c.VolumeFactor < 0 || c.VolumeFloor < 0 || c.DueEmergency < 0 || c.DueUrgent < 0 || c.DueSoon < 0 || c.DueRoutine < 0 || c.SampleRate > 1 {
		add("reviews: nothing may be negative, save sample_rate -1 for no sample; sample_rate is at most 1")
	}
	if c.Opens < 0 || c.Closes > 24*time.Hour || c.Opens != 0 && c.Opens >= c.Closes {
		add("reviews: opens must come before closes, within one day")
	}
	return disclosure.WatchRules{SampleRate: c.SampleRate, Opens: c.Opens, Closes: c.Closes, Denials: c.Denials, VolumeFactor: c.VolumeFactor, VolumeFloor: c.VolumeFloor,
		Emergency: c.DueEmergency, Urgent: c.DueUrgent, Soon: c.DueSoon, Routine: c.DueRoutine}
}

// watchEvery is how often a replica looks at what was accessed.
const watchEvery = 2 * time.Second

// openWatch starts this replica's share in looking at accesses, and gives the
// reviews. t may be nil: a hub without a tree gives no leaves, so nothing is
// looked at.
func (h *hub) openWatch(ctx context.Context, door *disclosure.Door, log *audit.Log, t *tree.Tree) (*disclosure.Reviews, error) {
	w, err := disclosure.NewWatch(log, h.config.Watch, h.config.Now, h.config.Random, h.config.Log)
	if err != nil {
		return nil, fmt.Errorf("reviews: %w", err)
	}
	h.background.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		w.Run(ctx, tick.C)
	})
	if t != nil {
		h.background.Go(func() {
			tick := time.NewTicker(time.Minute)
			defer tick.Stop()
			t.KeepAlerts(ctx, tick.C)
		})
	}
	return &disclosure.Reviews{Door: door, Log: log, Rules: h.config.Watch}, nil
}
