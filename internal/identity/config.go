package identity

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config says which issuers are trusted, and for what. It has no defaults that
// open anything: an empty list means nobody.
type Config struct {
	Partnership string `yaml:"partnership"` // code of the partnership that this hub serves
	// DormantDays: a worker not seen for so many days is refused until woken; 0 = never.
	DormantDays int            `yaml:"dormant_days"`
	Issuers     []IssuerConfig `yaml:"issuers"`
}

// IssuerConfig binds one issuer to what it may assert.
type IssuerConfig struct {
	URL string `yaml:"url"` // the iss claim, compared byte for byte

	// Discovery and JWKS override where the keys come from. JWKS wins; without
	// either it is URL + "/.well-known/openid-configuration".
	Discovery string `yaml:"discovery"`
	JWKS      string `yaml:"jwks"`

	Audiences  []string `yaml:"audiences"`  // exact; the token may name no other
	Clients    []string `yaml:"clients"`    // software that people may sign in with
	Types      []string `yaml:"types"`      // JOSE typ; default at+jwt alone, "JWT" must be named
	Algorithms []string `yaml:"algorithms"` // asymmetric only; default RS256, PS256, ES256, EdDSA
	// MaxLifetime caps exp - iat; default 1 h, at most 24 h.
	MaxLifetime time.Duration `yaml:"max_lifetime"`

	Claims   ClaimNames        `yaml:"claims"`
	Roles    map[string]string `yaml:"roles"` // their name → ours; names not here count as ours
	Agencies []AgencyBinding   `yaml:"agencies"`
	Systems  []SystemClient    `yaml:"systems"`
}

// ClaimNames maps the claims of one issuer.
type ClaimNames struct {
	Subject string `yaml:"subject"` // default "sub"; Entra: "oid"
	// Agency: the claim that says for whom the worker speaks. Empty: whom the
	// directory lists the worker under (subject to the same binding).
	Agency string `yaml:"agency"`
	// Roles: empty means that the directory's roles hold.
	Roles  string `yaml:"roles"`
	Client string `yaml:"client"` // empty: client_id or azp, which must agree
	ACR    string `yaml:"acr"`    // default "acr"
}

// AgencyBinding is one agency for which an issuer may speak.
type AgencyBinding struct {
	Agency string   `yaml:"agency"`
	Values []string `yaml:"values"` // values of the agency claim that mean it; default: the code itself
	Roles  []string `yaml:"roles"`  // ours; empty means none
	// AcceptedOnly: only for workers whom that agency accepted by name.
	AcceptedOnly bool `yaml:"accepted_only"`
}

// SystemClient is a case system that signs in by itself (client credentials).
type SystemClient struct {
	Client string   `yaml:"client"`
	Agency string   `yaml:"agency"`
	Roles  []string `yaml:"roles"` // default: system
}

const (
	defaultLifetime = time.Hour
	longestLifetime = 24 * time.Hour
)

var (
	agencyCode = regexp.MustCompile(`^[A-Z][A-Z0-9-]{1,19}$`)
	roleCode   = regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)
	codeForm   = regexp.MustCompile(`^[a-z][a-z0-9-]{1,39}$`)
)

// asymmetric algorithms; the symmetric ones and "none" can't be configured.
func asymmetric(alg string) bool {
	switch alg {
	case "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA":
		return true
	}
	return false
}

// LoadConfig reads YAML strictly, fills the defaults and validates; all errors
// are reported together.
func LoadConfig(r io.Reader) (Config, error) {
	var c Config
	d := yaml.NewDecoder(r)
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("read issuers: %w", err)
	}
	c, err := c.Complete()
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// Complete returns a copy with the defaults filled in, or every error that the
// configuration has. [NewVerifier] calls it too.
func (c Config) Complete() (Config, error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !codeForm.MatchString(c.Partnership) {
		add("partnership: %q is not a code", c.Partnership)
	}
	if c.DormantDays < 0 {
		add("dormant_days: must not be negative")
	}
	if len(c.Issuers) == 0 {
		add("issuers: none configured: nobody could sign in")
	}
	out := c
	out.Issuers = make([]IssuerConfig, len(c.Issuers))
	seen := map[string]bool{}
	for i, is := range c.Issuers {
		at := fmt.Sprintf("issuers[%d]", i)
		if is.URL != "" {
			at = fmt.Sprintf("issuer %s", is.URL)
		}
		if seen[is.URL] {
			add("%s: configured twice", at)
		}
		seen[is.URL] = true
		is, bad := is.complete()
		for _, err := range bad {
			add("%s: %w", at, err)
		}
		out.Issuers[i] = is
	}
	if len(errs) > 0 {
		return Config{}, fmt.Errorf("identity configuration: %w", errors.Join(errs...))
	}
	return out, nil
}

