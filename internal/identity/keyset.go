package identity

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Limits of a key set (faults.md §1).
const (
	keysRefresh   = 5 * time.Minute  // after this the keys are fetched anew, beside the requests
	keysExpire    = time.Hour        // after this they are no longer believed
	keysPause     = 30 * time.Second // at most one fetch in this time, whatever is asked for
	keysTimeout   = 5 * time.Second  // for a whole fetch, discovery included
	keysBody      = 1 << 20
	keysMost      = 100
	unknownMost   = 1000 // remembered unknown kids
	unknownFor    = time.Minute
	discoveryKept = time.Hour
)

// keySet holds the published keys of one issuer. go-oidc's own key set never
// forgets a key, fetches for every unknown kid, reads bodies without end and
// follows redirects; this one does none of that. Safe for concurrent use.
type keySet struct {
	issuer    string
	discovery string
	client    *http.Client
	now       func() time.Time

	mu        sync.Mutex
	keys      []jose.JSONWebKey
	fetched   time.Time // last good fetch
	tried     time.Time // start of the last fetch
	unknown   map[string]time.Time
	fetching  chan struct{} // closed when the fetch under way ends; nil when there is none
	jwks      string        // configured or discovered
	pinned    bool          // jwks is configured
	learned   time.Time     // when jwks was discovered
	lastError error
	fetches   int // begun so far; for tests and metrics
}

