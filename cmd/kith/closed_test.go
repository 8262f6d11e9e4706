package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/demo"
	"kith/internal/identity"
)

const anID = "2f1c7a52-8a55-4c0e-9a2f-6f1c3d9b1a01"

// failuresLogged adds up the failed sign-ins that are in the log. They are
// written by the minute, and when the hub ends.
func failuresLogged(t *testing.T, b *borough) (count int, checks map[string]int) {
	t.Helper()
	log, err := audit.NewLog(b.db.Pool(t, "auditor"), demo.Partnership, b.reference)
	if err != nil {
		t.Fatal(err)
	}
	events, _, err := log.List(context.Background(), audit.AuditorScope(), audit.Filter{Kind: audit.KindAuthFailure}, audit.Page{Limit: 500})
	if err != nil {
		t.Fatal(err)
	}
	checks = map[string]int{}
	for _, e := range events {
		n, err := strconv.Atoi(e.Details["count"])
		if err != nil {
			t.Fatal(err)
		}
		count += n
		for k, v := range e.Details {
			if check, ok := strings.CutPrefix(k, "check."); ok {
				n, _ := strconv.Atoi(v) // the sum is compared
				checks[check] += n
			}
		}
	}
	return count, checks
}

// Without a token every route but its own description answers 401, alike, and
// all of it is in the log: counted, with nothing that the caller said.
func TestNoRouteWithoutAToken(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	asked := 0
	for _, op := range hub.operations(t) {
		for _, header := range []map[string]string{nil, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer "}, {"Authorization": "Bearer not.a.token"}} {
			r := hub.send(t, call{method: op.method, path: parameter.ReplaceAllString(op.path, anID), header: header})
			if op.open {
				if r.status != http.StatusOK {
					t.Errorf("%s %s: status %d, though it is open", op.method, op.path, r.status)
				}
				continue
			}
			asked++
			if r.status != http.StatusUnauthorized || r.header.Get("WWW-Authenticate") == "" || r.header.Get("Cache-Control") != "no-store" ||
				r.header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s with %v: status %d, %v", op.method, op.path, header, r.status, r.header)
			}
		}
	}
	hub.stop()
	if got, checks := failuresLogged(t, b); got != asked {
		t.Errorf("%d failures are in the log, want %d: %v", got, asked, checks)
	}
}

// forge is a token made by hand; sign may be nil.
func forge(t *testing.T, header, claims map[string]any, sign func(input []byte) []byte) string {
	t.Helper()
	part := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(raw)
	}
	input := part(header) + "." + part(claims)
	if sign == nil {
		return input + "."
	}
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

