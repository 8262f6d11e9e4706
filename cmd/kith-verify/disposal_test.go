package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
)

// keyLists writes dated lists of keys, one that announces a new key under the
// old, tiles that are not the log's, and a certificate.
func (w *world) keyLists(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, "trusted"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := proof.ParseKeyFile(data)
	if err != nil {
		t.Fatal(err)
	}
	year := proof.Dates{From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}
	before := proof.Dates{Until: time.Date(2026, 11, 2, 9, 2, 0, 0, time.UTC)} // entries 0 and 1 are older
	list := func(name string, log, replica proof.Dates, logs ...proof.NoteKey) proof.KeyFile {
		k := proof.KeyFile{Logs: append([]proof.NoteKey{}, keys.Logs...), Replicas: append([]proof.Key{}, keys.Replicas...)}
		k.Logs[0].Dates, k.Replicas[0].Dates = log, replica
		k.Logs = append(k.Logs, logs...)
		if back, err := proof.ParseKeyFile([]byte(k.String())); err != nil || back.String() != k.String() {
			t.Errorf("%s is read as another list: %v", name, err)
		}
		w.write(t, name, k.String())
		return k
	}
	list("dated", year, year)
	list("retired", before, year)
	list("retired-replica", year, before)
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := proof.NewLogKey(origin, public)
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "other-log", "log "+next.String()+"\nreplica "+keys.Replicas[0].String()+"\n")
	stranger := next
	stranger.Public = w.replica.Public().(ed25519.PublicKey)
	w.write(t, "stranger", "log "+stranger.String()+"\n")
	next.Dates.From = year.Until
	fresh := list("fresh", year, year, next)
	signed, err := fresh.Announce(proof.LogSigner{Key: keys.Logs[0], Private: w.log}, proof.LogSigner{Key: next, Private: private})
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "announced", string(signed))
	if _, err := proof.ParseKeyFile(signed); err != nil {
		t.Errorf("a signed list is no key file: %v", err)
	}

	checkpoint, err := os.ReadFile(filepath.Join(w.dir, "export", "checkpoint"))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "cut/checkpoint", string(checkpoint))
	w.write(t, "cut/"+proof.TilePath(0, 0, 4), strings.Repeat("x", 128))

	body, err := proof.EncodeDisposal(proof.Disposal{ID: uuid.New(), Kind: "drop", Class: "access", Month: "2019-03", Made: time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC),
		By: []proof.Officer{{Worker: uuid.New(), Name: "Ada <&>", Agency: "HUB"}}, Rule: "24 months", Events: 3})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(proof.SignCertificate(w.replica, keys.Replicas[0].ID(), uuid.New(), body))
	if err != nil {
		t.Fatal(err)
	}
	w.write(t, "certificate", string(raw))
	w.write(t, "certificate-changed", strings.Replace(string(raw), `"events":3`, `"events":2`, 1))
}
