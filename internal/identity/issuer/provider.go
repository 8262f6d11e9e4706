// Package issuer is the small OpenID provider of the demo and of the tests. It
// hides several issuers in one process, one per agency or service, each under
// a path of its own with its own keys, people and clients: authorization code
// with PKCE, refresh tokens, client credentials, key rotation and back-channel
// logout (OpenID Connect Core, RFC 6749, 7636, 8707, 9068, 9207).
//
// Whoever reaches it may sign in as anybody: there are no passwords. So it
// refuses to start outside demo mode or off loopback.
package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// ErrNotDemo says that the provider was asked to run outside demo mode or off
// loopback.
var ErrNotDemo = errors.New("the demo provider runs in demo mode and on loopback alone")

var realmName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// Config is the provider's whole world. Demo must be set, URL be on loopback.
type Config struct {
	Demo   bool
	URL    string // base without a trailing slash, such as http://127.0.0.1:9090
	Realms []Realm
	Now    func() time.Time
	Random io.Reader // crypto/rand.Reader
	Log    *slog.Logger
}

// Realm is one issuer: its URL is Config.URL + "/" + Name.
type Realm struct {
	Name      string
	Title     string        // shown to people
	Algorithm string        // ES256 (default), RS256, PS256 or EdDSA
	Audiences []string      // resources that access tokens may be for; the first is the default
	Lifetime  time.Duration // of access tokens; default 15 minutes
	Type      string        // typ of access tokens; default at+jwt
	People    []Person
	Clients   []Client
}

// Person can sign in at a realm, by being chosen.
type Person struct {
	Key     string // name on the command line, such as social-worker
	Subject string
	Name    string
	Label   string         // shown beside the name
	Claims  map[string]any // further claims of access tokens
}

// Client is a piece of software. One with neither secret nor keys is public.
type Client struct {
	ID           string
	Secret       string
	Keys         []jose.JSONWebKey // public keys for private_key_jwt
	RedirectURIs []string          // exact; none = no people
	PostLogout   []string          // exact
	BackChannel  string            // where logout tokens go; loopback only
	System       bool              // may use client credentials
	Claims       map[string]any    // further claims of its own access tokens
}

// Provider serves all realms. Safe for concurrent use.
type Provider struct {
	url    string
	host   string
	now    func() time.Time
	random io.Reader
	log    *slog.Logger
	page   *template.Template
	mux    *http.ServeMux
	realms map[string]*RealmState
	caller *http.Client // sends logout tokens

	mu       sync.Mutex
	requests shelf[request]  // shown to somebody who has not chosen yet
	codes    shelf[grant]    // one use
	refresh  shelf[grant]    // one use each, rotated
	spent    shelf[string]   // used refresh tokens and codes → session, to notice theft
	jtis     shelf[struct{}] // used client assertions
	sessions shelf[signedIn] // by sid
}

// RealmState is a running realm.
type RealmState struct {
	Realm
	issuer   string
	provider *Provider

	mu   sync.Mutex
	keys []signingKey // newest first; it signs
}

