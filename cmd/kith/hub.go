package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/agreement"
	"kith/internal/api"
	"kith/internal/audit"
	"kith/internal/audit/tree"
	"kith/internal/disclosure"
	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/outbox"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/migrations"
)

// hubConfig is what a hub is made of, whether the demo or `kith serve` runs it.
type hubConfig struct {
	Replica       string // whose receipt key this is
	App           string // database addresses, one role each
	Auditor       string
	Sequencer     string
	Replay        string
	Retention     string        // empty: nothing is erased, held or dropped
	Keep          audit.Periods // for how many months the log's classes are kept
	Identity      identity.Config
	SignIn        identity.SignInConfig // no providers: no pages
	Demo          bool                  // nobody is real, and the pages say so
	ReceiptKey    ed25519.PrivateKey
	ReferenceKey  []byte
	Tree          treeConfig
	Outbox        outbox.Config // channels and mail server; the rest is the hub's
	Operator      string        // the agency that runs the hub
	Limits        api.Limits
	Watch         disclosure.WatchRules // what is given to reviewers
	Looks         disclosure.LookLimits
	WriteKeysKept time.Duration // how long the key of a write is remembered; 0 = 30 days
	Policy        policy.Options
	Weigh         weighConfig
	KeptFacts     int           // 0 = facts are read for each access
	Connections   int32         // of the app's pool; 0 = its default
	Drain         time.Duration // how long requests may end after the signal; 0 = 15 s
	Now           func() time.Time
	Random        io.Reader
	Log           *slog.Logger
}

// hub is a hub that is ready to serve.
type hub struct {
	public, private http.Handler
	recorder        *audit.Recorder
	follower        *policy.Follower
	config          hubConfig
	stop            context.CancelFunc
	background      sync.WaitGroup
	pools           []*pgxpool.Pool
}

