package proof_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"kith/internal/audit/proof"
)

// BenchmarkVerifyExport is kith-verify's time for one entry.
func BenchmarkVerifyExport(b *testing.B) {
	const entries = 2000
	replica, err := proof.NewKey("hub-1", public(logKey(3)))
	if err != nil {
		b.Fatal(err)
	}
	log := mustLogKey(b, "hub.example/log", logKey(1))
	lines := make([]proof.ExportEntry, entries)
	var f proof.Frontier
	for i := range lines {
		h := proof.Header{Kind: "read", Outcome: "released", Partnership: "northby", Agency: "MH", Replica: replica.ID(), Occurred: time.Unix(1700000000, 0).UTC()}
		binary.BigEndian.PutUint64(h.ID[:], uint64(i+1))
		header, err := h.Encode()
		if err != nil {
			b.Fatal(err)
		}
		commitments := make([]byte, 96)
		leaf := proof.LeafHash(header, commitments)
		r := proof.SignReceipt(logKey(3), replica.ID(), h.ID, h.Occurred, leaf)
		view := []byte(`{"id":"` + h.ID.String() + `","kind":"read","principal":{"name":"Ada","agency":"MH","roles":["practitioner"]},"purpose":"FS","released":[{"section":"mh-risk","owner":"NHFT","level":"full","clauses":["isa-mash 4.2"],"entries":["` + h.ID.String() + `/2"]}]}`)
		lines[i] = proof.ExportEntry{Index: int64(i), Leaf: leaf, Event: h.ID, Header: header, Commitments: commitments, Signature: r.Signature[:], View: view}
		f.Append(leaf)
	}
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "hub.example/log", Size: entries, Root: f.Root()}, logKey(1))
	if err != nil {
		b.Fatal(err)
	}
	var out bytes.Buffer
	w, err := proof.NewExportWriter(&out, proof.ExportHeader{Checkpoint: string(signed), LogKey: log.String(), ReplicaKeys: []string{replica.String()}, Scope: "all", End: entries}, proof.ExportMark{Number: 1, Size: entries},
		func(d proof.Digest) (string, []byte) { return replica.ID(), proof.SignExport(logKey(3), d) })
	if err != nil {
		b.Fatal(err)
	}
	for i := range lines {
		if err := w.Entry(&lines[i]); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		b.Fatal(err)
	}
	for name, fast := range map[string]bool{"whole": false, "fast": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := proof.VerifyExport(bytes.NewReader(out.Bytes()), proof.VerifyOptions{SkipSignatures: fast})
				if err != nil || !r.Good() {
					b.Fatal(err, r.First)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
		})
	}
}
