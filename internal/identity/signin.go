package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/oauth2"

	"kith/internal/audit"
)

// SignInConfig is sign-in by a browser.
type SignInConfig struct {
	// BaseURL is the hub's own address as browsers see it, without a trailing
	// slash. Redirect URIs are made from it and from nothing that a request says.
	BaseURL   string           `yaml:"base_url"`
	Idle      time.Duration    `yaml:"idle"`     // default 30 min
	Absolute  time.Duration    `yaml:"absolute"` // default 12 h
	Providers []SignInProvider `yaml:"providers"`
}

// SignInProvider is one way to sign in: an agency's issuer, which must be among
// the verifier's, with the hub's own client there.
type SignInProvider struct {
	Key    string   `yaml:"key"`    // in the form: csc
	Name   string   `yaml:"name"`   // shown: the agency
	Issuer string   `yaml:"issuer"` // as in Config
	Client string   `yaml:"client"` // one of that issuer's Clients
	Secret string   `yaml:"secret"` // empty: a public client
	Scopes []string `yaml:"scopes"` // default openid
	// Resource is asked for (RFC 8707) so that the access token is for this hub;
	// default the issuer's first audience; "-" asks for none.
	Resource string `yaml:"resource"`
}

// Paths of the browser's sign-in below BaseURL, to be registered at the issuer.
const (
	CallbackPath    = "/sign-in/callback"
	SignedOutPath   = "/sign-out/done"
	BackChannelPath = "/sign-out/back-channel"
)

const (
	defaultIdle     = 30 * time.Minute
	defaultAbsolute = 12 * time.Hour
	attemptLife     = 10 * time.Minute
	attemptsMost    = 20_000 // a flood of begun sign-ins must not fill the disk
	touchEvery      = time.Minute
)

// What goes wrong in a sign-in.
var (
	ErrNoProvider    = &Refusal{"sign-in-provider", true, "Choose an agency from the list."}
	ErrAttempt       = &Refusal{"sign-in-attempt", true, "This sign-in has run out, or was begun in another window. Start again."}
	ErrSignInAnswer  = &Refusal{"sign-in-answer", true, "The agency's sign-in service gave an answer that does not fit. Start again."}
	ErrSignInRefused = &Refusal{"sign-in-refused", true, "The agency's sign-in service did not sign you in."}
	ErrNoSession     = &Refusal{"session-none", true, "You are signed out. Sign in again."}
	ErrLogoutToken   = &Refusal{"logout-token", true, "The logout token is not valid."}
	// ErrSignInBusy: too many sign-ins are under way. Not a Refusal.
	ErrSignInBusy = errors.New("too many sign-ins are under way")
)

// SignInOptions are what a SignIn gets from outside; all but Transport are needed.
type SignInOptions struct {
	Pool      *pgxpool.Pool // role kith_app
	Verifier  *Verifier
	Recorder  *audit.Recorder
	Now       func() time.Time
	Random    io.Reader // of cryptographic quality
	Transport http.RoundTripper
}

// SignIn signs people in by browser and keeps their sessions. It keeps nothing
// in memory that another replica would have to know. Safe for concurrent use.
type SignIn struct {
	SignInOptions
	config    SignInConfig
	client    *http.Client
	providers map[string]*provider
}

type provider struct {
	SignInProvider
	trusted *trusted

	mu      sync.Mutex
	found   endpoints
	foundAt time.Time
}

// endpoints are what discovery says beside the keys.
type endpoints struct {
	Issuer     string `json:"issuer"`
	Authorize  string `json:"authorization_endpoint"`
	Token      string `json:"token_endpoint"`
	EndSession string `json:"end_session_endpoint"`
	SaysIssuer bool   `json:"authorization_response_iss_parameter_supported"`
}

