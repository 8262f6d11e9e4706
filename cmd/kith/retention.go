package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// openKeeper is what erases, holds and drops. Without an address for
// kith_retention a hub has none, and its routes say so.
func (h *hub) openKeeper(ctx context.Context, log *audit.Log) (*audit.Keeper, error) {
	c := h.config
	if c.Retention == "" {
		return nil, nil
	}
	pool, err := h.pool(ctx, c.Retention, postgres.Options{ApplicationName: "kith retention", MaxConns: 2})
	if err != nil {
		return nil, fmt.Errorf("database, role of retention: %w", err)
	}
	return &audit.Keeper{Pool: pool, Recorder: h.recorder, Reference: log.Reference, Periods: c.Keep, Now: c.Now}, nil
}

// readKeyList reads the dated list of keys; no path is no list.
func readKeyList(path string) (proof.KeyFile, error) {
	if path == "" {
		return proof.KeyFile{}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return proof.KeyFile{}, err
	}
	return proof.ParseKeyFile(data)
}

// keyList is the list that is given out: the one of the configuration, which
// must name the keys that sign today as in use, or these alone, without dates.
func (c *treeConfig) keyList(own proof.Key, now time.Time) (proof.KeyFile, error) {
	present, err := c.signers()
	if err != nil {
		return proof.KeyFile{}, err
	}
	if len(c.KeyList.Logs) == 0 && len(c.KeyList.Replicas) == 0 {
		list := proof.KeyFile{Replicas: append([]proof.Key{own}, c.Replicas...)}
		for _, s := range present {
			list.Logs = append(list.Logs, s.Key)
		}
		return list, nil
	}
	inUse := func(text string, dates proof.Dates, of string) bool { return text == of && dates.Hold(now) }
	current := false
	for _, s := range present {
		current = current || slices.ContainsFunc(c.KeyList.Logs, func(k proof.NoteKey) bool { return inUse(k.String(), k.Dates, s.Key.String()) })
	}
	if !current {
		return proof.KeyFile{}, errors.New("log.key_list: it names no key of the log that signs today as in use")
	}
	if !slices.ContainsFunc(c.KeyList.Replicas, func(k proof.Key) bool { return inUse(k.String(), k.Dates, own.String()) }) {
		return proof.KeyFile{}, errors.New("log.key_list: this replica's receipt key is not in it, or not in use today")
	}
	for _, other := range c.Replicas { // among them keys that no longer sign
		if !slices.ContainsFunc(c.KeyList.Replicas, func(k proof.Key) bool { return k.String() == other.String() }) {
			return proof.KeyFile{}, fmt.Errorf("log.key_list: the receipt key %s of log.replica_keys is not in it", other.ID())
		}
	}
	return c.KeyList, nil
}

// signers are the log's keys that sign today, under the name of the first log.
func (c *treeConfig) signers() ([]proof.LogSigner, error) {
	var list []proof.LogSigner
	for _, private := range []ed25519.PrivateKey{c.Key, c.Next} {
		if len(private) == 0 {
			continue
		}
		public, _ := private.Public().(ed25519.PublicKey)
		key, err := proof.NewLogKey(c.Origin, public)
		if err != nil {
			return nil, err
		}
		list = append(list, proof.LogSigner{Key: key, Private: private})
	}
	return list, nil
}

// announce signs the list with the log's keys of today.
func (c *treeConfig) announce(list proof.KeyFile) ([]byte, error) {
	signers, err := c.signers()
	if err != nil {
		return nil, err
	}
	return list.Announce(signers...)
}