// faults.md §6: what is wrong with a token is refused over HTTP, whichever way
// it is wrong, and a refusal reads nothing.
func TestTokensThatDoNotHold(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	family := hub.openTo(t, "social-worker", "FS")
	a := b.accounts["social-worker"]
	csc, mh := b.provider.Realm("csc"), b.provider.Realm("mh")
	good := func(change map[string]any) map[string]any {
		claims := map[string]any{"sub": a.Subject, "client_id": demo.CommandClient, "agency": "CSC", "roles": a.Roles}
		maps.Copy(claims, change)
		return claims
	}
	whole := good(map[string]any{"iss": csc.URL(), "aud": demo.Audience, "iat": time.Now().Unix(), "exp": time.Now().Add(10 * time.Minute).Unix()})
	mint := func(change map[string]any) string {
		token, err := csc.Mint(good(change))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	typed := func(typ string) string {
		token, err := csc.MintTyped(typ, good(nil))
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	key, kid := csc.SigningKey()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withOwnKey := func(embed bool) string {
		opts := (&jose.SignerOptions{EmbedJWK: embed}).WithType("at+jwt")
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: own, KeyID: kid}}, opts)
		if err != nil {
			t.Fatal(err)
		}
		body, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		jws, err := signer.Sign(body)
		if err != nil {
			t.Fatal(err)
		}
		token, err := jws.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	public, err := jose.JSONWebKey{Key: key.Public()}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	mac := func(input []byte) []byte {
		m := hmac.New(sha256.New, public)
		m.Write(input)
		return m.Sum(nil)
	}
	otherRealm, err := mh.Mint(good(map[string]any{"iss": csc.URL()}))
	if err != nil {
		t.Fatal(err)
	}
	spoofed, err := mh.Mint(good(nil))
	if err != nil {
		t.Fatal(err)
	}
	truncated := mint(nil)
	changed := strings.Split(mint(nil), ".")
	changed[1] = strings.Split(forge(t, nil, good(map[string]any{"iss": csc.URL(), "aud": demo.Audience, "roles": []string{"auditor"}, "iat": in(0), "exp": in(time.Minute)}), nil), ".")[1]
	for _, c := range []struct {
		name, token string
		want        int
	}{
		{"good", mint(nil), 200},
		{"20 s past its end", mint(map[string]any{"iat": in(-10 * time.Minute), "exp": in(-20 * time.Second)}), 200},
		{"issued 20 s ahead", mint(map[string]any{"iat": in(20 * time.Second)}), 200},
		{"10 min past its end", mint(map[string]any{"iat": in(-20 * time.Minute), "exp": in(-10 * time.Minute)}), 401},
		{"issued 10 min ahead", mint(map[string]any{"iat": in(10 * time.Minute), "exp": in(20 * time.Minute)}), 401},
		{"good from 10 min on", mint(map[string]any{"nbf": in(10 * time.Minute)}), 401},
		{"for a day", mint(map[string]any{"exp": in(25 * time.Hour)}), 401},
		{"without an end", mint(map[string]any{"exp": nil}), 401},
		{"alg none", forge(t, map[string]any{"alg": "none", "typ": "at+jwt"}, whole, nil), 401},
		{"alg none, with a signature", forge(t, map[string]any{"alg": "none", "typ": "at+jwt", "kid": kid}, whole, mac), 401},
		{"HS256 by the public key", forge(t, map[string]any{"alg": "HS256", "typ": "at+jwt", "kid": kid}, whole, mac), 401},
		{"crit", forge(t, map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid, "crit": []string{"x"}, "x": 1}, whole, mac), 401},
		{"another key under that kid", withOwnKey(false), 401},
		{"brings its own key", withOwnKey(true), 401},
		{"another audience", mint(map[string]any{"aud": "https://other.example"}), 401},
		{"one audience too many", mint(map[string]any{"aud": []string{demo.Audience, "https://other.example"}}), 401},
		{"another issuer's name", mint(map[string]any{"iss": csc.URL() + "/"}), 401},
		{"another realm's key", otherRealm, 401},
		{"another realm, for this agency", spoofed, 403},
		{"an unknown client", mint(map[string]any{"client_id": "somebody"}), 401},
		{"an ID token", typed("JWT"), 401},
		{"a logout token", typed("logout+jwt"), 401},
		{"nobody we know", mint(map[string]any{"sub": "nobody"}), 403},
		{"another agency by claim", mint(map[string]any{"agency": "POL"}), 403},
		{"claims changed", strings.Join(changed, "."), 401},
		{"cut off", truncated[:len(truncated)-2], 401},
		{"20 KB", strings.Repeat("a", 20<<10), 401},
	} {
		r := hub.send(t, call{method: http.MethodGet, path: "/v1/families/" + family.String(), bearer: c.token,
			header: map[string]string{"Kith-Purpose": "FS", "Kith-Reason": "a test of tokens"}})
		if r.status != c.want || c.want != 200 && (bytes.Contains(r.body, []byte("sections")) || r.receipt() != "" && c.want == 401) {
			t.Errorf("%s: status %d, want %d: %.200s", c.name, r.status, c.want, r.body)
		}
	}

	// An agency never comes from the request.
	spoof := b.reading(t, "social-worker", family, "FS")
	maps.Copy(spoof.header, map[string]string{"Kith-Agency": "POL", "X-Agency": "POL", "X-Forwarded-User": "auditor", "Kith-Roles": "auditor"})
	r := hub.send(t, spoof)
	if agency := one[string](t, b, `SELECT agency FROM kith.access_event WHERE request_id = $1`, r.request()); r.status != 200 || agency != "CSC" {
		t.Errorf("status %d, the log says agency %s", r.status, agency)
	}
	double, err := http.NewRequest(http.MethodGet, hub.url+"/v1/families/"+family.String()+"?access_token="+mint(nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, headers := range [][]string{nil, {"Bearer " + mint(nil), "Bearer " + mint(nil)}} {
		double.Header["Authorization"] = headers
		res, err := hub.client.Do(double)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Errorf("token in the address, %d headers: status %d", len(headers), res.StatusCode)
		}
	}
	hub.stop()
	for _, secret := range []string{a.Subject, a.Name, truncated[:60], "a test of tokens", family.String()} {
		if strings.Contains(hub.log.String(), secret) {
			t.Errorf("the hub's log holds %.30q", secret)
		}
	}
	if _, checks := failuresLogged(t, b); checks["token-audience"] != 2 || checks["token-algorithm"] != 2 {
		t.Errorf("the log counts %v", checks)
	}
}

