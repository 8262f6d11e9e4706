package issuer

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const (
	requestLife = 10 * time.Minute
	codeLife    = time.Minute
	sessionLife = 12 * time.Hour
)

// An S256 challenge is 32 bytes in base64url (RFC 7636 §4.2).
var challengeForm = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// request is an authorization request that waits for somebody to choose.
type request struct {
	realm     string
	client    string
	redirect  string
	state     string
	nonce     string
	challenge string
	scopes    []string
	resource  string
}

// signedIn is one sign-in of a person.
type signedIn struct {
	realm   string
	person  string
	clients []string
}

// grant is what a code or a refresh token stands for.
type grant struct {
	request
	person   string
	session  string
	signedIn time.Time
}

// authorize shows whom one can be (or lists it as JSON for a command). What is
// wrong with the client or its redirect URI is told to the person, never sent
// to that URI (RFC 6749 §4.1.2.1).
func (s *RealmState) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for name, values := range q {
		if len(values) > 1 {
			http.Error(w, "parameter given twice: "+url.QueryEscape(name), http.StatusBadRequest)
			return
		}
	}
	client, ok := s.client(q.Get("client_id"))
	if !ok || !slices.Contains(client.RedirectURIs, q.Get("redirect_uri")) {
		http.Error(w, "unknown client or redirect URI", http.StatusBadRequest)
		return
	}
	req := request{
		realm: s.Name, client: client.ID, redirect: q.Get("redirect_uri"), state: q.Get("state"), nonce: q.Get("nonce"),
		challenge: q.Get("code_challenge"), scopes: strings.Fields(q.Get("scope")), resource: q.Get("resource"),
	}
	switch {
	case q.Get("response_type") != "code":
		s.sendBack(w, r, req, url.Values{"error": {"unsupported_response_type"}})
		return
	case q.Get("code_challenge_method") != "S256" || !challengeForm.MatchString(req.challenge):
		s.sendBack(w, r, req, url.Values{"error": {"invalid_request"}, "error_description": {"PKCE with S256 is required"}})
		return
	case req.state == "":
		s.sendBack(w, r, req, url.Values{"error": {"invalid_request"}, "error_description": {"state is required"}})
		return
	case req.resource != "" && !slices.Contains(s.Audiences, req.resource):
		s.sendBack(w, r, req, url.Values{"error": {"invalid_target"}})
		return
	}
	id, err := s.provider.secret()
	if err != nil {
		http.Error(w, "no randomness", http.StatusInternalServerError)
		return
	}
	p := s.provider
	p.mu.Lock()
	p.requests.put(id, req, p.now(), requestLife)
	p.mu.Unlock()

	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		keys := make([]string, len(s.People))
		for i, person := range s.People {
			keys[i] = person.Key
		}
		writeJSON(w, http.StatusOK, choice{Request: id, People: keys})
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	// No form-action: browsers hold redirects after a form to it as well.
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; frame-ancestors 'none'")
	_ = p.page.Execute(w, map[string]any{"Title": s.Title, "Client": client.ID, "Request": id, "Realm": s.Name, "People": s.People})
}

// choice is the page as a command reads it.
type choice struct {
	Request string   `json:"request"`
	People  []string `json:"people"`
}

const pageText = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign in – {{.Title}} (demo)</title>
<main>
<h1>{{.Title}}: who are you today?</h1>
<p>A demo sign-in for <b>{{.Client}}</b>. There are no passwords, and nobody here is real.</p>
<form method="post" action="/{{.Realm}}/authorize">
<input type="hidden" name="request" value="{{.Request}}">
<ul>{{range .People}}
<li><button name="person" value="{{.Key}}">{{.Name}}</button> {{.Label}}</li>{{end}}
</ul>
<button name="cancel" value="yes">Cancel</button>
</form>
</main>
</html>
`

// choose is the answer to the page.
func (s *RealmState) choose(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, "unreadable form", http.StatusBadRequest)
		return
	}
	p := s.provider
	now := p.now()
	p.mu.Lock()
	req, ok := p.requests.take(r.PostForm.Get("request"), now)
	p.mu.Unlock()
	if !ok || req.realm != s.Name {
		http.Error(w, "this sign-in has run out; start again", http.StatusBadRequest)
		return
	}
	person, known := s.person(r.PostForm.Get("person"))
	if !known {
		s.sendBack(w, r, req, url.Values{"error": {"access_denied"}})
		return
	}
	code, err1 := p.secret()
	sid, err2 := p.secret()
	if err1 != nil || err2 != nil {
		http.Error(w, "no randomness", http.StatusInternalServerError)
		return
	}
	p.mu.Lock()
	p.sessions.put(sid, signedIn{realm: s.Name, person: person.Key, clients: []string{req.client}}, now, sessionLife)
	p.codes.put(code, grant{request: req, person: person.Key, session: sid, signedIn: now}, now, codeLife)
	p.mu.Unlock()
	s.sendBack(w, r, req, url.Values{"code": {code}})
}

// sendBack redirects with state and iss (RFC 9207), so that a client of many
// issuers knows whose answer this is.
func (s *RealmState) sendBack(w http.ResponseWriter, r *http.Request, req request, answer url.Values) {
	if req.state != "" {
		answer.Set("state", req.state)
	}
	answer.Set("iss", s.issuer)
	u, err := url.Parse(req.redirect)
	if err != nil {
		http.Error(w, "unusable redirect URI", http.StatusBadRequest)
		return
	}
	q := u.Query()
	for name, values := range answer {
		q[name] = values
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}
