package audit

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// appendLimit is how long an append that was cut off from its caller may take.
const appendLimit = 3 * time.Second

// Recorder appends events that release nothing. It is safe for concurrent use.
type Recorder struct {
	pool    *pgxpool.Pool // role kith_app
	signer  *Signer
	replica string // id of the signer's key
	gate    func() error
}

// NewRecorder refuses an incomplete signer.
func NewRecorder(pool *pgxpool.Pool, signer *Signer) (*Recorder, error) {
	key, err := signer.PublicKey()
	if err != nil {
		return nil, err
	}
	return &Recorder{pool: pool, signer: signer, replica: key.ID()}, nil
}

// Append logs an event in a transaction of its own and returns once it is
// durable. The caller's cancellation does not stop it: a client that hangs up
// must not be able to keep its attempt out of the log. Errors: ErrEvent,
// ErrNotLogged (answer 503).
func (r *Recorder) Append(ctx context.Context, e Event) (Receipt, error) {
	if len(e.Released) > 0 {
		return Receipt{}, fmt.Errorf("%w: what releases something goes through Row.Queue", ErrEvent)
	}
	row, err := r.signer.seal(e, r.replica)
	if err != nil {
		return Receipt{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendLimit)
	defer cancel()

	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(setDurable)
	b.Queue(insertRow, row.args()...)
	b.Queue("COMMIT")
	results := r.pool.SendBatch(ctx, b)
	inserted, err := readAppend(results)
	if closeErr := results.Close(); err == nil && closeErr != nil {
		err = postgres.Redact(closeErr)
	}
	if err == nil && inserted != 1 {
		err = errors.New("no row inserted")
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("append event %s: %w: %w", row.ID(), ErrNotLogged, err)
	}
	return Receipt{signed: row.receipt}, nil
}

// AppendTx logs a change in the transaction that makes it: both stand or
// neither. The promise that it returns may be handed out once tx is committed.
// Errors: ErrEvent, ErrNotLogged; after either the transaction must be rolled back.
func (r *Recorder) AppendTx(ctx context.Context, tx pgx.Tx, e Event) (proof.Receipt, error) {
	if len(e.Released) > 0 {
		return proof.Receipt{}, fmt.Errorf("%w: what releases something goes through Row.Queue", ErrEvent)
	}
	row, err := r.signer.seal(e, r.replica)
	if err != nil {
		return proof.Receipt{}, err
	}
	b := &pgx.Batch{}
	b.Queue(setDurable)
	b.Queue(insertRow, row.args()...)
	results := tx.SendBatch(ctx, b)
	_, err = results.Exec()
	if err == nil {
		_, err = results.Exec()
	}
	if closeErr := results.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return proof.Receipt{}, fmt.Errorf("append event %s: %w: %w", row.ID(), ErrNotLogged, postgres.Redact(err))
	}
	return row.receipt, nil
}

// Guard sets what is asked before anything can be released: a log that was
// rolled back, or is too far behind, must not be read past. What is logged
// without releasing anything goes on. Call it before the recorder is used.
func (r *Recorder) Guard(gate func() error) { r.gate = gate }

// Seal gives the one door a row for Queue. Errors: ErrEvent, and what the
// guard says: then nothing may be released (answer 503).
func (r *Recorder) Seal(e Event) (*Row, error) {
	if r.gate != nil {
		if err := r.gate(); err != nil {
			return nil, err
		}
	}
	return r.signer.seal(e, r.replica)
}

// An alert's kind is a code, so that no name can slip in.
var alertKind = regexp.MustCompile(`^[a-z][a-z-]{1,39}$`)

const insertAlert = `INSERT INTO kith.alert (id, partnership, kind, event) VALUES ($1, $2, $3, $4)`

// Raise raises an alert that refers to an event (uuid.Nil where there is none),
// detached from the caller's cancellation.
func (r *Recorder) Raise(ctx context.Context, kind string, event uuid.UUID) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), appendLimit)
	defer cancel()
	return r.raise(ctx, r.pool.Exec, kind, event)
}

// RaiseTx raises an alert that stands or falls with a transaction.
func (r *Recorder) RaiseTx(ctx context.Context, tx pgx.Tx, kind string, event uuid.UUID) error {
	return r.raise(ctx, tx.Exec, kind, event)
}

func (r *Recorder) raise(ctx context.Context, exec func(context.Context, string, ...any) (pgconn.CommandTag, error), kind string, event uuid.UUID) error {
	if !alertKind.MatchString(kind) {
		return fmt.Errorf("alert kind %q is not a code", kind)
	}
	id, err := uuid.NewRandomFromReader(r.signer.Random)
	if err != nil {
		return fmt.Errorf("raise alert: randomness: %w", err)
	}
	if _, err := exec(ctx, insertAlert, id, r.signer.Partnership, kind, orNull(event)); err != nil {
		return fmt.Errorf("raise alert %s: %w", kind, postgres.Redact(err))
	}
	return nil
}
