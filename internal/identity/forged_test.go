package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"kith/internal/identity"
)

// forge makes a token from raw parts, signed by sign ("" = no signature).
func forge(header, payload string, sign func(input string) string) string {
	input := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	return input + "." + sign(input)
}

func hmacWith(key []byte) func(string) string {
	return func(input string) string {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(input))
		return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
	}
}

// es256 signs as JWS wants it, whatever the header says.
func es256(t *testing.T, key crypto.Signer) func(string) string {
	return func(input string) string {
		sum := sha256.Sum256([]byte(input))
		r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), sum[:])
		if err != nil {
			t.Fatal(err)
		}
		out := make([]byte, 64)
		r.FillBytes(out[:32])
		s.FillBytes(out[32:])
		return base64.RawURLEncoding.EncodeToString(out)
	}
}

func text(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key, kid := w.csc.SigningKey()
	now := w.clock.now()
	claims := with(w.good(), map[string]any{"iss": w.csc.URL(), "aud": audience, "iat": now.Unix(), "exp": now.Add(time.Minute).Unix()})
	payload := text(t, claims)
	head := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": kid}
	header := func(changed map[string]any) string { return text(t, with(maps.Clone(head), changed)) }
	signed := es256(t, key)
	none := func(string) string { return "" }
	garbage := func(string) string { return "AAAA" }

	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	jwk := jose.JSONWebKey{Key: key.Public(), KeyID: kid}
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := forge(header(nil), payload, signed)
	if _, err := w.verifier.Verify(t.Context(), good); err != nil {
		t.Fatalf("the token that the bad ones are made from is refused: %v", err)
	}
	parts := strings.Split(good, ".")
	dot := strings.LastIndexByte(good, '.')

	cases := map[string]struct {
		token string
		want  *identity.Refusal
	}{
		"nothing":                          {"", identity.ErrNoToken},
		"alg none":                         {forge(header(map[string]any{"alg": "none"}), payload, none), identity.ErrTokenForm},
		"alg none with a signature":        {forge(header(map[string]any{"alg": "none"}), payload, garbage), identity.ErrAlgorithm},
		"alg NoNe":                         {forge(header(map[string]any{"alg": "NoNe"}), payload, garbage), identity.ErrAlgorithm},
		"alg missing":                      {forge(header(map[string]any{"alg": ""}), payload, signed), identity.ErrAlgorithm},
		"HS256 with the public key as PEM": {forge(header(map[string]any{"alg": "HS256"}), payload, hmacWith(public)), identity.ErrAlgorithm},
		"HS256 with the public key as DER": {forge(header(map[string]any{"alg": "HS256"}), payload, hmacWith(der)), identity.ErrAlgorithm},
		"HS256 with the public JWK":        {forge(header(map[string]any{"alg": "HS256"}), payload, hmacWith([]byte(text(t, jwk)))), identity.ErrAlgorithm},
		"ES256 in name, HMAC in truth":     {forge(header(nil), payload, hmacWith(public)), identity.ErrSignature},
		"an algorithm not configured":      {forge(header(map[string]any{"alg": "ES384"}), payload, signed), identity.ErrAlgorithm},
		"an algorithm of another kind":     {forge(header(map[string]any{"alg": "RS256"}), payload, signed), identity.ErrUnknownKey},
		"own key in the header":            {forge(header(map[string]any{"jwk": jose.JSONWebKey{Key: own.Public(), KeyID: kid}}), payload, es256(t, own)), identity.ErrSignature},
		"own key at an address":            {forge(header(map[string]any{"jku": "http://127.0.0.1:9/", "x5u": "http://127.0.0.1:9/"}), payload, es256(t, own)), identity.ErrSignature},
		"own key, known kid":               {forge(header(nil), payload, es256(t, own)), identity.ErrSignature},
		"unknown kid":                      {forge(header(map[string]any{"kid": "x"}), payload, signed), identity.ErrUnknownKey},
		"kid as a path":                    {forge(header(map[string]any{"kid": "../../dev/null"}), payload, signed), identity.ErrUnknownKey},
		"kid of 2 000 bytes":               {forge(header(map[string]any{"kid": strings.Repeat("k", 2000)}), payload, signed), identity.ErrTokenHeader},
		"critical extension":               {forge(header(map[string]any{"crit": []string{"exp"}, "exp": 1}), payload, signed), identity.ErrCritical},
		"critical and empty":               {forge(header(map[string]any{"crit": []string{}}), payload, signed), identity.ErrCritical},
		"critical and null":                {forge(header(map[string]any{"crit": nil}), payload, signed), identity.ErrCritical},
		"unencoded payload":                {forge(header(map[string]any{"b64": false, "crit": []string{"b64"}}), payload, signed), identity.ErrCritical},
		"type of an ID token":              {forge(header(map[string]any{"typ": "JWT"}), payload, signed), identity.ErrTokenType},
		"type of a logout token":           {forge(header(map[string]any{"typ": "logout+jwt"}), payload, signed), identity.ErrTokenType},
		"type missing":                     {forge(header(map[string]any{"typ": ""}), payload, signed), identity.ErrTokenType},
		"type that contains ours":          {forge(header(map[string]any{"typ": "xat+jwt"}), payload, signed), identity.ErrTokenType},
		"a header twice":                   {forge(`{"alg":"none","alg":"ES256","typ":"at+jwt","kid":"`+kid+`"}`, payload, signed), identity.ErrTokenHeader},
		"a header in capitals":             {forge(`{"ALG":"ES256","typ":"at+jwt","kid":"`+kid+`"}`, payload, signed), identity.ErrAlgorithm},
		"a claim twice":                    {forge(header(nil), `{"sub":"s-1",`+payload[1:], signed), identity.ErrClaims},
		"claims of another token":          {parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(payload, "s-1", "s-2", 1))) + "." + parts[2], identity.ErrSignature},
		"header of another token":          {forge(header(map[string]any{"x": 1}), payload, func(string) string { return parts[2] }), identity.ErrSignature},
		"no header object":                 {forge(`["ES256"]`, payload, signed), identity.ErrTokenHeader},
		"more after the header":            {forge(header(nil)+`{}`, payload, signed), identity.ErrTokenHeader},
		"header not UTF-8":                 {forge("{\"alg\":\"\xff\"}", payload, signed), identity.ErrTokenHeader},
		"padding":                          {good + "==", identity.ErrTokenForm},
		"a space before":                   {" " + good, identity.ErrTokenForm},
		"a line break within":              {good[:dot+5] + "\n" + good[dot+5:], identity.ErrTokenForm},
		"four parts":                       {good + ".AAAA", identity.ErrTokenForm},
		"an encrypted token's five parts":  {"e30.AAAA.AAAA.AAAA.AAAA", identity.ErrTokenForm},
		"JSON form":                        {`{"payload":"e30","signature":"AAAA"}`, identity.ErrTokenForm},
		"17 KB":                            {forge(header(nil), text(t, with(maps.Clone(claims), map[string]any{"x": strings.Repeat("x", 17000)})), signed), identity.ErrTokenSize},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantRefused(t, w, c.token, c.want)
		})
	}
}

