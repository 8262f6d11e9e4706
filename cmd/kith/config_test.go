package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const goodConfig = `
replica: hub-1
database:
  app: postgres://kith_app:a@db.example/kith
  auditor: postgres://kith_auditor:b@db.example/kith
identity:
  partnership: northby
  issuers:
    - url: https://login.example/csc
      audiences: [kith]
      clients: [kith-web]
      max_lifetime: 30m
      agencies:
        - {agency: CSC, roles: [social-worker]}
log: {origin: hub.northby.example/log, checkpoint: /tmp/checkpoint}
limits: {read_timeout: 5s}
`

func keys(t *testing.T) (receipt, reference string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	receipt, reference = filepath.Join(dir, "receipt.pem"), filepath.Join(dir, "reference")
	if err := os.WriteFile(receipt, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(reference, []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return receipt, reference
}

func hubOf(t *testing.T, text string, env map[string]string) (hubConfig, error) {
	t.Helper()
	c, err := readConfig(strings.NewReader(text), func(k string) string { return env[k] })
	if err != nil {
		return hubConfig{}, err
	}
	return c.hub(slog.New(slog.DiscardHandler), time.Now, rand.Reader)
}

func TestAGoodConfiguration(t *testing.T) {
	t.Parallel()
	receipt, reference := keys(t)
	h, err := hubOf(t, goodConfig, map[string]string{"KITH_RECEIPT_KEY": receipt, "KITH_REFERENCE_KEY": reference, "KITH_LOG_KEY": receipt,
		"KITH_DATABASE_SEQUENCER": "postgres://kith_sequencer:c@db.example/kith", "KITH_DATABASE_REPLAY": "postgres://kith_replay:d@db.example/kith"})
	if err != nil {
		t.Fatal(err)
	}
	if h.Replica != "hub-1" || len(h.ReceiptKey) != ed25519.PrivateKeySize || len(h.ReferenceKey) != 32 || h.Limits.ReadTimeout != 5*time.Second {
		t.Errorf("not all was taken over: replica %q, keys of %d and %d bytes, limit %s", h.Replica, len(h.ReceiptKey), len(h.ReferenceKey), h.Limits.ReadTimeout)
	}
	if got := h.Identity.Issuers[0]; got.MaxLifetime != 30*time.Minute || got.Types[0] != "at+jwt" {
		t.Errorf("issuer: lifetime %s, types %v", got.MaxLifetime, got.Types)
	}
}

// An empty file opens nothing, and says all that is missing in one go.
func TestAnEmptyConfigurationIsRefusedWithEveryError(t *testing.T) {
	t.Parallel()
	_, err := hubOf(t, "", nil)
	if err == nil {
		t.Fatal("an empty configuration was taken")
	}
	for _, want := range []string{"replica", "database.app", "database.auditor", "database.sequencer", "database.replay", "partnership", "issuers", "receipt_key", "reference_key", "log.key", "log.origin", "log.checkpoint"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
}

func TestConfigurationIsStrict(t *testing.T) {
	t.Parallel()
	receipt, reference := keys(t)
	env := map[string]string{"KITH_RECEIPT_KEY": receipt, "KITH_REFERENCE_KEY": reference, "KITH_LOG_KEY": receipt, "KITH_DATABASE_SEQUENCER": "postgres://x/y", "KITH_DATABASE_REPLAY": "postgres://x/y"}
	open := filepath.Join(t.TempDir(), "open.pem")
	raw, err := os.ReadFile(receipt)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	const limits = "limits: {read_timeout: 5s}\n"
	for name, c := range map[string]struct{ add, want string }{
		"unknown field":      {"lisen: 127.0.0.1:80\n", "lisen"},
		"one listener":       {"listen: 127.0.0.1:9\nprivate_listen: 127.0.0.1:9\n", "private_listen"},
		"bad level":          {"log_level: loud\n", "log_level"},
		"endless drain":      {"drain: 1h\n", "drain"},
		"no such class":      {"retention: {reads: 24}\n", "retention class"},
		"kept for no time":   {"retention: {access: 0}\n", "retention of access"},
		"slower than a read": {strings.Replace(limits, "}", ", slow_down: 6s}", 1), "slow_down"},
		"a tiny answer":      {strings.Replace(limits, "}", ", answer_bytes: 1000}", 1), "answer_bytes"},
		"keys of an hour":    {strings.Replace(limits, "}", ", write_keys_kept: 1h}", 1), "write_keys_kept"},
		"searches below -1":  {strings.Replace(limits, "}", ", searches_per_hour: -2}", 1), "searches_per_hour"},
		"key open to others": {"receipt_key: " + open + "\n", "chmod 600"},
		"no such key":        {"reference_key: /nonexistent\n", "reference_key"},
	} {
		e := map[string]string{}
		for k, v := range env {
			e[k] = v
		}
		if strings.Contains(c.add, "receipt_key") {
			delete(e, "KITH_RECEIPT_KEY")
		}
		if strings.Contains(c.add, "reference_key") {
			delete(e, "KITH_REFERENCE_KEY")
		}
		_, err := hubOf(t, strings.Replace(goodConfig, limits, "", 1)+c.add, e)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one that names %q", name, err, c.want)
		}
	}
}

// A bad address is not quoted: it holds a password.
func TestConfigurationErrorsHoldNoPassword(t *testing.T) {
	t.Parallel()
	_, err := hubOf(t, strings.Replace(goodConfig, "postgres://kith_app:a@db.example/kith", "\"postgres://kith_app:s3cret@[bad\"", 1), nil)
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("error: %v", err)
	}
}
