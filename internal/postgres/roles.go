package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// The database's roles. Each part of the hub logs in as its own, so that a
// hole in one part opens only what that part may do. None is a superuser, none
// bypasses row security, and no part ever uses SET ROLE, which RESET ROLE
// undoes. RoleOwner owns the schema and cannot log in.
const (
	RoleOwner     = "kith_owner"
	RoleMigrate   = "kith_migrate"
	RoleApp       = "kith_app"
	RoleSequencer = "kith_sequencer"
	RoleAuditor   = "kith_auditor"
	RoleReplay    = "kith_replay"
	RoleRetention = "kith_retention"
)

// Schema holds Kith's tables, ExtensionSchema pg_trgm and fuzzystrmatch: apart,
// so that nothing lives in public, where every role of a shared server could
// put a function of the same name. SearchPath is every role's.
const (
	Schema          = "kith"
	ExtensionSchema = "kith_ext"
	SearchPath      = Schema + ", " + ExtensionSchema
)

// ErrRoleTooStrong refuses a role that could step around the schema's rules.
var ErrRoleTooStrong = errors.New("a database role has more rights than Kith allows")

// Roles are the passwords of the roles that log in. An empty one leaves that
// role's password as it is (a new role then has none and cannot log in by
// password: right for a server that uses certificates).
type Roles struct {
	Migrate, App, Sequencer, Auditor, Replay, Retention string
}

// LoginRoles lists the roles that log in, kith_migrate first.
func LoginRoles() []string {
	return []string{RoleMigrate, RoleApp, RoleSequencer, RoleAuditor, RoleReplay, RoleRetention}
}

// Password of the named role; empty for one that is unknown.
func (r Roles) Password(role string) string {
	switch role {
	case RoleMigrate:
		return r.Migrate
	case RoleApp:
		return r.App
	case RoleSequencer:
		return r.Sequencer
	case RoleAuditor:
		return r.Auditor
	case RoleReplay:
		return r.Replay
	case RoleRetention:
		return r.Retention
	}
	return ""
}

// String keeps passwords out of log lines.
func (Roles) String() string { return "roles" }

// GoString keeps passwords out of %#v.
func (Roles) GoString() string { return "postgres.Roles{}" }

// Bootstrap makes in the database of adminDSN everything that must exist before
// a migration can run: roles, schemas, extensions, and the revocations without
// which a temporary table could pose as the log. It may run at every start, and
// for several databases of one server at the same time; roles belong to the
// whole server, the last password given holds. random salts the passwords'
// verifiers: the passwords themselves never travel.
func Bootstrap(ctx context.Context, adminDSN string, roles Roles, random io.Reader) error {
	conn, err := Connect(ctx, adminDSN)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	passwords := map[string]string{}
	for _, name := range LoginRoles() {
		if passwords[name], err = verifier(roles.Password(name), random); err != nil {
			return fmt.Errorf("password of %s: %w", name, err)
		}
	}
	// Another database's bootstrap may change the same role in the same moment
	// ("tuple concurrently updated", "role already exists"): begin again.
	for try := range 10 {
		err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			return bootstrap(ctx, tx, passwords)
		})
		if !hasCode(err, codeInternal, codeUnique, codeDuplicate, codeDeadlock) {
			break
		}
		if !sleep(ctx, time.Duration(try+1)*20*time.Millisecond) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("prepare roles and schemas: %w", Redact(err))
	}
	return nil
}

