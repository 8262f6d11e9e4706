package proof_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"kith/internal/audit/proof"
)

// sampleExport is a good export of so many entries; more is the last part of
// each one's view.
func sampleExport(tb testing.TB, entries int, more string) []byte {
	tb.Helper()
	replica, err := proof.NewKey("hub-1", public(logKey(3)))
	if err != nil {
		tb.Fatal(err)
	}
	log := mustLogKey(tb, "hub.example/log", logKey(1))
	lines := make([]proof.ExportEntry, entries)
	var f proof.Frontier
	for i := range lines {
		h := proof.Header{Kind: "read", Outcome: "released", Partnership: "northby", Agency: "MH", Policy: digest(1), Input: digest(2), Decision: digest(3), Replica: replica.ID(), Occurred: time.Unix(1700000000, 0).UTC()}
		binary.BigEndian.PutUint64(h.ID[:], uint64(i+1))
		header, err := h.Encode()
		if err != nil {
			tb.Fatal(err)
		}
		commitments := make([]byte, 5*32)
		leaf := proof.LeafHash(header, commitments)
		r := proof.SignReceipt(logKey(3), replica.ID(), h.ID, h.Occurred, leaf)
		person := h.ID
		copies := &proof.Copies{Occurred: h.Occurred, Recorded: h.Occurred.Add(3 * time.Millisecond), Kind: h.Kind, Outcome: h.Outcome, Agency: h.Agency, Partnership: h.Partnership,
			Replica: h.Replica, Worker: person, Principal: "worker " + person.String(), Purpose: "FS", Family: person, Request: "req-0123456789"}
		view := []byte(`{"id":"` + h.ID.String() + `","kind":"read","principal":{"name":"Ada","agency":"MH","roles":["practitioner"]},"purpose":"FS","released":[{"section":"mh-risk","owner":"NHFT","level":"full","clauses":["isa-mash 4.2"],"entries":["` + h.ID.String() + `/2"]}],"more":"` + more + `"}`)
		lines[i] = proof.ExportEntry{Index: int64(i), Leaf: leaf, Event: h.ID, Header: header, Commitments: commitments, Signature: r.Signature[:], Copies: copies, View: view}
		f.Append(leaf)
	}
	signed, err := proof.SignCheckpoint(proof.Checkpoint{Origin: "hub.example/log", Size: int64(entries), Root: f.Root()}, logKey(1))
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	w, err := proof.NewExportWriter(&out, proof.ExportHeader{Checkpoint: string(signed), LogKey: log.String(), ReplicaKeys: []string{replica.String()}, Scope: "all", End: int64(entries)}, proof.ExportMark{Number: 1, Size: int64(entries)},
		func(d proof.Digest) (string, []byte) { return replica.ID(), proof.SignExport(logKey(3), d) })
	if err != nil {
		tb.Fatal(err)
	}
	for i := range lines {
		if err := w.Entry(&lines[i]); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkVerifyExport is kith-verify's time for one entry.
func BenchmarkVerifyExport(b *testing.B) {
	const entries = 2000
	file := sampleExport(b, entries, "")
	for name, fast := range map[string]bool{"whole": false, "fast": true} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r, err := proof.VerifyExport(bytes.NewReader(file), proof.VerifyOptions{SkipSignatures: fast})
				if err != nil || !r.Good() {
					b.Fatal(err, r.First)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
		})
	}
}

// weighed tells how much is in memory while it is read.
type weighed struct {
	io.Reader
	each, until int64
	read        int64
	most        uint64
}

func (w *weighed) Read(b []byte) (int, error) {
	n, err := w.Reader.Read(b)
	if w.read += int64(n); w.read >= w.until {
		w.until += w.each
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		w.most = max(w.most, m.HeapAlloc)
	}
	return n, err
}

// An auditor's machine must hold an export of any length. Not parallel: what
// others keep in memory meanwhile would count.
func TestVerifyingTakesTheSameMemoryHoweverLong(t *testing.T) {
	file := sampleExport(t, 600, strings.Repeat("x", 64<<10)) // 40 MB
	empty := &weighed{Reader: strings.NewReader("x")}
	_, _ = io.ReadAll(empty)
	r := &weighed{Reader: bytes.NewReader(file), each: int64(len(file)) / 10}
	report, err := proof.VerifyExport(r, proof.VerifyOptions{})
	if err != nil || !report.Good() || report.Shown != 600 {
		t.Fatalf("%v %v", err, report.First)
	}
	if more := int64(r.most) - int64(empty.most); more > int64(len(file))/2 {
		t.Errorf("%d MB more in memory while a file of %d MB is verified", more>>20, len(file)>>20)
	}
}
