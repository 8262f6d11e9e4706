package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/jackc/pgx/v5"
	"golang.org/x/oauth2"

	"kith/internal/postgres"
)

// Begin starts a sign-in at the provider. redirect is where the browser goes;
// attempt is a secret for that browser's cookie, without which the answer is
// worth nothing (login CSRF). back is where to go afterwards: a path of ours.
// Errors: ErrNoProvider, ErrSignInBusy.
func (s *SignIn) Begin(ctx context.Context, key, back string) (redirect, attempt string, err error) {
	p, ok := s.providers[key]
	if !ok {
		return "", "", ErrNoProvider
	}
	e, err := s.endpoints(ctx, p)
	if err != nil {
		return "", "", err
	}
	var secrets [4]string // attempt, state, nonce, PKCE verifier
	for i := range secrets {
		if secrets[i], err = s.secret(); err != nil {
			return "", "", err
		}
	}
	now := s.Now()
	tag, err := s.Pool.Exec(ctx, `
		WITH old AS (DELETE FROM sign_in_attempt WHERE expires_at < $7)
		INSERT INTO sign_in_attempt (id_hash, issuer, state, nonce, verifier, back, expires_at)
		SELECT $1, $2, $3, $4, $5, $6, $8
		 WHERE (SELECT count(*) FROM sign_in_attempt) < $9`,
		hashOf(secrets[0]), p.Issuer, secrets[1], secrets[2], secrets[3], LocalPath(back), now, now.Add(attemptLife), attemptsMost)
	if err != nil {
		return "", "", fmt.Errorf("begin sign-in: %w", postgres.Redact(err))
	}
	if tag.RowsAffected() == 0 {
		return "", "", ErrSignInBusy
	}
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(secrets[3]), oidc.Nonce(secrets[2])}
	if p.Resource != "-" {
		options = append(options, oauth2.SetAuthURLParam("resource", p.Resource))
	}
	return s.oauth(p, e).AuthCodeURL(secrets[1], options...), secrets[0], nil
}

// LocalPath gives back a path of this hub, or "/": an address on another host,
// in any of the shapes that browsers forgive, must not come through.
func LocalPath(back string) string {
	u, err := url.Parse(back)
	switch {
	case err != nil, u.Scheme != "", u.Host != "", u.User != nil, u.Opaque != "", len(back) > 200,
		!strings.HasPrefix(back, "/"), strings.HasPrefix(back, "//"), strings.ContainsAny(back, "\\\r\n\t"),
		strings.HasPrefix(u.Path, "//"), strings.HasPrefix(u.Path, "/sign-"):
		return "/"
	}
	return (&url.URL{Path: u.Path, RawQuery: u.RawQuery}).String()
}

// Finish takes the provider's answer and opens a session: a new token each
// time, so that a token planted before the sign-in is worth nothing. replaced
// is the token of the browser's earlier session, which ends. Errors are
// Refusals (perhaps in a *WorkerRefused), or say that it could not be done.
func (s *SignIn) Finish(ctx context.Context, attempt string, answer url.Values, replaced string) (token, back string, err error) {
	a, p, err := s.takeAttempt(ctx, attempt)
	if err != nil {
		return "", "", err
	}
	if subtle.ConstantTimeCompare([]byte(one(answer, "state")), []byte(a.state)) != 1 {
		return "", "", ErrSignInAnswer
	}
	e, err := s.endpoints(ctx, p)
	if err != nil {
		return "", "", err
	}
	// RFC 9207: whose answer this is. An issuer that says so must always say so.
	if iss := one(answer, "iss"); iss != p.Issuer && (iss != "" || e.SaysIssuer) {
		return "", "", ErrSignInAnswer
	}
	if one(answer, "error") != "" || one(answer, "code") == "" {
		return "", "", ErrSignInRefused
	}
	tokens, err := s.oauth(p, e).Exchange(context.WithValue(ctx, oauth2.HTTPClient, s.client), one(answer, "code"), oauth2.VerifierOption(a.verifier))
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.ErrorCode != "" {
			return "", "", ErrSignInRefused
		}
		return "", "", errors.New("sign-in: the code could not be redeemed") // the error may quote a token
	}
	hint, _ := tokens.Extra("id_token").(string)
	id, err := s.checkIDToken(ctx, p, hint, a.nonce)
	if err != nil {
		return "", "", err
	}
	caller, err := s.Verifier.Verify(ctx, tokens.AccessToken)
	if err != nil {
		return "", "", err
	}
	if caller.System || caller.Issuer != p.Issuer || caller.Subject != id.subject || caller.Client != p.Client {
		return "", "", ErrSignInAnswer
	}
	said, err := s.claimsOf(tokens.AccessToken, p)
	if err != nil {
		return "", "", err
	}
	token, err = s.open(ctx, caller, id.session, said, hint, replaced)
	return token, a.back, err
}