// New checks the configuration and makes keys. It answers ErrNotDemo outside
// demo mode or off loopback.
func New(c Config) (*Provider, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("demo provider: %w", err)
	}
	if !c.Demo || u.Scheme != "http" || !loopback(u.Hostname()) {
		return nil, ErrNotDemo
	}
	if u.Path != "" || u.RawQuery != "" || c.Now == nil || c.Random == nil {
		return nil, errors.New("demo provider: needs a base URL without a path, a clock and randomness")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return nil, fmt.Errorf("demo provider's page: %w", err)
	}
	p := &Provider{
		url: c.URL, host: u.Host, now: c.Now, random: c.Random, log: c.Log, page: page,
		realms: map[string]*RealmState{}, mux: http.NewServeMux(),
		caller: &http.Client{
			Timeout:       3 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	for _, r := range c.Realms {
		s, err := p.newRealm(r)
		if err != nil {
			return nil, fmt.Errorf("demo provider: realm %q: %w", r.Name, err)
		}
		if p.realms[r.Name] != nil {
			return nil, fmt.Errorf("demo provider: realm %q stands twice", r.Name)
		}
		p.realms[r.Name] = s
	}
	p.routes()
	return p, nil
}

func (p *Provider) newRealm(r Realm) (*RealmState, error) {
	if !realmName.MatchString(r.Name) {
		return nil, errors.New("not a name")
	}
	if len(r.Audiences) == 0 {
		return nil, errors.New("no audience")
	}
	if r.Algorithm == "" {
		r.Algorithm = string(jose.ES256)
	}
	if r.Lifetime == 0 {
		r.Lifetime = 15 * time.Minute
	}
	if r.Type == "" {
		r.Type = "at+jwt"
	}
	for _, c := range r.Clients {
		if c.System && c.Secret == "" && len(c.Keys) == 0 {
			return nil, fmt.Errorf("client %s: a system needs a secret or keys", c.ID)
		}
		if b, err := url.Parse(c.BackChannel); c.BackChannel != "" && (err != nil || !loopback(b.Hostname())) {
			return nil, fmt.Errorf("client %s: back channel off loopback", c.ID)
		}
	}
	s := &RealmState{Realm: r, issuer: p.url + "/" + r.Name, provider: p}
	if err := s.Rotate(); err != nil {
		return nil, err
	}
	return s, nil
}

// Realm gives a running realm, or nil.
func (p *Provider) Realm(name string) *RealmState { return p.realms[name] }

// Serve answers on ln until ctx ends; ErrNotDemo when ln is not on loopback.
func (p *Provider) Serve(ctx context.Context, ln net.Listener) error {
	host, _, err := net.SplitHostPort(ln.Addr().String())
	if err != nil || !loopback(host) {
		return ErrNotDemo
	}
	srv := &http.Server{
		Handler:           p,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      20 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil {
			_ = srv.Close()
		}
	})
	defer stop()
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve demo provider: %w", err)
	}
	return nil
}

// ServeHTTP answers callers from this machine that name this host: a page in
// a browser that resolves its own name to loopback is turned away.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil || !loopback(from) || r.Host != p.host {
		http.Error(w, "loopback only", http.StatusMisdirectedRequest)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	p.mux.ServeHTTP(w, r)
}

func (p *Provider) routes() {
	handle := func(pattern string, h func(*RealmState, http.ResponseWriter, *http.Request)) {
		p.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			s := p.realms[r.PathValue("realm")]
			if s == nil {
				http.NotFound(w, r)
				return
			}
			h(s, w, r)
		})
	}
	handle("GET /{realm}/.well-known/openid-configuration", (*RealmState).discovery)
	handle("GET /{realm}/jwks", (*RealmState).jwks)
	handle("GET /{realm}/authorize", (*RealmState).authorize)
	handle("POST /{realm}/authorize", (*RealmState).choose)
	handle("POST /{realm}/token", (*RealmState).token)
	handle("GET /{realm}/end_session", (*RealmState).endSession)
	handle("POST /{realm}/end_session", (*RealmState).endSession)
}

func (s *RealmState) discovery(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                           s.issuer,
		"authorization_endpoint":                           s.issuer + "/authorize",
		"token_endpoint":                                   s.issuer + "/token",
		"jwks_uri":                                         s.issuer + "/jwks",
		"end_session_endpoint":                             s.issuer + "/end_session",
		"response_types_supported":                         []string{"code"},
		"response_modes_supported":                         []string{"query"},
		"grant_types_supported":                            []string{"authorization_code", "refresh_token", "client_credentials"},
		"subject_types_supported":                          []string{"public"},
		"id_token_signing_alg_values_supported":            []string{s.Algorithm},
		"scopes_supported":                                 []string{"openid", "offline_access"},
		"token_endpoint_auth_methods_supported":            []string{"none", "client_secret_basic", "client_secret_post", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": assertionAlgorithms(),
		"code_challenge_methods_supported":                 []string{"S256"},
		"authorization_response_iss_parameter_supported":   true,
		"backchannel_logout_supported":                     true,
		"backchannel_logout_session_supported":             true,
	})
}

func (s *RealmState) client(id string) (Client, bool) {
	i := slices.IndexFunc(s.Clients, func(c Client) bool { return c.ID == id && id != "" })
	if i < 0 {
		return Client{}, false
	}
	return s.Clients[i], true
}

func (s *RealmState) person(key string) (Person, bool) {
	i := slices.IndexFunc(s.People, func(p Person) bool { return p.Key == key && key != "" })
	if i < 0 {
		return Person{}, false
	}
	return s.People[i], true
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller is gone, then
}

// loopback takes addresses alone: a name resolves to what somebody else says.
func loopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return ip != nil && ip.IsLoopback()
}
