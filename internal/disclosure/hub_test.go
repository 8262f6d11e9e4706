package disclosure_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
	"kith/policies"
)

// hub is the door with everything real behind it: the borough in a database of
// its own, the shipped policy, a signer.
type hub struct {
	t       testing.TB
	db      *pgtest.DB
	door    *disclosure.Door
	log     *audit.Log
	admin   *pgxpool.Pool
	app     *pgxpool.Pool
	stories map[string]demo.Story
	people  map[string]identity.Principal
	skip    atomic.Int64 // added to the clock, in seconds
}

func newHub(t *testing.T) *hub {
	t.Helper()
	return newHubOf(t, 0)
}

// newHubOf is a hub whose borough has that many families.
func newHubOf(t *testing.T, families int) *hub {
	t.Helper()
	ctx := context.Background()
	h := &hub{t: t, db: pgtest.New(t), stories: map[string]demo.Story{}, people: map[string]identity.Principal{}}
	h.admin, h.app = h.db.Pool(t, "admin"), h.db.Pool(t, "app")
	now := func() time.Time { return time.Now().Add(time.Duration(h.skip.Load()) * time.Second) }

	conn, err := pgx.Connect(ctx, h.db.DSN("admin"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := demo.Fill(ctx, conn, demo.Options{Now: now(), Families: families}); err != nil {
		t.Fatal(err)
	}
	bundle, err := policy.Pack(policies.Default())
	if err != nil {
		t.Fatal(err)
	}
	if err := postgres.InTx(ctx, h.admin, func(tx pgx.Tx) error {
		_, err := policy.Publish(ctx, tx, demo.Partnership, bundle)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(h.app, &audit.Signer{Partnership: demo.Partnership, Replica: "test", Key: key, Now: now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	versions := policy.NewVersions(h.app, policy.Options{Deadline: 5 * time.Second}, 3)
	directory := identity.NewDirectory(h.app, demo.Partnership, 0, slog.New(slog.DiscardHandler))
	desks := &disclosure.Desks{
		Directory: directory, Now: now,
		Kinds: func(ctx context.Context) (*policy.Version, error) {
			digest, err := policy.Head(ctx, h.app, demo.Partnership)
			if err != nil {
				return nil, err
			}
			active, err := versions.At(ctx, digest)
			if err != nil {
				return nil, err
			}
			return active.Version(), nil
		},
	}
	h.door = &disclosure.Door{Pool: h.app, Recorder: recorder, Policy: versions.At, Desk: desks.Desk, Now: now, Log: slog.New(slog.DiscardHandler)}
	h.log, err = audit.NewLog(h.db.Pool(t, "auditor"), demo.Partnership, bytes.Repeat([]byte{7}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range demo.Stories(demo.DefaultSeed) {
		h.stories[s.Key] = s
	}
	for _, a := range demo.Accounts(demo.DefaultSeed) {
		if a.Sign == "" {
			continue
		}
		h.people[a.Sign] = identity.Principal{
			Partnership: demo.Partnership, Issuer: "test", Subject: a.Subject, Worker: a.Worker, WorkerName: a.Name,
			Agency: a.Agency, Kind: a.Kind, HomeAgency: a.Agency, Roles: a.Roles, System: a.System,
		}
	}
	return h
}

// read asks as one of the demo's people.
func (h *hub) read(as, story, purpose string) (disclosure.View, error) {
	return h.ask(as, disclosure.Request{Family: h.story(story), Purpose: purpose, Reason: "testing the door", RequestID: uuid.NewString()})
}

func (h *hub) ask(as string, r disclosure.Request) (disclosure.View, error) {
	p, ok := h.people[as]
	if !ok {
		h.t.Fatalf("nobody is called %s", as)
	}
	return h.door.Read(context.Background(), p, r)
}

func (h *hub) story(key string) uuid.UUID {
	s, ok := h.stories[key]
	if !ok {
		h.t.Fatalf("no story %s", key)
	}
	return s.ID
}

func (h *hub) exec(sql string, args ...any) {
	h.t.Helper()
	if _, err := h.admin.Exec(context.Background(), sql, args...); err != nil {
		h.t.Fatal(err)
	}
}
