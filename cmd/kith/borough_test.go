package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"go.yaml.in/yaml/v3"

	"kith/internal/api"
	"kith/internal/audit/proof"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/identity/issuer"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/policies"
)

// borough is a database with the synthetic borough, and the issuers at which
// its people sign in. Hubs are opened on it as `kith serve` would open them.
type borough struct {
	t         testing.TB
	db        *pgtest.DB
	admin     *pgxpool.Pool
	provider  *issuer.Provider
	issuers   string
	identity  identity.Config
	accounts  map[string]demo.Account
	stories   map[string]uuid.UUID
	reference []byte
	logKey    ed25519.PrivateKey // of the log's tree
	replicas  map[string]ed25519.PrivateKey

	mu     sync.Mutex
	tokens map[string]string
	signed map[string]time.Time // when each token was taken
}

// logOrigin names the log of a test.
const logOrigin = "hub.test.example/log"

func newBorough(t testing.TB) *borough { return boroughIn(t, pgtest.New(t)) }

func boroughIn(t testing.TB, db *pgtest.DB) *borough {
	t.Helper()
	ctx := context.Background()
	b := &borough{t: t, db: db, accounts: map[string]demo.Account{}, stories: map[string]uuid.UUID{}, tokens: map[string]string{}, signed: map[string]time.Time{}, reference: make([]byte, 32),
		logKey: newKey(t), replicas: map[string]ed25519.PrivateKey{"hub-1": newKey(t), "hub-2": newKey(t), "hub-3": newKey(t)}}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.issuers = "http://" + ln.Addr().String()
	accounts := demo.Accounts(demo.DefaultSeed)
	for _, a := range accounts {
		if a.Sign != "" {
			b.accounts[a.Sign] = a
		}
	}
	for _, s := range demo.Stories(demo.DefaultSeed) {
		b.stories[s.Key] = s.ID
	}
	b.identity = demo.Identity(b.issuers, accounts)
	if b.provider, err = demo.Provider(b.issuers, "http://127.0.0.1:1", accounts, time.Now, rand.Reader, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = b.provider.Serve(serving, ln) }()
	t.Cleanup(func() { stop(); <-ended })

	conn, err := postgres.Connect(ctx, db.DSN("admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := demo.Fill(ctx, conn, demo.Options{Now: time.Now(), Issuer: func(agency string) string { return demo.IssuerURL(b.issuers, agency) }}); err != nil {
		t.Fatal(err)
	}
	bundle, err := policy.Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := policy.Publish(ctx, tx, demo.Partnership, bundle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b.admin = db.Pool(t, "admin")
	return b
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keys are the public keys by which receipts of the borough's hubs verify.
func (b *borough) keys(t testing.TB) []proof.Key {
	t.Helper()
	var out []proof.Key
	for _, name := range slices.Sorted(maps.Keys(b.replicas)) {
		public, _ := b.replicas[name].Public().(ed25519.PublicKey)
		k, err := proof.NewKey(name, public)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, k)
	}
	return out
}

// exec changes the database as its superuser.
func (b *borough) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := b.admin.Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

// one reads a single value as the superuser.
func one[T any](t testing.TB, b *borough, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := b.admin.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

// token signs in at the agency's issuer, once for each name as long as its
// token lives.
func (b *borough) token(t testing.TB, as string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if token, ok := b.tokens[as]; ok && time.Since(b.signed[as]) < demo.TokenLifetime-5*time.Minute {
		return token
	}
	a, ok := b.accounts[as]
	if !ok {
		t.Fatalf("nobody is called %s", as)
	}
	var token string
	var err error
	if at := demo.IssuerURL(b.issuers, a.Agency); a.System {
		token, err = issuer.SignInSystem(context.Background(), at, a.Subject, a.Secret())
	} else {
		token, err = issuer.SignIn(context.Background(), at, demo.CommandClient, as)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.tokens[as], b.signed[as] = token, time.Now()
	return token
}

// names lists the accounts, in order.
func (b *borough) names() []string { return slices.Sorted(maps.Keys(b.accounts)) }

// replica is one hub on the borough's database, answering over HTTP.
type replica struct {
	b            *borough
	url, private string
	log          *output
	client       *http.Client
	stop         func()
}

// open starts a hub as `kith serve` does.
func (b *borough) open(t testing.TB, name string, edit ...func(*hubConfig)) *replica {
	t.Helper()
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	private, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{b: b, url: "http://" + public.Addr().String(), private: "http://" + private.Addr().String(), log: &output{}, client: newClient()}
	c := hubConfig{Replica: name, App: b.db.DSN("app"), Auditor: b.db.DSN("auditor"), Sequencer: b.db.DSN("sequencer"), Replay: b.db.DSN("replay"), Retention: b.db.DSN("retention"), Identity: b.identity,
		ReceiptKey: b.replicas[name], ReferenceKey: b.reference, Connections: 8, Drain: 2 * time.Second, Policy: policy.Options{Deadline: 5 * time.Second}, Now: time.Now,
		Limits: api.Limits{RequestsPerMinute: -1},
		Looks:  disclosure.LookLimits{FamiliesPerHour: -1, SearchesPerHour: -1, FoundPerHour: -1},
		Tree:   treeConfig{Key: b.logKey, Origin: logOrigin, File: filepath.Join(t.TempDir(), "checkpoint"), Replicas: b.keys(t)},
		Random: rand.Reader, Log: slog.New(slog.NewJSONHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, f := range edit {
		f(&c)
	}
	h, err := openHub(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.serve(ctx, public, private) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		r.client.CloseIdleConnections()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("hub %s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("hub %s did not stop", name)
		}
	})
	t.Cleanup(r.stop)
	return r
}

func newClient() *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 32, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// reply is one answer, whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r reply) request() string { return r.header.Get("Kith-Request") }
func (r reply) receipt() string { return r.header.Get("Kith-Receipt") }

// call is one request; bearer may be empty.
type call struct {
	method, path, bearer, body string
	header                     map[string]string
}

// try sends a request; an error means that no whole answer came.
func (r *replica) try(ctx context.Context, c call) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, c.method, r.url+c.path, strings.NewReader(c.body))
	if err != nil {
		return reply{}, err
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, body}, err
}

func (r *replica) send(t testing.TB, c call) reply {
	t.Helper()
	out, err := r.try(context.Background(), c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return out
}

// reading is the call that reads a family.
func (b *borough) reading(t testing.TB, as string, family uuid.UUID, purpose string) call {
	return call{method: http.MethodGet, path: "/v1/families/" + family.String(), bearer: b.token(t, as),
		header: map[string]string{"Kith-Purpose": purpose, "Kith-Reason": "a test of faults"}}
}

// openTo finds the family, among the stories, that shows a caller the most.
func (r *replica) openTo(t testing.TB, as, purpose string) uuid.UUID {
	t.Helper()
	var best uuid.UUID
	most := 0
	for _, key := range slices.Sorted(maps.Keys(r.b.stories)) {
		id := r.b.stories[key]
		if got := r.send(t, r.b.reading(t, as, id, purpose)); got.status == http.StatusOK && len(got.body) > most {
			best, most = id, len(got.body)
		}
	}
	if most == 0 {
		t.Fatalf("no story is open to %s under %s", as, purpose)
	}
	return best
}

// operation is a route as openapi.yaml describes it.
type operation struct {
	method, path, id string
	open             bool // needs no token
}

// operations reads the routes from the description that the hub itself serves,
// so that a route added later is tested without a change here.
func (r *replica) operations(t testing.TB) []operation {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			ID       string `yaml:"operationId"`
			Security *[]any `yaml:"security"`
		} `yaml:"paths"`
	}
	if err := yaml.Unmarshal(r.send(t, call{method: http.MethodGet, path: "/openapi.yaml"}).body, &doc); err != nil {
		t.Fatal(err)
	}
	var out []operation
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			if op.ID != "" {
				out = append(out, operation{strings.ToUpper(method), path, op.ID, op.Security != nil && len(*op.Security) == 0})
			}
		}
	}
	if len(out) < 5 {
		t.Fatalf("only %d operations in openapi.yaml", len(out))
	}
	return out
}

