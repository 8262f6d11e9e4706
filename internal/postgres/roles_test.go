package postgres_test

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/postgres"
	"kith/internal/postgres/pgtest"
)

var small = fstest.MapFS{
	"0001_note.sql": {Data: []byte(`
CREATE TABLE note (id int PRIMARY KEY, text text);
GRANT SELECT, INSERT ON note TO kith_app;
CREATE FUNCTION secret() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS 'SELECT 42';
CREATE FUNCTION told() RETURNS int LANGUAGE sql AS 'SELECT 43';
GRANT EXECUTE ON FUNCTION told() TO kith_app;`)},
	"0002_more.sql": {Data: []byte(`CREATE TABLE more (words text DEFAULT '{{ not a template }}');`)},
}

// Every way for a role of the hub to step around the schema is closed.
func TestRolesCannot(t *testing.T) {
	t.Parallel()
	db := pgtest.NewWith(t, small)
	for _, role := range postgres.LoginRoles() {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			pool := db.Pool(t, role)
			statements := []string{
				`CREATE TEMP TABLE access_event (id int)`,
				`CREATE TABLE pg_temp.note (id int)`,
				`CREATE TABLE kith.mine (id int)`,
				`CREATE TABLE public.mine (id int)`,
				`CREATE TABLE kith_ext.mine (id int)`,
				`CREATE SCHEMA mine`,
				`CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
				`CREATE ROLE mine`,
				`CREATE DATABASE mine`,
				`ALTER ROLE ` + role + ` BYPASSRLS`,
				`ALTER ROLE ` + role + ` SUPERUSER`,
				`COPY (SELECT 1) TO PROGRAM 'true'`,
				`SELECT secret()`,
				`SELECT pg_read_file('postgresql.conf')`,
				`DROP TABLE note`,
				`INSERT INTO schema_version (version) VALUES (9)`,
			}
			for _, other := range append(postgres.LoginRoles(), postgres.RoleOwner) {
				if other != role && role != postgres.RoleMigrate {
					statements = append(statements, `SET ROLE `+other)
				}
			}
			for _, sql := range statements {
				_, err := pool.Exec(t.Context(), sql)
				var pg *pgconn.PgError
				if !errors.As(err, &pg) || pg.Code != "42501" {
					t.Errorf("%s: %v, want permission denied", sql, err)
				}
			}
			var strong bool
			err := pool.QueryRow(t.Context(), `
				SELECT rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit
				  FROM pg_roles WHERE rolname = current_user`).Scan(&strong)
			if err != nil || strong {
				t.Errorf("attributes: strong %v, %v", strong, err)
			}
		})
	}
}

func TestRolesCan(t *testing.T) {
	t.Parallel()
	db := pgtest.NewWith(t, small)
	app := db.Pool(t, "app")
	ctx := t.Context()
	if _, err := app.Exec(ctx, `INSERT INTO note VALUES (1, 'a')`); err != nil {
		t.Error(err)
	}
	settings := map[string]string{}
	rows, err := app.Query(ctx, `SELECT name, current_setting(name) FROM unnest($1::text[]) AS name`, []string{
		"search_path", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "TimeZone",
		"log_error_verbosity", "log_parameter_max_length", "log_parameter_max_length_on_error"})
	if err != nil {
		t.Fatal(err)
	}
	var k, v string
	if _, err := pgx.ForEachRow(rows, []any{&k, &v}, func() error { settings[k] = v; return nil }); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"search_path": "kith, kith_ext", "statement_timeout": "3s", "lock_timeout": "1s",
		"idle_in_transaction_session_timeout": "10s", "TimeZone": "UTC", "log_error_verbosity": "terse",
		"log_parameter_max_length": "0", "log_parameter_max_length_on_error": "0",
	}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Error(diff)
	}
	var like float32
	var sound string
	var told int
	if err := app.QueryRow(ctx, `SELECT similarity('Jon', 'John'), dmetaphone('John'), told()`).Scan(&like, &sound, &told); err != nil || told != 43 {
		t.Errorf("extensions and functions as the app's role: %v", err)
	}
	advice, err := postgres.LoggingAdvice(ctx, app)
	if err != nil || len(advice) > 0 {
		t.Errorf("%v %v", advice, err)
	}
	if err := postgres.CheckDurable(ctx, app); err != nil {
		t.Error(err)
	}
}

// Several databases of one server, several replicas of one database, at once.
func TestPrepareConcurrently(t *testing.T) {
	t.Parallel()
	if os.Getenv("KITH_TEST_ADMIN_DSN") == "" {
		t.Fatal("no server")
	}
	var wg sync.WaitGroup
	for range 3 {
		db := pgtest.NewWith(t, nil)
		for range 2 {
			wg.Go(func() {
				// No passwords: those of the process's other tests stay.
				err := postgres.Prepare(t.Context(), db.DSN("admin"), postgres.Roles{}, rand.Reader, small, nil)
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
}

func TestMigrateInSteps(t *testing.T) {
	t.Parallel()
	db := pgtest.NewWith(t, nil)
	ctx := t.Context()
	one := fstest.MapFS{"0001_note.sql": small["0001_note.sql"]}
	// As the role meant for it, not as the superuser.
	if err := postgres.Migrate(ctx, db.DSN("migrate"), one, nil); err != nil {
		t.Fatal(err)
	}
	app := db.Pool(t, "app")
	v, err := postgres.SchemaVersion(ctx, app, small)
	if diff := cmp.Diff(postgres.Version{Applied: 1, Known: 2}, v); diff != "" || err != nil || v.Current() {
		t.Error(diff, err)
	}
	if err := postgres.Migrate(ctx, db.DSN("admin"), small, nil); err != nil {
		t.Fatal(err)
	}
	v, err = postgres.SchemaVersion(ctx, app, small)
	if diff := cmp.Diff(postgres.Version{Applied: 2, Known: 2}, v); diff != "" || err != nil || !v.Current() {
		t.Error(diff, err)
	}
	if err := postgres.Migrate(ctx, db.DSN("migrate"), one, nil); !errors.Is(err, postgres.ErrSchemaNewer) {
		t.Errorf("an older binary on a newer schema: %v", err)
	}
	var owner string
	err = app.QueryRow(ctx, `SELECT tableowner FROM pg_tables WHERE schemaname = 'kith' AND tablename = 'more'`).Scan(&owner)
	if err != nil || owner != postgres.RoleOwner {
		t.Errorf("table owned by %q, %v", owner, err)
	}
}

// A migration that fails leaves the schema as it was and says where.
func TestMigrationFails(t *testing.T) {
	t.Parallel()
	db := pgtest.NewWith(t, small)
	broken := fstest.MapFS{
		"0001_note.sql": small["0001_note.sql"], "0002_more.sql": small["0002_more.sql"],
		"0003_bad.sql": {Data: []byte("CREATE TABLE half (id int);\n\nINSERT INTO nowhere\nVALUES (1);")},
	}
	err := postgres.Migrate(t.Context(), db.DSN("migrate"), broken, nil)
	if err == nil || !strings.Contains(err.Error(), "0003_bad.sql, line 3") {
		t.Fatalf("got %v", err)
	}
	v, err := postgres.SchemaVersion(t.Context(), db.Pool(t, "app"), broken)
	if err != nil || v.Applied != 2 {
		t.Errorf("%+v %v", v, err)
	}
	if _, err := db.Pool(t, "admin").Exec(t.Context(), `SELECT FROM half`); err == nil {
		t.Error("half a migration stayed")
	}
}

// A role that other hands made too strong is refused.
func TestBootstrapRefusesStrongRoles(t *testing.T) {
	t.Parallel()
	srv := pgtest.NewServer(t) // roles belong to the whole server
	if err := srv.EnsureDatabase(t.Context(), "kith"); err != nil {
		t.Fatal(err)
	}
	dsn := srv.AdminDSN("kith")
	conn, err := postgres.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := postgres.Bootstrap(t.Context(), dsn, postgres.Roles{App: "first"}, rand.Reader); err != nil {
		t.Fatal(err)
	}
	for make, undo := range map[string]string{
		`ALTER ROLE kith_app BYPASSRLS`:             `ALTER ROLE kith_app NOBYPASSRLS`,
		`ALTER ROLE kith_owner LOGIN`:               `ALTER ROLE kith_owner NOLOGIN`,
		`GRANT kith_auditor TO kith_app`:            `REVOKE kith_auditor FROM kith_app`,
		`GRANT pg_read_all_data TO kith_retention`:  `REVOKE pg_read_all_data FROM kith_retention`,
		`ALTER ROLE kith_sequencer SUPERUSER LOGIN`: `ALTER ROLE kith_sequencer NOSUPERUSER`,
	} {
		if _, err := conn.Exec(t.Context(), make); err != nil {
			t.Fatal(err)
		}
		err := postgres.Bootstrap(t.Context(), dsn, postgres.Roles{}, rand.Reader)
		if !errors.Is(err, postgres.ErrRoleTooStrong) {
			t.Errorf("%s: %v", make, err)
		}
		if _, err := conn.Exec(t.Context(), undo); err != nil {
			t.Fatal(err)
		}
	}
	// Passwords: the last one given holds, an empty one changes nothing.
	for _, password := range []string{"", "it's a \\ second: one"} {
		want := password
		if want == "" {
			want = "first"
		}
		if err := postgres.Bootstrap(t.Context(), dsn, postgres.Roles{App: password}, rand.Reader); err != nil {
			t.Fatal(err)
		}
		appDSN, err := postgres.WithRole(dsn, postgres.RoleApp, want, "")
		if err != nil {
			t.Fatal(err)
		}
		app, err := postgres.Connect(t.Context(), appDSN)
		if err != nil {
			t.Fatalf("password %q: %v", want, err)
		}
		_ = app.Close(t.Context())
	}
}

func TestRolesPrintAsNothing(t *testing.T) {
	t.Parallel()
	r := postgres.Roles{App: canary}
	if s := fmt.Sprintf("%v %+v %#v %s", r, r, r, &r); strings.Contains(s, canary) {
		t.Error(s)
	}
}

func TestWithRole(t *testing.T) {
	t.Parallel()
	tests := []struct{ dsn, database, want string }{
		{"postgres://a:b@h/db", "", "postgres://u:p%27%40@h/db"},
		{"postgresql://a@h1:1,h2:2/db?target_session_attrs=read-write", "x",
			"postgresql://u:p%27%40@h1:1,h2:2/x?target_session_attrs=read-write"},
		{"postgres:///db?host=/run/x&user=a&password=b", "", "postgres://u:p%27%40@/db?host=%2Frun%2Fx"},
		{"host=/run dbname=db user=a", "", `host=/run dbname=db user=a user='u' password='p\'@'`},
		{"host=h dbname=db", "x", `host=h dbname=db user='u' password='p\'@' dbname='x'`},
	}
	for _, tt := range tests {
		got, err := postgres.WithRole(tt.dsn, "u", "p'@", tt.database)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v; want %s", tt.dsn, got, err, tt.want)
			continue
		}
		cfg, err := pgconn.ParseConfig(got)
		if err != nil {
			t.Errorf("%s: %v", got, err)
			continue
		}
		db := tt.database
		if db == "" {
			db = "db"
		}
		if cfg.User != "u" || cfg.Password != "p'@" || cfg.Database != db {
			t.Errorf("%s is read as %s, %s, %s", got, cfg.User, cfg.Password, cfg.Database)
		}
	}
	if _, err := postgres.WithRole("postgres://%zz", "u", "p", ""); err == nil {
		t.Error("a malformed address was taken")
	}
}
