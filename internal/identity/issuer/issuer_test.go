package issuer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/oauth2"

	"kith/internal/identity/issuer"
)

const (
	audience = "https://kith.example/api"
	callback = "http://127.0.0.1/callback"
)

type house struct {
	*issuer.Provider
	realm *issuer.RealmState
	key   *ecdsa.PrivateKey // of the client "feed-key"
	ahead atomic.Int64
	http  *http.Client // follows nothing
}

func newHouse(t *testing.T, backChannel string) *house {
	t.Helper()
	h := &house{http: &http.Client{
		Timeout:       5 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	var err error
	if h.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.Provider, err = issuer.New(issuer.Config{
		Demo: true, URL: "http://" + ln.Addr().String(), Random: rand.Reader,
		Now: func() time.Time { return time.Now().Add(time.Duration(h.ahead.Load())) },
		Realms: []issuer.Realm{{
			Name: "mh", Title: "Trust", Audiences: []string{audience, "urn:other"},
			People: []issuer.Person{{Key: "ann", Subject: "a-1", Name: `Ann <script>alert(1)</script>`, Claims: map[string]any{"agency": "MH"}}},
			Clients: []issuer.Client{
				{ID: "hub", Secret: "web secret/+%", RedirectURIs: []string{callback}, PostLogout: []string{"http://127.0.0.1/bye"}, BackChannel: backChannel},
				{ID: "cli", RedirectURIs: []string{issuer.CommandRedirect}},
				{ID: "feed", Secret: "shh", System: true, Claims: map[string]any{"agency": "MH"}},
				{ID: "feed-key", System: true, Keys: []jose.JSONWebKey{{Key: h.key.Public(), KeyID: "k"}}},
			},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.realm = h.Realm("mh")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := h.Serve(ctx, ln); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { stop(); <-done })
	return h
}

// party is a relying party made of libraries that we did not write.
func (h *house) party(t *testing.T) (oauth2.Config, *oidc.Provider) {
	t.Helper()
	p, err := oidc.NewProvider(t.Context(), h.realm.URL())
	if err != nil {
		t.Fatal(err)
	}
	return oauth2.Config{
		ClientID: "hub", ClientSecret: "web secret/+%", Endpoint: p.Endpoint(), RedirectURL: callback,
		Scopes: []string{"openid", "offline_access"},
	}, p
}

// choose signs Ann in and gives the query that came back.
func (h *house) choose(t *testing.T, authURL string) url.Values {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, authURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/json")
	res, err := h.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if to, err := res.Location(); err == nil {
		return to.Query()
	}
	var page struct{ Request string }
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	back, err := h.http.PostForm(h.realm.URL()+"/authorize", url.Values{"request": {page.Request}, "person": {"ann"}})
	if err != nil {
		t.Fatal(err)
	}
	back.Body.Close()
	to, err := back.Location()
	if err != nil {
		t.Fatal(err)
	}
	return to.Query()
}

func (h *house) post(t *testing.T, form url.Values) (int, map[string]any) {
	t.Helper()
	res, err := h.http.PostForm(h.realm.URL()+"/token", form)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out map[string]any
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

func TestNotOffLoopback(t *testing.T) {
	t.Parallel()
	good := issuer.Config{Demo: true, URL: "http://127.0.0.1:1", Now: time.Now, Random: rand.Reader}
	if _, err := issuer.New(good); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*issuer.Config){
		"no demo":        func(c *issuer.Config) { c.Demo = false },
		"all addresses":  func(c *issuer.Config) { c.URL = "http://0.0.0.0:1" },
		"a name":         func(c *issuer.Config) { c.URL = "http://localhost.example:1" },
		"a real address": func(c *issuer.Config) { c.URL = "http://192.0.2.1:1" },
		"https":          func(c *issuer.Config) { c.URL = "https://127.0.0.1:1" },
	} {
		c := good
		spoil(&c)
		if _, err := issuer.New(c); !errors.Is(err, issuer.ErrNotDemo) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p, err := issuer.New(good)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := p.Serve(t.Context(), ln); !errors.Is(err, issuer.ErrNotDemo) {
		t.Errorf("served on all addresses: %v", err)
	}
	for _, r := range []struct{ from, host string }{{"192.0.2.1:5", "127.0.0.1:1"}, {"127.0.0.1:5", "evil.example"}, {"127.0.0.1:5", "127.0.0.1:2"}} {
		req := httptest.NewRequest(http.MethodGet, "/mh/jwks", nil)
		req.RemoteAddr, req.Host = r.from, r.host
		w := httptest.NewRecorder()
		p.ServeHTTP(w, req)
		if w.Code != http.StatusMisdirectedRequest {
			t.Errorf("from %s for %s: %d", r.from, r.host, w.Code)
		}
	}
}

func TestCodeFlowWithAnotherLibrary(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	party, provider := h.party(t)
	verifier := oauth2.GenerateVerifier()
	back := h.choose(t, party.AuthCodeURL("state-1", oidc.Nonce("nonce-1"), oauth2.S256ChallengeOption(verifier)))
	if back.Get("state") != "state-1" || back.Get("iss") != h.realm.URL() {
		t.Fatalf("came back with %v", back)
	}
	token, err := party.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	id, err := provider.Verifier(&oidc.Config{ClientID: "hub"}).Verify(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	if id.Nonce != "nonce-1" || id.Subject != "a-1" || id.VerifyAccessToken(token.AccessToken) != nil {
		t.Errorf("nonce %q, subject %q", id.Nonce, id.Subject)
	}
	jws, err := jose.ParseSignedCompact(token.AccessToken, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	if typ := jws.Signatures[0].Header.ExtraHeaders[jose.HeaderType]; typ != "at+jwt" {
		t.Errorf("type %v", typ)
	}
	var claims map[string]any
	if err := json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims); err != nil {
		t.Fatal(err)
	}
	if claims["aud"] != audience || claims["client_id"] != "hub" || claims["agency"] != "MH" {
		t.Errorf("claims %v", claims)
	}

	// A code is good once; used again, what came of it ends.
	if _, err := party.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier)); err == nil {
		t.Error("a code was good twice")
	}
	if code, _ := h.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}, "client_id": {"hub"}, "client_secret": {party.ClientSecret}}); code == http.StatusOK {
		t.Error("the stolen code's refresh token lives on")
	}
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	party, _ := h.party(t)
	verifier := oauth2.GenerateVerifier()
	back := h.choose(t, party.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	token, err := party.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	form := func(refresh string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {"hub"}, "client_secret": {party.ClientSecret}}
	}
	if code, _ := h.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}, "client_id": {"feed"}, "client_secret": {"shh"}}); code == http.StatusOK {
		t.Error("another client used it")
	}
	// That other client's try has spent it: a refresh token seen elsewhere is stolen.
	if code, _ := h.post(t, form(token.RefreshToken)); code == http.StatusOK {
		t.Error("a stolen refresh token lives on")
	}

	back = h.choose(t, party.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
	if token, err = party.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier)); err != nil {
		t.Fatal(err)
	}
	code, next := h.post(t, form(token.RefreshToken))
	if code != http.StatusOK || next["refresh_token"] == token.RefreshToken || next["access_token"] == "" {
		t.Fatalf("status %d", code)
	}
	if code, _ := h.post(t, form(token.RefreshToken)); code == http.StatusOK {
		t.Error("a refresh token was good twice")
	}
	if code, _ := h.post(t, form(next["refresh_token"].(string))); code == http.StatusOK {
		t.Error("after a theft was seen the rest of the session lives on")
	}
}

func TestAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	party, _ := h.party(t)
	verifier := oauth2.GenerateVerifier()
	challenge := oauth2.S256ChallengeOption(verifier)
	for name, c := range map[string]struct{ url, want string }{
		"no PKCE":             {party.AuthCodeURL("s"), "invalid_request"},
		"plain PKCE":          {party.AuthCodeURL("s", oauth2.SetAuthURLParam("code_challenge", verifier), oauth2.SetAuthURLParam("code_challenge_method", "plain")), "invalid_request"},
		"no state":            {party.AuthCodeURL("", challenge), "invalid_request"},
		"implicit":            {party.AuthCodeURL("s", challenge, oauth2.SetAuthURLParam("response_type", "token")), "unsupported_response_type"},
		"an unknown resource": {party.AuthCodeURL("s", challenge, oauth2.SetAuthURLParam("resource", "urn:x")), "invalid_target"},
	} {
		back := h.choose(t, c.url)
		if back.Get("error") != c.want || back.Get("code") != "" || back.Get("iss") != h.realm.URL() {
			t.Errorf("%s: %v", name, back)
		}
	}
	for name, redirect := range map[string]string{
		"another path": callback + "/x", "a query": callback + "?x=1", "another port": "http://127.0.0.1:8080/callback", "another host": "http://evil.example/callback", "none": "",
	} {
		p := party
		p.RedirectURL = redirect
		res, err := h.http.Get(p.AuthCodeURL("s", challenge))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest || res.Header.Get("Location") != "" {
			t.Errorf("%s: status %d to %q", name, res.StatusCode, res.Header.Get("Location"))
		}
	}
}