func bootstrap(ctx context.Context, tx pgx.Tx, passwords map[string]string) error {
	var super bool
	var admin string
	err := tx.QueryRow(ctx, `SELECT rolsuper, rolname FROM pg_roles WHERE rolname = current_user`).Scan(&super, &admin)
	if err != nil {
		return fmt.Errorf("ask who the administrator is: %w", err)
	}
	exec := func(sql string, args ...any) error {
		if len(args) > 0 {
			sql = fmt.Sprintf(sql, args...)
		}
		if _, err := tx.Exec(ctx, sql); err != nil {
			what, _, _ := strings.Cut(sql, " PASSWORD ")
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	for _, name := range append([]string{RoleOwner}, LoginRoles()...) {
		if err := createRole(ctx, tx, name); err != nil {
			return err
		}
		if name == RoleOwner {
			continue
		}
		if v := passwords[name]; v != "" {
			if err := exec("ALTER ROLE %s PASSWORD '%s'", name, v); err != nil {
				return err
			}
		}
		for _, s := range roleSettings(name, super) {
			if err := exec("ALTER ROLE %s SET %s", name, s); err != nil {
				return err
			}
		}
	}
	if err := exec("GRANT %s TO %s", RoleOwner, RoleMigrate); err != nil {
		return err
	}
	if !super {
		// An administrator of a rented server must be a member to act for it.
		if err := exec("GRANT %s TO %s", RoleOwner, pgx.Identifier{admin}.Sanitize()); err != nil {
			return err
		}
	}
	everyone := strings.Join(LoginRoles(), ", ")
	for _, sql := range []string{
		"CREATE SCHEMA IF NOT EXISTS " + Schema + " AUTHORIZATION " + RoleOwner,
		"REVOKE ALL ON SCHEMA " + Schema + " FROM PUBLIC",
		"GRANT USAGE ON SCHEMA " + Schema + " TO " + everyone,
		"CREATE SCHEMA IF NOT EXISTS " + ExtensionSchema,
		"REVOKE ALL ON SCHEMA " + ExtensionSchema + " FROM PUBLIC",
		"GRANT USAGE ON SCHEMA " + ExtensionSchema + " TO " + RoleOwner + ", " + everyone,
		"CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA " + ExtensionSchema,
		"CREATE EXTENSION IF NOT EXISTS fuzzystrmatch SCHEMA " + ExtensionSchema,
		// A new function may be called by nobody until its migration says who:
		// SECURITY DEFINER functions would otherwise be open to every role.
		"ALTER DEFAULT PRIVILEGES FOR ROLE " + RoleOwner + " REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
	} {
		if err := exec(sql); err != nil {
			return err
		}
	}
	if err := CloseDatabase(ctx, tx); err != nil {
		return err
	}
	return checkRoles(ctx, tx)
}

// CloseDatabase takes from PUBLIC what a new database gives it: to connect, to
// create schemas, and above all to create temporary tables, because pg_temp is
// searched first. These rights are the database's own and are not copied from
// a template.
func CloseDatabase(ctx context.Context, tx pgx.Tx) error {
	var name string
	if err := tx.QueryRow(ctx, `SELECT current_database()`).Scan(&name); err != nil {
		return fmt.Errorf("ask for the database's name: %w", err)
	}
	db := pgx.Identifier{name}.Sanitize()
	for _, sql := range []string{
		"REVOKE ALL ON DATABASE " + db + " FROM PUBLIC",
		"GRANT CONNECT ON DATABASE " + db + " TO " + strings.Join(LoginRoles(), ", "),
		"REVOKE ALL ON SCHEMA public FROM PUBLIC",
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func createRole(ctx context.Context, tx pgx.Tx, name string) error {
	var exists bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)`, name).Scan(&exists)
	if err != nil {
		return fmt.Errorf("look for role %s: %w", name, err)
	}
	if exists {
		return nil
	}
	login := "LOGIN"
	if name == RoleOwner {
		login = "NOLOGIN"
	}
	// NOINHERIT: kith_migrate is the owner only where it says so.
	if _, err := tx.Exec(ctx, "CREATE ROLE "+name+" "+login+" NOINHERIT"); err != nil {
		return fmt.Errorf("create role %s: %w", name, err)
	}
	return nil
}

// roleSettings are what a role's sessions begin with. super tells whether the
// administrator may also set what is reserved for superusers.
func roleSettings(role string, super bool) []string {
	s := []string{
		"search_path = " + SearchPath,
		"timezone = 'UTC'",
		"synchronous_commit = on",
		"log_parameter_max_length_on_error = 0",
	}
	if super {
		s = append(s, "log_error_verbosity = terse", "log_parameter_max_length = 0")
	}
	if role != RoleMigrate {
		s = append(s, "idle_in_transaction_session_timeout = '10s'")
	}
	if role == RoleApp {
		s = append(s, "statement_timeout = '3s'", "lock_timeout = '1s'")
	}
	return s
}

// checkRoles looks at what is, since a role may have been made by other hands.
func checkRoles(ctx context.Context, tx pgx.Tx) error {
	names := append([]string{RoleOwner}, LoginRoles()...)
	var strong []string
	err := tx.QueryRow(ctx, `
		SELECT coalesce(array_agg(rolname::text ORDER BY rolname), '{}')
		  FROM pg_roles
		 WHERE rolname = ANY ($1)
		   AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
		        OR (rolname = $2 AND rolcanlogin))`, names, RoleOwner).Scan(&strong)
	if err != nil {
		return fmt.Errorf("look at the roles' attributes: %w", err)
	}
	if len(strong) > 0 {
		return fmt.Errorf("%w: attributes of %s", ErrRoleTooStrong, strings.Join(strong, ", "))
	}
	err = tx.QueryRow(ctx, `
		SELECT coalesce(array_agg(m.rolname || ' in ' || g.rolname ORDER BY 1), '{}')
		  FROM pg_auth_members am
		  JOIN pg_roles m ON m.oid = am.member
		  JOIN pg_roles g ON g.oid = am.roleid
		 WHERE m.rolname = ANY ($1)
		   AND NOT (m.rolname = $2 AND g.rolname = $3)`, names, RoleMigrate, RoleOwner).Scan(&strong)
	if err != nil {
		return fmt.Errorf("look at the roles' memberships: %w", err)
	}
	if len(strong) > 0 {
		return fmt.Errorf("%w: %s", ErrRoleTooStrong, strings.Join(strong, ", "))
	}
	return nil
}

// verifier is what PostgreSQL stores of a password under SCRAM-SHA-256 (RFC
// 5802, RFC 7677). It is made here, since ALTER ROLE … PASSWORD is a statement
// that a server may log. Empty for an empty password.
func verifier(password string, random io.Reader) (string, error) {
	if password == "" {
		return "", nil
	}
	for _, r := range password {
		if r < 0x20 || r > 0x7e {
			// Outside ASCII, SASLprep would have to be applied.
			return "", errors.New("only printable ASCII is allowed")
		}
	}
	const rounds = 4096
	salt := make([]byte, 16)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("make a salt: %w", err)
	}
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive: %w", err)
	}
	sign := func(text string) []byte {
		h := hmac.New(sha256.New, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, b64(salt), b64(stored[:]), b64(sign("Server Key"))), nil
}
