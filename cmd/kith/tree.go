package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"kith/internal/api"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
)

// treeConfig is what the log's tree is made of. Without a key a hub has none:
// that is for measuring what the tree costs, and `kith serve` refuses it.
type treeConfig struct {
	Key               ed25519.PrivateKey
	Next              ed25519.PrivateKey // takes over; both sign meanwhile
	Origin            string
	File              string      // the published checkpoint
	Replicas          []proof.Key // of the other replicas
	KeyList           proof.KeyFile
	Witnesses         []tree.Witness
	Quorum            int
	StopWithoutQuorum bool
	AlarmLag, StopLag time.Duration
}

// logConfig is the section `log` of the configuration.
type logConfig struct {
	// Key is a file with the log's Ed25519 private key (PKCS #8, PEM), the same
	// for all replicas, and nowhere in the database. Needed. (KITH_LOG_KEY)
	Key string `yaml:"key"`
	// NextKey is a file with the key that takes over. While it is named, both
	// keys sign, so that the new one is announced under the old; later it
	// becomes key, and next_key is left out again. Default none.
	NextKey string `yaml:"next_key"`
	// Origin names the log for ever, such as hub.northby.example/log. Needed.
	Origin string `yaml:"origin"`
	// Checkpoint is the file outside the database in which this replica keeps
	// the newest signed head. Its folder must exist. Needed.
	Checkpoint string `yaml:"checkpoint"`
	// ReplicaKeys are the public receipt keys of the other replicas
	// (NAME+HASH+KEY): what they sign is not taken for forged.
	ReplicaKeys []string `yaml:"replica_keys"`
	// KeyList is a file, outside the database, with every key that signs or ever
	// signed and its dates: a line each, "log KEY from=TIME until=TIME" or
	// "replica KEY …". It is given out signed (GET /v1/log/keys). Without it the
	// list holds the keys of today, without dates. Default none.
	KeyList string `yaml:"key_list"`
	// Witnesses are partners' servers that cosign the log. Default none.
	Witnesses []witnessConfig `yaml:"witnesses"`
	// Quorum is how many of them should have cosigned. Default 0.
	Quorum int `yaml:"quorum"`
	// StopWithoutQuorum stops the reads where the quorum is missing for ten
	// minutes; else that is an alarm. Default false.
	StopWithoutQuorum bool `yaml:"stop_without_quorum"`
	// AlarmLag and StopLag: how long an event may wait for its place before an
	// alarm, and before reads stop. Default 10m and 60m.
	AlarmLag time.Duration `yaml:"alarm_lag"`
	StopLag  time.Duration `yaml:"stop_lag"`
}

type witnessConfig struct {
	URL string `yaml:"url"`
	Key string `yaml:"key"` // NAME+HASH+KEY, as kith-verify witness prints it
}

// complete reads the key and checks every field; add reports what is wrong.
func (c logConfig) complete(add func(format string, args ...any)) treeConfig {
	t := treeConfig{Origin: c.Origin, File: c.Checkpoint, Quorum: c.Quorum, StopWithoutQuorum: c.StopWithoutQuorum, AlarmLag: c.AlarmLag, StopLag: c.StopLag}
	var err error
	if t.Key, err = readReceiptKey(c.Key); err != nil {
		add("log.key: %w", err)
	} else if public, _ := t.Key.Public().(ed25519.PublicKey); c.Origin != "" {
		if _, err := proof.NewLogKey(c.Origin, public); err != nil {
			add("log.origin: must be like hub.example/log, without spaces or plus signs")
		}
	}
	if c.NextKey != "" {
		if t.Next, err = readReceiptKey(c.NextKey); err != nil {
			add("log.next_key: %w", err)
		}
	}
	if t.KeyList, err = readKeyList(c.KeyList); err != nil {
		add("log.key_list: %w", err)
	}
	if c.Origin == "" {
		add("log.origin: needed")
	}
	if c.Checkpoint == "" {
		add("log.checkpoint: needed: a file outside the database")
	} else if info, err := os.Stat(filepath.Dir(c.Checkpoint)); err != nil || !info.IsDir() {
		add("log.checkpoint: its folder does not exist")
	}
	for i, text := range c.ReplicaKeys {
		k, err := proof.ParseKey(text)
		if err != nil {
			add("log.replica_keys[%d]: %w", i, err)
		}
		t.Replicas = append(t.Replicas, k)
	}
	for i, w := range c.Witnesses {
		if k, err := proof.ParseNoteKey(w.Key); err != nil || !k.Witness {
			add("log.witnesses[%d].key: not a witness's key", i)
		}
		if _, err := hubAddress(w.URL); err != nil {
			add("log.witnesses[%d].url: must begin with https://; http:// is for this machine alone", i)
		}
		t.Witnesses = append(t.Witnesses, tree.Witness{URL: w.URL, Key: w.Key})
	}
	if c.Quorum < 0 || c.Quorum > len(c.Witnesses) {
		add("log.quorum: must be 0 to the number of witnesses")
	}
	if c.AlarmLag < 0 || c.StopLag < 0 {
		add("log: a lag may not be negative")
	}
	return t
}