func TestTokenRefuses(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	party, _ := h.party(t)
	verifier := oauth2.GenerateVerifier()
	code := func() string {
		return h.choose(t, party.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier))).Get("code")
	}
	base := func() url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "client_id": {"hub"}, "client_secret": {party.ClientSecret},
			"redirect_uri": {callback}, "code": {code()}, "code_verifier": {verifier},
		}
	}
	if status, _ := h.post(t, base()); status != http.StatusOK {
		t.Fatalf("the good request: %d", status)
	}
	for name, change := range map[string]func(url.Values){
		"wrong secret":      func(v url.Values) { v.Set("client_secret", "x") },
		"no secret":         func(v url.Values) { v.Del("client_secret") },
		"another client":    func(v url.Values) { v.Set("client_id", "cli"); v.Del("client_secret") },
		"another verifier":  func(v url.Values) { v.Set("code_verifier", oauth2.GenerateVerifier()) },
		"no verifier":       func(v url.Values) { v.Del("code_verifier") },
		"another redirect":  func(v url.Values) { v.Set("redirect_uri", callback+"x") },
		"a code twice":      func(v url.Values) { v.Add("code", "x") },
		"another code":      func(v url.Values) { v.Set("code", "x") },
		"password grant":    func(v url.Values) { v.Set("grant_type", "password") },
		"system of a party": func(v url.Values) { v.Set("grant_type", "client_credentials") },
	} {
		form := base()
		change(form)
		if status, out := h.post(t, form); status == http.StatusOK || out["error"] == "" || out["access_token"] != nil {
			t.Errorf("%s: status %d", name, status)
		}
	}
	form := base()
	h.ahead.Store(int64(2 * time.Minute))
	if status, _ := h.post(t, form); status == http.StatusOK {
		t.Error("a code of two minutes ago is good")
	}
}

func TestSystems(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	if token, err := issuer.SignInSystem(t.Context(), h.realm.URL(), "feed", "shh"); err != nil || token == "" {
		t.Error(err)
	}
	if _, err := issuer.SignInSystem(t.Context(), h.realm.URL(), "feed", "x"); err == nil {
		t.Error("a wrong secret was good")
	}
	assert := func(key *ecdsa.PrivateKey, claims map[string]any) url.Values {
		all := map[string]any{"iss": "feed-key", "sub": "feed-key", "aud": h.realm.URL() + "/token", "jti": rand.Text(), "exp": time.Now().Add(time.Minute).Unix()}
		for k, v := range claims {
			all[k] = v
		}
		body, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(body)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return url.Values{
			"grant_type": {"client_credentials"}, "client_assertion": {raw},
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		}
	}
	good := assert(h.key, nil)
	if status, out := h.post(t, good); status != http.StatusOK {
		t.Fatalf("status %d: %v", status, out)
	}
	if status, _ := h.post(t, good); status != http.StatusUnauthorized {
		t.Error("an assertion was good twice")
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]url.Values{
		"another key":      assert(other, nil),
		"another audience": assert(h.key, map[string]any{"aud": "https://elsewhere.example"}),
		"run out":          assert(h.key, map[string]any{"exp": time.Now().Add(-time.Second).Unix()}),
		"lives an hour":    assert(h.key, map[string]any{"exp": time.Now().Add(time.Hour).Unix()}),
		"for another":      assert(h.key, map[string]any{"sub": "feed"}),
		"as another":       assert(h.key, map[string]any{"sub": "feed", "iss": "feed"}),
		"no id":            assert(h.key, map[string]any{"jti": ""}),
	} {
		if status, _ := h.post(t, form); status != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, status)
		}
	}
	if status, _ := h.post(t, url.Values{"grant_type": {"client_credentials"}, "client_id": {"feed-key"}}); status != http.StatusUnauthorized {
		t.Error("a client with keys came in without")
	}
}

