package identity_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"kith/internal/identity"
	"kith/internal/postgres/pgtest"
)

// certified is the running provider that we did not write.
type certified struct {
	Plain    string `json:"plain"`
	Entra    string `json:"entra"`
	Audience string `json:"audience"`
	Callback string `json:"callback"`
}

func startCertified(t *testing.T, clientKey jose.JSONWebKey) certified {
	t.Helper()
	dir := filepath.Join("testdata", "oidc-provider")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "oidc-provider")); err != nil {
		t.Skip("SKIPPED, NOT PASSED: oidc-provider is not installed; run npm ci in internal/identity/testdata/oidc-provider (make test does)")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("SKIPPED, NOT PASSED: there is no node to run oidc-provider with")
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{clientKey}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, "server.mjs")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CLIENT_JWKS="+string(keys))
	cmd.Stderr = io.Discard
	in, err := cmd.StdinPipe() // the server ends when this closes
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := make(chan string, 1)
	go func() {
		s := bufio.NewScanner(out)
		for s.Scan() {
			if strings.HasPrefix(s.Text(), "{") {
				lines <- s.Text()
			}
		}
	}()
	var c certified
	select {
	case line := <-lines:
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("oidc-provider did not start")
	}
	return c
}

// The same verifier takes the tokens of the certified oidc-provider: of people
// (code + PKCE) and of systems (secret and private_key_jwt), from a plain issuer
// and from one shaped like Entra's.
func TestCertifiedProvider(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := startCertified(t, jose.JSONWebKey{Key: key.Public(), KeyID: "feed", Use: "sig", Algorithm: "ES256"})
	pool := pgtest.New(t).Pool(t, "app")
	worker := func(k, issuer, subject string) identity.WorkerRecord {
		return identity.WorkerRecord{Key: k, Agency: "MH", Employer: "NHS Trust", Issuer: issuer, Subject: subject, Name: k, Roles: []string{"practitioner"}}
	}
	if _, err := identity.Load(t.Context(), pool, identity.File{
		Partnership: identity.PartnershipRecord{Code: tests, Name: "Borough"},
		Agencies:    []identity.AgencyRecord{{Code: "MH", Kind: "MH", Name: "Trust", LegalController: "NHS Trust", ODS: "RXX"}},
		Workers:     []identity.WorkerRecord{worker("one", c.Plain, "ann"), worker("two", c.Entra, "oid-of-ann")},
	}, time.Now()); err != nil {
		t.Fatal(err)
	}
	binding := func(iss identity.IssuerConfig) identity.IssuerConfig {
		iss.Audiences = []string{c.Audience}
		iss.Clients = []string{"hub"}
		iss.Claims.Agency, iss.Claims.Roles = "agency", "roles"
		iss.Roles = map[string]string{"Kith.Practitioner": "practitioner"}
		iss.Agencies = []identity.AgencyBinding{{Agency: "MH", Roles: []string{"practitioner"}}}
		iss.Systems = []identity.SystemClient{{Client: "feed-secret", Agency: "MH"}, {Client: "feed-key", Agency: "MH"}}
		return iss
	}
	v, err := identity.NewVerifier(identity.Config{
		Partnership: tests,
		Issuers: []identity.IssuerConfig{
			binding(identity.IssuerConfig{URL: c.Plain, Algorithms: []string{"ES256"}}),
			binding(identity.IssuerConfig{URL: c.Entra, Algorithms: []string{"RS256"}, Claims: identity.ClaimNames{Subject: "oid", Client: "azp"}}),
		},
	}, identity.Options{Now: time.Now, Directory: identity.NewDirectory(pool, tests, 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	for name, iss := range map[string]struct{ url, subject string }{"plain": {c.Plain, "ann"}, "like Entra": {c.Entra, "oid-of-ann"}} {
		access, id := certifiedSignIn(t, c, iss.url, "ann")
		p, err := v.Verify(t.Context(), access)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Agency != "MH" || p.Subject != iss.subject || p.System || !cmp.Equal(p.Roles, []string{"practitioner"}) {
			t.Errorf("%s: agency %s, roles %v", name, p.Agency, p.Roles)
		}
		if _, err := v.Verify(t.Context(), id); !isRefusal(err, identity.ErrTokenType) {
			t.Errorf("%s: its ID token: %v", name, err)
		}
		for client, form := range map[string]url.Values{
			"feed-secret": {"client_secret": {"a-secret-of-the-test-only-0123456789"}},
			"feed-key":    {"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion(t, key, "feed-key", iss.url)}},
		} {
			form.Set("grant_type", "client_credentials")
			form.Set("client_id", client)
			basic := ""
			if client == "feed-secret" {
				basic = form.Get("client_secret")
				form.Del("client_secret")
			}
			tokens := certifiedToken(t, iss.url, form, client, basic)
			p, err := v.Verify(t.Context(), tokens["access_token"])
			if err != nil || !p.System || p.Agency != "MH" || p.Client != client {
				t.Errorf("%s: %s: %v, %+v", name, client, err, p.LogValue())
			}
		}
	}
}

func assertion(t *testing.T, key *ecdsa.PrivateKey, client, issuer string) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "feed"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	jws, err := signer.Sign([]byte(text(t, map[string]any{
		"iss": client, "sub": client, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})))
	if err != nil {
		t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// certifiedSignIn walks through oidc-provider's development pages as a browser
// would: sign in, consent, and back with a code.
func certifiedSignIn(t *testing.T, c certified, issuer, person string) (access, id string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{
		Jar: jar, Timeout: 10 * time.Second,
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.String(), c.Callback) {
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	verifier := rand.Text() + rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	res, err := browser.Get(issuer + "/auth?" + url.Values{
		"response_type": {"code"}, "client_id": {"hub"}, "redirect_uri": {c.Callback}, "scope": {"openid kith"}, "state": {"s"}, "nonce": {"n"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode())
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []url.Values{{"prompt": {"login"}, "login": {person}, "password": {"x"}}, {"prompt": {"consent"}}} {
		page := res.Request.URL
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.Contains(page.Path, "/interaction/") {
			t.Fatalf("status %d at %s: %s", res.StatusCode, page.Path, body)
		}
		if res, err = browser.PostForm(page.String(), form); err != nil {
			t.Fatal(err)
		}
	}
	res.Body.Close()
	to, err := res.Location()
	if err != nil {
		t.Fatalf("status %d: %v", res.StatusCode, err)
	}
	if to.Query().Get("iss") != issuer {
		t.Fatalf("came back from %q: %s", to.Query().Get("iss"), to.Query().Get("error_description"))
	}
	tokens := certifiedToken(t, issuer, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"hub"}, "redirect_uri": {c.Callback}, "code": {to.Query().Get("code")}, "code_verifier": {verifier},
	}, "", "")
	return tokens["access_token"], tokens["id_token"]
}

func certifiedToken(t *testing.T, issuer string, form url.Values, client, secret string) map[string]string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if secret != "" {
		req.SetBasicAuth(client, secret)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(body, &all); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %s", res.StatusCode, body)
	}
	out := map[string]string{}
	for k, v := range all {
		if s, ok := v.(string); ok {
			out[k] = s
		}
	}
	return out
}
