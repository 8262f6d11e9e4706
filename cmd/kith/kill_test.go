package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	mrand "math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"kith/internal/audit/proof"
	"kith/internal/postgres/pgtest"
	"kith/internal/postgres/private"
)

// serverNotices is how long PostgreSQL may take to see that a client is gone.
const serverNotices = 2 * time.Second

// process is `kith serve` as a process of its own, which can be killed.
type process struct {
	config string
	cmd    *exec.Cmd
	stderr output
}

// serveFile writes a configuration for `kith serve` on the borough's database.
func (b *borough) serveFile(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	c := config{Listen: "127.0.0.1:0", PrivateListen: "localhost:0", Replica: name, Identity: b.identity, LogLevel: "warn", Limits: limitsConfig{RequestsPerMinute: -1, FamiliesPerHour: -1},
		Database:   databaseConfig{App: b.db.DSN("app"), Auditor: b.db.DSN("auditor"), Sequencer: b.db.DSN("sequencer"), Replay: b.db.DSN("replay"), Connections: 8},
		ReceiptKey: filepath.Join(dir, "receipt.pem"), ReferenceKey: filepath.Join(dir, "reference"), Policy: policyConfig{Deadline: 5 * time.Second},
		Log: logConfig{Key: filepath.Join(dir, "log.pem"), Origin: logOrigin, Checkpoint: filepath.Join(dir, "checkpoint")}}
	text, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{
		c.ReceiptKey: privatePEM(t, b.replicas[name]), c.Log.Key: privatePEM(t, b.logKey), c.ReferenceKey: []byte(base64.StdEncoding.EncodeToString(b.reference)),
		filepath.Join(dir, "kith.yaml"): text,
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "kith.yaml")
}

