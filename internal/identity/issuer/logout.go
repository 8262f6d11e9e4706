package issuer

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// endSession is sign-out by the person's browser (OpenID Connect RP-Initiated
// Logout 1.0): only with an ID token of ours, and back to a registered URI only.
func (s *RealmState) endSession(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "unreadable form", http.StatusBadRequest)
		return
	}
	sid, clientID, ok := s.readHint(r.Form.Get("id_token_hint"))
	client, known := s.client(clientID)
	if !ok || !known {
		http.Error(w, "no ID token of this issuer", http.StatusBadRequest)
		return
	}
	s.end(r.Context(), sid)
	back := r.Form.Get("post_logout_redirect_uri")
	if !slices.Contains(client.PostLogout, back) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("You are signed out.\n"))
		return
	}
	u, err := url.Parse(back)
	if err != nil {
		http.Error(w, "unusable redirect URI", http.StatusBadRequest)
		return
	}
	if state := r.Form.Get("state"); state != "" {
		q := u.Query()
		q.Set("state", state)
		u.RawQuery = q.Encode()
	}
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// SignOut ends every session of a person, as an administrator of the issuer
// would, and tells the clients.
func (s *RealmState) SignOut(ctx context.Context, person string) {
	p := s.provider
	p.mu.Lock()
	var sids []string
	for sid, it := range p.sessions.items {
		if it.value.realm == s.Name && it.value.person == person {
			sids = append(sids, sid)
		}
	}
	p.mu.Unlock()
	for _, sid := range sids {
		s.end(ctx, sid)
	}
}

// end ends a session and sends a logout token to each of its clients that
// wants one (OpenID Connect Back-Channel Logout 1.0).
func (s *RealmState) end(ctx context.Context, sid string) {
	p := s.provider
	p.mu.Lock()
	session, ok := p.sessions.take(sid, p.now())
	p.endLocked(sid)
	p.mu.Unlock()
	person, known := s.person(session.person)
	if !ok || !known {
		return
	}
	for _, id := range session.clients {
		c, ok := s.client(id)
		if !ok || c.BackChannel == "" {
			continue
		}
		if err := s.tellLogout(ctx, c, person.Subject, sid); err != nil {
			p.log.Warn("back-channel logout failed", "client", c.ID, "error", err)
		}
	}
}

func (s *RealmState) tellLogout(ctx context.Context, c Client, subject, sid string) error {
	token, err := s.MintTyped("logout+jwt", map[string]any{
		"sub": subject, "aud": c.ID, "sid": sid,
		"exp":    s.provider.now().Add(2 * time.Minute).Unix(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.BackChannel, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	if err != nil {
		return fmt.Errorf("logout request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := s.provider.caller.Do(req)
	if err != nil {
		return fmt.Errorf("send logout token: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("send logout token: status %d", res.StatusCode)
	}
	return nil
}

// readHint reads an ID token of ours, run out or not.
func (s *RealmState) readHint(raw string) (sid, client string, ok bool) {
	jws, err := jose.ParseSignedCompact(raw, []jose.SignatureAlgorithm{jose.SignatureAlgorithm(s.Algorithm)})
	if err != nil || len(jws.Signatures) != 1 {
		return "", "", false
	}
	for _, k := range s.Keys().Keys {
		body, err := jws.Verify(k.Key)
		if err != nil {
			continue
		}
		var claims struct {
			Issuer  string `json:"iss"`
			Session string `json:"sid"`
			Party   string `json:"azp"`
		}
		if json.Unmarshal(body, &claims) != nil || claims.Issuer != s.issuer {
			return "", "", false
		}
		return claims.Session, claims.Party, claims.Session != ""
	}
	return "", "", false
}
