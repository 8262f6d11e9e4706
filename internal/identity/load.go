package identity

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// Loaded counts what a directory file changed.
type Loaded struct {
	Agencies         int // in the file
	Workers          int // in the file
	Added, Changed   int // workers
	UnchangedWorkers int // the record says what it said last time
}

// LoadFile reads a directory file and loads it; see [File] and [Load].
func LoadFile(ctx context.Context, pool *pgxpool.Pool, r io.Reader, now time.Time) (Loaded, error) {
	f, err := ReadFile(r)
	if err != nil {
		return Loaded{}, err
	}
	return Load(ctx, pool, f, now)
}

// Load brings a directory file into the database in one transaction: all of it
// or nothing. now is where dates begin that the file leaves open.
func Load(ctx context.Context, pool *pgxpool.Pool, f File, now time.Time) (Loaded, error) {
	f, err := f.complete()
	if err != nil {
		return Loaded{}, err
	}
	var done Loaded
	err = postgres.InTx(ctx, pool, func(tx pgx.Tx) error {
		done = Loaded{Agencies: len(f.Agencies), Workers: len(f.Workers)}
		if err := loadPartnership(ctx, tx, f.Partnership); err != nil {
			return err
		}
		for _, a := range f.Agencies {
			if err := loadAgency(ctx, tx, f.Partnership.Code, a, now); err != nil {
				return fmt.Errorf("load agency %s: %w", a.Code, err)
			}
		}
		return loadWorkers(ctx, tx, f, now, &done)
	})
	if err != nil {
		return Loaded{}, fmt.Errorf("load directory file: %w", postgres.Redact(err))
	}
	return done, nil
}

