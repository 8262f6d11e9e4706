package demo

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/identity"
	"kith/internal/identity/issuer"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/internal/postgres/private"
	"kith/migrations"
	"kith/policies"
)

// Errors of a world.
var (
	// ErrNoSuchName: nobody of the demo is called that.
	ErrNoSuchName = errors.New("nobody in the demo has that name")
	// ErrForeignRoles: the server has Kith's roles, and this demo did not make them.
	ErrForeignRoles = errors.New("the database server has roles of another Kith, whose passwords the demo would change")
)

// Config of a demo's world.
type Config struct {
	Place       *Place
	HubURL      string // http://127.0.0.1:8080
	DatabaseURL string // an administrator's address on a server of the user's own; empty = the private server
	Fresh       bool   // begin with nothing
	Families    int    // 0 = what is there, else StoryFamilies
	SignIn      int    // bulk families whose workers can sign in; 0 = 400
	Seed        uint64
	Now         func() time.Time
	Random      io.Reader
	Log         *slog.Logger
	Progress    io.Writer // for the filling
	Say         func(format string, args ...any)
}

// World is what stands around the demo's hub: a database that holds the
// borough, and the issuers at which its people sign in.
type World struct {
	Identity   identity.Config
	SignIn     identity.SignInConfig
	Filled     Result
	Issuers    string // base address
	Private    net.Listener
	Key        ed25519.PrivateKey // signs receipts
	Reference  []byte             // makes the log's references to people
	LogKey     ed25519.PrivateKey // signs the log's checkpoints
	Checkpoint string             // file of the newest one

	place    *Place
	dsn      func(role string) (string, error)
	server   *private.Server
	provider *issuer.Provider
	listener net.Listener
	log      *slog.Logger
}

// Start brings the world up: database, schema, policy version, borough,
// issuers' addresses. Stop ends it also where Start failed half-way.
func Start(ctx context.Context, c Config) (*World, error) {
	if c.Seed == 0 {
		c.Seed = DefaultSeed
	}
	if c.Say == nil {
		c.Say = func(string, ...any) {}
	}
	w := &World{place: c.Place, log: c.Log}
	if err := w.start(ctx, c); err != nil {
		w.Stop(context.WithoutCancel(ctx))
		return nil, err
	}
	return w, nil
}

func (w *World) start(ctx context.Context, c Config) error {
	admin, err := w.database(ctx, c)
	if err != nil {
		return err
	}
	roles, err := w.place.roles()
	if err != nil {
		return err
	}
	if w.Key, err = w.place.receiptKey(); err != nil {
		return err
	}
	if w.Reference, err = w.place.keepSecret(referenceFile, 32); err != nil {
		return fmt.Errorf("reference key: %w", err)
	}
	if w.LogKey, err = w.place.logKey(); err != nil {
		return err
	}
	w.Checkpoint = w.place.Checkpoint()
	if err := w.listen(); err != nil {
		return err
	}
	c.Say("Bringing the schema up to date.")
	if err := postgres.Prepare(ctx, admin, roles, c.Random, migrations.FS, c.Log); err != nil {
		return fmt.Errorf("prepare the database: %w", err)
	}
	w.dsn = func(role string) (string, error) {
		if w.server != nil {
			return w.server.DSN(role, roles.Password(role), databaseName), nil
		}
		return postgres.WithRole(admin, role, roles.Password(role), "")
	}
	if err := w.fill(ctx, admin, c); err != nil {
		return err
	}
	// Of the bulk workers the first twenty pairs can sign in: a page with all of them helps nobody.
	if c.SignIn == 0 {
		c.SignIn = 20 * bulkTeamSize
	}
	signable := min(w.Filled.Families, StoryFamilies+c.SignIn)
	accounts := append(Accounts(c.Seed), BulkAccounts(c.Seed, signable)...)
	w.Identity = Identity(w.Issuers, accounts)
	w.SignIn = SignIn(w.Issuers, c.HubURL)
	w.provider, err = Provider(w.Issuers, c.HubURL, accounts, c.Now, c.Random, c.Log)
	return err
}

const databaseName = "kith"

// database starts the private server, or reaches the user's own, and gives the
// administrator's address.
func (w *World) database(ctx context.Context, c Config) (string, error) {
	dir := filepath.Join(w.place.Dir, "postgres")
	if c.DatabaseURL != "" {
		if err := w.mayUse(ctx, c.DatabaseURL, c.Fresh); err != nil {
			return "", err
		}
		if c.Fresh {
			return c.DatabaseURL, w.place.Clear()
		}
		return c.DatabaseURL, nil
	}
	if c.Fresh {
		if err := private.Remove(ctx, dir); err != nil {
			return "", fmt.Errorf("remove the old database: %w", err)
		}
		if err := w.place.Clear(); err != nil {
			return "", err
		}
	}
	c.Say("Starting PostgreSQL.")
	server, err := private.Start(ctx, private.Config{Dir: dir, Log: c.Log, Random: c.Random})
	if err != nil {
		return "", fmt.Errorf("start PostgreSQL: %w", err)
	}
	w.server = server
	if err := server.EnsureDatabase(ctx, databaseName); err != nil {
		return "", fmt.Errorf("make the database: %w", err)
	}
	return server.AdminDSN(databaseName), nil
}

