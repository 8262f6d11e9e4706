package main

import (
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kith/internal/audit/proof"
)

// The list that a hub gives out names the keys that sign today as in use, and
// announces the next one under the present.
func TestTheDatedListOfKeys(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	c := treeConfig{Key: newKey(t), Next: newKey(t), Origin: logOrigin}
	receipt := newKey(t)
	public, _ := receipt.Public().(ed25519.PublicKey)
	own, err := proof.NewKey("hub-1", public)
	if err != nil {
		t.Fatal(err)
	}
	signers, err := c.signers()
	if err != nil || len(signers) != 2 {
		t.Fatal(signers, err)
	}
	plain, err := c.keyList(own, now)
	if err != nil || len(plain.Logs) != 2 || len(plain.Replicas) != 1 {
		t.Errorf("without a list: %+v, %v", plain, err)
	}
	trusted := proof.KeyFile{Logs: []proof.NoteKey{signers[0].Key}} // who knows the present key alone
	announced, err := c.announce(plain)
	if err != nil {
		t.Fatal(err)
	}
	if fresh, by, err := trusted.Announced(announced); err != nil || len(fresh.Logs) != 2 || len(by) != 1 {
		t.Errorf("the next key is not announced under the present one: %v, %v", by, err)
	}
	log, next := signers[0].Key.String(), signers[1].Key.String()
	for name, x := range map[string]struct{ list, want string }{
		"good":              {"log " + log + " until=2027-01-01T00:00:00Z\nlog " + next + " from=2026-12-01T00:00:00Z\nreplica " + own.String() + "\n", ""},
		"only a later one":  {"log " + next + " from=2026-12-01T00:00:00Z\nreplica " + own.String() + "\n", "names no key of the log"},
		"an ended one":      {"log " + log + " until=2026-11-01T00:00:00Z\nreplica " + own.String() + "\n", "names no key of the log"},
		"no replica":        {"log " + log + "\n", "receipt key is not in it"},
		"a retired replica": {"log " + log + "\nreplica " + own.String() + " until=2026-11-22T09:00:00Z\n", "not in use today"},
		"not a time":        {"log " + log + " until=tomorrow\n", "neither from=TIME nor until=TIME"},
		"ends first":        {"log " + log + " from=2026-02-01T00:00:00Z until=2026-01-01T00:00:00Z\n", "ends before it begins"},
	} {
		path := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(path, []byte(x.list), 0o600); err != nil {
			t.Fatal(err)
		}
		c := c
		c.KeyList, err = readKeyList(path)
		if err == nil {
			_, err = c.keyList(own, now)
		}
		if (err == nil) != (x.want == "") || err != nil && !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
}