// openTree compares the log with what was published before anything is served,
// gives the recorder its gate, and starts this replica's share of the work.
func (h *hub) openTree(ctx context.Context, app, auditor, sequencer *pgxpool.Pool, metrics *api.Metrics) (*api.LogTree, error) {
	c := h.config.Tree
	if len(c.Key) == 0 {
		return nil, nil
	}
	own, err := h.recorder.ReceiptKey()
	if err != nil {
		return nil, err
	}
	list, err := c.keyList(own, h.config.Now())
	if err != nil {
		return nil, err
	}
	announced, err := c.announce(list)
	if err != nil {
		return nil, err
	}
	keys := proof.NewKeys(list.Replicas...)
	t, err := tree.New(tree.Config{
		Pool: sequencer, Partnership: h.config.Identity.Partnership, Origin: c.Origin, LogKey: c.Key, NextKey: c.Next, Replicas: func() proof.Keys { return keys },
		File: c.File, Recorder: h.recorder, Witnesses: c.Witnesses, Quorum: c.Quorum, StopWithoutQuorum: c.StopWithoutQuorum,
		AlarmLag: c.AlarmLag, StopLag: c.StopLag, Now: h.config.Now, Random: h.config.Random, Log: h.config.Log,
	})
	if err != nil {
		return nil, err
	}
	if err := t.Check(ctx); err != nil {
		return nil, fmt.Errorf("compare the log with its published checkpoint: %w", err)
	}
	if err := t.Gate().Check(); err != nil {
		// The officers need a hub that runs to set it right; it releases nothing.
		h.config.Log.ErrorContext(ctx, "reads are stopped", "cause", err.Error())
	}
	h.recorder.Guard(t.Gate().Check)
	metrics.Register(treeMetrics(t)...)
	h.background.Go(func() {
		tick := time.NewTicker(tree.Tick)
		defer tick.Stop()
		t.Run(ctx, tick.C)
	})
	public, _ := c.Key.Public().(ed25519.PublicKey)
	log, err := proof.NewLogKey(c.Origin, public)
	if err != nil {
		return nil, err
	}
	return &api.LogTree{Tree: t, Reader: tree.NewReader(auditor), Officer: tree.Officer{Pool: app, Recorder: h.recorder}, Replicas: list.Replicas, Log: log, Keys: list, Announced: announced}, nil
}

// treeCheck is readiness: a stopped log is not ready, a late one is a warning.
func treeCheck(t *api.LogTree) api.Check {
	return api.Check{Name: "tree", Test: func(context.Context) (string, error) {
		if t == nil {
			return "this hub has no log tree", nil
		}
		if err := t.Tree.Gate().Check(); err != nil {
			return "", err
		}
		st := t.Tree.Status()
		var warnings []error
		if st.Late {
			warnings = append(warnings, fmt.Errorf("the oldest event without a leaf is %s old", st.Lag.Round(time.Second)))
		}
		if !st.Quorum {
			warnings = append(warnings, errors.New("too few witnesses have cosigned"))
		}
		if err := errors.Join(warnings...); err != nil {
			return err.Error(), nil
		}
		return "", nil
	}}
}

// treeMetrics watch promise 4.
func treeMetrics(t *tree.Tree) []prometheus.Collector {
	gauge := func(name, help string, value func(tree.Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(t.Status()) })
	}
	count := func(name, help string, value func(tree.Status) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(t.Status()) })
	}
	flag := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	return []prometheus.Collector{
		gauge("kith_log_lag_seconds", "Age of the oldest committed event that has no place in the tree yet.", func(s tree.Status) float64 { return s.Lag.Seconds() }),
		gauge("kith_log_late", "1: the lag is over the limit of the alarm.", func(s tree.Status) float64 { return flag(s.Late) }),
		gauge("kith_log_size", "Entries under the newest checkpoint that this replica has seen.", func(s tree.Status) float64 { return float64(s.Size) }),
		gauge("kith_log_leading", "1: this replica sequences.", func(s tree.Status) float64 { return flag(s.Leading) }),
		gauge("kith_log_stopped", "1: reads are stopped because the log cannot be trusted as it stands.", func(s tree.Status) float64 { return flag(s.Stopped) }),
		gauge("kith_log_quorum_missing", "1: too few witnesses have cosigned lately.", func(s tree.Status) float64 { return flag(!s.Quorum) }),
		count("kith_log_leaves_total", "Leaves that this replica has given.", func(s tree.Status) float64 { return float64(s.Leaves) }),
		count("kith_log_forged_total", "Of them, events whose receipt no replica's key has signed.", func(s tree.Status) float64 { return float64(s.Forged) }),
	}
}
