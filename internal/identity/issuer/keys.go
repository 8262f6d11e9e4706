package issuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"

	"github.com/go-jose/go-jose/v4"
)

const keysKept = 3 // published, the signing one included

type signingKey struct {
	private crypto.Signer
	id      string
}

// URL is the realm's issuer URL, the iss of its tokens.
func (s *RealmState) URL() string { return s.issuer }

// Rotate makes a new signing key. The one before stays published for a while,
// so that its tokens live on.
func (s *RealmState) Rotate() error {
	private, err := newKey(s.Algorithm, s.provider.random)
	if err != nil {
		return err
	}
	id, err := s.provider.secret()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = append([]signingKey{{private, id[:16]}}, s.keys...)
	s.keys = s.keys[:min(len(s.keys), keysKept)]
	return nil
}

// Retire publishes the signing key alone.
func (s *RealmState) Retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys = s.keys[:1]
}

// SigningKey gives the key that signs now and its id, for tests that make bad
// tokens with a good key.
func (s *RealmState) SigningKey() (crypto.Signer, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.keys[0].private, s.keys[0].id
}

// Mint signs an access token. iss, aud, iat, exp and jti are filled in where
// claims does not give them; a nil value leaves a claim out.
func (s *RealmState) Mint(claims map[string]any) (string, error) {
	return s.MintTyped(s.Type, claims)
}

// MintTyped is Mint with a JOSE type of the caller's choice.
func (s *RealmState) MintTyped(typ string, claims map[string]any) (string, error) {
	now := s.provider.now()
	jti, err := s.provider.secret()
	if err != nil {
		return "", err
	}
	all := map[string]any{
		"iss": s.issuer,
		"aud": s.Audiences[0],
		"iat": now.Unix(),
		"exp": now.Add(s.Lifetime).Unix(),
		"jti": jti,
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return s.sign(typ, all)
}

func (s *RealmState) sign(typ string, claims map[string]any) (string, error) {
	key, id := s.SigningKey()
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.SignatureAlgorithm(s.Algorithm), Key: jose.JSONWebKey{Key: key, KeyID: id}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	jws, err := signer.Sign(body)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return jws.CompactSerialize()
}

// Keys gives the published keys.
func (s *RealmState) Keys() jose.JSONWebKeySet {
	s.mu.Lock()
	defer s.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, k := range s.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: k.private.Public(), KeyID: k.id, Use: "sig", Algorithm: s.Algorithm})
	}
	return set
}

func (s *RealmState) jwks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.Keys())
}

func newKey(algorithm string, random io.Reader) (crypto.Signer, error) {
	switch jose.SignatureAlgorithm(algorithm) {
	case jose.RS256, jose.PS256:
		return rsa.GenerateKey(random, 2048)
	case jose.ES256:
		return ecdsa.GenerateKey(elliptic.P256(), random)
	case jose.EdDSA:
		_, key, err := ed25519.GenerateKey(random)
		return key, err
	}
	return nil, fmt.Errorf("algorithm %q is not ES256, RS256, PS256 or EdDSA", algorithm)
}

// secret is a fresh unguessable text.
func (p *Provider) secret() (string, error) {
	b := make([]byte, 32)
	if _, err := io.ReadFull(p.random, b); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}