// inLog checks that a receipt is signed by a known replica and that its event
// stands in the log with that very signature, and gives the parts it released.
func (b *borough) inLog(text string, keys proof.Keys) ([]int64, error) {
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		return nil, err
	}
	if err := receipt.Verify(keys); err != nil {
		return nil, err
	}
	var stored []byte
	var released []int64
	err = b.admin.QueryRow(context.Background(), `SELECT receipt, coalesce(released, '{}') FROM kith.access_event WHERE id = $1`, receipt.Event).Scan(&stored, &released)
	if err != nil {
		return nil, fmt.Errorf("event %s: %w", receipt.Event, err)
	}
	if !strings.Contains(hex.EncodeToString(stored), hex.EncodeToString(receipt.Signature[:])) {
		return nil, fmt.Errorf("event %s has another receipt", receipt.Event)
	}
	return released, nil
}

// sequenced waits until every event has its place in the tree, and checks that
// none was taken for forged.
func (b *borough) sequenced(t testing.TB) {
	t.Helper()
	eventually(t, 30*time.Second, "every event has its leaf", func() bool {
		return one[int](t, b, `SELECT count(*) FROM kith.access_event e WHERE NOT EXISTS (SELECT FROM kith.log_leaf l WHERE l.event = e.id)`) == 0
	})
	if n := one[int](t, b, `SELECT count(*) FROM kith.log_leaf WHERE forged`); n > 0 {
		t.Errorf("%d events are taken for forged", n)
	}
}

// eventually waits for what must come about by itself.
func eventually(t testing.TB, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("not within %s: %s", within, what)
}
