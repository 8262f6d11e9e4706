package tree

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"testing"
	"time"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// TestBacklog says how fast a backlog gets its leaves and how fast an export
// of it verifies. KITH_BACKLOG sets how many events; it measures, so it runs
// only where it is asked for.
func TestBacklog(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("KITH_BACKLOG"))
	if n == 0 {
		t.Skip("KITH_BACKLOG=1000000 measures sequencing and verifying a backlog of that many")
	}
	b := newBench(t)
	b.append(t, 1000)
	// The same thousand again under other ids: their receipts do not verify,
	// which takes exactly as long as if they did.
	b.exec(t, `INSERT INTO access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt, common, common_salt, subjects,
		subject_salts, subject_parts, kind, agency, worker, principal, outcome)
		SELECT id, retention, occurred_at + make_interval(secs => g * 0.000001), partnership, replica, header, commitments, receipt, common, common_salt, subjects,
		subject_salts, subject_parts, kind, agency, worker, principal, outcome FROM access_event, generate_series(1, $1) g`, n/1000-1)
	b.exec(t, `ANALYZE access_event`)
	tree := b.tree(t)
	tree.Replicas = func() proof.Keys { return proof.NewKeys(b.replica) }
	start := time.Now()
	s := lead(t, tree)
	took := time.Since(start)
	if s.head.Size != int64(n) {
		t.Fatalf("%d leaves for %d events", s.head.Size, n)
	}
	t.Logf("%d leaves in %s: %.0f a second (most of them marked and alarmed)", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
	start = time.Now()
	file := b.export(t, audit.AuditorScope())
	t.Logf("export of %d MB in %s", len(file)>>20, time.Since(start).Round(time.Millisecond))
	for _, fast := range []bool{false, true} {
		start = time.Now()
		r, err := proof.VerifyExport(bytes.NewReader(file), proof.VerifyOptions{Keys: b.trusted(), SkipSignatures: fast})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("verified %d entries in %s on %d processors, signatures left out: %v", r.Shown, time.Since(start).Round(time.Millisecond), runtime.GOMAXPROCS(0), fast)
	}
}
