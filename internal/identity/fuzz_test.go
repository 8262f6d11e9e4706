package identity_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"kith/internal/identity"
)

// Whatever stands in a header, nobody is let in without a signature, and the
// verifier neither panics nor leaves its own errors.
func FuzzTokenHeader(f *testing.F) {
	for _, s := range []string{
		`{"alg":"ES256","typ":"at+jwt","kid":"k"}`, `{"alg":"none"}`, `{"alg":"HS256","crit":["exp"]}`, `{"alg":["ES256"]}`,
		`{"alg":"ES256","alg":"none"}`, `{`, `[]`, `null`, `{"typ":"at+jwt","alg":"ES256","jwk":{"kty":"oct","k":"AAAA"}}`, "{\"a\":\"\xff\"}", `{"a":1e999}`,
	} {
		f.Add(s, `{"iss":"https://127.0.0.1:9","aud":"x"}`)
	}
	v, err := identity.NewVerifier(identity.Config{
		Partnership: tests,
		Issuers: []identity.IssuerConfig{{
			URL: "https://127.0.0.1:9", Audiences: []string{audience}, Clients: []string{"hub"},
			Agencies: []identity.AgencyBinding{{Agency: "CSC", Roles: []string{"practitioner"}}},
		}},
	}, identity.Options{Now: time.Now, Directory: identity.NewDirectory(nil, tests, 0, nil)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		token := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".AAAA"
		check(t, v, token)
		check(t, v, strings.ReplaceAll(header, "\x00", ".")) // and as a raw token
	})
}

func check(t *testing.T, v *identity.Verifier, token string) {
	t.Helper()
	p, err := v.Verify(t.Context(), token)
	r := (*identity.Refusal)(nil)
	if !errors.As(err, &r) && !errors.Is(err, identity.ErrKeysUnavailable) {
		t.Fatalf("got %v", err)
	}
	if r != nil && !r.Token {
		t.Fatalf("an unsigned token reached the directory: %v", err)
	}
	diff(t, identity.Principal{}, p)
}
