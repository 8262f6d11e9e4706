package identity_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/identity"
	"kith/internal/identity/issuer"
	"kith/internal/postgres/pgtest"
)

const (
	hubAddress   = "http://127.0.0.1:18080"
	deskAudience = "https://kith.example/api"
	deskHub      = "borough"
)

// movedClock is the time plus what a test added.
type movedClock struct{ ahead atomic.Int64 }

func (c *movedClock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *movedClock) forward(d time.Duration)  { c.ahead.Add(int64(d)) }
func (c *movedClock) in(d time.Duration) int64 { return c.now().Add(d).Unix() }

// desk is a hub's browser sign-in with one issuer that two people know.
type desk struct {
	clock  *movedClock
	realm  *issuer.RealmState
	pool   *pgxpool.Pool
	signIn *identity.SignIn
	dir    *identity.Directory
	logout chan string // logout tokens that the provider sent
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{clock: &movedClock{}, logout: make(chan string, 4)}
	back := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { d.logout <- r.PostFormValue("logout_token") }))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := issuer.New(issuer.Config{
		Demo: true, URL: "http://" + ln.Addr().String(), Now: d.clock.now, Random: rand.Reader,
		Realms: []issuer.Realm{{
			Name: "csc", Title: "Council", Audiences: []string{deskAudience},
			People: []issuer.Person{{Key: "sam", Subject: "s-1", Name: "Sam Social"}},
			Clients: []issuer.Client{{
				ID: "pages", RedirectURIs: []string{hubAddress + identity.CallbackPath}, PostLogout: []string{hubAddress + identity.SignedOutPath}, BackChannel: back,
			}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := provider.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-served })
	d.realm = provider.Realm("csc")
	d.pool = pgtest.New(t).Pool(t, "app")
	if _, err := identity.Load(t.Context(), d.pool, identity.File{
		Partnership: identity.PartnershipRecord{Code: deskHub, Name: "Borough", DeskName: "Desk", DeskPhone: "1", MashPhone: "2", OutOfHours: "3"},
		Agencies:    []identity.AgencyRecord{{Code: "CSC", Kind: "CSC", Name: "Council", LegalController: "Borough Council", ICO: "Z1", Feed: "daily"}},
		Workers: []identity.WorkerRecord{{
			Key: "sam", Agency: "CSC", Employer: "Borough Council", Issuer: d.realm.URL(), Subject: "s-1", Name: "Sam Social", Roles: []string{"practitioner"},
		}},
	}, d.clock.now()); err != nil {
		t.Fatal(err)
	}
	d.dir = identity.NewDirectory(d.pool, deskHub, 0, nil)
	verifier, err := identity.NewVerifier(identity.Config{Partnership: deskHub, Issuers: []identity.IssuerConfig{{
		URL: d.realm.URL(), Audiences: []string{deskAudience}, Clients: []string{"pages"},
		Agencies: []identity.AgencyBinding{{Agency: "CSC", Roles: []string{"practitioner"}}},
	}}}, identity.Options{Now: d.clock.now, Directory: d.dir})
	if err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(d.pool, &audit.Signer{Partnership: deskHub, Replica: "r1", Key: key, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	d.signIn, err = identity.NewSignIn(identity.SignInConfig{
		BaseURL:   hubAddress,
		Providers: []identity.SignInProvider{{Key: "csc", Name: "Council", Issuer: d.realm.URL(), Client: "pages"}},
	}, identity.SignInOptions{Pool: d.pool, Verifier: verifier, Recorder: recorder, Now: d.clock.now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Second}
	go func() { _ = srv.Serve(ln) }()
	t.Cleanup(func() { _ = srv.Close() })
	return "http://" + ln.Addr().String()
}

var requestField = regexp.MustCompile(`name="request" value="([^"]+)"`)

// answer walks through the provider's page as Sam and gives what comes back.
func (d *desk) answer(t *testing.T, back string) (attempt string, q url.Values) {
	t.Helper()
	to, attempt, err := d.signIn.Begin(t.Context(), "csc", back)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	page, err := io.ReadAll(res.Body)
	res.Body.Close()
	found := requestField.FindSubmatch(page)
	if err != nil || found == nil {
		t.Fatalf("no form: %v\n%s", err, page)
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err = c.PostForm(d.realm.URL()+"/authorize", url.Values{"request": {string(found[1])}, "person": {"sam"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	u, err := res.Location()
	if err != nil || !strings.HasPrefix(u.String(), hubAddress+identity.CallbackPath+"?") {
		t.Fatalf("redirected to %v, %v", u, err)
	}
	return attempt, u.Query()
}

func (d *desk) in(t *testing.T) string {
	t.Helper()
	attempt, q := d.answer(t, "/")
	token, _, err := d.signIn.Finish(t.Context(), attempt, q, "")
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestSignInOpensASessionAndTellsWho(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	attempt, q := d.answer(t, "/families/x?since=2026")
	token, back, err := d.signIn.Finish(t.Context(), attempt, q, "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.signIn.Session(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if s.Principal.WorkerName != "Sam Social" || s.Principal.Agency != "CSC" || !s.Principal.Has("practitioner") || s.Principal.System {
		t.Errorf("principal %+v", s.Principal)
	}
	if back != "/families/x?since=2026" {
		t.Errorf("back to %q", back)
	}
	if _, _, err := d.signIn.Finish(t.Context(), attempt, q, ""); !errors.Is(err, identity.ErrAttempt) {
		t.Errorf("the same answer again: %v", err)
	}
}

func TestSignInRefusesAnAnswerThatIsNotOurs(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for name, c := range map[string]struct {
		spoil func(url.Values)
		want  error
	}{
		"another state":           {func(q url.Values) { q.Set("state", "x") }, identity.ErrSignInAnswer},
		"state given twice":       {func(q url.Values) { q.Add("state", q.Get("state")) }, identity.ErrSignInAnswer},
		"another issuer":          {func(q url.Values) { q.Set("iss", "https://evil.example") }, identity.ErrSignInAnswer},
		"issuer left out":         {func(q url.Values) { q.Del("iss") }, identity.ErrSignInAnswer},
		"the person cancelled":    {func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, identity.ErrSignInRefused},
		"a code of somebody else": {func(q url.Values) { q.Set("code", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") }, identity.ErrSignInRefused},
	} {
		t.Run(name, func(t *testing.T) {
			attempt, q := d.answer(t, "/")
			c.spoil(q)
			if _, _, err := d.signIn.Finish(t.Context(), attempt, q, ""); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	// The code of one browser's sign-in is worth nothing in another's.
	_, theirs := d.answer(t, "/")
	mine, _ := d.answer(t, "/")
	if _, _, err := d.signIn.Finish(t.Context(), mine, theirs, ""); !errors.Is(err, identity.ErrSignInAnswer) {
		t.Errorf("another browser's answer: %v", err)
	}
}

func TestSessionIsNewAtEachSignInAndReplacesTheOld(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	first := d.in(t)
	attempt, q := d.answer(t, "/")
	second, _, err := d.signIn.Finish(t.Context(), attempt, q, first)
	if err != nil {
		t.Fatal(err)
	}
	if second == first {
		t.Fatal("the token stayed the same")
	}
	if _, err := d.signIn.Session(t.Context(), first); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("the old session: %v", err)
	}
	// A token that somebody planted is not adopted.
	planted := strings.Repeat("A", 43)
	attempt, q = d.answer(t, "/")
	if third, _, err := d.signIn.Finish(t.Context(), attempt, q, planted); err != nil || third == planted {
		t.Errorf("token %q, %v", third, err)
	}
	if _, err := d.signIn.Session(t.Context(), planted); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("the planted session: %v", err)
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	idle := d.in(t)
	d.clock.forward(29 * time.Minute)
	if _, err := d.signIn.Session(t.Context(), idle); err != nil {
		t.Fatalf("after 29 minutes: %v", err)
	}
	d.clock.forward(29 * time.Minute)
	if _, err := d.signIn.Session(t.Context(), idle); err != nil {
		t.Fatalf("29 minutes after it was used: %v", err)
	}
	d.clock.forward(31 * time.Minute)
	if _, err := d.signIn.Session(t.Context(), idle); !errors.Is(err, identity.ErrNoSession) {
		t.Fatalf("after 31 idle minutes: %v", err)
	}
	busy := d.in(t)
	for range 36 {
		d.clock.forward(20*time.Minute + time.Second)
		if _, err := d.signIn.Session(t.Context(), busy); err != nil {
			if !errors.Is(err, identity.ErrNoSession) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("a busy session outlived twelve hours")
}

func TestAWorkerWhoIsEndedIsOutAtOnce(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.in(t)
	s, err := d.signIn.Session(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.pool.Exec(t.Context(), `UPDATE worker SET suspended = true WHERE id = $1`, s.Principal.Worker); err != nil {
		t.Fatal(err)
	}
	if _, err := d.signIn.Session(t.Context(), token); !errors.Is(err, identity.ErrSuspended) {
		t.Fatalf("%v, want suspended", err)
	}
	if _, err := d.pool.Exec(t.Context(), `UPDATE worker SET suspended = false WHERE id = $1`, s.Principal.Worker); err != nil {
		t.Fatal(err)
	}
	if _, err := d.signIn.Session(t.Context(), token); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("%v: the session came back with the worker", err)
	}
}

func TestSignOutHereAndAtTheProvider(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.in(t)
	other := d.in(t)
	to, err := d.signIn.End(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.signIn.Session(t.Context(), token); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("after sign-out: %v", err)
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := c.Get(to)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if got := res.Header.Get("Location"); got != hubAddress+identity.SignedOutPath {
		t.Errorf("the provider sends to %q with status %d", got, res.StatusCode)
	}
	// The provider tells of that one session alone; a token counts once.
	raw := <-d.logout
	if n, err := d.signIn.BackChannel(t.Context(), raw); err != nil || n != 0 {
		t.Errorf("logout of a session that is gone: %d, %v", n, err)
	}
	if _, err := d.signIn.BackChannel(t.Context(), raw); !errors.Is(err, identity.ErrLogoutToken) {
		t.Errorf("the logout token again: %v", err)
	}
	if _, err := d.signIn.Session(t.Context(), other); err != nil {
		t.Errorf("the other browser's session: %v", err)
	}
	d.realm.SignOut(t.Context(), "sam")
	if n, err := d.signIn.BackChannel(t.Context(), <-d.logout); err != nil || n != 1 {
		t.Errorf("back-channel logout ended %d sessions, %v", n, err)
	}
	if _, err := d.signIn.Session(t.Context(), other); !errors.Is(err, identity.ErrNoSession) {
		t.Errorf("after back-channel logout: %v", err)
	}
}

func TestLogoutTokenMustBeOne(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	events := map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}
	good := func() map[string]any {
		return map[string]any{"sub": "s-1", "aud": "pages", "events": events, "jti": uuid.NewString(), "iat": d.clock.in(0), "exp": d.clock.in(time.Minute)}
	}
	for name, c := range map[string]struct {
		typ    string
		change func(map[string]any)
	}{
		"with a nonce":         {"logout+jwt", func(m map[string]any) { m["nonce"] = "n" }},
		"without the event":    {"logout+jwt", func(m map[string]any) { delete(m, "events") }},
		"for another client":   {"logout+jwt", func(m map[string]any) { m["aud"] = "hub" }},
		"naming nobody":        {"logout+jwt", func(m map[string]any) { delete(m, "sub") }},
		"run out":              {"logout+jwt", func(m map[string]any) { m["iat"] = d.clock.in(-time.Hour); m["exp"] = d.clock.in(-time.Minute) }},
		"good for a whole day": {"logout+jwt", func(m map[string]any) { m["exp"] = d.clock.in(24 * time.Hour) }},
		"an access token":      {"at+jwt", func(map[string]any) {}},
	} {
		claims := good()
		c.change(claims)
		raw, err := d.realm.MintTyped(c.typ, claims)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.signIn.BackChannel(t.Context(), raw); !errors.Is(err, identity.ErrLogoutToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
	raw, err := d.realm.MintTyped("logout+jwt", good())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.signIn.BackChannel(t.Context(), raw); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestTheDatabaseHoldsNoToken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	token := d.in(t)
	var row string
	if err := d.pool.QueryRow(t.Context(), `SELECT s::text || encode(hint, 'escape') FROM web_session s`).Scan(&row); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(row, token) || strings.Contains(row, "eyJ") {
		t.Error("a token stands in the row")
	}
}

func TestChoiceBelongsToOneSession(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	mine, other := d.in(t), d.in(t)
	family, child := uuid.New(), uuid.New()
	want := identity.Choice{Purpose: "FS", Children: []uuid.UUID{child}, Reason: "covering for Jo"}
	if err := d.signIn.Choose(t.Context(), mine, family, want); err != nil {
		t.Fatal(err)
	}
	got, err := d.signIn.Choice(t.Context(), mine, family)
	if err != nil || got.Purpose != want.Purpose || got.Reason != want.Reason || len(got.Children) != 1 || got.Children[0] != child {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := d.signIn.Choice(t.Context(), other, family); !errors.Is(err, identity.ErrNoChoice) {
		t.Errorf("the other session: %v", err)
	}
}

func TestLocalPathStaysHere(t *testing.T) {
	t.Parallel()
	for back, want := range map[string]string{
		"/": "/", "/families/1?about=2": "/families/1?about=2", "": "/", "https://evil.example/": "/", "//evil.example": "/", `/\evil.example`: "/",
		"/%2f/evil.example": "/", "/\tevil": "/", "javascript:alert(1)": "/", "http:/x": "/", "/sign-out": "/", "families": "/", "/a\r\nSet-Cookie: x": "/",
	} {
		if got := identity.LocalPath(back); got != want {
			t.Errorf("LocalPath(%q) = %q, want %q", back, got, want)
		}
	}
}
