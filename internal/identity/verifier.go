package identity

import (
	"context"
	"crypto"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// skew is how far clocks may differ, either way.
const skew = 30 * time.Second

// Options are what a Verifier gets from outside; Now and Directory are needed.
type Options struct {
	Now       func() time.Time
	Directory *Directory
	// Transport carries the fetches of keys; nil is a plain one with the
	// proxies of the environment.
	Transport http.RoundTripper
}

// Verifier turns bearer tokens into principals. Safe for concurrent use.
type Verifier struct {
	now       func() time.Time
	directory *Directory
	issuers   map[string]*trusted
}

// trusted is one issuer with its keys.
type trusted struct {
	IssuerConfig
	keys   *keySet
	values map[string]*AgencyBinding // by value of the agency claim
	codes  map[string]*AgencyBinding
	system map[string]*SystemClient
}

// NewVerifier validates the configuration and fetches nothing yet ([Verifier.Warm]).
func NewVerifier(c Config, o Options) (*Verifier, error) {
	c, err := c.Complete()
	if err != nil {
		return nil, err
	}
	if o.Now == nil || o.Directory == nil {
		return nil, errors.New("identity: a verifier needs a clock and a directory")
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: keysTimeout}).DialContext,
			ForceAttemptHTTP2:     true,
			TLSHandshakeTimeout:   keysTimeout,
			ResponseHeaderTimeout: keysTimeout,
			MaxIdleConnsPerHost:   2,
			IdleConnTimeout:       time.Minute,
		}
	}
	v := &Verifier{now: o.Now, directory: o.Directory, issuers: map[string]*trusted{}}
	for _, is := range c.Issuers {
		t := &trusted{
			IssuerConfig: is,
			keys:         newKeySet(is, o.Transport, o.Now),
			values:       map[string]*AgencyBinding{},
			codes:        map[string]*AgencyBinding{},
			system:       map[string]*SystemClient{},
		}
		for i := range is.Agencies {
			b := &is.Agencies[i]
			t.codes[b.Agency] = b
			for _, value := range b.values() {
				t.values[value] = b
			}
		}
		for i := range is.Systems {
			t.system[is.Systems[i].Client] = &is.Systems[i]
		}
		v.issuers[is.URL] = t
	}
	return v, nil
}

// Warm fetches the keys of every issuer, so that the first callers need not
// wait, and reports the issuers whose keys can't be had. A hub serves without
// them: one agency's issuer must not stop the others.
func (v *Verifier) Warm(ctx context.Context) error {
	var errs []error
	for _, t := range v.issuers {
		if _, err := t.keys.key(ctx, "", t.Algorithms[0]); err != nil && !errors.Is(err, ErrUnknownKey) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Verify checks a bearer token (without the word Bearer) and finds the caller.
// Errors are a *Refusal of this package (perhaps within a *WorkerRefused), or
// say that the question could not be answered. The principal is zero then.
//
// Nothing of the token is believed before its signature was checked, except
// which issuer's keys to check it with.
func (v *Verifier) Verify(ctx context.Context, raw string) (Principal, error) {
	token, err := split(raw)
	if err != nil {
		return Principal{}, err
	}
	t, err := v.checkIssuer(token.payload)
	if err != nil {
		return Principal{}, err
	}
	head, err := checkHeader(token.header, t.IssuerConfig)
	if err != nil {
		return Principal{}, err
	}
	key, err := t.keys.key(ctx, head.kid, head.alg)
	if err != nil {
		return Principal{}, err
	}
	if err := checkSignature(ctx, raw, key); err != nil {
		return Principal{}, err
	}

	// From here on the claims are the issuer's own words.
	if err := checkNotSignIn(token.payload, head); err != nil {
		return Principal{}, err
	}
	if err := checkAudience(token.payload, t.Audiences); err != nil {
		return Principal{}, err
	}
	client, err := clientOf(token.payload, t.Claims)
	if err != nil {
		return Principal{}, err
	}
	if err := checkTimes(token.payload, v.now(), t.MaxLifetime); err != nil {
		return Principal{}, err
	}
	subject, err := subjectOf(token.payload, t.Claims)
	if err != nil {
		return Principal{}, err
	}
	acr, err := token.payload.text(t.Claims.ACR)
	if err != nil {
		return Principal{}, ErrClaims
	}
	caller := Principal{Issuer: t.URL, Subject: subject, Client: client, ACR: acr}

	if s, ok := t.system[client]; ok {
		return v.system(ctx, caller, token.payload, t, s)
	}
	if !slices.Contains(t.Clients, client) {
		return Principal{}, ErrClient
	}
	return v.person(ctx, caller, token.payload, t)
}

// checkIssuer compares iss byte for byte.
func (v *Verifier) checkIssuer(payload object) (*trusted, error) {
	iss, err := payload.text("iss")
	if err != nil {
		return nil, ErrIssuer
	}
	t, ok := v.issuers[iss]
	if !ok {
		return nil, ErrIssuer
	}
	return t, nil
}

type header struct{ alg, kid, typ string }

// checkHeader allows the listed algorithms and types alone. Keys and their
// addresses in a header (jwk, jku, x5u, x5c) are never looked at; crit names
// extensions, and this hub understands none (RFC 7515 §4.1.11).
func checkHeader(o object, is IssuerConfig) (header, error) {
	var h header
	var errs [3]error
	h.alg, errs[0] = o.text("alg")
	h.kid, errs[1] = o.text("kid")
	h.typ, errs[2] = o.text("typ")
	if errors.Join(errs[:]...) != nil {
		return header{}, ErrTokenHeader
	}
	if _, ok := o["crit"]; ok {
		return header{}, ErrCritical
	}
	if !slices.Contains(is.Algorithms, h.alg) || !asymmetric(h.alg) {
		return header{}, ErrAlgorithm
	}
	// Media types fold case, and "application/" may be left out (RFC 7515 §4.1.9).
	h.typ = strings.TrimPrefix(strings.ToLower(h.typ), "application/")
	for _, t := range is.Types {
		if h.typ == strings.ToLower(t) {
			return h, nil
		}
	}
	return header{}, ErrTokenType
}

// checkSignature gives go-oidc the one key that the issuer publishes under this
// kid and for this algorithm, so that it has nothing to fetch and nothing to
// choose. Its error is left out: it quotes the token.
func checkSignature(ctx context.Context, raw string, key crypto.PublicKey) error {
	set := &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key}}
	if _, err := set.VerifySignature(ctx, raw); err != nil {
		return ErrSignature
	}
	return nil
}