func loadPartnership(ctx context.Context, tx pgx.Tx, p PartnershipRecord) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO partnership (code, name, desk_name, desk_phone, mash_phone, out_of_hours)
		VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (code) DO UPDATE
		   SET name = excluded.name, desk_name = excluded.desk_name, desk_phone = excluded.desk_phone,
		       mash_phone = excluded.mash_phone, out_of_hours = excluded.out_of_hours
		 WHERE (partnership.name, partnership.desk_name, partnership.desk_phone, partnership.mash_phone, partnership.out_of_hours)
		    IS DISTINCT FROM (excluded.name, excluded.desk_name, excluded.desk_phone, excluded.mash_phone, excluded.out_of_hours)`,
		p.Code, p.Name, p.DeskName, p.DeskPhone, p.MashPhone, p.OutOfHours)
	if err != nil {
		return fmt.Errorf("load partnership %s: %w", p.Code, err)
	}
	return nil
}

func loadAgency(ctx context.Context, tx pgx.Tx, partnership string, a AgencyRecord, now time.Time) error {
	from := now
	if a.ActiveFrom != nil {
		from = *a.ActiveFrom
	}
	// A feed's last delivery that the hub saw itself is not undone by the file.
	_, err := tx.Exec(ctx, `
		INSERT INTO agency (code, partnership, kind, name, legal_controller, ods, ico, contact_name, contact_phone, feed, feed_last, active_from, active_until)
		VALUES ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), $8, $9, $10, $11, $12, $13)
		ON CONFLICT (code) DO UPDATE
		   SET name = excluded.name, legal_controller = excluded.legal_controller, ods = excluded.ods, ico = excluded.ico,
		       contact_name = excluded.contact_name, contact_phone = excluded.contact_phone, feed = excluded.feed,
		       feed_last = greatest(agency.feed_last, excluded.feed_last), active_until = excluded.active_until`,
		a.Code, partnership, a.Kind, a.Name, a.LegalController, a.ODS, a.ICO, a.ContactName, a.ContactPhone, a.Feed, a.FeedLast,
		day(from), dayOf(a.ActiveUntil))
	if err != nil {
		return err
	}
	var kind, ours string
	if err := tx.QueryRow(ctx, `SELECT kind, partnership FROM agency WHERE code = $1`, a.Code).Scan(&kind, &ours); err != nil {
		return err
	}
	if kind != a.Kind || ours != partnership {
		return fmt.Errorf("it is of kind %s in partnership %s, and neither can change", kind, ours)
	}
	return nil
}

func loadWorkers(ctx context.Context, tx pgx.Tx, f File, now time.Time, done *Loaded) error {
	rows, _ := tx.Query(ctx, `SELECT id, file_digest FROM worker WHERE partnership = $1`, f.Partnership.Code)
	known := map[uuid.UUID][]byte{}
	var id uuid.UUID
	var digest []byte
	if _, err := pgx.ForEachRow(rows, []any{&id, &digest}, func() error {
		known[id] = slices.Clone(digest)
		return nil
	}); err != nil {
		return fmt.Errorf("read workers: %w", err)
	}
	for _, w := range f.Workers {
		said, err := digestOf(w)
		if err != nil {
			return fmt.Errorf("worker %s: %w", w.Key, err)
		}
		before, exists := known[w.ID]
		switch {
		case exists && slices.Equal(before, said):
			done.UnchangedWorkers++
			continue
		case exists:
			done.Changed++
		default:
			done.Added++
		}
		if err := loadWorker(ctx, tx, f.Partnership.Code, w, said, now); err != nil {
			return fmt.Errorf("load worker %s: %w", w.Key, err)
		}
	}
	return nil
}

// digestOf names what a record says.
func digestOf(w WorkerRecord) ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

func loadWorker(ctx context.Context, tx pgx.Tx, partnership string, w WorkerRecord, said []byte, now time.Time) error {
	b := &pgx.Batch{}
	// An open start keeps the first loading's day.
	b.Queue(`
		INSERT INTO worker (id, partnership, agency, employer, issuer, subject, name, roles,
		                    active_from, active_until, suspended, training_until, vetting_until, enrolled_at, file_digest)
		VALUES ($1, $2, $3, $4, nullif($5, ''), nullif($6, ''), $7, $8, coalesce($9, $10::date), $11, $12, $13, $14, $15, $16)
		ON CONFLICT (id) DO UPDATE
		   SET agency = excluded.agency, employer = excluded.employer, issuer = excluded.issuer, subject = excluded.subject,
		       name = excluded.name, roles = excluded.roles, active_from = coalesce($9, worker.active_from),
		       active_until = excluded.active_until, suspended = excluded.suspended,
		       training_until = excluded.training_until, vetting_until = excluded.vetting_until, file_digest = excluded.file_digest
		 WHERE worker.partnership = excluded.partnership`,
		w.ID, partnership, w.Agency, w.Employer, w.Issuer, w.Subject, w.Name, w.Roles,
		dayOf(w.ActiveFrom), day(now), dayOf(w.ActiveUntil), w.Suspended, dayOf(w.TrainingUntil), dayOf(w.VettingUntil), now, said)
	for _, c := range w.CaseIDs {
		b.Queue(`
			INSERT INTO worker_case_id (worker, agency, scheme, value)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (agency, scheme, value) DO NOTHING`, w.ID, c.Agency, c.Scheme, c.Value)
	}
	if w.Staff != nil {
		b.Queue(`
			INSERT INTO staff_register (worker, surname, person)
			VALUES ($1, $2, $3)
			ON CONFLICT (worker) DO UPDATE
			   SET surname = excluded.surname, person = excluded.person
			 WHERE (staff_register.surname, staff_register.person) IS DISTINCT FROM (excluded.surname, excluded.person)`,
			w.ID, w.Staff.Surname, optional(w.Staff.Person))
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if err := checkCaseIDs(ctx, tx, w); err != nil {
		return err
	}
	if err := loadTeams(ctx, tx, w, now); err != nil {
		return fmt.Errorf("teams: %w", err)
	}
	if err := loadAcceptances(ctx, tx, w, now); err != nil {
		return fmt.Errorf("acceptances: %w", err)
	}
	if err := loadConflicts(ctx, tx, w, now); err != nil {
		return fmt.Errorf("conflicts: %w", err)
	}
	return nil
}

// checkCaseIDs refuses a case-system id that already names somebody else: an
// allocation feed would give the wrong person access.
func checkCaseIDs(ctx context.Context, tx pgx.Tx, w WorkerRecord) error {
	for _, c := range w.CaseIDs {
		var owner uuid.UUID
		if err := tx.QueryRow(ctx, `
			SELECT worker FROM worker_case_id WHERE agency = $1 AND scheme = $2 AND value = $3`,
			c.Agency, c.Scheme, c.Value).Scan(&owner); err != nil {
			return err
		}
		if owner != w.ID {
			return errors.New("a case-system id of the record names another worker")
		}
	}
	return nil
}

// dayOf is day for a date that may be missing.
func dayOf(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	d := day(*t)
	return &d
}

// optional is nil for the zero id.
func optional(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
