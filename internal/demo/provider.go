package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"kith/internal/identity"
	"kith/internal/identity/issuer"
)

// Names by which the demo's software is known to its issuers.
const (
	Audience      = "kith"         // what access tokens are for
	CommandClient = "kith-command" // kith demo token
	WebClient     = "kith-web"     // the hub's own pages
)

// TokenLifetime is how long a bearer token of the demo is good.
const TokenLifetime = 30 * time.Minute

// realm is the issuer of an agency: one each, as in life.
func realm(agency string) string { return strings.ToLower(agency) }

// IssuerURL is the address of an agency's issuer below the provider's.
func IssuerURL(base, agency string) string { return base + "/" + realm(agency) }

// Provider makes the demo's issuers, with everybody who can sign in. hub is the
// hub's own address, to which browsers come back.
func Provider(base, hub string, accounts []Account, now func() time.Time, random io.Reader, log *slog.Logger) (*issuer.Provider, error) {
	c := issuer.Config{Demo: true, URL: base, Now: now, Random: random, Log: log}
	for _, a := range agencies() {
		r := issuer.Realm{Name: realm(a.code), Title: a.name, Audiences: []string{Audience}, Lifetime: TokenLifetime, Clients: []issuer.Client{
			{ID: CommandClient, RedirectURIs: []string{issuer.CommandRedirect}},
			{ID: WebClient, RedirectURIs: []string{hub + identity.CallbackPath}, PostLogout: []string{hub + identity.SignedOutPath}, BackChannel: hub + identity.BackChannelPath},
		}}
		for _, p := range accounts {
			switch {
			case p.Agency != a.code || p.Sign == "":
			case p.System:
				r.Clients = append(r.Clients, issuer.Client{ID: p.Subject, Secret: p.Secret(), System: true})
			default:
				r.People = append(r.People, issuer.Person{Key: p.Sign, Subject: p.Subject, Name: p.Name, Label: strings.Join(p.Roles, ", "),
					Claims: map[string]any{"agency": p.Agency, "roles": p.Roles}})
			}
		}
		c.Realms = append(c.Realms, r)
	}
	p, err := issuer.New(c)
	if err != nil {
		return nil, fmt.Errorf("demo issuers: %w", err)
	}
	return p, nil
}

// Identity binds each issuer of the demo to its agency and to the roles that
// its people have, and to nothing else.
func Identity(base string, accounts []Account) identity.Config {
	c := identity.Config{Partnership: Partnership}
	for _, a := range agencies() {
		is := identity.IssuerConfig{URL: IssuerURL(base, a.code), Audiences: []string{Audience}, Clients: []string{CommandClient, WebClient},
			Claims: identity.ClaimNames{Agency: "agency", Roles: "roles"}}
		var roles []string
		for _, p := range accounts {
			switch {
			case p.Agency != a.code || p.Sign == "":
			case p.System:
				is.Systems = append(is.Systems, identity.SystemClient{Client: p.Subject, Agency: a.code})
			default:
				roles = append(roles, p.Roles...)
			}
		}
		slices.Sort(roles)
		is.Agencies = []identity.AgencyBinding{{Agency: a.code, Roles: slices.Compact(roles)}}
		c.Issuers = append(c.Issuers, is)
	}
	return c
}

// SignIn is the browser's sign-in of the demo: one way for each agency.
func SignIn(base, hub string) identity.SignInConfig {
	c := identity.SignInConfig{BaseURL: hub}
	for _, a := range agencies() {
		c.Providers = append(c.Providers, identity.SignInProvider{Key: realm(a.code), Name: a.name, Issuer: IssuerURL(base, a.code), Client: WebClient})
	}
	return c
}

// Token signs in at a running demo as one of its people or systems.
// Errors: ErrNotRunning, ErrNoSuchName.
func Token(ctx context.Context, dir, name string) (hub, token string, err error) {
	r, err := Find(dir)
	if err != nil {
		return "", "", err
	}
	for _, a := range append(Accounts(r.Seed), BulkAccounts(r.Seed, StoryFamilies+20*bulkTeamSize)...) {
		if a.Sign != name {
			continue
		}
		at := IssuerURL(r.Issuers, a.Agency)
		if a.System {
			token, err = issuer.SignInSystem(ctx, at, a.Subject, a.Secret())
		} else {
			token, err = issuer.SignIn(ctx, at, CommandClient, name)
		}
		return r.Hub, token, err
	}
	return "", "", fmt.Errorf("%w: %q; `kith demo people` lists them", ErrNoSuchName, name)
}
