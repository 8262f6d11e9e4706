package disclosure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Corrections tells those who were shown something that it has turned out to be
// wrong since: corrected or withdrawn, by hand or by a feed; questioned, and
// rightly; or another person's, whose record had been linked wrongly. Package
// family notes each with the change itself. Each reader gets an event of their
// own, which stands among their accesses and in the view of their agency's
// privacy officer: ids and versions, no content, and nothing that they were not
// shown then. Any replica may look; nobody is told twice.
type Corrections struct {
	Pool        *pgxpool.Pool // role kith_app
	Recorder    *audit.Recorder
	Log         *audit.Log // finds who was shown what
	Partnership string
	Now         func() time.Time
}

// secondLook is when the log is looked at again: a read that was on its way
// when the entry was corrected has its row by then, or never.
const secondLook = time.Minute

// correction is one that waits.
type correction struct {
	ID          uuid.UUID
	Entry       uuid.UUID
	Version     int
	CorrectedTo *int // nil: there is no right version
	Action      string
	Versions    []int32
	Parts       []int64
	About       []uuid.UUID
	Since       time.Time
	ByWorker    *uuid.UUID
	Last        bool // the second look
}

// Sweep looks after all corrections that wait, and gives how many readers it
// told.
func (c *Corrections) Sweep(ctx context.Context) (told int, err error) {
	rows, _ := c.Pool.Query(ctx, `
SELECT id, entry, version, corrected_to, action, versions, parts, about, since, by_worker, corrected_at <= $2 AS last FROM correction
 WHERE partnership = $1 AND closed_at IS NULL AND (told_at IS NULL OR corrected_at <= $2) ORDER BY corrected_at, id LIMIT 100`,
		c.Partnership, c.Now().Add(-secondLook))
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[correction])
	if err != nil {
		return 0, fmt.Errorf("list corrections: %w", postgres.Redact(err))
	}
	for i := range list {
		n, err := c.tell(ctx, &list[i])
		told += n
		if err != nil {
			return told, fmt.Errorf("tell of correction %s: %w", list[i].ID, err)
		}
	}
	return told, nil
}

// errTaken: another replica looks after it.
var errTaken = errors.New("taken by another replica")

func (c *Corrections) tell(ctx context.Context, x *correction) (told int, err error) {
	receivers, err := c.Log.Received(ctx, x.Parts, x.About, x.Since)
	if err != nil {
		return 0, err
	}
	err = postgres.InTx(ctx, c.Pool, func(tx pgx.Tx) error {
		told = 0
		var id uuid.UUID
		err := tx.QueryRow(ctx, `SELECT id FROM correction WHERE id = $1 AND closed_at IS NULL FOR UPDATE SKIP LOCKED`, x.ID).Scan(&id)
		if errors.Is(err, pgx.ErrNoRows) {
			return errTaken
		}
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		for i := range receivers {
			n, err := c.tellOne(ctx, tx, x, &receivers[i])
			if err != nil {
				return err
			}
			told += n
		}
		sql := `UPDATE correction SET told_at = coalesce(told_at, clock_timestamp()) WHERE id = $1`
		if x.Last {
			sql = `UPDATE correction SET told_at = coalesce(told_at, clock_timestamp()), closed_at = clock_timestamp(), versions = '{}', parts = '{}', about = '{}' WHERE id = $1`
		}
		_, err = tx.Exec(ctx, sql, x.ID)
		return err
	})
	if errors.Is(err, errTaken) {
		return 0, nil
	}
	return told, postgres.Redact(err)
}

// tellOne writes one reader's event, unless there is one. Who corrected it
// knows.
func (c *Corrections) tellOne(ctx context.Context, tx pgx.Tx, x *correction, r *audit.Receiver) (int, error) {
	if x.ByWorker != nil && r.Worker == *x.ByWorker {
		return 0, nil
	}
	var was int32 // the newest version that this reader was shown
	for i, part := range x.Parts {
		if slices.Contains(r.Parts, part) {
			was = max(was, x.Versions[i])
		}
	}
	var known bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM correction_told WHERE correction = $1 AND worker = $2 AND agency = $3)`, x.ID, r.Worker, r.Agency).Scan(&known); err != nil {
		return 0, fmt.Errorf("look whether they know: %w", err)
	}
	if known {
		return 0, nil
	}
	details := map[string]string{"entry": x.Entry.String(), "version": strconv.Itoa(int(was)), "action": x.Action}
	if x.Action == "corrected" && x.CorrectedTo != nil {
		details["corrected_to"] = strconv.Itoa(*x.CorrectedTo)
	}
	receipt, err := c.Recorder.AppendTx(ctx, tx, audit.Event{
		Kind: audit.KindCorrected, Outcome: audit.OutcomeDone, Agency: r.Agency, Principal: proof.Principal{Worker: r.Worker, Name: r.Name},
		Subjects: x.About, Details: details,
	})
	if err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, `INSERT INTO correction_told (correction, worker, agency, event) VALUES ($1, $2, $3, $4)`, x.ID, r.Worker, r.Agency, receipt.Event)
	if err != nil {
		return 0, fmt.Errorf("note who was told: %w", err)
	}
	return 1, nil
}
