package postgres

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// WithRole returns dsn with another user and password and, unless database is
// empty, another database; hosts and options stay. Both forms of a DSN are
// taken (postgres://… and key=value), several hosts too.
func WithRole(dsn, user, password, database string) (string, error) {
	if _, err := pgconn.ParseConfig(dsn); err != nil {
		return "", fmt.Errorf("parse database address: %w", err)
	}
	scheme, rest, isURL := strings.Cut(dsn, "://")
	if !isURL {
		out := dsn + " user=" + quoted(user) + " password=" + quoted(password)
		if database != "" {
			out += " dbname=" + quoted(database)
		}
		return out, nil
	}
	// By hand: net/url takes no list of hosts.
	rest, query, _ := strings.Cut(rest, "?")
	authority, path, _ := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		authority = authority[i+1:]
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", fmt.Errorf("parse database address: its options are malformed")
	}
	for _, k := range []string{"user", "password"} {
		values.Del(k)
	}
	if database != "" {
		values.Del("dbname")
		values.Del("database")
		path = url.PathEscape(database)
	}
	out := scheme + "://" + url.UserPassword(user, password).String() + "@" + authority + "/" + path
	if len(values) > 0 {
		// libpq's rules know no plus sign for a blank.
		out += "?" + strings.ReplaceAll(values.Encode(), "+", "%20")
	}
	return out, nil
}

func quoted(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}
