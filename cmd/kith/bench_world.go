package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/demo"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/identity/issuer"
	"kith/internal/policy"
	"kith/internal/postgres"
)

// benchConnections bounds every pool of the bench alike.
const benchConnections = 24

// keptDecisions is what the bench's hub keeps: more than it meets.
const keptDecisions = 10_000

// keptFacts likewise.
const keptFacts = 10_000

// benchDeadline of a decision is longer than a hub's: on a machine that others
// use too, a decision that waits for its turn must not end the run.
const benchDeadline = 2 * time.Second

// benchWorld is a hub at work in a borough of one size, and the families that
// the measurements read.
type benchWorld struct {
	families int
	accesses int // that a change of the policy is weighed by
	world    *demo.World
	hub      *hub
	address  string
	admin    string // the database's administrator
	kept     *disclosure.Door
	cold     *disclosure.Door
	memory   *disclosure.Door // keeps facts too
	floor    *floor
	readings []reading
	tokens   map[string]string // by sign-in name
	verifier *identity.Verifier
	started  time.Duration // the hub, from nothing to listening
	stop     []func()
}

// reading is one family as one of its practitioners reads it.
type reading struct {
	family  uuid.UUID
	sign    string
	caller  identity.Principal
	parts   []int64
	request []byte
}

// openBenchWorld fills a borough of its own below dir and starts a hub in it.
func openBenchWorld(ctx context.Context, dir string, families, accesses int, log *slog.Logger, progress io.Writer) (*benchWorld, error) {
	w := &benchWorld{families: families, accesses: accesses, tokens: map[string]string{}}
	if err := w.open(ctx, dir, log, progress); err != nil {
		w.close(context.WithoutCancel(ctx))
		return nil, err
	}
	return w, nil
}

func (w *benchWorld) open(ctx context.Context, dir string, log *slog.Logger, progress io.Writer) error {
	place, err := demo.Claim(dir, rand.Reader)
	if err != nil {
		return err
	}
	w.stop = append(w.stop, place.Release)
	public, err := (&net.ListenConfig{}).Listen(ctx, "tcp4", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	w.address = public.Addr().String()
	w.stop = append(w.stop, func() { _ = public.Close() })
	w.world, err = demo.Start(ctx, demo.Config{Place: place, HubURL: "http://" + w.address, Families: w.families, SignIn: w.families,
		Now: time.Now, Random: rand.Reader, Log: log, Progress: progress})
	if err != nil {
		return err
	}
	w.stop = append(w.stop, func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		w.world.Stop(end)
	})
	running, leave := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = append(w.stop, leave)
	go func() { _ = w.world.Run(running) }() // an issuer that fails shows as a refused sign-in

	w.admin = w.world.Server().AdminDSN("kith")
	if w.floor, err = openFloor(ctx, w.admin, benchConnections); err != nil {
		return err
	}
	w.stop = append(w.stop, w.floor.pool.Close)
	for _, sql := range []string{"VACUUM (ANALYZE)", "CHECKPOINT"} {
		if _, err := w.floor.pool.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	if err := w.serve(ctx, running, public, log); err != nil {
		return err
	}
	return w.choose(ctx)
}

// serve starts the hub, and doors beside it that keep decisions and that do not.
func (w *benchWorld) serve(ctx, running context.Context, public net.Listener, log *slog.Logger) error {
	c, err := demoHub(w.world, log)
	if err != nil {
		return err
	}
	c.Policy = policy.Options{Keep: keptDecisions, Deadline: benchDeadline}
	c.Connections = benchConnections
	c.Weigh.Accesses = w.accesses
	began := time.Now()
	if w.hub, err = openHub(ctx, c); err != nil {
		return err
	}
	w.started = time.Since(began)
	ended := make(chan struct{})
	serving, quit := context.WithCancel(running)
	go func() { defer close(ended); _ = w.hub.serve(serving, public, nil) }()
	w.stop = append(w.stop, func() { quit(); <-ended })

	app := w.hub.pools[0]
	directory := identity.NewDirectory(app, c.Identity.Partnership, 0, log)
	if w.verifier, err = identity.NewVerifier(c.Identity, identity.Options{Now: time.Now, Directory: directory}); err != nil {
		return err
	}
	door := func(keep int) *disclosure.Door {
		versions := policy.NewVersions(app, policy.Options{Keep: keep, Deadline: benchDeadline}, 2)
		desks := &disclosure.Desks{Directory: directory, Now: time.Now, Kinds: func(ctx context.Context) (*policy.Version, error) {
			digest, err := policy.Head(ctx, app, c.Identity.Partnership)
			if err != nil {
				return nil, err
			}
			a, err := versions.At(ctx, digest)
			if err != nil {
				return nil, err
			}
			return a.Version(), nil
		}}
		return &disclosure.Door{Pool: app, Recorder: w.hub.recorder, Policy: versions.At, Desk: desks.Desk, Now: time.Now, Log: log}
	}
	w.kept, w.cold = door(keptDecisions), door(0)
	facts, err := family.NewKept(keptFacts)
	if err != nil {
		return err
	}
	memory := *w.kept
	memory.Kept = facts
	w.memory = &memory
	return nil
}

// choose signs in up to a hundred teams spread over the whole borough, and
// reads each of their families once: so the measurements know which parts are
// released, and the log's rows have their size.
func (w *benchWorld) choose(ctx context.Context) error {
	const teamSize, mostTeams = 20, 100
	bulk := w.families - demo.StoryFamilies
	step := max(bulk/teamSize/mostTeams, 1) * teamSize
	accounts := map[uuid.UUID]demo.Account{}
	for _, a := range demo.BulkAccounts(demo.DefaultSeed, w.families) {
		accounts[a.Worker] = a
	}
	var ids []uuid.UUID
	for first := 0; first+teamSize <= bulk; first += step {
		for n := first; n < first+teamSize; n++ {
			f := demo.Bulk(demo.DefaultSeed, n)
			a := accounts[f.MHWorker]
			caller, err := w.signIn(ctx, a)
			if err != nil {
				return err
			}
			if _, err := w.kept.Read(ctx, caller, familyRequest(f.Family)); err != nil {
				return fmt.Errorf("read family %d of the borough: %w", n, err)
			}
			ids = append(ids, f.Family)
			w.readings = append(w.readings, reading{family: f.Family, sign: a.Sign, caller: caller,
				request: request(http.MethodGet, "/v1/families/"+f.Family.String(), w.address, w.tokens[a.Sign], map[string]string{"Kith-Purpose": "FS", "Kith-Reason": "measuring"}, nil)})
		}
	}
	parts := map[uuid.UUID][]int64{}
	rows, err := w.floor.pool.Query(ctx, `SELECT family, released FROM kith.access_event WHERE kind = 'read' AND family = ANY ($1)`, ids)
	if err != nil {
		return fmt.Errorf("look up what was released: %w", err)
	}
	var id uuid.UUID
	var released []int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &released}, func() error { parts[id] = append([]int64(nil), released...); return nil }); err != nil {
		return fmt.Errorf("look up what was released: %w", postgres.Redact(err))
	}
	for i := range w.readings {
		if w.readings[i].parts = parts[w.readings[i].family]; len(w.readings[i].parts) == 0 {
			return fmt.Errorf("family %s released nothing", w.readings[i].family)
		}
	}
	return w.floor.measureRow(ctx)
}