func privatePEM(t testing.TB, key ed25519.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func newKeyFile(t testing.TB, path string) string {
	t.Helper()
	if err := os.WriteFile(path, privatePEM(t, newKey(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// start runs the command until it says that it is ready, and gives its address.
func (p *process) start(ctx context.Context) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	p.cmd = exec.CommandContext(ctx, self, "serve", "--config", p.config)
	p.cmd.Env = append(os.Environ(), asCommand+"=1")
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := p.cmd.Start(); err != nil {
		return "", err
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if url, ok := strings.CutPrefix(lines.Text(), "ready "); ok {
			return url, nil
		}
	}
	_ = p.cmd.Wait()
	return "", fmt.Errorf("the hub ended: %s", p.stderr.String())
}

func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGKILL)
	_ = p.cmd.Wait()
}

// delivered is what one whole answer promised and showed.
type delivered struct {
	receipt string
	entries []shownEntry
}

// load reads families without end, and keeps what was delivered.
type load struct {
	b   *borough
	url atomic.Pointer[string]
	// one of so many answers is kept; 0 is each
	sample int

	mu     sync.Mutex
	got    []delivered
	status map[int]int
}

func (l *load) run(ctx context.Context, t *testing.T, callers int) *sync.WaitGroup {
	l.status = map[int]int{}
	keys := slices.Sorted(maps.Keys(l.b.stories))
	names := []string{"social-worker", "mh-practitioner", "detective", "idva", "health-visitor"}
	for _, as := range names {
		l.b.token(t, as)
	}
	client := newClient()
	var wait sync.WaitGroup
	for range callers {
		wait.Go(func() {
			for ctx.Err() == nil {
				url := l.url.Load()
				if url == nil {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				h := replica{b: l.b, url: *url, client: client}
				r, err := h.try(ctx, l.b.reading(t, names[mrand.IntN(len(names))], l.b.stories[keys[mrand.IntN(len(keys))]], "FS"))
				l.keep(t, r, err)
				if err != nil || r.status != http.StatusOK {
					time.Sleep(20 * time.Millisecond) // leave the machine to the one that comes back
				}
			}
		})
	}
	return &wait
}

func (l *load) keep(t *testing.T, r reply, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.status[0]++
		return
	}
	l.status[r.status]++
	d := delivered{receipt: r.receipt()}
	if r.status == http.StatusOK {
		var view struct {
			Sections []struct{ Entries []shownEntry }
		}
		if err := json.Unmarshal(r.body, &view); err != nil {
			t.Errorf("a whole answer that is no JSON: %v", err)
		}
		for _, s := range view.Sections {
			d.entries = append(d.entries, s.Entries...)
		}
		if d.receipt == "" {
			t.Error("an answer without a receipt")
		}
	}
	if d.receipt != "" && (l.sample == 0 || mrand.IntN(l.sample) == 0) {
		l.got = append(l.got, d)
	}
}

// answered is how many records were read so far.
func (l *load) answered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.status[http.StatusOK]
}

// settle checks the promise: every receipt that was delivered is in the log,
// with its place in the
// tree, and nothing was shown that its event does not release.
func (l *load) settle(t *testing.T) {
	t.Helper()
	l.b.sequenced(t)
	keys := proof.NewKeys(l.b.keys(t)...)
	l.mu.Lock()
	defer l.mu.Unlock()
	parts := l.b.parts(t)
	byKey := map[string]int64{}
	for part, p := range parts {
		byKey[partKey(p.entry, p.version, p.full)] = part
	}
	shown := 0
	for _, d := range l.got {
		released, err := l.b.inLog(d.receipt, keys)
		if err != nil {
			t.Errorf("a delivered receipt: %v", err)
			continue
		}
		for _, e := range d.entries {
			if !slices.Contains(released, byKey[partKey(e.ID, e.Version, e.Level == "full")]) && !slices.Contains(released, byKey[partKey(e.ID, e.Version, true)]) {
				t.Errorf("entry %s/%d was shown and event %.60s does not release it", e.ID, e.Version, d.receipt)
			}
			shown++
		}
	}
	t.Logf("%d receipts, %d entries, answers by status %v", len(l.got), shown, l.status)
	if l.status[http.StatusOK] < 20 || shown < 100 {
		t.Errorf("%d answers with %d entries: too few to say anything", l.status[http.StatusOK], shown)
	}
	for status := range l.status {
		switch status {
		case 0, http.StatusOK, http.StatusNotFound, http.StatusServiceUnavailable:
		default:
			t.Errorf("%d answers of status %d", l.status[status], status)
		}
	}
}

// The disk on which the write-ahead log lies is full. PostgreSQL may refuse, or
// panic; the hub says 503. When there is room again it serves, by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root can mount a small disk")
	}
	dir, err := os.MkdirTemp("", "kith-small-disk-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=700m,mode=755"); err != nil {
		t.Skipf("SKIPPED: a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	postgres, err := private.Start(t.Context(), private.Config{Dir: dir, Fast: true, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { postgres.Stop(context.Background()) })
	b := boroughIn(t, pgtest.Server{Server: postgres}.New(t))
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "social-worker", "FS")
	l := &load{b: b}
	l.url.Store(&hub.url)
	ctx, stop := context.WithCancel(t.Context())
	callers := l.run(ctx, t, 2)
	eventually(t, 20*time.Second, "some answers", func() bool { return l.answered() >= 30 })

	filler := filepath.Join(dir, "filler")
	fill(t, filler)
	refused := 0
	for range 60 { // each switch takes a segment of 16 MB, until there is none to be had
		_, _ = b.admin.Exec(ctx, `SELECT pg_switch_wal()`) // fails by intent, at last
		r := hub.send(t, b.reading(t, "social-worker", family, "FS"))
		if r.status == http.StatusServiceUnavailable {
			refusesService(t, "disk full", r)
			if refused++; refused == 3 {
				break
			}
		}
	}
	if refused == 0 {
		t.Error("the disk was never full")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if !postgres.Running() { // as the demo's watch does, and systemd elsewhere
		if err := postgres.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, 30*time.Second, "service when there is room", func() bool {
		return hub.send(t, b.reading(t, "social-worker", family, "FS")).status == http.StatusOK
	})
	stop()
	callers.Wait()
	l.settle(t)
}

// fill takes all the room that is left beside a file.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for len(block) >= 4096 {
		if _, err := f.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
}