// Two texts of one signature would make a token that is revoked or counted
// under one of them pass under the other.
func TestOneTextPerToken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.mint(t, nil)
	last := strings.IndexByte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", token[len(token)-1])
	// 64 bytes leave four unused bits in the last character.
	other := token[:len(token)-1] + string("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last+1])
	wantRefused(t, w, other, identity.ErrTokenForm)
}

func TestOtherTokensOfTheIssuer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	claims := with(w.good(), map[string]any{"nonce": "n", "at_hash": "h"})
	id, err := w.csc.MintTyped("JWT", claims)
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, id, identity.ErrTokenType)

	// Where an issuer's access tokens are plain JWTs, ID and logout tokens are told apart by what they claim.
	c := w.config
	c.Issuers = slices.Clone(c.Issuers)
	c.Issuers[0].Types = []string{"at+jwt", "JWT"}
	v, err := identity.NewVerifier(c, identity.Options{Now: w.clock.now, Directory: w.directory})
	if err != nil {
		t.Fatal(err)
	}
	w.verifier = v
	wantRefused(t, w, id, identity.ErrTokenType)
	logout, err := w.csc.MintTyped("JWT", with(w.good(), map[string]any{"events": map[string]any{}}))
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, logout, identity.ErrTokenType)
	plain, err := w.csc.MintTyped("JWT", w.good())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), plain); err != nil {
		t.Errorf("a plain JWT where the configuration allows it: %v", err)
	}
}

