package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"kith/internal/identity"
)

// keyServer is a keys endpoint that can misbehave.
type keyServer struct {
	*httptest.Server
	private *ecdsa.PrivateKey
	hits    atomic.Int64
	mu      sync.Mutex
	keys    []jose.JSONWebKey
	bad     http.HandlerFunc // instead of the keys, when set
}

func newKeyServer(t *testing.T, keys ...jose.JSONWebKey) *keyServer {
	t.Helper()
	s := &keyServer{keys: keys}
	s.add(t, "first")
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		bad, keys := s.bad, s.keys
		s.mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/openid-configuration") {
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, "http://"+r.Host, "http://"+r.Host+"/keys")
			return
		}
		s.hits.Add(1)
		if bad != nil {
			bad(w, r)
			return
		}
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: keys})
	}))
	t.Cleanup(s.CloseClientConnections)
	t.Cleanup(s.Close)
	return s
}

// add publishes a new key, which signs from now on.
func (s *keyServer) add(t *testing.T, kid string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.private = key
	s.keys = append(s.keys, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig", Algorithm: "ES256"})
}

func (s *keyServer) misbehave(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = h
}

func (s *keyServer) issuer() string { return s.URL }

func (s *keyServer) verifier(t *testing.T, c *clock) *identity.Verifier {
	t.Helper()
	v, err := identity.NewVerifier(identity.Config{
		Partnership: tests,
		Issuers: []identity.IssuerConfig{{
			URL: s.issuer(), Audiences: []string{audience}, Clients: []string{"hub"},
			Agencies: []identity.AgencyBinding{{Agency: "CSC", Roles: []string{"practitioner"}}},
		}},
	}, identity.Options{Now: c.now, Directory: identity.NewDirectory(nil, tests, 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// token is signed well and fails at its audience, so that ErrAudience means
// that the signature was found good, without a database.
func (s *keyServer) token(t *testing.T, kid string) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	return forge(`{"alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`, `{"iss":"`+s.issuer()+`","aud":"x"}`, es256(t, s.private))
}

func isRefusal(err error, want *identity.Refusal) bool { return errors.Is(err, want) }

func TestUnknownKidsFetchOnce(t *testing.T) {
	t.Parallel()
	s := newKeyServer(t)
	c := newClock()
	v := s.verifier(t, c)
	good := s.token(t, "first")
	if _, err := v.Verify(t.Context(), good); !isRefusal(err, identity.ErrAudience) {
		t.Fatal(err)
	}
	c.forward(31 * time.Second)
	var wg sync.WaitGroup
	for i := range 1000 {
		token := s.token(t, fmt.Sprintf("random-%d", i))
		wg.Go(func() {
			if _, err := v.Verify(t.Context(), token); !isRefusal(err, identity.ErrUnknownKey) {
				t.Errorf("kid %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	if n := s.hits.Load(); n > 2 {
		t.Errorf("1 000 unknown kids made %d fetches after the first", n-1)
	}
	if _, err := v.Verify(t.Context(), good); !isRefusal(err, identity.ErrAudience) {
		t.Errorf("a good token during the flood: %v", err)
	}
	// However long the flood lasts: one fetch in 30 s, no more.
	before := s.hits.Load()
	for i := range 300 {
		c.forward(time.Second)
		_, _ = v.Verify(t.Context(), s.token(t, fmt.Sprintf("later-%d", i)))
	}
	if n := s.hits.Load() - before; n > 11 {
		t.Errorf("five minutes of unknown kids made %d fetches", n)
	}
}

func TestBadSignaturesFetchNothing(t *testing.T) {
	t.Parallel()
	s := newKeyServer(t)
	c := newClock()
	v := s.verifier(t, c)
	good := s.token(t, "first")
	for range 100 {
		c.forward(time.Second)
		if _, err := v.Verify(t.Context(), good[:len(good)-8]+"AAAAAAAA"); !isRefusal(err, identity.ErrSignature) {
			t.Fatal(err)
		}
	}
	if n := s.hits.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestKeysEndpointMisbehaves(t *testing.T) {
	t.Parallel()
	elsewhere := newKeyServer(t)
	cases := map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"trickles": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		},
		"answers 500": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"sends 50 MB": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[],"x":"`))
			for range 50 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		},
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/keys", http.StatusFound)
		},
		"sends no JSON": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"sends no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) },
		"sends a secret": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"first"}]}`))
		},
		"cuts the answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("{"))
		},
		"sends 1 000 keys": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"keys":[` + strings.Repeat(`{},`, 999) + `{}]}`))
		},
	}
	for name, bad := range cases {
		t.Run("at first "+name, func(t *testing.T) {
			t.Parallel()
			s := newKeyServer(t)
			c := newClock()
			v := s.verifier(t, c)
			s.misbehave(bad)
			token := s.token(t, "first")
			start := time.Now()
			for range 3 {
				if _, err := v.Verify(t.Context(), token); !errors.Is(err, identity.ErrKeysUnavailable) {
					t.Fatalf("got %v", err)
				}
			}
			if took := time.Since(start); took > 8*time.Second {
				t.Errorf("took %s", took)
			}
			if n := s.hits.Load(); n != 1 {
				t.Errorf("%d fetches", n)
			}
			s.misbehave(nil)
			c.forward(31 * time.Second)
			if _, err := v.Verify(t.Context(), token); !isRefusal(err, identity.ErrAudience) {
				t.Errorf("after it recovered: %v", err)
			}
		})
		if name == "trickles" {
			continue // as "hangs", and it takes as long
		}
		t.Run("later "+name, func(t *testing.T) {
			t.Parallel()
			s := newKeyServer(t)
			c := newClock()
			v := s.verifier(t, c)
			token := s.token(t, "first")
			if _, err := v.Verify(t.Context(), token); !isRefusal(err, identity.ErrAudience) {
				t.Fatal(err)
			}
			s.misbehave(bad)
			for range 11 { // 55 minutes
				c.forward(5 * time.Minute)
				start := time.Now()
				if _, err := v.Verify(t.Context(), token); !isRefusal(err, identity.ErrAudience) {
					t.Fatalf("while the keys are believed: %v", err)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("a caller waited %s for a refresh", took)
				}
			}
			if name == "hangs" {
				time.Sleep(5100 * time.Millisecond) // until the fetch under way gives up
			}
			c.forward(6 * time.Minute)
			if _, err := v.Verify(t.Context(), token); !errors.Is(err, identity.ErrKeysUnavailable) {
				t.Errorf("after an hour: %v", err)
			}
		})
	}
	if n := elsewhere.hits.Load(); n != 0 {
		t.Errorf("a redirect was followed %d times", n)
	}
}

