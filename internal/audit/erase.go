package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Keeper erases from the log what must not be kept, and holds what must be.
type Keeper struct {
	Pool     *pgxpool.Pool // role kith_retention
	Recorder *Recorder
}

// Erased says what an erasure did: its certificate is the event.
type Erased struct {
	Events  int64 // whose part about the person was destroyed
	Held    int64 // left as they were, because a legal hold covers them
	Receipt proof.Receipt
}

// Erase destroys one person's parts of all events. e says who does it, on
// whose behalf and why; it must not name the person. The event is durable
// before the parts are gone: an erasure that nobody can account for would be a
// deletion. Errors: ErrEvent, ErrNotLogged.
func (k Keeper) Erase(ctx context.Context, e Event, person uuid.UUID) (Erased, error) {
	var done Erased
	if e.Reason == "" {
		return done, fmt.Errorf("%w: an erasure has a reason", ErrEvent)
	}
	e.Kind, e.Outcome = KindErasure, OutcomeDone
	err := postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT erased, held FROM kith.erase_from_log($1)`, person).Scan(&done.Events, &done.Held); err != nil {
			return err
		}
		if done.Held > 0 {
			e.Outcome = OutcomePartly
		}
		e.Details = map[string]string{"events": strconv.FormatInt(done.Events, 10), "held": strconv.FormatInt(done.Held, 10)}
		receipt, err := k.Recorder.Append(ctx, e)
		done.Receipt = receipt.signed
		return err
	})
	if err != nil {
		return Erased{}, fmt.Errorf("erase from the log: %w", err)
	}
	return done, nil
}

// Hold is a legal hold over one person, one family or one agency.
type Hold struct {
	Person, Family uuid.UUID
	Agency         string
	Reason         string
}

// Place puts a hold on; it lasts until it is lifted.
func (k Keeper) Place(ctx context.Context, h Hold) (uuid.UUID, error) {
	id, err := uuid.NewRandomFromReader(k.Recorder.signer.Random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("place hold: randomness: %w", err)
	}
	var agency *string
	if h.Agency != "" {
		agency = &h.Agency
	}
	_, err = k.Pool.Exec(ctx, `INSERT INTO kith.log_hold (id, person, family, agency, reason) VALUES ($1, $2, $3, $4, $5)`,
		id, orNull(h.Person), orNull(h.Family), agency, h.Reason)
	if err != nil {
		return uuid.Nil, fmt.Errorf("place hold: %w", postgres.Redact(err))
	}
	return id, nil
}

// Lift ends a hold.
func (k Keeper) Lift(ctx context.Context, id uuid.UUID) error {
	tag, err := k.Pool.Exec(ctx, `UPDATE kith.log_hold SET lifted_at = clock_timestamp() WHERE id = $1 AND lifted_at IS NULL`, id)
	if err != nil {
		return fmt.Errorf("lift hold %s: %w", id, postgres.Redact(err))
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("lift hold %s: %w", id, errNoHold)
	}
	return nil
}

var errNoHold = errors.New("no such hold stands")