// A trusted issuer signs with its own good key and names another's iss, or
// claims another's agency.
func TestIssuerMixUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	c := w.config
	c.Issuers = slices.Clone(c.Issuers)
	c.Issuers[0].Algorithms = []string{"ES256", "RS256"}
	v, err := identity.NewVerifier(c, identity.Options{Now: w.clock.now, Directory: w.directory})
	if err != nil {
		t.Fatal(err)
	}
	w.verifier = v
	mixed, err := w.mh.Mint(with(w.good(), map[string]any{"iss": w.csc.URL()}))
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, mixed, identity.ErrUnknownKey)
	claims, err := w.mh.Mint(map[string]any{"sub": "s-1", "client_id": "hub", "org": "council", "agency": "CSC"})
	if err != nil {
		t.Fatal(err)
	}
	wantRefused(t, w, claims, identity.ErrUnknownWorker)
}

// A key too weak, or of another curve than its algorithm's, is no key.
func TestUnfitKeys(t *testing.T) {
	t.Parallel()
	odd := func(bits uint) *big.Int { return new(big.Int).SetBit(big.NewInt(1), int(bits-1), 1) }
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	server := newKeyServer(t,
		jose.JSONWebKey{Key: &rsa.PublicKey{N: odd(1024), E: 65537}, KeyID: "rsa-1024"},
		jose.JSONWebKey{Key: &rsa.PublicKey{N: odd(2048), E: 65537}, KeyID: "rsa-2048"},
		jose.JSONWebKey{Key: &rsa.PublicKey{N: odd(2048), E: 65537}, KeyID: "rsa-enc", Use: "enc"},
		jose.JSONWebKey{Key: &rsa.PublicKey{N: odd(2048), E: 65537}, KeyID: "rsa-ps", Algorithm: "PS256"},
		jose.JSONWebKey{Key: p384.Public(), KeyID: "p384"},
		jose.JSONWebKey{Key: p384.Public(), KeyID: "twice"}, jose.JSONWebKey{Key: p384.Public(), KeyID: "twice"})
	v := server.verifier(t, newClock())
	for _, c := range []struct {
		kid, alg string
		want     *identity.Refusal
	}{
		{"rsa-1024", "RS256", identity.ErrUnknownKey},
		{"rsa-2048", "RS256", identity.ErrSignature},
		{"rsa-2048", "ES256", identity.ErrUnknownKey},
		{"rsa-2048", "EdDSA", identity.ErrUnknownKey},
		{"rsa-enc", "RS256", identity.ErrUnknownKey},
		{"rsa-ps", "RS256", identity.ErrUnknownKey},
		{"rsa-ps", "PS256", identity.ErrSignature},
		{"p384", "ES256", identity.ErrUnknownKey},
		{"twice", "ES256", identity.ErrUnknownKey},
		{"first", "ES256", identity.ErrSignature},
		{"", "ES256", identity.ErrSignature},  // the one key for ES256
		{"", "RS256", identity.ErrSignature},  // likewise
		{"", "PS256", identity.ErrUnknownKey}, // two fit
	} {
		token := forge(`{"alg":"`+c.alg+`","typ":"at+jwt","kid":"`+c.kid+`"}`, `{"iss":"`+server.issuer()+`"}`, func(string) string { return "AAAA" })
		if _, err := v.Verify(t.Context(), token); !isRefusal(err, c.want) {
			t.Errorf("kid %q, %s: %v, want %v", c.kid, c.alg, err, c.want)
		}
	}
}
