package main

import (
	"fmt"
	"net/http"
	"strings"

	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/web"

	"github.com/jackc/pgx/v5/pgxpool"
)

// pagesOn is what the pages share with the JSON face.
type pagesOn struct {
	app       *pgxpool.Pool
	verifier  *identity.Verifier
	directory *identity.Directory
	door      *disclosure.Door
	log       *audit.Log
	failures  *audit.AuthFailures
}

// pages puts the HTML face beside the JSON face. Without a way to sign in there
// are no pages.
func (h *hub) pages(on pagesOn, api http.Handler) (http.Handler, error) {
	c := h.config
	if len(c.SignIn.Providers) == 0 {
		return api, nil
	}
	signIn, err := identity.NewSignIn(c.SignIn, identity.SignInOptions{Pool: on.app, Verifier: on.verifier, Recorder: h.recorder, Now: c.Now, Random: c.Random})
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	face, err := web.New(web.Config{SignIn: signIn, Door: on.door, Directory: on.directory, Recorder: h.recorder, Log: on.log, Failures: on.failures,
		Logger: c.Log, Now: c.Now, ReadTimeout: c.Limits.ReadTimeout, Demo: c.Demo})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openapi.yaml" || r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/") {
			api.ServeHTTP(w, r)
			return
		}
		face.ServeHTTP(w, r)
	}), nil
}
