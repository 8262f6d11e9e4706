package issuer

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// CommandRedirect is the redirect URI that a client for [SignIn] registers. No
// one listens there: the command reads the code from the redirect itself.
const CommandRedirect = "http://127.0.0.1/kith-command"

// SignIn signs in at a running demo issuer as one of its people, without a
// browser (code + PKCE against the same page), and gives the access token.
func SignIn(ctx context.Context, issuerURL, clientID, person string) (string, error) {
	token, err := signIn(ctx, issuerURL, clientID, person)
	if err != nil {
		return "", fmt.Errorf("sign in as %s at %s: %w", person, issuerURL, err)
	}
	return token, nil
}

// SignInSystem signs in as a case system (client credentials with a secret).
func SignInSystem(ctx context.Context, issuerURL, clientID, secret string) (string, error) {
	c, d, err := discover(ctx, issuerURL)
	if err != nil {
		return "", fmt.Errorf("sign in as system %s at %s: %w", clientID, issuerURL, err)
	}
	token, err := redeem(ctx, c, d.Token, url.Values{"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {secret}})
	if err != nil {
		return "", fmt.Errorf("sign in as system %s at %s: %w", clientID, issuerURL, err)
	}
	return token, nil
}

type endpoints struct {
	Issuer    string `json:"issuer"`
	Authorize string `json:"authorization_endpoint"`
	Token     string `json:"token_endpoint"`
}

func discover(ctx context.Context, issuerURL string) (*http.Client, endpoints, error) {
	u, err := url.Parse(issuerURL)
	if err != nil || !loopback(u.Hostname()) {
		return nil, endpoints{}, ErrNotDemo
	}
	c := &http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{Proxy: nil, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	var d endpoints
	if err := getJSON(ctx, c, issuerURL+"/.well-known/openid-configuration", &d); err != nil {
		return nil, endpoints{}, err
	}
	if d.Issuer != issuerURL || !strings.HasPrefix(d.Authorize, issuerURL+"/") || !strings.HasPrefix(d.Token, issuerURL+"/") {
		return nil, endpoints{}, errors.New("discovery names another issuer")
	}
	return c, d, nil
}

func signIn(ctx context.Context, issuerURL, clientID, person string) (string, error) {
	c, d, err := discover(ctx, issuerURL)
	if err != nil {
		return "", err
	}
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	sum := sha256.Sum256([]byte(verifier))
	var page choice
	if err := getJSON(ctx, c, d.Authorize+"?"+url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {CommandRedirect}, "scope": {"openid"}, "state": {state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
	}.Encode(), &page); err != nil {
		return "", err
	}
	res, err := post(ctx, c, d.Authorize, url.Values{"request": {page.Request}, "person": {person}})
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	to, err := res.Location()
	if err != nil || res.StatusCode != http.StatusSeeOther {
		return "", fmt.Errorf("status %d instead of a redirect", res.StatusCode)
	}
	back := to.Query()
	switch {
	case back.Get("state") != state || back.Get("iss") != issuerURL:
		return "", errors.New("the answer is not the one to our question")
	case back.Get("error") == "access_denied":
		return "", fmt.Errorf("no such person; there are: %s", strings.Join(page.People, ", "))
	case back.Get("code") == "":
		return "", fmt.Errorf("refused: %s", back.Get("error"))
	}
	return redeem(ctx, c, d.Token, url.Values{
		"grant_type": {"authorization_code"}, "client_id": {clientID}, "redirect_uri": {CommandRedirect},
		"code": {back.Get("code")}, "code_verifier": {verifier},
	})
}

func redeem(ctx context.Context, c *http.Client, endpoint string, form url.Values) (string, error) {
	res, err := post(ctx, c, endpoint, form)
	if err != nil {
		return "", err
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
		Why         string `json:"error_description"`
	}
	if err := readJSON(res, &answer); err != nil {
		return "", err
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("refused: %s (%s)", answer.Error, answer.Why)
	}
	return answer.AccessToken, nil
}

func getJSON(ctx context.Context, c *http.Client, u string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return readJSON(res, into)
}

func post(ctx context.Context, c *http.Client, u string, form url.Values) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.Do(req)
}

func readJSON(res *http.Response, into any) error {
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("answer with status %d is not what was expected: %w", res.StatusCode, err)
	}
	return nil
}
