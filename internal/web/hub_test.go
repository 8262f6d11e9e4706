package web_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/agreement"
	"kith/internal/audit"
	"kith/internal/audit/tree"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/outbox"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/internal/web"
	"kith/policies"
)

// hub is the pages with everything real behind them: the borough in a database
// of its own, the shipped policy, the demo's issuers, and a server.
type hub struct {
	base    string
	log     *audit.Log
	admin   *pgxpool.Pool
	stories map[string]demo.Story
	people  map[string]demo.Account
	output  *lines // what the face logged
	weigher *disclosure.Weigher
	sealed  sealed
	reviews *disclosure.Reviews
	outbox  *outbox.Box
}

// newHub starts one; change is for what a test has otherwise about the log.
func newHub(t *testing.T, change ...func(*tree.Config)) *hub {
	t.Helper()
	ctx := context.Background()
	db := pgtest.New(t)
	h := &hub{admin: db.Pool(t, "admin"), stories: map[string]demo.Story{}, people: map[string]demo.Account{}, output: &lines{}}
	app := db.Pool(t, "app")
	issuers, own := listen(t), listen(t)
	base := "http://" + issuers.Addr().String()
	h.base = "http://" + own.Addr().String()

	conn, err := pgx.Connect(ctx, db.DSN("admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := demo.Fill(ctx, conn, demo.Options{Now: time.Now(), Issuer: func(agency string) string { return demo.IssuerURL(base, agency) }}); err != nil {
		t.Fatal(err)
	}
	bundle, err := policy.Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(ctx, h.admin, func(tx pgx.Tx) error {
		_, err := policy.Publish(ctx, tx, demo.Partnership, bundle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(app, &audit.Signer{Partnership: demo.Partnership, Replica: "test", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	versions := policy.NewVersions(app, policy.Options{Deadline: 5 * time.Second}, 3)
	directory := identity.NewDirectory(app, demo.Partnership, 0, nil)
	quiet := slog.New(slog.DiscardHandler)
	door := &disclosure.Door{Pool: app, Recorder: recorder, Policy: versions.At, Now: time.Now, Log: quiet}
	desks := &disclosure.Desks{Directory: directory, Now: time.Now, Kinds: func(ctx context.Context) (*policy.Version, error) { return door.Version(ctx, demo.Partnership) }}
	door.Desk = desks.Desk
	if h.log, err = audit.NewLog(db.Pool(t, "auditor"), demo.Partnership, bytes.Repeat([]byte{7}, 32)); err != nil {
		t.Fatal(err)
	}
	accounts := demo.Accounts(demo.DefaultSeed)
	provider, err := demo.Provider(base, h.base, accounts, time.Now, rand.Reader, quiet)
	if err != nil {
		t.Fatal(err)
	}
	run(t, func(ctx context.Context) error { return provider.Serve(ctx, issuers) })
	verifier, err := identity.NewVerifier(demo.Identity(base, accounts), identity.Options{Now: time.Now, Directory: directory})
	if err != nil {
		t.Fatal(err)
	}
	signIn, err := identity.NewSignIn(demo.SignIn(base, h.base), identity.SignInOptions{Pool: app, Verifier: verifier, Recorder: recorder, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	register := &agreement.Register{Pool: app, Recorder: recorder, Partnership: demo.Partnership, Random: rand.Reader}
	office := &policy.Office{Pool: app, Recorder: recorder, Sandbox: policy.Sandbox{Command: []string{os.Args[0], policy.SandboxCommand}},
		Partnership: demo.Partnership, Now: time.Now, Random: rand.Reader}
	h.weigher = &disclosure.Weigher{Office: office, Past: audit.NewPast(db.Pool(t, "replay"), demo.Partnership), Pool: app, Reference: h.log.Reference,
		Accesses: 200, Views: 200, Now: time.Now, Random: rand.Reader, Log: quiet}
	config := web.Config{
		SignIn: signIn, Door: door, Directory: directory, Recorder: recorder, Log: h.log, Failures: audit.NewAuthFailures(recorder),
		Logger: slog.New(slog.NewTextHandler(h.output, nil)), Now: time.Now, Demo: true,
		Office:     office,
		Agreements: register,
		Papers:     &disclosure.Papers{Door: door, Directory: directory, Agreements: register, Log: h.log},
	}
	config.Audit, config.Admin = h.auditing(t, db, config, verifier, change...)
	pages, err := web.New(config)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = srv.Serve(own) }()
	t.Cleanup(func() { _ = srv.Close() })
	for _, s := range demo.Stories(demo.DefaultSeed) {
		h.stories[s.Key] = s
	}
	for _, a := range accounts {
		h.people[a.Sign] = a
	}
	return h
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln
}

func run(t *testing.T, serve func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := serve(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
}

// browser is a person's browser without script. It keeps its cookies by hand,
// so that a test can plant one or look at one.
type browser struct {
	t       *testing.T
	h       *hub
	client  *http.Client
	cookies map[string]string
}

func (h *hub) browser(t *testing.T) *browser {
	t.Helper()
	return &browser{t: t, h: h, cookies: map[string]string{}, client: &http.Client{
		Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type answer struct {
	*http.Response
	body string
}

func (b *browser) send(method, to string, form url.Values, change ...func(*http.Request)) answer {
	b.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.h.base + to
	}
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, to, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if strings.HasPrefix(to, b.h.base) {
		for name, value := range b.cookies {
			req.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for _, c := range change {
		c(req)
	}
	res, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if strings.HasPrefix(to, b.h.base) {
		if len(raw) > pageMost && strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			b.t.Errorf("%s %s has %d bytes, of %d that a page may have", method, req.URL.Path, len(raw), pageMost)
		}
		for _, c := range res.Cookies() {
			if c.MaxAge < 0 {
				delete(b.cookies, c.Name)
			} else {
				b.cookies[c.Name] = c.Value
			}
		}
	}
	return answer{res, string(raw)}
}

func (b *browser) get(to string) answer { b.t.Helper(); return b.send(http.MethodGet, to, nil) }

func (b *browser) post(to string, form url.Values) answer {
	b.t.Helper()
	return b.send(http.MethodPost, to, form)
}

var (
	refresh      = regexp.MustCompile(`http-equiv="refresh" content="0; url=([^"]+)"`)
	requestField = regexp.MustCompile(`name="request" value="([^"]+)"`)
)

// leave follows the page that sends the browser elsewhere.
func (b *browser) leave(a answer) string {
	b.t.Helper()
	found := refresh.FindStringSubmatch(a.body)
	if found == nil {
		b.t.Fatalf("no address to go to in status %d:\n%s", a.StatusCode, a.body)
	}
	return strings.ReplaceAll(found[1], "&amp;", "&")
}

// callback walks to the issuer and gives the address that it sends back to.
func (b *browser) callback(name, back string) string {
	b.t.Helper()
	who, ok := b.h.people[name]
	if !ok {
		b.t.Fatalf("nobody is called %s", name)
	}
	to := b.leave(b.post("/sign-in", url.Values{"agency": {strings.ToLower(who.Agency)}, "back": {back}}))
	page := b.get(to)
	found := requestField.FindStringSubmatch(page.body)
	if found == nil {
		b.t.Fatalf("no form at the issuer:\n%s", page.body)
	}
	u, err := url.Parse(to)
	if err != nil {
		b.t.Fatal(err)
	}
	u.RawQuery = ""
	return b.post(u.String(), url.Values{"request": {found[1]}, "person": {name}}).Header.Get("Location")
}

// signIn walks from the sign-in page to the first page.
func (b *browser) signIn(name string) answer {
	b.t.Helper()
	a := b.get(b.callback(name, "/"))
	if a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("sign-in of %s ended with status %d:\n%s", name, a.StatusCode, a.body)
	}
	return b.get(a.Header.Get("Location"))
}

func (h *hub) as(t *testing.T, name string) *browser {
	t.Helper()
	b := h.browser(t)
	b.signIn(name)
	return b
}

// open states a purpose and reads the record.
func (b *browser) open(family uuid.UUID, purpose string) answer {
	b.t.Helper()
	at := "/families/" + family.String()
	a := b.post(at+"/purpose", url.Values{"purpose": {purpose}, "reason": {"a test reads the page"}})
	if a.StatusCode != http.StatusSeeOther || a.Header.Get("Location") != at {
		b.t.Fatalf("stating a purpose: status %d to %q\n%s", a.StatusCode, a.Header.Get("Location"), a.body)
	}
	return b.get(at)
}

// events counts the rows of the log.
func (h *hub) events(t *testing.T) int {
	t.Helper()
	var n int
	if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM access_event`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

var (
	receiptText = regexp.MustCompile(`kith-receipt-1\.[^<\s]+`)
	printText   = regexp.MustCompile(`k-receipt">[0-9a-f-]{36}<`)
	clockText   = regexp.MustCompile(`\d{1,2}\.\d{2}(am|pm)`)
	sessionText = regexp.MustCompile(`data-session="\d+"`)
	backText    = regexp.MustCompile(`name="back" value="[^"]*"`)
	draftText   = regexp.MustCompile(`name="draft" value="[^"]*"`)
)

// tidy takes out what differs between two answers in any case.
func tidy(page string) string {
	page = printText.ReplaceAllString(page, "PRINT")
	page = receiptText.ReplaceAllString(page, "RECEIPT")
	page = clockText.ReplaceAllString(page, "CLOCK")
	page = backText.ReplaceAllString(page, "BACK") // the address that was asked for
	page = draftText.ReplaceAllString(page, "DRAFT")
	return sessionText.ReplaceAllString(page, "SESSION")
}

// lines collects what several requests log at a time.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
