package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/identity"
	"kith/internal/policy"
	"kith/internal/postgres"
	"kith/migrations"
	"kith/policies"
)

const migrateUsage = `usage: kith migrate [flags]

Brings a database to this version's schema: makes the roles and schemas that
are missing, then applies the migrations that it does not have. It may run at
every deployment. DATABASE_URL names the database by an administrator's
address. KITH_PASSWORD_APP, _AUDITOR, _SEQUENCER, _REPLAY, _RETENTION and
_MIGRATE set the roles' passwords; one that is not given stays as it is.

  --directory FILE  load the partnership, its agencies and workers from FILE
  --policy DIR      make the policy version in DIR the active one ("default" is
                    the shipped one), where there is none yet

Exit status: 0 good, 1 something failed, 2 usage.
`

func migrateCommand(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("migrate", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	directory := flags.String("directory", "", "")
	version := flags.String("policy", "", "")
	err := flags.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, migrateUsage)
		return 0
	}
	dsn := os.Getenv("DATABASE_URL")
	if err == nil && dsn == "" {
		fmt.Fprintln(stderr, "kith migrate: DATABASE_URL is not set")
	}
	if err != nil || dsn == "" || flags.NArg() > 0 {
		fmt.Fprint(stderr, migrateUsage)
		return 2
	}
	if err := migrate(ctx, dsn, *directory, *version, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "kith migrate: %v\n", err)
		return 1
	}
	return 0
}

func migrate(ctx context.Context, dsn, directory, version string, stdout, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, nil))
	roles := postgres.Roles{Migrate: os.Getenv("KITH_PASSWORD_MIGRATE"), App: os.Getenv("KITH_PASSWORD_APP"), Sequencer: os.Getenv("KITH_PASSWORD_SEQUENCER"),
		Auditor: os.Getenv("KITH_PASSWORD_AUDITOR"), Replay: os.Getenv("KITH_PASSWORD_REPLAY"), Retention: os.Getenv("KITH_PASSWORD_RETENTION")}
	if err := postgres.Prepare(ctx, dsn, roles, rand.Reader, migrations.FS, log); err != nil {
		return err
	}
	pool, err := postgres.Open(ctx, dsn, postgres.Options{ApplicationName: "kith migrate", MaxConns: 2})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := postgres.CheckDurable(ctx, pool); err != nil {
		return err
	}
	advice, err := postgres.LoggingAdvice(ctx, pool)
	if err != nil {
		return err
	}
	for _, sentence := range advice {
		fmt.Fprintln(stderr, "advice:", sentence)
	}
	if directory != "" {
		f, err := os.Open(directory)
		if err != nil {
			return err
		}
		defer f.Close()
		loaded, err := identity.LoadFile(ctx, pool, f, time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "directory: %+v\n", loaded)
	}
	if version != "" {
		if err := activate(ctx, pool, version, stdout); err != nil {
			return err
		}
	}
	v, err := postgres.SchemaVersion(ctx, pool, migrations.FS)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "schema %d of %d\n", v.Applied, v.Known)
	return nil
}

// activate makes a version the first active one of the partnership. Where one
// is active already a change goes the way of approvals, not this one.
func activate(ctx context.Context, pool interface {
	Begin(context.Context) (pgx.Tx, error)
}, from string, stdout io.Writer) error {
	var files fs.FS = policies.Default()
	if from != "default" {
		files = os.DirFS(from)
	}
	bundle, err := policy.Pack(files)
	if err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		var partnership string
		switch err := tx.QueryRow(ctx, `SELECT code FROM kith.partnership`).Scan(&partnership); {
		case errors.Is(err, pgx.ErrNoRows):
			return errors.New("there is no partnership yet: load one with --directory FILE")
		case err != nil:
			return fmt.Errorf("find the partnership: %w", postgres.Redact(err))
		}
		head, err := policy.Head(ctx, tx, partnership)
		if err == nil {
			fmt.Fprintf(stdout, "policy: %s is active and stays\n", head)
			return nil
		}
		if !errors.Is(err, policy.ErrNoActive) {
			return err
		}
		digest, err := policy.Publish(ctx, tx, partnership, bundle)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "policy: %s is active\n", digest)
		return nil
	})
}
