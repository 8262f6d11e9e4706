package identity_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kith/internal/identity"
)

const goodConfig = `
partnership: borough
dormant_days: 90
issuers:
  - url: https://login.example/tenant/v2.0
    jwks: https://login.example/tenant/keys?appid=1
    audiences: [api://kith]
    clients: [app]
    types: [JWT]
    algorithms: [RS256]
    max_lifetime: 90m
    claims: {subject: oid, agency: org, roles: roles, client: azp}
    roles: {Kith.Practitioner: practitioner}
    agencies:
      - {agency: MH, values: [trust, trust-2], roles: [practitioner, mh-practitioner]}
      - {agency: CSC, roles: [practitioner], accepted_only: true}
    systems:
      - {client: feed, agency: MH}
`

func TestConfigIsRead(t *testing.T) {
	t.Parallel()
	c, err := identity.LoadConfig(strings.NewReader(goodConfig))
	if err != nil {
		t.Fatal(err)
	}
	is := c.Issuers[0]
	if is.MaxLifetime != 90*time.Minute || is.Claims.Subject != "oid" || is.Claims.ACR != "acr" || !is.Agencies[1].AcceptedOnly ||
		!cmp.Equal(is.Systems[0].Roles, []string{"system"}) || is.Discovery != "" {
		t.Errorf("%+v", is)
	}
	c, err = identity.LoadConfig(strings.NewReader(strings.NewReplacer("jwks: https://login.example/tenant/keys?appid=1", "", "types: [JWT]", "", "max_lifetime: 90m", "", "algorithms: [RS256]", "").Replace(goodConfig)))
	if err != nil {
		t.Fatal(err)
	}
	is = c.Issuers[0]
	if is.Discovery != "https://login.example/tenant/v2.0/.well-known/openid-configuration" || is.MaxLifetime != time.Hour ||
		!slices.Equal(is.Types, []string{"at+jwt"}) || slices.Contains(is.Algorithms, "none") {
		t.Errorf("defaults: %+v", is)
	}
}

func TestConfigIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string][2]string{ // what is replaced, and what must be reported
		"partnership: borough":                                  {"partnership: ''", "partnership"},
		"https://login.example/tenant/v2.0":                     {"http://login.example/tenant/v2.0", "https is required"},
		"url: https://login.example/tenant/v2.0":                {"url: ''", "missing"},
		"https://login.example/tenant/keys?appid=1":             {"http://192.0.2.1/keys", "https is required"},
		"audiences: [api://kith]":                               {"audiences: []", "audiences: none"},
		"clients: [app]":                                        {"clients: [app, feed]", "also a client for people"},
		"types: [JWT]":                                          {"types: [id+jwt]", "neither"},
		"[api://kith]":                                          {"[app]", "an ID token would pass"},
		"algorithms: [RS256]":                                   {"algorithms: [RS256, HS256]", "HS256"},
		"[RS256]":                                               {"[none]", "none"},
		"90m":                                                   {"48h", "max_lifetime"},
		"Kith.Practitioner: practitioner":                       {"Kith.Practitioner: Practitioner!", "not a role code"},
		"{agency: MH, values":                                   {"{agency: mh, values", "not an agency code"},
		"roles: [practitioner, mh-practitioner]":                {"roles: []", "no roles"},
		"[practitioner, mh-practitioner]":                       {"[system]", "for systems"},
		"{agency: CSC, roles: [practitioner]":                   {"{agency: CSC, values: [trust], roles: [practitioner]", "means both"},
		"{agency: CSC,":                                         {"{agency: MH,", "listed twice"},
		"{client: feed, agency: MH}":                            {"{client: feed, agency: MH, roles: [practitioner]}", "role system alone"},
		"- {client: feed, agency: MH}":                          {"- {client: '', agency: MH}", "no client"},
		"    max_lifetime: 90m":                                 {"    max_life: 90m", "max_life"},
		"    claims: {subject: oid":                             {"    claims: {subjekt: oid", "subjekt"},
		"dormant_days: 90":                                      {"dormant_days: -1", "negative"},
		"      - {agency: MH, values: [trust, trust-2], roles:": {"      - {agency: MH, values: [''], roles:", "empty claim value"},
	}
	for old, c := range cases {
		if !strings.Contains(goodConfig, old) {
			t.Fatalf("%q does not stand in the good configuration", old)
		}
		_, err := identity.LoadConfig(strings.NewReader(strings.Replace(goodConfig, old, c[0], 1)))
		if err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%q as %q: %v, want a word of %q", old, c[0], err, c[1])
		}
	}
	_, err := identity.Config{Issuers: []identity.IssuerConfig{{}, {URL: "https://a.example"}}}.Complete()
	if err == nil || strings.Count(err.Error(), "\n") < 5 {
		t.Errorf("not all errors at once: %v", err)
	}
	if _, err := (identity.Config{Partnership: "borough"}).Complete(); err == nil {
		t.Error("no issuer was taken")
	}
	if _, err := identity.NewVerifier(identity.Config{}, identity.Options{}); err == nil {
		t.Error("a verifier out of nothing")
	}
}