// A thousand unknown keys make one fetch, not a thousand.
func TestAThousandUnknownKeys(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	csc := b.provider.Realm("csc")
	var fetches atomic.Int64
	keys := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_ = json.NewEncoder(w).Encode(csc.Keys())
	}))
	t.Cleanup(keys.Close)
	hub := b.open(t, "hub-1", func(c *hubConfig) { c.Identity = withKeysAt(c.Identity, csc.URL(), keys.URL) })
	family := hub.openTo(t, "social-worker", "FS")
	token, err := csc.Mint(map[string]any{"sub": b.accounts["social-worker"].Subject, "client_id": demo.CommandClient, "agency": "CSC", "roles": []string{"social-worker"}})
	if err != nil {
		t.Fatal(err)
	}
	rest := token[strings.Index(token, "."):]
	for range 1000 {
		head, err := json.Marshal(map[string]string{"alg": "ES256", "typ": "at+jwt", "kid": rand.Text()})
		if err != nil {
			t.Fatal(err)
		}
		c := b.reading(t, "social-worker", family, "FS")
		c.bearer = base64.RawURLEncoding.EncodeToString(head) + rest
		if r := hub.send(t, c); r.status != http.StatusUnauthorized {
			t.Fatalf("status %d", r.status)
		}
	}
	if r := hub.send(t, b.reading(t, "social-worker", family, "FS")); r.status != http.StatusOK {
		t.Errorf("a good token after the flood: status %d", r.status)
	}
	if n := fetches.Load(); n < 1 || n > 6 { // at most one in 30 s, and this machine may be slow
		t.Errorf("the keys were fetched %d times", n)
	}
	hub.stop()
	if rows := one[int](t, b, `SELECT count(*) FROM kith.access_event WHERE kind = 'auth-failure'`); rows > 6 {
		t.Errorf("%d rows of the log for a flood from one source", rows)
	}
	if count, _ := failuresLogged(t, b); count != 1000 {
		t.Errorf("the log counts %d", count)
	}
}

func withKeysAt(c identity.Config, issuer, at string) identity.Config {
	c.Issuers = slices.Clone(c.Issuers)
	for i := range c.Issuers {
		if c.Issuers[i].URL == issuer {
			c.Issuers[i].JWKS = at
		}
	}
	return c
}

// An issuer whose keys cannot be had lets nobody in, and stops nobody else.
func TestKeysThatCannotBeHad(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	csc := b.provider.Realm("csc")
	gone := make(chan struct{})
	t.Cleanup(func() { close(gone) })
	for name, answer := range map[string]http.HandlerFunc{
		"failing":     func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"redirecting": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, csc.URL()+"/jwks", http.StatusFound) },
		"huge": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[],"padding":"`)) // the hub hangs up on us
			for range 50 {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
					return
				}
			}
		},
		"hanging": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-gone:
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := httptest.NewServer(answer)
			t.Cleanup(keys.Close)
			hub := b.open(t, "hub-1", func(c *hubConfig) { c.Identity = withKeysAt(c.Identity, csc.URL(), keys.URL) })
			id := slices.Collect(maps.Values(b.stories))[0]
			if r := hub.send(t, b.reading(t, "social-worker", id, "FS")); r.status != http.StatusServiceUnavailable || bytes.Contains(r.body, []byte("sections")) {
				t.Errorf("its own worker: status %d", r.status)
			}
			if r := hub.send(t, b.reading(t, "auditor", id, "FS")); r.status == http.StatusServiceUnavailable || r.status == http.StatusUnauthorized {
				t.Errorf("another issuer's worker: status %d", r.status)
			}
			hub.stop()
		})
	}
}

var timesAndIDs = regexp.MustCompile(`"request_id":"[^"]*"`)

// Unknown and forbidden are one answer: status, headers and body, but for the
// ids of the request and the receipt.
func TestUnknownAndForbiddenOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBorough(t)
	hub := b.open(t, "hub-1")
	plain := func(r reply) (string, http.Header) {
		h := r.header.Clone()
		for _, own := range []string{"Date", "Kith-Request", "Kith-Receipt"} {
			if own != "Date" && h.Get(own) == "" {
				t.Errorf("no %s", own)
			}
			h.Del(own)
		}
		return timesAndIDs.ReplaceAllString(string(r.body), ""), h
	}
	closed := 0
	for _, as := range []string{"detective", "perpetrator-practitioner", "housing-officer", "safeguarding-lead", "mash-officer", "social-worker"} {
		for _, purpose := range []string{"FS", "CP", "MR", "FD"} {
			absent := hub.send(t, b.reading(t, as, uuid.New(), purpose))
			if absent.status != http.StatusNotFound {
				continue // the purpose is not this role's
			}
			wantBody, wantHeader := plain(absent)
			for key, id := range b.stories {
				r := hub.send(t, b.reading(t, as, id, purpose))
				if r.status == http.StatusOK {
					continue
				}
				closed++
				body, header := plain(r)
				if r.status != absent.status || len(r.body) != len(absent.body) {
					t.Errorf("%s, %s, %s: status %d of %d bytes, an unknown family has %d of %d", as, purpose, key, r.status, len(r.body), absent.status, len(absent.body))
				}
				if diff := cmp.Diff(wantBody, body) + cmp.Diff(wantHeader, header); diff != "" {
					t.Errorf("%s, %s, %s: hidden differs from absent:\n%s", as, purpose, key, diff)
				}
				if len(r.receipt()) != len(absent.receipt()) {
					t.Errorf("%s, %s, %s: the receipts differ in length", as, purpose, key)
				}
			}
		}
	}
	if closed < 100 {
		t.Errorf("only %d closed families were compared", closed)
	}
	// The log keeps both alike too: as large, with the same columns filled.
	if n := one[int](t, b, `SELECT count(DISTINCT (kind, outcome, cardinality(released), agency <> '', worker IS NULL, purpose <> '')) FROM kith.access_event WHERE outcome = 'not-found'`); n != 1 {
		t.Errorf("%d kinds of rows for what was not shown", n)
	}
}
