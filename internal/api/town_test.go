package api_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/agreement"
	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/identity/issuer"
	"kith/internal/outbox"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/policies"
)

func TestMain(m *testing.M) {
	// The test binary is the program that drafts are run in.
	if len(os.Args) > 1 && os.Args[1] == policy.SandboxCommand {
		os.Exit(policy.SandboxMain(context.Background(), os.Stdin, os.Stdout))
	}
	pgtest.Main(m)
}

// town is the borough behind the JSON face: real tokens of the demo's issuers,
// the shipped policy, PostgreSQL. hub makes one replica of it.
type town struct {
	t       *testing.T
	db      *pgtest.DB
	admin   *pgxpool.Pool
	issuers string
	stories map[string]demo.Story
	people  map[string]demo.Account
	tokens  map[string]string
	main    *replica
}

func newTown(t *testing.T) *town {
	t.Helper()
	ctx := t.Context()
	x := &town{t: t, db: pgtest.New(t), stories: map[string]demo.Story{}, people: map[string]demo.Account{}, tokens: map[string]string{}}
	x.admin = x.db.Pool(t, "admin")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x.issuers = "http://" + ln.Addr().String()
	accounts := demo.Accounts(demo.DefaultSeed)
	provider, err := demo.Provider(x.issuers, "http://127.0.0.1:1", accounts, time.Now, rand.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := provider.Serve(serving, ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-done })

	conn, err := pgx.Connect(ctx, x.db.DSN("admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := demo.Fill(ctx, conn, demo.Options{Now: time.Now(), Issuer: func(agency string) string { return demo.IssuerURL(x.issuers, agency) }}); err != nil {
		t.Fatal(err)
	}
	bundle, err := policy.Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(ctx, x.admin, func(tx pgx.Tx) error {
		_, err := policy.Publish(ctx, tx, demo.Partnership, bundle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	for _, s := range demo.Stories(demo.DefaultSeed) {
		x.stories[s.Key] = s
	}
	for _, a := range accounts {
		if a.Sign != "" {
			x.people[a.Sign] = a
		} else {
			x.people[a.Name] = a
		}
	}
	x.main = x.hub(api.Limits{})
	return x
}

// replica is one hub with pools and keys of its own.
type replica struct {
	town *town
	http http.Handler
	door *disclosure.Door

	office      *policy.Office
	box         *outbox.Box
	weigher     *disclosure.Weigher
	corrections *disclosure.Corrections
}

// weigh computes the effects of all that was submitted.
func (h *replica) weigh() {
	h.town.t.Helper()
	for {
		did, err := h.weigher.Next(h.town.t.Context())
		if err != nil {
			h.town.t.Fatal(err)
		}
		if !did {
			return
		}
	}
}

// hub makes a replica; it slows nobody down unless looks says so.
func (x *town) hub(limits api.Limits, looks ...disclosure.LookLimits) *replica {
	x.t.Helper()
	app := x.db.Pool(x.t, "app")
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		x.t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(app, &audit.Signer{Partnership: demo.Partnership, Replica: "test", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		x.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	versions := policy.NewVersions(app, policy.Options{Deadline: 5 * time.Second}, 3)
	active := func(ctx context.Context) (*policy.Version, error) {
		digest, err := policy.Head(ctx, app, demo.Partnership)
		if err != nil {
			return nil, err
		}
		a, err := versions.At(ctx, digest)
		if err != nil {
			return nil, err
		}
		return a.Version(), nil
	}
	directory := identity.NewDirectory(app, demo.Partnership, 0, log)
	verifier, err := identity.NewVerifier(demo.Identity(x.issuers, demo.Accounts(demo.DefaultSeed)), identity.Options{Now: time.Now, Directory: directory})
	if err != nil {
		x.t.Fatal(err)
	}
	desks := &disclosure.Desks{Directory: directory, Now: time.Now, Kinds: active}
	door := &disclosure.Door{Pool: app, Recorder: recorder, Policy: versions.At, Desk: desks.Desk, Now: time.Now, Log: log}
	for _, l := range looks {
		door.Looks = disclosure.NewLooks(l, recorder, time.Now)
	}
	reader, err := audit.NewLog(x.db.Pool(x.t, "auditor"), demo.Partnership, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		x.t.Fatal(err)
	}
	office := &policy.Office{Pool: app, Recorder: recorder, Sandbox: policy.Sandbox{Command: []string{os.Args[0], policy.SandboxCommand}},
		Partnership: demo.Partnership, Now: time.Now, Random: rand.Reader}
	weigher := &disclosure.Weigher{Office: office, Past: audit.NewPast(x.db.Pool(x.t, "replay"), demo.Partnership), Pool: app, Reference: reader.Reference,
		Now: time.Now, Random: rand.Reader, Log: log}
	past := x.db.Pool(x.t, "replay")
	explainer := &disclosure.Explainer{Door: door, Log: reader, Replayer: &disclosure.Replayer{
		Past: audit.NewPast(past, demo.Partnership), Versions: policy.NewVersions(past, policy.Options{Deadline: 10 * time.Second}, 2).At, Recorder: recorder, Log: log,
	}}
	agreements := &agreement.Register{Pool: app, Recorder: recorder, Partnership: demo.Partnership, Random: rand.Reader}
	box, err := outbox.New(outbox.Config{Pool: app, Partnership: demo.Partnership, Now: time.Now, Random: rand.Reader,
		Sources: []outbox.Source{agreements.Notices, office.Notices, recorder.Notices("HUB", time.Now)}})
	if err != nil {
		x.t.Fatal(err)
	}
	server, err := api.New(api.Config{
		Outbox:   box,
		Explain:  explainer,
		Reviews:  &disclosure.Reviews{Door: door, Log: reader},
		Verifier: verifier, Door: door, Recorder: recorder, Log: reader, Failures: audit.NewAuthFailures(recorder), Logger: log, Limits: limits,
		Office:     office,
		Agreements: agreements,
		Papers:     &disclosure.Papers{Door: door, Directory: directory, Agreements: agreements, Log: reader},
		Intake: &family.Intake{Pool: app, Now: time.Now, Catalogue: func(ctx context.Context) (family.Catalogue, error) {
			v, err := active(ctx)
			if err != nil {
				return family.Catalogue{}, err
			}
			return family.CatalogueOf(v), nil
		}},
	})
	if err != nil {
		x.t.Fatal(err)
	}
	return &replica{town: x, box: box, http: server, door: door, office: office, weigher: weigher,
		corrections: &disclosure.Corrections{Pool: app, Recorder: recorder, Log: reader, Partnership: demo.Partnership, Now: time.Now}}
}

func (x *town) token(as string) string {
	x.t.Helper()
	if t, ok := x.tokens[as]; ok {
		return t
	}
	a, ok := x.people[as]
	if !ok || a.Sign == "" {
		x.t.Fatalf("nobody signs in as %s", as)
	}
	var token string
	var err error
	if a.System {
		token, err = issuer.SignInSystem(context.Background(), demo.IssuerURL(x.issuers, a.Agency), a.Subject, a.Secret())
	} else {
		token, err = issuer.SignIn(context.Background(), demo.IssuerURL(x.issuers, a.Agency), demo.CommandClient, as)
	}
	if err != nil {
		x.t.Fatal(err)
	}
	x.tokens[as] = token
	return token
}

// call is one request; a body that is no string is sent as JSON.
type call struct {
	as, method, path string
	body             any
	key              string // "" draws one for a write; "-" sends none
	purpose          string
	header           map[string]string
}

type answer struct {
	t      *testing.T
	status int
	head   http.Header
	raw    []byte
	json   map[string]any
}

func (h *replica) do(c call) answer {
	t := h.town.t
	t.Helper()
	var body io.Reader
	switch b := c.body.(type) {
	case nil:
	case string:
		body = strings.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.NewReader(raw)
	}
	if c.method == "" {
		c.method = http.MethodGet
		if body != nil {
			c.method = http.MethodPost
		}
	}
	r := httptest.NewRequest(c.method, c.path, body)
	r.Header.Set("Authorization", "Bearer "+h.town.token(c.as))
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.method == http.MethodPost && c.key != "-" {
		if c.key == "" {
			c.key = uuid.NewString()
		}
		r.Header.Set("Idempotency-Key", c.key)
	}
	if c.purpose != "" {
		r.Header.Set("Kith-Purpose", c.purpose)
		r.Header.Set("Kith-Reason", "a test of writing")
	}
	for k, v := range c.header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	h.http.ServeHTTP(w, r)
	a := answer{t: t, status: w.Code, head: w.Header(), raw: w.Body.Bytes()}
	_ = json.Unmarshal(a.raw, &a.json) // a report of lines is none
	return a
}

// want stops the test where the status is another.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d, want %d: %.600s", a.status, status, a.raw)
	}
	return a
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

func (a answer) number(name string) int {
	n, _ := a.json[name].(float64)
	return int(n)
}

func (a answer) list(name string) []string {
	var out []string
	items, _ := a.json[name].([]any)
	for _, x := range items {
		if s, ok := x.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// read opens a story's family.
func (h *replica) read(as, story, purpose string) answer {
	return h.do(call{as: as, path: "/v1/families/" + h.town.stories[story].ID.String(), purpose: purpose})
}

// entry finds a released entry, or nil.
func (a answer) entry(id string) map[string]any {
	sections, _ := a.json["sections"].([]any)
	for _, s := range sections {
		entries, _ := s.(map[string]any)["entries"].([]any)
		for _, e := range entries {
			if x := e.(map[string]any); x["id"] == id {
				return x
			}
		}
	}
	return nil
}

func (x *town) family(story string) string { return x.stories[story].ID.String() }

// member gives a confirmed member of a story's family by role.
func (x *town) member(story, role string) string {
	return x.one(`SELECT m.person::text FROM kith.membership m WHERE m.family = $1 AND m.role = $2 AND m.confirmed_by IS NOT NULL ORDER BY m.person LIMIT 1`, x.family(story), role)
}

// one asks the database for one text.
func (x *town) one(sql string, args ...any) string {
	x.t.Helper()
	var s string
	if err := x.admin.QueryRow(context.Background(), sql, args...).Scan(&s); err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
	return s
}

func (x *town) count(sql string, args ...any) int {
	x.t.Helper()
	var n int
	if err := x.admin.QueryRow(context.Background(), sql, args...).Scan(&n); err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

func (x *town) exec(sql string, args ...any) {
	x.t.Helper()
	if _, err := x.admin.Exec(context.Background(), sql, args...); err != nil {
		x.t.Fatalf("%s: %v", sql, err)
	}
}