func TestSignInNamesThePeople(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	if token, err := issuer.SignIn(t.Context(), h.realm.URL(), "cli", "ann"); err != nil || strings.Count(token, ".") != 2 {
		t.Error(err)
	}
	if _, err := issuer.SignIn(t.Context(), h.realm.URL(), "cli", "bob"); err == nil || !strings.Contains(err.Error(), "ann") {
		t.Errorf("got %v", err)
	}
	if _, err := issuer.SignIn(t.Context(), "https://id.example/mh", "cli", "ann"); !errors.Is(err, issuer.ErrNotDemo) {
		t.Errorf("off loopback: %v", err)
	}
}

func TestPageIsSafe(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	party, _ := h.party(t)
	res, err := h.http.Get(party.AuthCodeURL("s", oauth2.S256ChallengeOption(oauth2.GenerateVerifier())))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(body), "<script>") || !strings.Contains(string(body), `value="ann"`) ||
		!strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") || res.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v\n%s", res.Header, body)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "")
	_, before := h.realm.SigningKey()
	if err := h.realm.Rotate(); err != nil {
		t.Fatal(err)
	}
	_, after := h.realm.SigningKey()
	published := h.realm.Keys()
	if before == after || len(published.Key(before)) != 1 || len(published.Key(after)) != 1 {
		t.Errorf("%d keys", len(published.Keys))
	}
	for _, k := range published.Keys {
		if !k.IsPublic() {
			t.Error("a private key is published")
		}
	}
	h.realm.Retire()
	if k := h.realm.Keys(); len(k.Keys) != 1 || k.Keys[0].KeyID != after {
		t.Error("the old key is still published")
	}
}

func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	got := make(chan string, 4)
	hub := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.PostFormValue("logout_token") }))
	defer hub.Close()
	h := newHouse(t, hub.URL)
	party, provider := h.party(t)
	verifier := oauth2.GenerateVerifier()
	signIn := func() *oauth2.Token {
		back := h.choose(t, party.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier)))
		token, err := party.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	check := func(how string) {
		select {
		case raw := <-got:
			l, err := provider.Verifier(&oidc.Config{ClientID: "hub"}).VerifyLogout(t.Context(), raw)
			if err != nil || l.Subject != "a-1" || l.SessionID == "" {
				t.Errorf("%s: %v", how, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the client was not told", how)
		}
	}
	token := signIn()
	raw, _ := token.Extra("id_token").(string)
	end := h.realm.URL() + "/end_session?"
	res, err := h.http.Get(end + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {"http://127.0.0.1/bye"}, "state": {"x"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.Header.Get("Location") != "http://127.0.0.1/bye?state=x" {
		t.Errorf("status %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	check("by the person")
	if code, _ := h.post(t, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}, "client_id": {"hub"}, "client_secret": {party.ClientSecret}}); code == http.StatusOK {
		t.Error("the refresh token outlived the session")
	}
	signIn()
	h.realm.SignOut(t.Context(), "ann")
	check("by the issuer")

	for _, q := range []url.Values{{}, {"id_token_hint": {token.AccessToken}}, {"id_token_hint": {raw[:len(raw)-6] + "AAAAAA"}}} {
		res, err := h.http.Get(end + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("a false hint: %d", res.StatusCode)
		}
	}
	other := signIn()
	raw, _ = other.Extra("id_token").(string)
	res, err = h.http.Get(end + url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {"http://evil.example/"}}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.Header.Get("Location") != "" {
		t.Errorf("sent to %q", res.Header.Get("Location"))
	}
}