var providerKey = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// NewSignIn checks the configuration; all errors are reported together.
func NewSignIn(c SignInConfig, o SignInOptions) (*SignIn, error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if err := checkURL(c.BaseURL); err != nil || strings.HasSuffix(c.BaseURL, "/") {
		add("base_url: must be the hub's address without a trailing slash: %w", err)
	}
	if o.Pool == nil || o.Verifier == nil || o.Recorder == nil || o.Now == nil || o.Random == nil {
		add("pool, verifier, recorder, clock and randomness are needed")
	}
	if c.Idle == 0 {
		c.Idle = defaultIdle
	}
	if c.Absolute == 0 {
		c.Absolute = defaultAbsolute
	}
	if c.Idle < time.Minute || c.Absolute < c.Idle || c.Absolute > 24*time.Hour {
		add("idle must be a minute or more, absolute no less than idle and at most 24h")
	}
	s := &SignIn{SignInOptions: o, config: c, providers: map[string]*provider{}}
	for _, p := range c.Providers {
		if !providerKey.MatchString(p.Key) || s.providers[p.Key] != nil {
			add("provider %q: the key must be a code of its own", p.Key)
			continue
		}
		var t *trusted
		if o.Verifier != nil {
			t = o.Verifier.issuers[p.Issuer]
		}
		switch {
		case t == nil:
			add("provider %s: %s is not a configured issuer", p.Key, p.Issuer)
			continue
		case !slices.Contains(t.Clients, p.Client):
			add("provider %s: client %q is not among the issuer's clients", p.Key, p.Client)
		case slices.Contains(t.Audiences, p.Client):
			add("provider %s: the client is also an audience, so an ID token would pass as an access token", p.Key)
		}
		if len(p.Scopes) == 0 {
			p.Scopes = []string{"openid"}
		}
		if !slices.Contains(p.Scopes, "openid") {
			add("provider %s: the scope openid is needed", p.Key)
		}
		if p.Resource == "" {
			p.Resource = t.Audiences[0]
		}
		s.providers[p.Key] = &provider{SignInProvider: p, trusted: t}
	}
	if len(c.Providers) == 0 {
		add("providers: none; nobody could sign in")
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("sign-in configuration: %w", errors.Join(errs...))
	}
	if s.Transport == nil {
		s.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: keysTimeout, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute}
	}
	s.client = &http.Client{
		Transport:     s.Transport,
		Timeout:       keysTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// Choice of agency on the sign-in page.
type ProviderChoice struct{ Key, Name string }

// Providers lists the ways to sign in, as configured.
func (s *SignIn) Providers() []ProviderChoice {
	out := make([]ProviderChoice, 0, len(s.config.Providers))
	for _, p := range s.config.Providers {
		out = append(out, ProviderChoice{p.Key, p.Name})
	}
	return out
}

// Origin is the address that browsers see, for headers and cookies.
func (s *SignIn) Origin() string { return s.config.BaseURL }

// endpoints reads the provider's discovery document, at most once an hour.
func (s *SignIn) endpoints(ctx context.Context, p *provider) (endpoints, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := s.Now(); !p.foundAt.IsZero() && now.Sub(p.foundAt) < discoveryKept {
		return p.found, nil
	}
	address := p.trusted.Discovery
	if address == "" {
		address = strings.TrimSuffix(p.Issuer, "/") + "/.well-known/openid-configuration"
	}
	body, err := p.trusted.keys.get(ctx, address)
	if err != nil {
		return endpoints{}, fmt.Errorf("discovery of %s: %w", p.Issuer, err)
	}
	var e endpoints
	if err := json.Unmarshal(body, &e); err != nil {
		return endpoints{}, fmt.Errorf("discovery of %s: %w", p.Issuer, err)
	}
	if e.Issuer != p.Issuer {
		return endpoints{}, fmt.Errorf("discovery of %s names another issuer", p.Issuer)
	}
	for _, u := range []string{e.Authorize, e.Token} {
		if err := checkURL(u); err != nil {
			return endpoints{}, fmt.Errorf("discovery of %s: %w", p.Issuer, err)
		}
	}
	if e.EndSession != "" && checkURL(e.EndSession) != nil {
		e.EndSession = ""
	}
	p.found, p.foundAt = e, s.Now()
	return e, nil
}

func (s *SignIn) oauth(p *provider, e endpoints) *oauth2.Config {
	style := oauth2.AuthStyleInParams
	if p.Secret != "" {
		style = oauth2.AuthStyleInHeader
	}
	return &oauth2.Config{
		ClientID: p.Client, ClientSecret: p.Secret, Scopes: p.Scopes, RedirectURL: s.config.BaseURL + CallbackPath,
		Endpoint: oauth2.Endpoint{AuthURL: e.Authorize, TokenURL: e.Token, AuthStyle: style},
	}
}
