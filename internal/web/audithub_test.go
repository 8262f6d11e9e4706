package web_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/audit/tree"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/outbox"
	"kith/internal/policy"
	"kith/internal/postgres/pgtest"
	"kith/internal/web"
)

// sealed is the log's tree behind the pages. Nothing gets its place by itself: a
// test says when (hub.seal).
type sealed struct {
	tree *tree.Tree
	tick chan time.Time
}

// auditing gives the pages about the log what they stand on.
func (h *hub) auditing(t *testing.T, db *pgtest.DB, c web.Config, verifier *identity.Verifier, change ...func(*tree.Config)) (*web.Auditing, *web.Admin) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	own, err := c.Recorder.ReceiptKey()
	if err != nil {
		t.Fatal(err)
	}
	const origin = "hub.test.example/log"
	public, err := proof.NewLogKey(origin, key.Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	h.sealed.tick = make(chan time.Time)
	sealing := tree.Config{
		Pool: db.Pool(t, "sequencer"), Partnership: demo.Partnership, Origin: origin, LogKey: key, Recorder: c.Recorder,
		Replicas: func() proof.Keys { return proof.NewKeys(own) }, File: filepath.Join(t.TempDir(), "checkpoint"), Pace: time.Nanosecond, Now: time.Now, Random: rand.Reader,
	}
	for _, with := range change {
		with(&sealing)
	}
	if h.sealed.tree, err = tree.New(sealing); err != nil {
		t.Fatal(err)
	}
	run(t, func(ctx context.Context) error { h.sealed.tree.Run(ctx, h.sealed.tick); return nil })

	app, keys := db.Pool(t, "app"), proof.KeyFile{Logs: []proof.NoteKey{public}, Replicas: []proof.Key{own}}
	reader := tree.NewReader(db.Pool(t, "auditor"))
	replayer := &disclosure.Replayer{Past: audit.NewPast(db.Pool(t, "replay"), demo.Partnership), Recorder: c.Recorder, Log: c.Logger,
		Versions: policy.NewVersions(db.Pool(t, "replay"), policy.Options{Deadline: 10 * time.Second}, 2).At}
	explain := &disclosure.Explainer{Door: c.Door, Log: c.Log, Replayer: replayer}
	reviews := &disclosure.Reviews{Door: c.Door, Log: c.Log}
	server, err := api.New(api.Config{
		Verifier: verifier, Door: c.Door, Recorder: c.Recorder, Log: c.Log, Reviews: reviews, Explain: explain, Failures: c.Failures, Office: c.Office, Agreements: c.Agreements, Papers: c.Papers,
		Tree: &api.LogTree{Tree: h.sealed.tree, Reader: reader, Replicas: keys.Replicas, Log: public, Keys: keys}, Logger: c.Logger,
		Intake: &family.Intake{Pool: app, Now: time.Now, Catalogue: func(ctx context.Context) (family.Catalogue, error) {
			v, err := c.Door.Version(ctx, demo.Partnership)
			if err != nil {
				return family.Catalogue{}, err
			}
			return family.CatalogueOf(v), nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	box, err := outbox.New(outbox.Config{Pool: app, Partnership: demo.Partnership, Now: time.Now, Random: rand.Reader, Log: c.Logger, Sources: []outbox.Source{c.Office.Notices}})
	if err != nil {
		t.Fatal(err)
	}
	h.reviews, h.outbox = reviews, box
	keeper := &audit.Keeper{Pool: db.Pool(t, "retention"), Recorder: c.Recorder, Reference: c.Log.Reference, Periods: audit.Periods{"security": 24}, Now: time.Now}
	return &web.Auditing{Tree: h.sealed.tree, Reader: reader, Keys: keys, Explain: explain, Reviews: reviews, Export: server.ExportLog, Account: server.ExportAccount},
		&web.Admin{Replica: "test", Reviews: reviews, Keeper: keeper, Outbox: box, Issuers: []identity.IssuerConfig{{URL: "https://issuer.test.example", Agencies: []identity.AgencyBinding{{Agency: "CSC"}}}},
			Checks: []web.Check{{Name: "database", Test: func(ctx context.Context) (string, error) { return "", app.Ping(ctx) }}}}
}

// seal gives every event so far its place in the log, and lets the watch look at it.
func (h *hub) seal(t *testing.T) {
	t.Helper()
	// A place is given behind every transaction that is still open, also another
	// test's on the same server.
	for end := time.Now().Add(2 * time.Minute); ; {
		for range 2 { // a tick is taken when the round before it is done
			select {
			case h.sealed.tick <- time.Now():
			case <-time.After(2 * time.Minute):
				t.Fatal("the log is not sequenced")
			}
		}
		var waiting int
		if err := h.admin.QueryRow(t.Context(), `SELECT count(*) FROM access_event e WHERE NOT EXISTS (SELECT 1 FROM log_leaf l WHERE l.event = e.id)`).Scan(&waiting); err != nil {
			t.Fatal(err)
		}
		if waiting == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d events have no place in the log", waiting)
		}
	}
	if err := h.sealed.tree.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	watch, err := disclosure.NewWatch(h.log, disclosure.WatchRules{SampleRate: 1, Closes: 24 * time.Hour}, time.Now, rand.Reader, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first round of all makes the place alone
		if _, err := watch.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