// openHub connects everything, and refuses where a promise could not be kept:
// a server that may lose a log row, a schema of another version, no policy, or
// one that does not compile.
func openHub(ctx context.Context, c hubConfig) (*hub, error) {
	collectLess(os.Getenv)
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &hub{config: c, stop: stop}
	if err := h.open(ctx); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hub) open(ctx context.Context) error {
	c := h.config
	app, err := h.pool(ctx, c.App, postgres.Options{ApplicationName: "kith app", MaxConns: c.Connections, MinIdleConns: 2})
	if err != nil {
		return fmt.Errorf("database, role of the app: %w", err)
	}
	auditor, err := h.pool(ctx, c.Auditor, postgres.Options{ApplicationName: "kith auditor", MaxConns: 4})
	if err != nil {
		return fmt.Errorf("database, role of the auditor: %w", err)
	}
	sequencer, err := h.pool(ctx, c.Sequencer, postgres.Options{ApplicationName: "kith sequencer", MaxConns: 4})
	if err != nil {
		return fmt.Errorf("database, role of the sequencer: %w", err)
	}
	replay, err := h.pool(ctx, c.Replay, postgres.Options{ApplicationName: "kith replay", MaxConns: 4})
	if err != nil {
		return fmt.Errorf("database, role of the replayer: %w", err)
	}
	if err := postgres.CheckDurable(ctx, app); err != nil {
		return err
	}
	if err := schemaIsCurrent(ctx, app); err != nil {
		return err
	}
	if _, err := audit.EnsurePartitions(ctx, sequencer); err != nil {
		return fmt.Errorf("partitions of the log: %w", err)
	}

	versions := policy.NewVersions(app, c.Policy, 4)
	follower := policy.NewFollower(versions, app, c.Identity.Partnership, c.Now, h.brokenPolicy)
	h.follower = follower
	active := follower.Active
	if _, err := active(ctx); err != nil {
		return fmt.Errorf("policy: %w", err)
	}

	directory := identity.NewDirectory(app, c.Identity.Partnership, c.Identity.DormantDays, c.Log)
	verifier, err := identity.NewVerifier(c.Identity, identity.Options{Now: c.Now, Directory: directory})
	if err != nil {
		return err
	}
	signer := &audit.Signer{Partnership: c.Identity.Partnership, Replica: c.Replica, Key: c.ReceiptKey, Now: c.Now, Random: c.Random}
	if h.recorder, err = audit.NewRecorder(app, signer); err != nil {
		return err
	}
	log, err := audit.NewLog(auditor, c.Identity.Partnership, c.ReferenceKey)
	if err != nil {
		return err
	}
	failures := audit.NewAuthFailures(h.recorder)
	desk := &disclosure.Desks{Directory: directory, Now: c.Now, Kinds: func(ctx context.Context) (*policy.Version, error) {
		a, err := active(ctx)
		if err != nil {
			return nil, err
		}
		return a.Version(), nil
	}}
	kept, err := family.NewKept(c.KeptFacts)
	if err != nil {
		return err
	}
	door := &disclosure.Door{Pool: app, Recorder: h.recorder, Policy: follower.At, Desk: desk.Desk, Now: c.Now, Log: c.Log, Kept: kept,
		Looks: disclosure.NewLooks(c.Looks, h.recorder, c.Now)}
	intake := &family.Intake{Pool: app, Now: c.Now, Catalogue: func(ctx context.Context) (family.Catalogue, error) {
		a, err := active(ctx)
		if err != nil {
			return family.Catalogue{}, err
		}
		return family.CatalogueOf(a.Version()), nil
	}}
	metrics := api.NewMetrics()
	logTree, err := h.openTree(ctx, app, auditor, sequencer, metrics)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program, in which drafts are run: %w", err)
	}
	office := &policy.Office{Pool: app, Recorder: h.recorder, Sandbox: policy.Sandbox{Command: []string{program, policy.SandboxCommand}},
		Partnership: c.Identity.Partnership, Now: c.Now, Random: c.Random}
	agreements := &agreement.Register{Pool: app, Recorder: h.recorder, Partnership: c.Identity.Partnership, Random: c.Random}
	var sequenced *tree.Tree
	if logTree != nil {
		sequenced = logTree.Tree
	}
	h.guardReads(sequenced, follower)
	reviews, err := h.openWatch(ctx, door, log, sequenced)
	if err != nil {
		return err
	}
	keeper, err := h.openKeeper(ctx, log)
	if err != nil {
		return err
	}
	papers := &disclosure.Papers{Door: door, Directory: directory, Agreements: agreements, Log: log}
	box, err := h.openOutbox(ctx, app, agreements, office)
	if err != nil {
		return err
	}
	metrics.Register(outboxMetrics(box)...)
	explain := h.openExplainer(ctx, app, replay, door, log, metrics)
	server, err := api.New(api.Config{Outbox: box, Keeper: keeper, Reviews: reviews, Verifier: verifier, Door: door, Office: office, Agreements: agreements, Papers: papers, Recorder: h.recorder, Log: log, Tree: logTree, Failures: failures, Intake: intake,
		Explain: explain,
		Logger:  c.Log, Metrics: metrics, Limits: c.Limits})
	if err != nil {
		return err
	}
	checks := []api.Check{
		{Name: "database", Test: func(ctx context.Context) (string, error) { return "", postgres.Redact(app.Ping(ctx)) }},
		{Name: "schema", Test: func(ctx context.Context) (string, error) { return "", schemaIsCurrent(ctx, app) }},
		{Name: "policy", Test: func(ctx context.Context) (string, error) { return "", follower.Check(ctx) }},
		{Name: "log", Test: func(ctx context.Context) (string, error) { return logHasRoom(ctx, auditor, c.Now()) }},
		treeCheck(logTree),
	}
	if h.public, err = h.pages(pagesOn{app: app, verifier: verifier, directory: directory, door: door, log: log, failures: failures, office: office, agreements: agreements, papers: papers,
		tree: logTree, explain: explain, reviews: reviews, keeper: keeper, box: box, checks: checks}, server); err != nil {
		return err
	}
	h.private = api.Private(metrics, checks)
	h.inBackground(ctx, verifier, directory, failures, sequencer)
	metrics.Register(policyMetrics(follower)...)
	h.runPolicy(ctx, follower, office, &disclosure.Weigher{Office: office, Past: audit.NewPast(replay, c.Identity.Partnership), Pool: app, Reference: log.Reference,
		Accesses: c.Weigh.Accesses, Views: c.Weigh.Views, Now: c.Now, Random: c.Random, Log: c.Log})
	return nil
}

