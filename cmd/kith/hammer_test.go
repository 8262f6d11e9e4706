package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kith/internal/audit/proof"
	"kith/internal/postgres/pgtest"
)

// kill -9 of PostgreSQL and of the hub, which is its own sequencer, at random
// points under load: afterwards the hub serves without repair, every receipt
// that was delivered is provable, and the whole log verifies.
func TestKilledAtRandomPoints(t *testing.T) {
	t.Parallel()
	hammer(t, 20)
}

// TestSoakKills is the same at 200 points; `make soak` asks for it.
func TestSoakKills(t *testing.T) {
	soaking(t)
	hammer(t, 200)
}

func soaking(t *testing.T) {
	t.Helper()
	if os.Getenv("KITH_SOAK") == "" {
		t.Skip("KITH_SOAK=1 asks for it: make soak")
	}
}

func hammer(t *testing.T, kills int) {
	server := pgtest.NewServer(t)
	b := boroughIn(t, server.New(t))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	hub := &process{config: b.serveFile(t, "hub-1")}
	l := &load{b: b}
	up := func() {
		t.Helper()
		url, err := hub.start(t.Context()) // outlives the load
		if err != nil {
			t.Fatal(err)
		}
		l.url.Store(&url)
	}
	up()
	defer func() { hub.kill() }()
	callers := l.run(ctx, t, 16)
	provers := &provers{l: l, keys: b.logKeys(t)}
	proving := provers.run(ctx, t, 2)
	for i := range kills {
		time.Sleep(time.Duration(50+mrand.IntN(500)) * time.Millisecond)
		if i%2 == 0 {
			server.Kill()
			if err := server.Restart(ctx); err != nil {
				t.Fatal(err)
			}
			continue
		}
		hub.kill()
		up()
	}
	family := b.stories[slices.Sorted(maps.Keys(b.stories))[0]]
	back := replica{b: b, url: *l.url.Load(), client: newClient()}
	eventually(t, 60*time.Second, "service after the last kill", func() bool {
		r, err := back.try(ctx, b.reading(t, "social-worker", family, "FS"))
		return err == nil && (r.status == http.StatusOK || r.status == http.StatusNotFound)
	})
	eventually(t, 60*time.Second, "proofs after the last kill", func() bool { return provers.good.Load() >= 3 })
	eventually(t, 60*time.Second, "enough answers to say anything", func() bool { return l.answered() >= 60 })
	stop()
	callers.Wait()
	proving.Wait()
	l.settle(t)
	l.verifies(t, &back)
	t.Logf("%d proofs verified while it went on", provers.good.Load())
}

