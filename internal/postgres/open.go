// Package postgres is the hub's way to its database. It hides how a pool is
// configured so that no error can carry a row's values, how a transaction is
// repeated when PostgreSQL asks for it, how the roles and the schema come
// about, and which servers are refused because they could lose a log row that
// they had acknowledged.
//
// private/ is the server that the hub brings along when it is given none,
// pgtest/ gives each test a database of its own.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrSimpleProtocol refuses a connection string that asks for pgx's simple
// protocol: there the client pastes values into SQL text.
var ErrSimpleProtocol = errors.New("the simple query protocol is not allowed")

// Options of a pool. The zero value is usable.
type Options struct {
	// ApplicationName is what pg_stat_activity shows. Default "kith".
	ApplicationName string
	// MaxConns bounds the pool. Default 16, or pool_max_conns of the DSN.
	MaxConns int32
	// MinIdleConns are kept open, so that a burst does not wait for sign-ins.
	MinIdleConns int32
	// AfterConnect runs once on each new connection.
	AfterConnect func(context.Context, *pgx.Conn) error
}

// Open makes a pool and proves it with one connection. A DSN may name several
// hosts; unless it says otherwise the one that takes writes is used, so that a
// failover is followed without a restart.
func Open(ctx context.Context, dsn string, o Options) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("parse database address: %w", err)
	}
	if err := harden(cfg.ConnConfig); err != nil {
		return nil, err
	}
	if o.ApplicationName != "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = o.ApplicationName
	}
	switch {
	case o.MaxConns > 0:
		cfg.MaxConns = o.MaxConns
	case !strings.Contains(dsn, "pool_max_conns"):
		cfg.MaxConns = 16
	}
	if o.MinIdleConns > 0 {
		cfg.MinIdleConns = o.MinIdleConns
	}
	cfg.MaxConnLifetimeJitter = cfg.MaxConnLifetime / 10
	cfg.HealthCheckPeriod = 15 * time.Second
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		register(conn)
		if o.AfterConnect != nil {
			return o.AfterConnect(ctx, conn)
		}
		return nil
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open database pool: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("reach database: %w", Redact(err))
	}
	return pool, nil
}

// Connect opens one connection with the same defences as a pool's.
func Connect(ctx context.Context, dsn string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("parse database address: %w", err)
	}
	return connect(ctx, cfg)
}

func connect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	if err := harden(cfg); err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("reach database: %w", Redact(err))
	}
	register(conn)
	return conn, nil
}

// harden sets what every connection of the hub has in common.
func harden(cfg *pgx.ConnConfig) error {
	if cfg.DefaultQueryExecMode == pgx.QueryExecModeSimpleProtocol {
		return ErrSimpleProtocol
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 5 * time.Second
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "kith"
	}
	if cfg.ValidateConnect == nil && severalHosts(cfg) {
		cfg.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	cfg.Tracer = scrubber{}
	// A notice may quote a row as an error does.
	cfg.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) {}
	cfg.OnPgError = func(_ *pgconn.PgConn, e *pgconn.PgError) bool {
		// After a failover the old primary answers "read only" for ever: the
		// connection is given up so that the next one finds the new primary.
		return !strings.EqualFold(e.Severity, "FATAL") && e.Code != codeReadOnly
	}
	return nil
}

func severalHosts(cfg *pgx.ConnConfig) bool {
	for _, f := range cfg.Fallbacks {
		if f.Host != cfg.Host || f.Port != cfg.Port {
			return true
		}
	}
	return false
}

// register makes times come back in UTC whatever the machine's zone is, so
// that the same row gives the same bytes everywhere.
func register(conn *pgx.Conn) {
	m := conn.TypeMap()
	m.RegisterType(&pgtype.Type{
		Name: "timestamptz", OID: pgtype.TimestamptzOID,
		Codec: &pgtype.TimestamptzCodec{ScanLocation: time.UTC},
	})
}