func familyRequest(family uuid.UUID) disclosure.Request {
	return disclosure.Request{Family: family, Purpose: "FS", Reason: "measuring", RequestID: uuid.NewString()}
}

// signIn gives the principal of an account, and keeps its token.
func (w *benchWorld) signIn(ctx context.Context, a demo.Account) (identity.Principal, error) {
	token := w.tokens[a.Sign]
	if token == "" {
		var err error
		at := demo.IssuerURL(w.world.Issuers, a.Agency)
		if a.System {
			token, err = issuer.SignInSystem(ctx, at, a.Subject, a.Secret())
		} else {
			token, err = issuer.SignIn(ctx, at, demo.CommandClient, a.Sign)
		}
		if err != nil {
			return identity.Principal{}, err
		}
		w.tokens[a.Sign] = token
	}
	return w.verifier.Verify(ctx, token)
}

// account finds one of the demo's own accounts.
func account(sign string) (demo.Account, error) {
	for _, a := range demo.Accounts(demo.DefaultSeed) {
		if a.Sign == sign {
			return a, nil
		}
	}
	return demo.Account{}, fmt.Errorf("%w: %s", demo.ErrNoSuchName, sign)
}

// pick is the family of a caller's i-th operation: callers walk the same
// families in steps of their own, so that none follows in another's footsteps.
func (w *benchWorld) pick(caller, i int) *reading {
	return &w.readings[(caller*7919+i*613)%len(w.readings)]
}

// version is the policy version that the hub decides by.
func (w *benchWorld) version(ctx context.Context) (*policy.Version, error) {
	digest, err := policy.Head(ctx, w.floor.pool, demo.Partnership)
	if err != nil {
		return nil, fmt.Errorf("active policy: %w", err)
	}
	active, err := w.kept.Policy(ctx, digest)
	if err != nil {
		return nil, fmt.Errorf("active policy: %w", err)
	}
	return active.Version(), nil
}

// recorded is a decision's input as the log has it.
func (w *benchWorld) recorded(ctx context.Context, of reading) (policy.Input, error) {
	var header, sealed []byte
	err := w.floor.pool.QueryRow(ctx, `SELECT header, input FROM kith.access_event WHERE kind = 'read' AND family = $1 ORDER BY occurred_at LIMIT 1`, of.family).Scan(&header, &sealed)
	if err != nil {
		return policy.Input{}, fmt.Errorf("recorded input: %w", postgres.Redact(err))
	}
	h, err := proof.DecodeHeader(header)
	if err != nil {
		return policy.Input{}, fmt.Errorf("recorded input: %w", err)
	}
	text, err := proof.OpenInput(sealed, h)
	if err != nil {
		return policy.Input{}, fmt.Errorf("recorded input: %w", err)
	}
	var in policy.Input
	if err := json.Unmarshal(text, &in); err != nil {
		return policy.Input{}, fmt.Errorf("recorded input: %w", err)
	}
	return in, nil
}

func (w *benchWorld) processes() processes {
	return processes{database: w.world.Server().Pid}
}

func (w *benchWorld) close(ctx context.Context) {
	_ = ctx
	for i := len(w.stop) - 1; i >= 0; i-- {
		w.stop[i]()
	}
	w.stop = nil
}

// benchDir makes a directory that PostgreSQL's unprivileged user can pass
// through when the bench runs as root.
func benchDir(asked string) (dir string, temporary bool, err error) {
	if asked != "" {
		return asked, false, nil
	}
	n, err := rand.Int(rand.Reader, big.NewInt(1<<40))
	if err != nil {
		return "", false, fmt.Errorf("name a directory: %w", err)
	}
	dir = filepath.Join(os.TempDir(), "kith-bench-"+n.Text(36))
	if err := os.Mkdir(dir, 0o711); err != nil {
		return "", false, errors.Join(errors.New("make a directory for the bench"), err)
	}
	return dir, true, nil
}