// inBackground starts what goes on beside the requests; close ends it.
func (h *hub) inBackground(ctx context.Context, verifier *identity.Verifier, directory *identity.Directory, failures *audit.AuthFailures, sequencer *pgxpool.Pool) {
	log := h.config.Log
	h.background.Go(func() {
		if err := verifier.Warm(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "not every issuer's keys could be had", "cause", err.Error())
		}
	})
	h.background.Go(func() { directory.Run(ctx) })
	h.background.Go(func() {
		tick := time.NewTicker(time.Hour)
		defer tick.Stop()
		h.forgetKeys(ctx, sequencer, tick.C)
	})
	h.background.Go(func() {
		tick := time.NewTicker(10 * time.Second)
		defer tick.Stop()
		failures.Run(ctx, tick.C, func(err error) { log.ErrorContext(ctx, "failed sign-ins not logged yet", "cause", err.Error()) })
	})
	h.background.Go(func() {
		tick := time.NewTicker(time.Hour)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if _, err := audit.EnsurePartitions(ctx, sequencer); err != nil && ctx.Err() == nil {
					log.ErrorContext(ctx, "months of the log not made", "cause", err.Error())
				}
			}
		}
	})
}

func (h *hub) pool(ctx context.Context, dsn string, o postgres.Options) (*pgxpool.Pool, error) {
	p, err := postgres.Open(ctx, dsn, o)
	if err != nil {
		return nil, err
	}
	h.pools = append(h.pools, p)
	return p, nil
}

func (h *hub) close() {
	h.stop()
	h.background.Wait()
	for _, p := range h.pools {
		p.Close()
	}
}

// serve answers on both listeners until ctx ends, lets the requests that have
// begun come to their end, and closes the hub. Headers and idle connections are
// bounded here; each route bounds its own time, since a submission may take
// half an hour.
func (h *hub) serve(ctx context.Context, public, private net.Listener) error {
	defer h.close()
	limit := h.config.Limits.HeaderBytes
	if limit == 0 {
		limit = 64 << 10
	}
	quiet := slog.NewLogLogger(h.config.Log.Handler(), slog.LevelDebug)
	servers := map[*http.Server]net.Listener{
		{Handler: h.public, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: limit, ErrorLog: quiet}: public,
	}
	if private != nil {
		servers[&http.Server{Handler: h.private, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, ErrorLog: quiet}] = private
	}
	failed := make(chan error, len(servers))
	for s, ln := range servers {
		go func() { failed <- s.Serve(ln) }()
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("serve: %w", err)
	}
	drain := h.config.Drain
	if drain == 0 {
		drain = 15 * time.Second
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	for s := range servers {
		if shut := s.Shutdown(end); shut != nil {
			_ = s.Close()
			if !errors.Is(shut, context.DeadlineExceeded) {
				err = errors.Join(err, fmt.Errorf("shut down: %w", shut))
			}
		}
	}
	return err
}

func schemaIsCurrent(ctx context.Context, q postgres.Querier) error {
	v, err := postgres.SchemaVersion(ctx, q, migrations.FS)
	if err != nil {
		return err
	}
	if !v.Current() {
		return fmt.Errorf("the database has schema %d, this binary needs %d: run `kith migrate`", v.Applied, v.Known)
	}
	return nil
}

// logHasRoom warns a fortnight before the months of the log run out.
func logHasRoom(ctx context.Context, pool *pgxpool.Pool, now time.Time) (string, error) {
	until, err := audit.PartitionsUntil(ctx, pool)
	if err != nil {
		return "", err
	}
	switch left := until.Sub(now); {
	case left <= 0:
		return "", errors.New("the log has no partition for today")
	case left < 14*24*time.Hour:
		return fmt.Sprintf("the log has partitions until %s only", until.Format(time.DateOnly)), nil
	}
	return "", nil
}
