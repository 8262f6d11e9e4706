package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Hold is a legal hold over one person, one family or one agency. While it
// stands nothing that it covers is erased or dropped.
type Hold struct {
	ID             uuid.UUID
	Person, Family uuid.UUID
	Agency         string
	Reason         string
	ReviewOn       time.Time // a day
	Placed         time.Time
	PlacedFor      string // agency of who placed it
}

// of is what a hold covers, as its certificate has it.
func (k Keeper) of(h *Hold) string {
	switch {
	case h.Person != uuid.Nil:
		return "person " + k.Reference(h.Person)
	case h.Family != uuid.Nil:
		return "family " + h.Family.String()
	}
	return "agency " + h.Agency
}

// Place puts a hold on; it lasts until it is lifted, and is to be looked at
// again on its review day. Errors: ErrEvent, ErrNotLogged.
func (k Keeper) Place(ctx context.Context, e Event, h Hold) (Done, error) {
	covered := 0
	for _, x := range []bool{h.Person != uuid.Nil, h.Family != uuid.Nil, h.Agency != ""} {
		if x {
			covered++
		}
	}
	if covered != 1 || len(h.Reason) < 10 || h.ReviewOn.IsZero() || e.Principal.Worker == uuid.Nil {
		return Done{}, fmt.Errorf("%w: a hold has an officer, one thing that it covers, a reason and a day of review", ErrEvent)
	}
	id, err := k.newID()
	if err != nil {
		return Done{}, err
	}
	var agency *string
	if h.Agency != "" {
		agency = &h.Agency
	}
	e.Kind, e.Outcome, e.Reason, e.Family = KindHold, OutcomeDone, h.Reason, h.Family
	if h.Person != uuid.Nil {
		e.Subjects = []uuid.UUID{h.Person}
	}
	var done Done
	err = postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT kith.lock_disposal()`); err != nil {
			return postgres.Redact(err)
		}
		_, err := tx.Exec(ctx, `INSERT INTO kith.log_hold (id, person, family, agency, reason, review_on, placed_by, placed_for) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			id, orNull(h.Person), orNull(h.Family), agency, h.Reason, h.ReviewOn, e.Principal.Worker, e.Agency)
		if err != nil {
			return postgres.Redact(err)
		}
		e.Details = map[string]string{"step": "placed", "hold": id.String(), "review_on": h.ReviewOn.Format(time.DateOnly)}
		done, err = k.certify(ctx, tx, e, proof.Disposal{Kind: "hold", By: []proof.Officer{officer(&e)}, Rule: "legal hold", Reason: h.Reason, Of: k.of(&h)})
		if err != nil {
			return err
		}
		done.ID = id
		return k.store(ctx, tx, &done)
	})
	if err != nil {
		return Done{}, fmt.Errorf("place hold: %w", err)
	}
	return done, nil
}

// Lift ends a hold. by is the agency whose holds may be lifted; empty is any's.
// Errors: ErrNoHold, ErrEvent, ErrNotLogged.
func (k Keeper) Lift(ctx context.Context, e Event, id uuid.UUID, by string) (Done, error) {
	if e.Reason == "" || e.Principal.Worker == uuid.Nil {
		return Done{}, fmt.Errorf("%w: a hold is lifted by an officer, for a reason", ErrEvent)
	}
	var done Done
	err := postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		h, err := k.hold(ctx, tx, id, by)
		if err != nil {
			return err
		}
		e.Kind, e.Outcome, e.Family = KindHold, OutcomeDone, h.Family
		e.Details = map[string]string{"step": "lifted", "hold": id.String()}
		done, err = k.certify(ctx, tx, e, proof.Disposal{Kind: "lift", By: []proof.Officer{officer(&e)}, Rule: "legal hold", Reason: e.Reason, Of: k.of(&h)})
		if err != nil {
			return err
		}
		done.ID = id
		if err := k.store(ctx, tx, &done); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE kith.log_hold SET lifted_at = clock_timestamp(), lifted_by = $2, lifted_why = $3 WHERE id = $1`, id, e.Principal.Worker, e.Reason)
		return postgres.Redact(err)
	})
	if err != nil {
		return Done{}, fmt.Errorf("lift hold %s: %w", id, err)
	}
	return done, nil
}

// Review keeps a hold, to be looked at again on a later day. Errors: as Lift.
func (k Keeper) Review(ctx context.Context, e Event, id uuid.UUID, by string, next time.Time) (Receipt, error) {
	var receipt Receipt
	err := postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		h, err := k.hold(ctx, tx, id, by)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE kith.log_hold SET review_on = $2 WHERE id = $1`, id, next); err != nil {
			return postgres.Redact(err)
		}
		e.Kind, e.Outcome, e.Family = KindHold, OutcomeDone, h.Family
		e.Details = map[string]string{"step": "reviewed", "hold": id.String(), "review_on": next.Format(time.DateOnly)}
		receipt, err = k.Recorder.Append(ctx, e)
		return err
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("review hold %s: %w", id, err)
	}
	return receipt, nil
}

const selectHolds = `SELECT id, coalesce(person, $1), coalesce(family, $1), coalesce(agency, ''), reason, coalesce(review_on, placed_at::date), placed_at, coalesce(placed_for, '')
  FROM kith.log_hold WHERE lifted_at IS NULL AND ($2 = '' OR placed_for = $2)`

func scanHold(r pgx.CollectableRow) (Hold, error) {
	var h Hold
	return h, r.Scan(&h.ID, &h.Person, &h.Family, &h.Agency, &h.Reason, &h.ReviewOn, &h.Placed, &h.PlacedFor)
}

func (k Keeper) hold(ctx context.Context, tx pgx.Tx, id uuid.UUID, by string) (Hold, error) {
	rows, err := tx.Query(ctx, selectHolds+` AND id = $3 FOR UPDATE`, uuid.Nil, by, id)
	if err != nil {
		return Hold{}, postgres.Redact(err)
	}
	list, err := pgx.CollectRows(rows, scanHold)
	if err != nil {
		return Hold{}, postgres.Redact(err)
	}
	if len(list) == 0 {
		return Hold{}, ErrNoHold
	}
	return list[0], nil
}

// Holds are those that stand, the next to be reviewed first. by is the agency
// whose holds are shown; empty is every one's.
func (k Keeper) Holds(ctx context.Context, by string) ([]Hold, error) {
	rows, err := k.Pool.Query(ctx, selectHolds+` ORDER BY review_on, id`, uuid.Nil, by)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, scanHold)
	if err != nil {
		return nil, fmt.Errorf("list holds: %w", postgres.Redact(err))
	}
	return list, nil
}
