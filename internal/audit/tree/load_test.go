package tree

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

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
	b.repeat(t, n)
	b.exec(t, `ANALYZE access_event`)
	tree := b.tree(t)
	start := time.Now()
	s := lead(t, tree)
	took := time.Since(start)
	if s.head.Size != int64(n) || tree.Status().Forged != 0 {
		t.Fatalf("%d leaves for %d events, %d of them marked", s.head.Size, n, tree.Status().Forged)
	}
	t.Logf("%d leaves in %s: %.0f a second", n, took.Round(time.Millisecond), float64(n)/took.Seconds())
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

// repeat makes n events of one, each with an id, a time and a good receipt of
// its own, as the database's owner.
func (b *bench) repeat(t *testing.T, n int) {
	t.Helper()
	const columns = `retention, partnership, replica, commitments, common, common_salt, subjects, subject_salts, subject_parts, kind, agency, worker, principal, outcome`
	b.append(t, 1)
	rest := make([]any, 14)
	var encoded []byte
	into := []any{&encoded}
	for i := range rest {
		into = append(into, &rest[i])
	}
	if err := b.admin.QueryRow(t.Context(), `SELECT header, `+columns+` FROM access_event`).Scan(into...); err != nil {
		t.Fatal(err)
	}
	h, err := proof.DecodeHeader(encoded)
	if err != nil {
		t.Fatal(err)
	}
	commitments, _ := rest[3].([]byte)
	names := append([]string{"id", "occurred_at", "recorded_at", "header", "receipt"}, strings.Split(columns, ", ")...)
	const together = 100 // a backlog comes from many transactions
	for first := 1; first < n; first += together {
		_, err := b.admin.CopyFrom(t.Context(), pgx.Identifier{"kith", "access_event"}, names, pgx.CopyFromSlice(min(together, n-first), func(int) ([]any, error) {
			h.ID, h.Occurred = uuid.New(), h.Occurred.Add(time.Microsecond)
			header, err := h.Encode()
			receipt := proof.SignReceipt(b.replicaKey, h.Replica, h.ID, h.Occurred, proof.LeafHash(header, commitments))
			return append([]any{h.ID, h.Occurred, h.Occurred, header, receipt.Signature[:]}, rest...), err
		}))
		if err != nil {
			t.Fatal(err)
		}
	}
}