// logKeys verify what the borough's log signs.
func (b *borough) logKeys(t testing.TB) proof.KeyFile {
	t.Helper()
	key, err := proof.NewLogKey(logOrigin, b.logKey.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return proof.KeyFile{Logs: []proof.NoteKey{key}, Replicas: b.keys(t)}
}

// provers fetch the proofs of what was delivered, all the while.
type provers struct {
	l    *load
	keys proof.KeyFile
	good atomic.Int64
}

func (p *provers) run(ctx context.Context, t *testing.T, n int) *sync.WaitGroup {
	p.l.b.token(t, "auditor")
	client := newClient()
	var wait sync.WaitGroup
	for range n {
		wait.Go(func() {
			for ctx.Err() == nil {
				time.Sleep(20 * time.Millisecond)
				text, url := p.l.some(), p.l.url.Load()
				if text == "" || url == nil {
					continue
				}
				if err := p.prove(ctx, t, replica{b: p.l.b, url: *url, client: client}, text); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return &wait
}

// prove checks one receipt's proof. A hub that is down proves nothing, and says
// nothing wrong.
func (p *provers) prove(ctx context.Context, t *testing.T, hub replica, text string) error {
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		return err
	}
	r, err := hub.try(ctx, call{method: http.MethodGet, path: "/v1/access-events/" + receipt.Event.String() + "/proof", bearer: p.l.b.token(t, "auditor")})
	if err != nil || r.status != http.StatusOK {
		return nil // it has no leaf yet, or nobody answers
	}
	inclusion, err := proof.ParseInclusion(r.body)
	if err != nil {
		return fmt.Errorf("the proof of %s: %w", receipt.Event, err)
	}
	if _, err := inclusion.Verify(receipt.Leaf, p.keys); err != nil {
		return fmt.Errorf("the proof of %s: %w", receipt.Event, err)
	}
	p.good.Add(1)
	return nil
}

// some receipt that was delivered, or none yet.
func (l *load) some() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.got) == 0 {
		return ""
	}
	return l.got[mrand.IntN(len(l.got))].receipt
}

// verifies takes the whole log from a hub and checks it as an auditor would,
// with every receipt that was delivered.
func (l *load) verifies(t *testing.T, hub *replica) {
	t.Helper()
	r := hub.send(t, call{method: http.MethodGet, path: "/v1/access-events/export?format=ndjson", bearer: l.b.token(t, "auditor")})
	if r.status != http.StatusOK {
		t.Fatalf("export: %d %.300s", r.status, r.body)
	}
	receipts := proof.Receipts{}
	l.mu.Lock()
	for _, d := range l.got {
		receipt, err := proof.ParseReceipt(d.receipt)
		if err != nil {
			t.Fatal(err)
		}
		if !receipts.Add(receipt) {
			t.Errorf("two receipts for event %s", receipt.Event)
		}
	}
	l.mu.Unlock()
	report, err := proof.VerifyExport(bytes.NewReader(r.body), proof.VerifyOptions{Keys: l.b.logKeys(t), Receipts: receipts})
	if err != nil {
		t.Fatal(err)
	}
	if report.Wrong > 0 {
		t.Errorf("the log does not verify: %d findings, such as %v", report.Wrong, report.First)
	}
	if len(receipts) > 0 {
		t.Errorf("%d delivered receipts are not in the log", len(receipts))
	}
	t.Logf("%d entries verified", report.Shown+report.Hidden)
}

// TestSoakMemory reads for an hour (KITH_SOAK_MINUTES) and looks at the hub's
// memory: what it takes after a tenth of the time is about what it takes at the
// end. Its receipts are all in the log.
func TestSoakMemory(t *testing.T) {
	soaking(t)
	minutes := 60
	if text := os.Getenv("KITH_SOAK_MINUTES"); text != "" {
		var err error
		if minutes, err = strconv.Atoi(text); err != nil || minutes < 1 {
			t.Fatalf("KITH_SOAK_MINUTES=%s is no number of minutes", text)
		}
	}
	b := boroughIn(t, pgtest.NewServer(t).New(t))
	hub := &process{config: b.serveFile(t, "hub-1")}
	url, err := hub.start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer hub.kill()
	l := &load{b: b, sample: 20}
	l.url.Store(&url)
	ctx, stop := context.WithTimeout(t.Context(), time.Duration(minutes)*time.Minute)
	defer stop()
	callers := l.run(ctx, t, 16)
	var warm, top int64
	step := time.Duration(minutes) * time.Minute / 100
	for i := 0; ctx.Err() == nil; i++ {
		now := resident(t, hub.cmd.Process.Pid)
		if i < 10 {
			warm = max(warm, now)
		} else {
			top = max(top, now)
		}
		if i%10 == 0 {
			t.Logf("after %s: %d MiB, %d answers", time.Duration(i)*step, now>>20, l.answered())
		}
		select {
		case <-ctx.Done():
		case <-time.After(step):
		}
	}
	callers.Wait()
	if top > warm+warm/2 {
		t.Errorf("the hub grew from %d MiB to %d MiB", warm>>20, top>>20)
	}
	l.settle(t)
}

// resident is how much memory a process has, in bytes.
func resident(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Skipf("SKIPPED: this system does not say how much memory a process has: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