type begun struct{ issuer, state, nonce, verifier, back string }

// takeAttempt uses an attempt up: an answer counts once.
func (s *SignIn) takeAttempt(ctx context.Context, attempt string) (begun, *provider, error) {
	var a begun
	if len(attempt) < 40 || len(attempt) > 60 {
		return a, nil, ErrAttempt
	}
	err := s.Pool.QueryRow(ctx, `
		DELETE FROM sign_in_attempt WHERE id_hash = $1 AND expires_at > $2
		RETURNING issuer, state, nonce, verifier, back`, hashOf(attempt), s.Now()).Scan(&a.issuer, &a.state, &a.nonce, &a.verifier, &a.back)
	if errors.Is(err, pgx.ErrNoRows) {
		return a, nil, ErrAttempt
	}
	if err != nil {
		return a, nil, fmt.Errorf("finish sign-in: %w", postgres.Redact(err))
	}
	for _, p := range s.providers {
		if p.Issuer == a.issuer {
			return a, p, nil
		}
	}
	return a, nil, ErrAttempt
}

// one gives a parameter that stands once; twice is as good as not at all.
func one(q url.Values, name string) string {
	if v := q[name]; len(v) == 1 {
		return v[0]
	}
	return ""
}

type idToken struct{ subject, session string }

// checkIDToken lets go-oidc verify issuer, audience, expiry and signature, with
// our keys, and checks what it leaves open.
func (s *SignIn) checkIDToken(ctx context.Context, p *provider, raw, nonce string) (idToken, error) {
	keys := signatures{p.trusted}
	v := oidc.NewVerifier(p.Issuer, keys, &oidc.Config{ClientID: p.Client, SupportedSigningAlgs: p.trusted.Algorithms, Now: s.Now})
	t, err := v.Verify(ctx, raw)
	if err != nil {
		if errors.Is(err, ErrKeysUnavailable) {
			return idToken{}, ErrKeysUnavailable
		}
		return idToken{}, ErrSignInAnswer
	}
	if subtle.ConstantTimeCompare([]byte(t.Nonce), []byte(nonce)) != 1 || t.IssuedAt.After(s.Now().Add(skew)) {
		return idToken{}, ErrSignInAnswer
	}
	c, err := split(raw)
	if err != nil {
		return idToken{}, ErrSignInAnswer
	}
	party, err := c.payload.text("azp")
	if err != nil || party != "" && party != p.Client || len(t.Audience) != 1 {
		return idToken{}, ErrSignInAnswer
	}
	sid, err := c.payload.text("sid")
	if err != nil {
		return idToken{}, ErrSignInAnswer
	}
	subject, err := subjectOf(c.payload, p.trusted.Claims)
	if err != nil {
		return idToken{}, ErrSignInAnswer
	}
	return idToken{subject: subject, session: sid}, nil
}

// signatures is the issuer's bounded key set as go-oidc wants it.
type signatures struct{ trusted *trusted }

// VerifySignature gives the payload of a token whose signature is the issuer's.
func (k signatures) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	c, err := split(raw)
	if err != nil {
		return nil, err
	}
	alg, err1 := c.header.text("alg")
	kid, err2 := c.header.text("kid")
	typ, err3 := c.header.text("typ")
	if _, critical := c.header["crit"]; critical || errors.Join(err1, err2, err3) != nil {
		return nil, ErrTokenHeader
	}
	if strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt") {
		return nil, ErrTokenType
	}
	key, err := k.trusted.keys.key(ctx, kid, alg)
	if err != nil {
		return nil, err
	}
	if err := checkSignature(ctx, raw, key); err != nil {
		return nil, err
	}
	return base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
}

// claimsOf keeps what the access token said of agency and roles, so that the
// worker's standing can be read anew at each request as for a bearer token.
func (s *SignIn) claimsOf(raw string, p *provider) (object, error) {
	c, err := split(raw)
	if err != nil {
		return nil, err
	}
	said := object{}
	for _, name := range []string{p.trusted.Claims.Agency, p.trusted.Claims.Roles} {
		if name != "" && c.payload.has(name) {
			said[name] = json.RawMessage(c.payload[name])
		}
	}
	return said, nil
}

// secret draws 32 bytes.
func (s *SignIn) secret() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(s.Random, b[:]); err != nil {
		return "", fmt.Errorf("randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}
