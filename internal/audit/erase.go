package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// Errors of a Keeper.
var (
	ErrNoErasure = errors.New("no such erasure is open")
	ErrNoHold    = errors.New("no such hold stands")
	// ErrSecond: the second officer is another person, of another agency.
	ErrSecond = errors.New("an erasure is confirmed by another officer, of another agency")
	ErrAsked  = errors.New("an erasure of this person is open already")
)

// disposalLimit is how long an erasure or a drop may take.
const disposalLimit = 30 * time.Minute

// Keeper erases from the log what must not be kept, holds what must be, and
// drops the months past their retention. Each is an event with a certificate,
// and the event is durable before anything is gone: what nobody can account
// for would be a deletion.
type Keeper struct {
	Pool     *pgxpool.Pool // role kith_retention
	Recorder *Recorder
	// Reference is how a person stands in certificates: (*Log).Reference.
	Reference func(person uuid.UUID) string
	Periods   Periods
	Now       func() time.Time
}

// Done is what an officer is given: the certificate of what was done, and the
// receipt of the event that accounts for it.
type Done struct {
	ID          uuid.UUID // of the hold, or of the erasure
	Certificate proof.Certificate
	Disposal    proof.Disposal
	Receipt     Receipt
}

// Erasure is one that is open.
type Erasure struct {
	ID        uuid.UUID
	Reference string
	Rule      string
	Reason    string
	By        proof.Officer
	Asked     time.Time
}

// AskErasure keeps one officer's request that a person's parts of all events
// be destroyed. e says who asks and why; it must not name the person. rule is
// under what law. Errors: ErrEvent, ErrAsked, ErrNotLogged.
func (k Keeper) AskErasure(ctx context.Context, e Event, person uuid.UUID, rule string) (uuid.UUID, Receipt, error) {
	if e.Reason == "" || rule == "" || person == uuid.Nil || e.Principal.Worker == uuid.Nil {
		return uuid.Nil, Receipt{}, fmt.Errorf("%w: an erasure has an officer, a person, a rule and a reason", ErrEvent)
	}
	id, err := k.newID()
	if err != nil {
		return uuid.Nil, Receipt{}, err
	}
	e.Kind, e.Outcome = KindErasure, OutcomeDone
	e.Details = map[string]string{"step": "asked", "erasure": id.String(), "rule": rule}
	var receipt Receipt
	err = postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO kith.log_erasure (id, person, reference, rule, reason, asked_by, asked_for, asked_name, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			id, person, k.Reference(person), rule, e.Reason, e.Principal.Worker, e.Agency, e.Principal.Name, k.Now())
		if postgres.IsUnique(err, "log_erasure_one_open") {
			return ErrAsked
		}
		if err != nil {
			return postgres.Redact(err)
		}
		receipt, err = k.Recorder.Append(ctx, e)
		return err
	})
	if err != nil {
		return uuid.Nil, Receipt{}, fmt.Errorf("ask for an erasure: %w", err)
	}
	return id, receipt, nil
}

// Erasures are those that wait for a second officer.
func (k Keeper) Erasures(ctx context.Context) ([]Erasure, error) {
	rows, err := k.Pool.Query(ctx, `SELECT id, reference, rule, reason, asked_by, asked_name, asked_for, asked_at FROM kith.log_erasure WHERE state = 'open' ORDER BY asked_at, id`)
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", postgres.Redact(err))
	}
	list, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Erasure, error) {
		var x Erasure
		return x, r.Scan(&x.ID, &x.Reference, &x.Rule, &x.Reason, &x.By.Worker, &x.By.Name, &x.By.Agency, &x.Asked)
	})
	if err != nil {
		return nil, fmt.Errorf("list erasures: %w", postgres.Redact(err))
	}
	return list, nil
}

