package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// OldestServer is the oldest server_version_num that is accepted: 15.0.
const OldestServer = 150000

// ErrNotDurable refuses a server that may lose a row whose commit it has
// acknowledged; ErrTooOld one that lacks what the schema relies on.
var (
	ErrNotDurable = errors.New("the database server is not durable")
	ErrTooOld     = errors.New("the database server is older than PostgreSQL 15")
)

// Querier is what asks one question: a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// CheckDurable refuses (ErrNotDurable, ErrTooOld) a server on which promise 1,
// no disclosure without a durable log row, could not be kept.
func CheckDurable(ctx context.Context, q Querier) error {
	var version int
	var fsync, fullPages, commit string
	err := q.QueryRow(ctx, `
		SELECT current_setting('server_version_num')::int,
		       current_setting('fsync'),
		       current_setting('full_page_writes'),
		       current_setting('synchronous_commit')`,
	).Scan(&version, &fsync, &fullPages, &commit)
	switch {
	case err != nil:
		return fmt.Errorf("ask the server for its settings: %w", Redact(err))
	case version < OldestServer:
		return fmt.Errorf("%w: version %d.%d", ErrTooOld, version/10000, version%10000)
	case fsync != "on":
		return fmt.Errorf("%w: fsync is %s", ErrNotDurable, fsync)
	case fullPages != "on":
		return fmt.Errorf("%w: full_page_writes is %s", ErrNotDurable, fullPages)
	case commit == "off":
		return fmt.Errorf("%w: synchronous_commit is off for this role", ErrNotDurable)
	}
	return nil
}

// LoggingAdvice says, one sentence a setting, what makes the server write
// personal data into its own log: a failed CHECK prints the row. Empty is
// good. The settings belong to the server's superuser, so the hub can only
// warn.
func LoggingAdvice(ctx context.Context, q Querier) ([]string, error) {
	var verbosity, params, paramsOnError, statements string
	err := q.QueryRow(ctx, `
		SELECT current_setting('log_error_verbosity'),
		       current_setting('log_parameter_max_length'),
		       current_setting('log_parameter_max_length_on_error'),
		       current_setting('log_statement')`,
	).Scan(&verbosity, &params, &paramsOnError, &statements)
	if err != nil {
		return nil, fmt.Errorf("ask the server for its log settings: %w", Redact(err))
	}
	var advice []string
	if verbosity != "terse" {
		advice = append(advice, "log_error_verbosity should be terse: a failed check prints the row to the server's log")
	}
	if params != "0" {
		advice = append(advice, "log_parameter_max_length should be 0: logged statements carry their values")
	}
	if paramsOnError != "0" {
		advice = append(advice, "log_parameter_max_length_on_error should be 0: errors carry the statement's values")
	}
	if statements == "all" || statements == "mod" {
		advice = append(advice, "log_statement should be none or ddl: the server's log would list every access")
	}
	return advice, nil
}
