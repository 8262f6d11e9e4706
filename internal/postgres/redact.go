package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// SQLSTATE codes that the hub decides by.
const (
	codeReadOnly      = "25006"
	codeSerialization = "40001"
	codeDeadlock      = "40P01"
	codeUnique        = "23505"
	codeDuplicate     = "42710"
	codeInternal      = "XX000"
)

// withheld stands where PostgreSQL quoted a value.
const withheld = "(value withheld)"

// pgx quotes an argument that it cannot encode.
var encodeFailure = regexp.MustCompile(`failed to encode args\[\d+\]`)

// shownClasses are the SQLSTATE classes whose messages name tables, columns,
// constraints and roles, never a value. Messages of every other class (22, data
// exceptions, above all) quote what was sent. P0 are our own RAISEs.
const shownClasses = "|08|23|25|28|40|42|53|55|57|58|P0|"

// Redact returns err without the values that PostgreSQL and pgx quote in it:
// details, contexts, and the messages that repeat what was sent. The
// *pgconn.PgError inside stays reachable by errors.As, scrubbed, so that a
// caller can still decide by its code or its constraint's name. Errors of
// connections opened by this package are scrubbed already; Redact also covers
// what pgx itself says of arguments and columns.
func Redact(err error) error {
	if err == nil {
		return nil
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		scrub(pg)
		return err
	}
	var scan pgx.ScanArgError
	if errors.As(err, &scan) {
		return fmt.Errorf("scan column %d (%s): %s", scan.ColumnIndex, scan.FieldName, withheld)
	}
	if at := encodeFailure.FindString(err.Error()); at != "" {
		return errors.New(at + ": " + withheld)
	}
	return err
}

// scrub empties in place what may hold a row's values. PgError builds its text
// when asked, so errors that wrap it by value of the pointer change with it.
func scrub(e *pgconn.PgError) {
	e.Detail, e.Where, e.InternalQuery, e.Hint = "", "", "", ""
	if len(e.Code) < 2 || !strings.Contains(shownClasses, "|"+e.Code[:2]+"|") {
		e.Message = withheld
	}
}

// IsUnique tells whether err is a violation of the named unique constraint, or
// of any when constraint is empty.
func IsUnique(err error, constraint string) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == codeUnique &&
		(constraint == "" || pg.ConstraintName == constraint)
}

func hasCode(err error, codes ...string) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	for _, c := range codes {
		if pg.Code == c {
			return true
		}
	}
	return false
}

// scrubber sits in every connection as pgx's tracer, because that is where pgx
// hands out the very error that the caller will get. So no caller has to
// remember to redact.
type scrubber struct{}

func scrubErr(err error) {
	var pg *pgconn.PgError
	if err != nil && errors.As(err, &pg) {
		scrub(pg)
	}
}

// TraceQueryStart implements pgx.QueryTracer.
func (scrubber) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd implements pgx.QueryTracer.
func (scrubber) TraceQueryEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	scrubErr(d.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (scrubber) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

// TraceBatchQuery implements pgx.BatchTracer.
func (scrubber) TraceBatchQuery(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchQueryData) {
	scrubErr(d.Err)
}

// TraceBatchEnd implements pgx.BatchTracer.
func (scrubber) TraceBatchEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceBatchEndData) {
	scrubErr(d.Err)
}

// TraceCopyFromStart implements pgx.CopyFromTracer.
func (scrubber) TraceCopyFromStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceCopyFromStartData) context.Context {
	return ctx
}

// TraceCopyFromEnd implements pgx.CopyFromTracer.
func (scrubber) TraceCopyFromEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceCopyFromEndData) {
	scrubErr(d.Err)
}

// TracePrepareStart implements pgx.PrepareTracer.
func (scrubber) TracePrepareStart(ctx context.Context, _ *pgx.Conn, _ pgx.TracePrepareStartData) context.Context {
	return ctx
}

// TracePrepareEnd implements pgx.PrepareTracer.
func (scrubber) TracePrepareEnd(_ context.Context, _ *pgx.Conn, d pgx.TracePrepareEndData) {
	scrubErr(d.Err)
}