// WithdrawErasure ends one without erasing: any officer may. Errors:
// ErrNoErasure, ErrNotLogged.
func (k Keeper) WithdrawErasure(ctx context.Context, e Event, id uuid.UUID) (Receipt, error) {
	e.Kind, e.Outcome = KindErasure, OutcomeDone
	e.Details = map[string]string{"step": "withdrawn", "erasure": id.String()}
	var receipt Receipt
	err := postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE kith.log_erasure SET state = 'withdrawn', person = NULL, ended_at = $2 WHERE id = $1 AND state = 'open'`, id, k.Now())
		if err != nil {
			return postgres.Redact(err)
		}
		if tag.RowsAffected() != 1 {
			return ErrNoErasure
		}
		receipt, err = k.Recorder.Append(ctx, e)
		return err
	})
	if err != nil {
		return Receipt{}, fmt.Errorf("withdraw erasure %s: %w", id, err)
	}
	return receipt, nil
}

// erasedPart is a row of erase_person.
type erasedPart struct {
	Event uuid.UUID
	Part  int
	Whole bool
	Held  bool
}

// Erase is the second officer's word: it destroys the person's parts of all
// events, with their salts and the search copies that came of them. Leaves and
// proofs stay valid. Held events stay whole and are counted. Errors:
// ErrNoErasure, ErrSecond, ErrNotLogged.
func (k Keeper) Erase(ctx context.Context, e Event, id uuid.UUID) (Done, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disposalLimit) // a client that hangs up must not leave an event that is not true
	defer cancel()
	var done Done
	err := postgres.InTx(ctx, k.Pool, func(tx pgx.Tx) error {
		var person uuid.UUID
		var first proof.Officer
		d := proof.Disposal{Kind: "erasure"}
		err := tx.QueryRow(ctx, `SELECT person, reference, rule, reason, asked_by, asked_name, asked_for FROM kith.log_erasure WHERE id = $1 AND state = 'open' FOR UPDATE`, id).
			Scan(&person, &d.Of, &d.Rule, &d.Reason, &first.Worker, &first.Name, &first.Agency)
		if errors.Is(err, pgx.ErrNoRows) {
			return ErrNoErasure
		}
		if err != nil {
			return postgres.Redact(err)
		}
		if e.Principal.Worker == uuid.Nil || e.Principal.Worker == first.Worker || e.Agency == first.Agency {
			return ErrSecond
		}
		rows, err := tx.Query(ctx, `SELECT event, part, whole, held FROM kith.erase_person($1)`, person)
		if err != nil {
			return postgres.Redact(err)
		}
		parts, err := pgx.CollectRows(rows, pgx.RowToStructByPos[erasedPart])
		if err != nil {
			return postgres.Redact(err)
		}
		count(&d, parts)
		d.By = []proof.Officer{first, officer(&e)}
		e.Kind, e.Outcome, e.Reason = KindErasure, OutcomeDone, d.Reason
		if d.Held > 0 {
			e.Outcome = OutcomePartly
		}
		e.Details = map[string]string{"step": "done", "erasure": id.String(), "events": strconv.FormatInt(d.Events, 10), "held": strconv.FormatInt(d.Held, 10)}
		if done, err = k.certify(ctx, tx, e, d); err != nil {
			return err
		}
		done.ID = id
		if err := k.store(ctx, tx, &done); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE kith.log_erasure SET state = 'done', person = NULL, second_by = $2, second_for = $3, ended_at = $4, certificate = $5 WHERE id = $1`,
			id, e.Principal.Worker, e.Agency, k.Now(), done.Disposal.ID)
		return postgres.Redact(err)
	})
	if err != nil {
		return Done{}, fmt.Errorf("erase from the log: %w", err)
	}
	return done, nil
}

// count sums up what was erased; the digest is over event and part of each.
func count(d *proof.Disposal, parts []erasedPart) {
	slices.SortFunc(parts, func(a, b erasedPart) int { return bytes.Compare(a.Event[:], b.Event[:]) })
	sum := sha256.New()
	for _, p := range parts {
		if p.Held {
			d.Held++
			continue
		}
		d.Events++
		if p.Part > 0 {
			d.Parts++
			sum.Write(binary.BigEndian.AppendUint32(p.Event[:], uint32(p.Part)))
		}
		if p.Whole {
			d.Parts++
			sum.Write(binary.BigEndian.AppendUint32(p.Event[:], 0))
		}
	}
	sum.Sum(d.Digest[:0])
}

func officer(e *Event) proof.Officer {
	return proof.Officer{Worker: e.Principal.Worker, Name: e.Principal.Name, Agency: e.Agency}
}

func (k Keeper) newID() (uuid.UUID, error) {
	id, err := uuid.NewRandomFromReader(k.Recorder.signer.Random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("randomness: %w", err)
	}
	return id, nil
}

// certify makes the certificate, logs the event that names it, and signs it.
func (k Keeper) certify(ctx context.Context, q postgres.Querier, e Event, d proof.Disposal) (Done, error) {
	var err error
	if d.ID, err = k.newID(); err != nil {
		return Done{}, err
	}
	d.Made = k.Now()
	if err := q.QueryRow(ctx, `SELECT coalesce((SELECT origin FROM kith.log_head ORDER BY number DESC LIMIT 1), '')`).Scan(&d.Log); err != nil {
		return Done{}, fmt.Errorf("find the log: %w", postgres.Redact(err))
	}
	body, err := proof.EncodeDisposal(d)
	if err != nil {
		return Done{}, err
	}
	c := proof.Certificate{Body: body}
	e.Details[proof.DetailCertificate] = c.Sum().String()
	receipt, err := k.Recorder.Append(ctx, e)
	if err != nil {
		return Done{}, err
	}
	c = proof.SignCertificate(k.Recorder.signer.Key, k.Recorder.replica, receipt.Event(), body)
	return Done{Certificate: c, Disposal: d, Receipt: receipt}, nil
}

// store keeps a certificate with what it says, in one transaction.
func (k Keeper) store(ctx context.Context, tx pgx.Tx, done *Done) error {
	d, c := &done.Disposal, &done.Certificate
	agencies := []string{}
	for _, o := range d.By {
		if !slices.Contains(agencies, o.Agency) {
			agencies = append(agencies, o.Agency)
		}
	}
	var class, month *string
	if d.Kind == "drop" {
		first := d.Month + "-01"
		class, month = &d.Class, &first
	}
	_, err := tx.Exec(ctx, `INSERT INTO kith.log_certificate (id, kind, event, made_at, agencies, body, replica, signature, class, month) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::date)`,
		d.ID, d.Kind, c.Event, d.Made, agencies, []byte(c.Body), c.Replica, c.Signature, class, month)
	if err != nil {
		return fmt.Errorf("keep certificate %s: %w", d.ID, postgres.Redact(err))
	}
	return nil
}