func newKeySet(is IssuerConfig, transport http.RoundTripper, now func() time.Time) *keySet {
	return &keySet{
		issuer:    is.URL,
		discovery: is.Discovery,
		jwks:      is.JWKS,
		pinned:    is.JWKS != "",
		now:       now,
		unknown:   map[string]time.Time{},
		client: &http.Client{
			Transport: transport,
			Timeout:   keysTimeout,
			// A redirect would let whoever can redirect choose the keys.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// key finds the public key for a token's header: ErrUnknownKey when the issuer
// does not publish it, ErrKeysUnavailable when that can't be known.
func (s *keySet) key(ctx context.Context, kid, alg string) (crypto.PublicKey, error) {
	s.mu.Lock()
	now := s.now()
	fresh := s.current(now)
	if fresh {
		if now.Sub(s.fetched) >= keysRefresh {
			s.startFetch(ctx, now) // beside this request
		}
		if k, ok := s.find(kid, alg); ok {
			s.mu.Unlock()
			return k, nil
		}
		if at, ok := s.unknown[kid]; ok && now.Sub(at) < unknownFor {
			s.mu.Unlock()
			return nil, ErrUnknownKey
		}
	}
	wait := s.startFetch(ctx, now)
	s.mu.Unlock()

	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for keys of %s: %w", s.issuer, ctx.Err())
		}
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.now()
	if !s.current(now) {
		return nil, fmt.Errorf("%w: %s: %w", ErrKeysUnavailable, s.issuer, s.lastError)
	}
	if k, ok := s.find(kid, alg); ok {
		return k, nil
	}
	if wait != nil && s.lastError == nil {
		// Only what a whole fetch did not find is remembered as unknown: a key
		// published since the last fetch must not wait behind this memory.
		s.forgetUnknown(now)
		s.unknown[kid] = now
	}
	return nil, ErrUnknownKey
}

func (s *keySet) current(now time.Time) bool {
	return !s.fetched.IsZero() && now.Sub(s.fetched) < keysExpire
}

// find wants exactly one key that fits: a token without a kid is accepted only
// where the issuer publishes a single key for that algorithm.
func (s *keySet) find(kid, alg string) (crypto.PublicKey, bool) {
	var found crypto.PublicKey
	n := 0
	for _, k := range s.keys {
		if kid != "" && k.KeyID != kid || k.Algorithm != "" && k.Algorithm != alg || !fits(k.Key, alg) {
			continue
		}
		found, n = k.Key, n+1
	}
	return found, n == 1
}

// fits says whether the kind of key is the one that the algorithm names
// (RFC 7518 §3: each ES algorithm has its own curve).
func fits(key crypto.PublicKey, alg string) bool {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return alg[0] != 'E' && k.N.BitLen() >= 2048
	case *ecdsa.PublicKey:
		switch alg {
		case "ES256":
			return k.Curve == elliptic.P256()
		case "ES384":
			return k.Curve == elliptic.P384()
		case "ES512":
			return k.Curve == elliptic.P521()
		}
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// forgetUnknown makes room for one more; s.mu is held.
func (s *keySet) forgetUnknown(now time.Time) {
	if len(s.unknown) < unknownMost {
		return
	}
	oldest := ""
	for kid, at := range s.unknown {
		if now.Sub(at) >= unknownFor {
			delete(s.unknown, kid)
		} else if oldest == "" || at.Before(s.unknown[oldest]) {
			oldest = kid
		}
	}
	if len(s.unknown) >= unknownMost {
		delete(s.unknown, oldest)
	}
}

// startFetch begins a fetch unless one is under way or was begun too lately,
// and returns what to wait for, or nil. s.mu is held.
func (s *keySet) startFetch(ctx context.Context, now time.Time) <-chan struct{} {
	if s.fetching != nil {
		return s.fetching
	}
	if !s.tried.IsZero() && now.Sub(s.tried) < keysPause {
		return nil
	}
	s.tried = now
	s.fetches++
	done := make(chan struct{})
	s.fetching = done
	// Detached: the caller who happened to ask may go away, the others wait on.
	go s.fetch(context.WithoutCancel(ctx), done)
	return done
}

func (s *keySet) fetch(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, keysTimeout)
	defer cancel()
	keys, jwks, err := s.load(ctx)

	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if err != nil {
		s.lastError = err
		if !s.pinned {
			s.jwks = "" // it may have moved
		}
	} else {
		if jwks != s.jwks {
			s.jwks, s.learned = jwks, now
		}
		s.keys, s.fetched, s.lastError = keys, now, nil
	}
	s.fetching = nil
	close(done)
}

func (s *keySet) load(ctx context.Context) ([]jose.JSONWebKey, string, error) {
	s.mu.Lock()
	jwks := s.jwks
	if !s.pinned && s.now().Sub(s.learned) >= discoveryKept {
		jwks = ""
	}
	s.mu.Unlock()
	if jwks == "" {
		var err error
		if jwks, err = s.discover(ctx); err != nil {
			return nil, "", err
		}
	}
	body, err := s.get(ctx, jwks)
	if err != nil {
		return nil, "", fmt.Errorf("fetch keys: %w", err)
	}
	keys, err := usableKeys(body)
	if err != nil {
		return nil, "", fmt.Errorf("read keys: %w", err)
	}
	return keys, jwks, nil
}

func (s *keySet) discover(ctx context.Context) (string, error) {
	body, err := s.get(ctx, s.discovery)
	if err != nil {
		return "", fmt.Errorf("fetch discovery: %w", err)
	}
	var doc struct {
		Issuer string `json:"issuer"`
		JWKS   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return "", fmt.Errorf("read discovery: %w", err)
	}
	if doc.Issuer != s.issuer {
		return "", errors.New("discovery names another issuer")
	}
	if err := checkURL(doc.JWKS); err != nil {
		return "", fmt.Errorf("discovery: jwks_uri: %w", err)
	}
	return doc.JWKS, nil
}

func (s *keySet) get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, keysBody+1))
	if err != nil {
		return nil, err
	}
	if len(body) > keysBody {
		return nil, fmt.Errorf("body over %d bytes", keysBody)
	}
	return body, nil
}

// usableKeys keeps the public signature keys; key by key, since issuers publish
// kinds that this library does not know beside those that it does.
func usableKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, err
	}
	if len(set.Keys) > keysMost {
		return nil, fmt.Errorf("%d keys, over %d", len(set.Keys), keysMost)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := k.UnmarshalJSON(raw); err != nil {
			continue
		}
		// A symmetric or private key in public is no key at all.
		if !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && !asymmetric(k.Algorithm) {
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("no public signature key")
	}
	return slices.Clip(keys), nil
}