func (is IssuerConfig) complete() (IssuerConfig, []error) {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	if err := checkURL(is.URL); err != nil {
		add("url: %w", err)
	}
	if strings.Contains(is.URL, "?") {
		add("url: an issuer has no query (OpenID Connect Discovery 1.0 §3)")
	}
	if is.JWKS == "" && is.Discovery == "" {
		is.Discovery = strings.TrimSuffix(is.URL, "/") + "/.well-known/openid-configuration"
	} else {
		for _, u := range []string{is.JWKS, is.Discovery} {
			if u == "" {
				continue
			}
			if err := checkURL(u); err != nil {
				add("keys: %w", err)
			}
		}
	}
	if len(is.Audiences) == 0 {
		add("audiences: none; a token for anybody would pass")
	}
	if len(is.Clients) == 0 && len(is.Systems) == 0 {
		add("clients: none, and no systems either; nobody could use this issuer")
	}
	is.Types = slices.Clone(is.Types)
	if len(is.Types) == 0 {
		is.Types = []string{"at+jwt"}
	}
	for _, t := range is.Types {
		switch t {
		case "at+jwt":
		case "JWT":
			for _, a := range is.Audiences {
				if slices.Contains(is.Clients, a) {
					add("types: with JWT allowed, audience %q is also a client, so an ID token would pass", a)
				}
			}
		default:
			add("types: %q is neither at+jwt nor JWT", t)
		}
	}
	is.Algorithms = slices.Clone(is.Algorithms)
	if len(is.Algorithms) == 0 {
		is.Algorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}
	}
	for _, a := range is.Algorithms {
		if !asymmetric(a) {
			add("algorithms: %q is not an asymmetric signature algorithm", a)
		}
	}
	if is.MaxLifetime == 0 {
		is.MaxLifetime = defaultLifetime
	}
	if is.MaxLifetime < time.Minute || is.MaxLifetime > longestLifetime {
		add("max_lifetime: %s is not between 1m and 24h", is.MaxLifetime)
	}
	if is.Claims.Subject == "" {
		is.Claims.Subject = "sub"
	}
	if is.Claims.ACR == "" {
		is.Claims.ACR = "acr"
	}
	for theirs, ours := range is.Roles {
		if theirs == "" || !roleCode.MatchString(ours) {
			add("roles: %q: %q is not a role code", theirs, ours)
		}
	}
	errs = append(errs, is.checkAgencies()...)
	is.Systems = slices.Clone(is.Systems)
	errs = append(errs, is.completeSystems()...)
	return is, errs
}

func (is IssuerConfig) checkAgencies() []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(is.Agencies) == 0 && len(is.Clients) > 0 {
		add("agencies: none; the issuer may speak for nobody")
	}
	means := map[string]string{}
	codes := map[string]bool{}
	for _, b := range is.Agencies {
		if !agencyCode.MatchString(b.Agency) {
			add("agencies: %q is not an agency code", b.Agency)
		}
		if codes[b.Agency] {
			add("agencies: %s is listed twice", b.Agency)
		}
		codes[b.Agency] = true
		if len(b.Roles) == 0 {
			add("agencies: %s: no roles; nobody could do anything for it", b.Agency)
		}
		for _, r := range b.Roles {
			if !roleCode.MatchString(r) {
				add("agencies: %s: %q is not a role code", b.Agency, r)
			}
			if r == RoleSystem {
				add("agencies: %s: the role system is for systems, not for people", b.Agency)
			}
		}
		for _, v := range b.values() {
			if v == "" {
				add("agencies: %s: an empty claim value", b.Agency)
			}
			if other, taken := means[v]; taken && other != b.Agency {
				add("agencies: claim value %q means both %s and %s", v, other, b.Agency)
			}
			means[v] = b.Agency
		}
	}
	return errs
}

func (is IssuerConfig) completeSystems() []error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	clients := map[string]bool{}
	for i := range is.Systems {
		s := &is.Systems[i]
		switch {
		case s.Client == "":
			add("systems[%d]: no client", i)
		case clients[s.Client]:
			add("systems: %s is listed twice", s.Client)
		case slices.Contains(is.Clients, s.Client):
			add("systems: %s is also a client for people", s.Client)
		}
		clients[s.Client] = true
		if !agencyCode.MatchString(s.Agency) {
			add("systems: %s: %q is not an agency code", s.Client, s.Agency)
		}
		if len(s.Roles) == 0 {
			s.Roles = []string{RoleSystem}
		}
		for _, r := range s.Roles {
			if r != RoleSystem {
				add("systems: %s: a system holds the role system alone, not %q", s.Client, r)
			}
		}
	}
	return errs
}

func (b AgencyBinding) values() []string {
	if len(b.Values) == 0 {
		return []string{b.Agency}
	}
	return b.Values
}

// checkURL wants https, or http on loopback (the demo and the tests).
func checkURL(raw string) error {
	if raw == "" {
		return errors.New("missing")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("%q is not a URL", raw)
	case u.User != nil || u.Fragment != "" || u.Host == "" || u.Opaque != "":
		return fmt.Errorf("%q: no user, no fragment, and a host, please", raw)
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("%q: https is required off loopback", raw)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