// mayUse looks at a server of the user's own before anything is changed there:
// roles belong to the whole server, and giving them new passwords would lock
// out a hub that runs on it. With fresh it drops the schema of an earlier demo,
// and nothing else: one without the borough's mark is not ours to drop.
func (w *World) mayUse(ctx context.Context, dsn string, fresh bool) error {
	conn, err := postgres.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var roles, schema, ours bool
	err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1), to_regclass('kith.submission') IS NOT NULL`, postgres.RoleApp).Scan(&roles, &schema)
	if err == nil && schema {
		err = conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM kith.submission WHERE format = 'borough')`).Scan(&ours)
	}
	if err != nil {
		return fmt.Errorf("look for an earlier demo: %w", postgres.Redact(err))
	}
	if roles && !ours && !w.place.has(rolesFile) {
		return ErrForeignRoles
	}
	if !schema || !fresh {
		return nil
	}
	if !ours {
		if err := conn.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM kith.partnership)`).Scan(&ours); err != nil {
			return fmt.Errorf("look for an earlier demo: %w", postgres.Redact(err))
		}
	}
	if !ours {
		return ErrNotADemo
	}
	if _, err := conn.Exec(ctx, `DROP SCHEMA kith CASCADE`); err != nil {
		return fmt.Errorf("drop the earlier demo: %w", postgres.Redact(err))
	}
	return nil
}

// fill writes the borough and makes the shipped policy version the active one
// where there is none.
func (w *World) fill(ctx context.Context, admin string, c Config) error {
	conn, err := postgres.Connect(ctx, admin)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if err := postgres.CheckDurable(ctx, conn); err != nil {
		return err
	}
	c.Say("Filling the synthetic borough of Northby.")
	w.Filled, err = Fill(ctx, conn, Options{Seed: c.Seed, Now: c.Now(), Families: c.Families, Progress: c.Progress,
		Issuer: func(agency string) string { return IssuerURL(w.Issuers, agency) }})
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		_, err := policy.Head(ctx, tx, Partnership)
		if !errors.Is(err, policy.ErrNoActive) {
			return err
		}
		bundle, err := policy.Pack(policies.Default())
		if err != nil {
			return err
		}
		_, err = policy.Publish(ctx, tx, Partnership, bundle)
		return err
	})
	if err != nil {
		return fmt.Errorf("publish the shipped policy version: %w", postgres.Redact(err))
	}
	return nil
}

// listen takes the ports of the last start, or free ones.
func (w *World) listen() error {
	kept, err := w.place.ports()
	if err != nil {
		return err
	}
	if w.listener, err = listenOn(kept.Issuers); err != nil {
		return fmt.Errorf("listen for the issuers: %w", err)
	}
	if w.Private, err = listenOn(kept.Private); err != nil {
		return fmt.Errorf("listen for the operator: %w", err)
	}
	w.Issuers = "http://" + w.listener.Addr().String()
	return w.place.keepPorts(ports{Issuers: port(w.listener), Private: port(w.Private)})
}

// listenOn takes a port of the loopback, or a free one where that is taken.
func listenOn(p int) (net.Listener, error) {
	ln, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
	if err != nil && p != 0 {
		return net.Listen("tcp4", "127.0.0.1:0")
	}
	return ln, err
}

func port(ln net.Listener) int {
	if a, ok := ln.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// DSN is the database's address for one of the hub's roles.
func (w *World) DSN(role string) (string, error) { return w.dsn(role) }

// Run serves the issuers and keeps the private PostgreSQL alive until ctx ends.
func (w *World) Run(ctx context.Context) error {
	if w.server != nil {
		go w.server.Watch(ctx, func() { w.log.WarnContext(ctx, "PostgreSQL had died and was started again") })
	}
	return w.provider.Serve(ctx, w.listener)
}

// Server is the private PostgreSQL, nil where the user has their own.
func (w *World) Server() *private.Server { return w.server }

// Stop ends what Start began. The hub must have let go of the database before.
func (w *World) Stop(ctx context.Context) {
	for _, ln := range []net.Listener{w.listener, w.Private} {
		if ln != nil {
			_ = ln.Close()
		}
	}
	if w.server != nil {
		w.server.Stop(ctx)
	}
}