func TestKeyRotation(t *testing.T) {
	t.Parallel()
	s := newKeyServer(t)
	c := newClock()
	v := s.verifier(t, c)
	old := s.token(t, "first")
	if _, err := v.Verify(t.Context(), old); !isRefusal(err, identity.ErrAudience) {
		t.Fatal(err)
	}
	s.add(t, "second")
	fresh := s.token(t, "second")
	if _, err := v.Verify(t.Context(), fresh); !isRefusal(err, identity.ErrUnknownKey) {
		t.Errorf("within 30 s of a fetch: %v", err)
	}
	c.forward(31 * time.Second)
	for _, token := range []string{fresh, old} {
		if _, err := v.Verify(t.Context(), token); !isRefusal(err, identity.ErrAudience) {
			t.Errorf("after 30 s: %v", err)
		}
	}
	// The issuer withdraws the first key: refused once the keys were read again.
	s.mu.Lock()
	s.keys = s.keys[1:]
	s.mu.Unlock()
	c.forward(5*time.Minute + time.Second)
	_, _ = v.Verify(t.Context(), fresh) // begins the refresh
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, err := v.Verify(t.Context(), old)
		if isRefusal(err, identity.ErrUnknownKey) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a withdrawn key is still believed: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestDiscoveryOfAnotherIssuer(t *testing.T) {
	t.Parallel()
	liar := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"issuer":"https://other.example","jwks_uri":"http://%s/keys"}`, r.Host)
	}))
	defer liar.Close()
	s := newKeyServer(t)
	v, err := identity.NewVerifier(identity.Config{
		Partnership: tests,
		Issuers: []identity.IssuerConfig{{
			URL: s.issuer(), Discovery: liar.URL, Audiences: []string{audience}, Clients: []string{"hub"},
			Agencies: []identity.AgencyBinding{{Agency: "CSC", Roles: []string{"practitioner"}}},
		}},
	}, identity.Options{Now: time.Now, Directory: identity.NewDirectory(nil, tests, 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Warm(t.Context()); !errors.Is(err, identity.ErrKeysUnavailable) {
		t.Errorf("warm: %v", err)
	}
	if _, err := v.Verify(t.Context(), s.token(t, "first")); !errors.Is(err, identity.ErrKeysUnavailable) {
		t.Errorf("verify: %v", err)
	}
}
