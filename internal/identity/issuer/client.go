package issuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	assertionLife = 5 * time.Minute
)

func assertionAlgorithms() []jose.SignatureAlgorithm {
	return []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
}

// authenticate finds the client of a token request and makes it prove itself
// in one way: the one that it is registered with.
func (s *RealmState) authenticate(r *http.Request) (Client, *oauthError) {
	failed := &oauthError{http.StatusUnauthorized, "invalid_client", "client authentication failed"}
	form := r.PostForm
	id, secret, basic := r.BasicAuth()
	if basic {
		// RFC 6749 §2.3.1: both are form-encoded before they are joined.
		var err1, err2 error
		id, err1 = url.QueryUnescape(id)
		secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil || form.Get("client_secret") != "" || form.Get("client_assertion") != "" {
			return Client{}, failed
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	if form.Get("client_assertion") != "" {
		if form.Get("client_assertion_type") != assertionType || secret != "" {
			return Client{}, failed
		}
		c, ok := s.checkAssertion(form.Get("client_assertion"))
		if !ok || id != "" && id != c.ID {
			return Client{}, failed
		}
		return c, nil
	}
	c, ok := s.client(id)
	if !ok || form.Get("client_id") != "" && form.Get("client_id") != id {
		return Client{}, failed
	}
	switch {
	case c.Secret != "":
		given, want := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(c.Secret))
		if subtle.ConstantTimeCompare(given[:], want[:]) != 1 {
			return Client{}, failed
		}
	case len(c.Keys) > 0 || secret != "":
		return Client{}, failed
	}
	return c, nil
}

// checkAssertion verifies private_key_jwt (RFC 7523 §3): signed by the client,
// for us, short-lived and never used before.
func (s *RealmState) checkAssertion(raw string) (Client, bool) {
	jws, err := jose.ParseSignedCompact(raw, assertionAlgorithms())
	if err != nil || len(jws.Signatures) != 1 {
		return Client{}, false
	}
	var claims struct {
		Issuer  string          `json:"iss"`
		Subject string          `json:"sub"`
		Aud     json.RawMessage `json:"aud"`
		Expiry  int64           `json:"exp"`
		ID      string          `json:"jti"`
	}
	if json.Unmarshal(jws.UnsafePayloadWithoutVerification(), &claims) != nil || claims.Issuer != claims.Subject {
		return Client{}, false
	}
	c, ok := s.client(claims.Issuer)
	if !ok || !slices.ContainsFunc(c.Keys, func(k jose.JSONWebKey) bool {
		kid := jws.Signatures[0].Header.KeyID
		if kid != "" && kid != k.KeyID {
			return false
		}
		_, err := jws.Verify(k.Key)
		return err == nil
	}) {
		return Client{}, false
	}
	var aud []string
	if json.Unmarshal(claims.Aud, &aud) != nil {
		var one string
		if json.Unmarshal(claims.Aud, &one) != nil {
			return Client{}, false
		}
		aud = []string{one}
	}
	p := s.provider
	now := p.now()
	life := time.Unix(claims.Expiry, 0).Sub(now)
	if !slices.Contains(aud, s.issuer) && !slices.Contains(aud, s.issuer+"/token") || life <= 0 || life > assertionLife || claims.ID == "" {
		return Client{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	once := s.Name + " " + c.ID + " " + claims.ID
	if _, used := p.jtis.get(once, now); used {
		return Client{}, false
	}
	p.jtis.put(once, struct{}{}, now, assertionLife)
	return c, true
}
