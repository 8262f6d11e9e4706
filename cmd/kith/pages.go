package main

import (
	"fmt"
	"net/http"
	"strings"

	"kith/internal/agreement"
	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/outbox"
	"kith/internal/policy"
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

	office     *policy.Office
	agreements *agreement.Register
	papers     *disclosure.Papers

	tree    *api.LogTree // nil: this hub has none
	explain *disclosure.Explainer
	reviews *disclosure.Reviews
	keeper  *audit.Keeper
	box     *outbox.Box
	checks  []api.Check
}

// pages puts the HTML face beside the JSON face. Without a way to sign in there
// are no pages.
func (h *hub) pages(on pagesOn, server *api.Server) (http.Handler, error) {
	c := h.config
	if len(c.SignIn.Providers) == 0 {
		return server, nil
	}
	signIn, err := identity.NewSignIn(c.SignIn, identity.SignInOptions{Pool: on.app, Verifier: on.verifier, Recorder: h.recorder, Now: c.Now, Random: c.Random})
	if err != nil {
		return nil, fmt.Errorf("pages: %w", err)
	}
	face, err := web.New(web.Config{SignIn: signIn, Door: on.door, Directory: on.directory, Recorder: h.recorder, Log: on.log, Failures: on.failures,
		Logger: c.Log, Now: c.Now, ReadTimeout: c.Limits.ReadTimeout, Demo: c.Demo, Office: on.office, Agreements: on.agreements, Papers: on.papers,
		Audit: h.auditing(on, server), Admin: h.admin(on)})
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/openapi.yaml" || r.URL.Path == "/v1" || strings.HasPrefix(r.URL.Path, "/v1/") {
			server.ServeHTTP(w, r)
			return
		}
		face.ServeHTTP(w, r)
	}), nil
}

// auditing is what the pages about the log stand on: files of it come from the
// JSON face, so that they are the same from both.
func (h *hub) auditing(on pagesOn, server *api.Server) *web.Auditing {
	a := &web.Auditing{Explain: on.explain, Reviews: on.reviews, Export: server.ExportLog, Account: server.ExportAccount, ExportTime: h.config.Limits.SubmissionTimeout}
	if on.tree != nil {
		a.Tree, a.Reader, a.Keys = on.tree.Tree, on.tree.Reader, on.tree.Keys
	}
	return a
}

// admin is what the administrator's page shows of this replica.
func (h *hub) admin(on pagesOn) *web.Admin {
	a := &web.Admin{Replica: h.config.Replica, Issuers: h.config.Identity.Issuers, Policy: h.follower.Status, Keeper: on.keeper, Outbox: on.box, Reviews: on.reviews}
	for _, c := range on.checks {
		a.Checks = append(a.Checks, web.Check(c))
	}
	return a
}
