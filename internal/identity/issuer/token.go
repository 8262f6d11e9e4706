package issuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	refreshLife = 12 * time.Hour
	idTokenLife = 5 * time.Minute
	demoACR     = "urn:kith:demo"
)

// oauthError is an error answer of the token endpoint (RFC 6749 §5.2).
type oauthError struct {
	status int
	code   string
	why    string
}

func (e *oauthError) Error() string { return e.code + ": " + e.why }

func refuse(code, why string) *oauthError { return &oauthError{http.StatusBadRequest, code, why} }

func (s *RealmState) token(w http.ResponseWriter, r *http.Request) {
	answer, err := s.issue(r)
	if err != nil {
		if err.status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Basic realm="`+s.Name+`"`)
		}
		writeJSON(w, err.status, map[string]string{"error": err.code, "error_description": err.why})
		return
	}
	writeJSON(w, http.StatusOK, answer)
}

func (s *RealmState) issue(r *http.Request) (map[string]any, *oauthError) {
	if err := r.ParseForm(); err != nil {
		return nil, refuse("invalid_request", "unreadable form")
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, refuse("invalid_request", "a parameter stands twice")
		}
	}
	client, err := s.authenticate(r)
	if err != nil {
		return nil, err
	}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		return s.redeemCode(r, client)
	case "refresh_token":
		return s.redeemRefresh(r, client)
	case "client_credentials":
		return s.credentials(r, client)
	}
	return nil, refuse("unsupported_grant_type", "authorization_code, refresh_token or client_credentials")
}

func (s *RealmState) redeemCode(r *http.Request, client Client) (map[string]any, *oauthError) {
	p := s.provider
	now := p.now()
	code := r.PostForm.Get("code")
	p.mu.Lock()
	g, ok := p.codes.take(code, now)
	if ok {
		p.spent.put(code, g.session, now, refreshLife)
	} else if sid, twice := p.spent.get(code, now); twice {
		// A code used twice was stolen: what came of it ends (RFC 6749 §4.1.2).
		p.endLocked(sid)
	}
	p.mu.Unlock()
	if !ok || g.realm != s.Name || g.client != client.ID || g.redirect != r.PostForm.Get("redirect_uri") {
		return nil, refuse("invalid_grant", "the code is unknown, used, too old or another client's")
	}
	sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
	if subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(g.challenge)) != 1 {
		return nil, refuse("invalid_grant", "the code verifier does not match")
	}
	return s.answer(g)
}

func (s *RealmState) redeemRefresh(r *http.Request, client Client) (map[string]any, *oauthError) {
	p := s.provider
	now := p.now()
	old := r.PostForm.Get("refresh_token")
	p.mu.Lock()
	g, ok := p.refresh.take(old, now)
	if ok {
		p.spent.put(old, g.session, now, refreshLife)
	} else if sid, twice := p.spent.get(old, now); twice {
		p.endLocked(sid)
	}
	p.mu.Unlock()
	if !ok || g.realm != s.Name || g.client != client.ID {
		return nil, refuse("invalid_grant", "the refresh token is unknown, used, too old or another client's")
	}
	return s.answer(g)
}

// endLocked ends a session's refresh tokens and codes; p.mu is held.
func (p *Provider) endLocked(session string) {
	p.refresh.drop(func(g grant) bool { return g.session == session })
	p.codes.drop(func(g grant) bool { return g.session == session })
}

// answer makes the tokens of a person's grant.
func (s *RealmState) answer(g grant) (map[string]any, *oauthError) {
	person, ok := s.person(g.person)
	if !ok {
		return nil, refuse("invalid_grant", "the person is gone")
	}
	claims := maps.Clone(person.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	claims["sub"] = person.Subject
	claims["client_id"] = g.client
	claims["scope"] = strings.Join(g.scopes, " ")
	claims["auth_time"] = g.signedIn.Unix()
	claims["acr"] = demoACR
	if g.resource != "" {
		claims["aud"] = g.resource
	}
	access, err := s.Mint(claims)
	if err != nil {
		return nil, s.broken(err)
	}
	out := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(s.Lifetime.Seconds()), "scope": strings.Join(g.scopes, " "),
	}
	if slices.Contains(g.scopes, "openid") {
		id, err := s.idToken(g, person, access)
		if err != nil {
			return nil, s.broken(err)
		}
		out["id_token"] = id
	}
	if slices.Contains(g.scopes, "offline_access") {
		token, err := s.provider.secret()
		if err != nil {
			return nil, s.broken(err)
		}
		p := s.provider
		p.mu.Lock()
		p.refresh.put(token, g, p.now(), refreshLife)
		p.mu.Unlock()
		out["refresh_token"] = token
	}
	return out, nil
}

func (s *RealmState) idToken(g grant, person Person, access string) (string, error) {
	now := s.provider.now()
	claims := map[string]any{
		"sub": person.Subject, "aud": g.client, "azp": g.client, "exp": now.Add(idTokenLife).Unix(),
		"auth_time": g.signedIn.Unix(), "sid": g.session, "acr": demoACR, "name": person.Name,
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	if s.Algorithm != "EdDSA" { // whose hash the specification leaves open
		sum := sha256.Sum256([]byte(access))
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	return s.MintTyped("JWT", claims)
}

func (s *RealmState) credentials(r *http.Request, client Client) (map[string]any, *oauthError) {
	if !client.System {
		return nil, refuse("unauthorized_client", "this client is for people")
	}
	claims := maps.Clone(client.Claims)
	if claims == nil {
		claims = map[string]any{}
	}
	claims["sub"] = client.ID
	claims["client_id"] = client.ID
	if resource := r.PostForm.Get("resource"); resource != "" {
		if !slices.Contains(s.Audiences, resource) {
			return nil, refuse("invalid_target", "no such resource")
		}
		claims["aud"] = resource
	}
	access, err := s.Mint(claims)
	if err != nil {
		return nil, s.broken(err)
	}
	return map[string]any{"access_token": access, "token_type": "Bearer", "expires_in": int(s.Lifetime.Seconds())}, nil
}

func (s *RealmState) broken(err error) *oauthError {
	s.provider.log.Error("demo provider failed", "error", fmt.Sprint(err))
	return &oauthError{http.StatusInternalServerError, "server_error", "the demo provider failed"}
}