// checkNotSignIn refuses ID tokens and logout tokens where an issuer's access
// tokens carry the plain type JWT and so can't be told apart by type.
func checkNotSignIn(payload object, h header) error {
	if h.typ == "at+jwt" {
		return nil
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash", "s_hash", "events"} {
		if _, ok := payload[name]; ok {
			return ErrTokenType
		}
	}
	return nil
}

// checkAudience wants every audience of the token to be one of ours: a token
// that is also good elsewhere could be replayed from there.
func checkAudience(payload object, ours []string) error {
	aud, err := payload.list("aud")
	if err != nil || len(aud) == 0 {
		return ErrAudience
	}
	for _, a := range aud {
		if !slices.Contains(ours, a) {
			return ErrAudience
		}
	}
	return nil
}

// clientOf reads whose software carries the token: the configured claim, or
// client_id (RFC 9068) and azp, which must agree where both stand.
func clientOf(payload object, names ClaimNames) (string, error) {
	claims := []string{"client_id", "azp"}
	if names.Client != "" {
		claims = append([]string{names.Client}, claims...)
	}
	client := ""
	for i, name := range claims {
		c, err := payload.text(name)
		if err != nil {
			return "", ErrClient
		}
		if c == "" && i == 0 && names.Client != "" {
			return "", ErrClient
		}
		if c != "" && client != "" && c != client {
			return "", ErrClient
		}
		if client == "" {
			client = c
		}
	}
	if client == "" {
		return "", ErrClient
	}
	return client, nil
}

func checkTimes(payload object, now time.Time, longest time.Duration) error {
	exp, err1 := payload.moment("exp")
	nbf, err2 := payload.moment("nbf")
	iat, err3 := payload.moment("iat")
	if errors.Join(err1, err2, err3) != nil || exp.IsZero() || iat.IsZero() {
		return ErrClaims
	}
	switch {
	case iat.After(now.Add(skew)):
		return ErrIssuedInFuture
	case nbf.After(now.Add(skew)):
		return ErrNotYetValid
	case !exp.After(now.Add(-skew)):
		return ErrExpired
	case exp.Sub(iat) > longest:
		return ErrLifetime
	}
	return nil
}

func subjectOf(payload object, names ClaimNames) (string, error) {
	s, err := payload.text(names.Subject)
	if err != nil || s == "" {
		return "", ErrSubject
	}
	return s, nil
}
