package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/tern/v2/migrate"
)

// versionTable remembers how far the schema is.
const versionTable = Schema + ".schema_version"

// ErrSchemaNewer means that the database was migrated by a newer Kith. There
// is no way back: start that one, or restore a backup.
var ErrSchemaNewer = errors.New("the database's schema is newer than this binary")

// Prepare brings the database of adminDSN from nothing, or from any earlier
// version, to the present schema: Bootstrap, then Migrate.
func Prepare(ctx context.Context, adminDSN string, roles Roles, random io.Reader, files fs.FS, log *slog.Logger) error {
	if err := Bootstrap(ctx, adminDSN, roles, random); err != nil {
		return err
	}
	return Migrate(ctx, adminDSN, files, log)
}

// Migrate applies those of the files NNNN_name.sql that the database does not
// have yet, each in a transaction of its own, as the schema's owner. dsn is
// the administrator's or kith_migrate's; this session, which is not the hub, is
// the only one that uses SET ROLE. An advisory lock lets several replicas start
// at once. The SQL is run as it stands: no templates.
func Migrate(ctx context.Context, dsn string, files fs.FS, log *slog.Logger) error {
	names, err := migrate.FindMigrations(files)
	if err != nil {
		return fmt.Errorf("list migrations: %w", err)
	}
	if len(names) == 0 {
		return errors.New("list migrations: there are none")
	}
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("parse database address: %w", err)
	}
	// Given at sign-in, these outlast the RESET ALL between two migrations.
	cfg.RuntimeParams["search_path"] = SearchPath
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.RuntimeParams["lock_timeout"] = "0"
	conn, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SET ROLE "+RoleOwner); err != nil {
		return fmt.Errorf("act as the schema's owner: %w", Redact(err))
	}
	m, err := migrate.NewMigrator(ctx, conn, versionTable)
	if err != nil {
		return fmt.Errorf("find the schema's version: %w", Redact(err))
	}
	for _, name := range names {
		sql, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read migration: %w", err)
		}
		m.AppendMigration(name, string(sql), "")
	}
	if log != nil {
		m.OnStart = func(_ int32, name, _, _ string) { log.InfoContext(ctx, "migrate", "file", name) }
	}
	if err := m.Migrate(ctx); err != nil {
		return migrationError(err)
	}
	// Readiness compares versions as the app's role.
	_, err = conn.Exec(ctx, "GRANT SELECT ON "+versionTable+" TO "+strings.Join(LoginRoles(), ", "))
	if err != nil {
		return fmt.Errorf("let the roles read the schema's version: %w", Redact(err))
	}
	return nil
}

func migrationError(err error) error {
	var bad migrate.BadVersionError
	if errors.As(err, &bad) {
		return fmt.Errorf("%w: %w", ErrSchemaNewer, err)
	}
	var failed migrate.MigrationPgError
	if errors.As(err, &failed) {
		scrub(failed.PgError)
		line := 0
		// PostgreSQL counts characters, not bytes.
		if text := []rune(failed.Sql); failed.Position > 0 && int(failed.Position) <= len(text) {
			line = 1 + strings.Count(string(text[:failed.Position]), "\n")
		}
		return fmt.Errorf("migration %s, line %d: %w", failed.MigrationName, line, failed.PgError)
	}
	return fmt.Errorf("migrate: %w", Redact(err))
}

// Version tells how far a schema is.
type Version struct {
	Applied int // the highest migration that the database has; 0 for none
	Known   int // the highest that this binary has
}

// Current tells whether database and binary agree.
func (v Version) Current() bool { return v.Known > 0 && v.Applied == v.Known }

// SchemaVersion compares the database with the migration files, for readiness.
func SchemaVersion(ctx context.Context, q Querier, files fs.FS) (Version, error) {
	names, err := migrate.FindMigrations(files)
	if err != nil {
		return Version{}, fmt.Errorf("list migrations: %w", err)
	}
	v := Version{Known: len(names)}
	if err := q.QueryRow(ctx, "SELECT version FROM "+versionTable).Scan(&v.Applied); err != nil {
		return Version{}, fmt.Errorf("ask for the schema's version: %w", Redact(err))
	}
	return v, nil
}
