package agreement

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/audit"
	"kith/internal/audit/proof"
	"kith/internal/identity"
	"kith/internal/postgres"
)

// roleSignatory may sign, stop and resume for its agency.
const roleSignatory = "ig-approver"

// maxExtension is how far signatories may move an end without a new agreement.
const maxExtension = 30 * 24 * time.Hour

// Errors of acts on a live agreement.
var (
	ErrUnknown    = errors.New("there is no such agreement, or the agency is no party of it")
	ErrNotOfficer = errors.New("none of the caller's roles does this")
	ErrState      = errors.New("the party's part is not in a state for this")
	ErrSecond     = errors.New("this needs an officer of another party")
	ErrReason     = errors.New("a reason is required")
	ErrTooFar     = errors.New("an end may be moved by 30 days at most, and only later")
	ErrDeputy     = errors.New("a deputy says for whom, and from when to when, and signs within those days")
)

// Live is an agreement as it stands today.
type Live struct {
	ID      string    `json:"id"`
	From    time.Time `json:"-"`
	Review  time.Time `json:"-"`
	End     time.Time `json:"-"`
	Parties []Part    `json:"parties"`
	Open    []Act     `json:"open"` // acts that wait for a second party
}

// Part is one party's part.
type Part struct {
	Agency string    `json:"agency"`
	State  State     `json:"state"`
	Since  time.Time `json:"since"`
	Reason string    `json:"reason,omitempty"`
}

// Act is something that a party did, or asks another party to confirm.
type Act struct {
	ID          uuid.UUID  `json:"id"`
	Kind        string     `json:"kind"` // sign, suspend, resume, extend
	Agency      string     `json:"agency"`
	AskedAgency string     `json:"asked_by"`
	Name        string     `json:"name"`
	Post        string     `json:"post,omitempty"`
	Evidence    string     `json:"evidence,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	Document    string     `json:"document,omitempty"` // digest of the text that was signed
	Deputy      *Deputy    `json:"deputy,omitempty"`   // who signed for the signatory
	EndsOn      *time.Time `json:"-"`
	AskedAt     time.Time  `json:"asked_at"`
	DoneAt      *time.Time `json:"done_at,omitempty"`
}

// Deputy signs in place of a signatory, within days that are recorded.
type Deputy struct {
	For   string    `json:"for"` // the post that is deputised
	From  time.Time `json:"from"`
	Until time.Time `json:"until"` // last day included
}

// holds tells whether the deputising is whole and covers a day.
func (d *Deputy) holds(today time.Time) bool {
	today = today.UTC().Truncate(24 * time.Hour)
	return d == nil || strings.TrimSpace(d.For) != "" && !d.From.IsZero() && !today.Before(d.From) && !today.After(d.Until)
}

// Warning says in how many days a live agreement is due: "review-30", "end-7";
// past its review date "review-past". "" is nothing. An agreement past its
// review warns and denies nothing.
func (l Live) Warning(today time.Time) string {
	for _, d := range []struct {
		what string
		on   time.Time
	}{{"end", l.End}, {"review", l.Review}} {
		if step := stepBefore(d.on, today); step != "" {
			return d.what + "-" + step
		}
	}
	return ""
}

// Register is where officers act on live agreements. What they do acts at once:
// every read asserts the agreements' stamp, which each act raises.
type Register struct {
	Pool        *pgxpool.Pool // role kith_app
	Recorder    *audit.Recorder
	Partnership string
	Random      io.Reader
	Now         func() time.Time // nil = time.Now
}

func (r *Register) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}

// List gives all agreements as they stand, by id.
func (r *Register) List(ctx context.Context) ([]Live, error) {
	rows, _ := r.Pool.Query(ctx, `SELECT id, starts_on, review_on, ends_on FROM agreement WHERE partnership = $1 ORDER BY id`, r.Partnership)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Live, error) {
		l := Live{Parties: []Part{}, Open: []Act{}}
		return l, row.Scan(&l.ID, &l.From, &l.Review, &l.End)
	})
	if err != nil {
		return nil, fmt.Errorf("list agreements: %w", postgres.Redact(err))
	}
	at := map[string]*Live{}
	for i := range list {
		at[list[i].ID] = &list[i]
	}
	rows, _ = r.Pool.Query(ctx, `SELECT agreement, agency, state, since, reason FROM agreement_party ORDER BY agreement, agency`)
	var id string
	var p Part
	if _, err := pgx.ForEachRow(rows, []any{&id, &p.Agency, &p.State, &p.Since, &p.Reason}, func() error {
		if l := at[id]; l != nil {
			l.Parties = append(l.Parties, p)
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list parties: %w", postgres.Redact(err))
	}
	rows, _ = r.Pool.Query(ctx, `SELECT agreement, id, kind, agency, asked_agency, name, post, evidence, reason, ends_on, asked_at, done_at FROM agreement_act WHERE done_at IS NULL ORDER BY asked_at`)
	var a Act
	if _, err := pgx.ForEachRow(rows, []any{&id, &a.ID, &a.Kind, &a.Agency, &a.AskedAgency, &a.Name, &a.Post, &a.Evidence, &a.Reason, &a.EndsOn, &a.AskedAt, &a.DoneAt}, func() error {
		if l := at[id]; l != nil {
			l.Open = append(l.Open, a)
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list acts: %w", postgres.Redact(err))
	}
	return list, nil
}

// Request is what an officer asks of an agreement.
type Request struct {
	Agreement string
	Agency    string // whose part; "" = the caller's own
	Reason    string
	Post      string // of a signatory
	Evidence  string // where the signed paper is
	Document  string // digest of the text that is signed: Text.Digest
	Deputy    *Deputy
	EndsOn    time.Time
	Impact    map[string]string // what it hits, as counts, for the log
	RequestID string
}

// Signed signs for the caller's agency.
func (r *Register) Signed(ctx context.Context, p identity.Principal, q Request) (string, error) {
	return r.act(ctx, p, q, "sign", func(tx pgx.Tx, a *Act) error {
		if strings.TrimSpace(q.Post) == "" || strings.TrimSpace(q.Evidence) == "" {
			return ErrReason // a signature says in which post, and where the paper is
		}
		if !q.Deputy.holds(r.now()) {
			return ErrDeputy
		}
		return r.move(ctx, tx, p, q, a.Agency, Unsigned, Signed)
	})
}

// Suspend stops the caller's own agency's part, alone and at once.
func (r *Register) Suspend(ctx context.Context, p identity.Principal, q Request) (string, error) {
	if q.Agency != "" && q.Agency != p.Agency {
		return "", ErrNotOfficer // nobody stops another's part
	}
	return r.act(ctx, p, q, "suspend", func(tx pgx.Tx, a *Act) error {
		if strings.TrimSpace(q.Reason) == "" {
			return ErrReason
		}
		return r.move(ctx, tx, p, q, a.Agency, Signed, Suspended)
	})
}

// Resume asks that a stopped part goes on, or confirms what another party
// asked: it takes two parties, one of which stopped its part. done tells
// whether it goes on.
func (r *Register) Resume(ctx context.Context, p identity.Principal, q Request) (receipt string, done bool, err error) {
	return r.two(ctx, p, q, "resume", nil, func(tx pgx.Tx, a *Act) error {
		if a.AskedAgency != a.Agency && p.Agency != a.Agency {
			return ErrSecond // the party that stopped is one of the two
		}
		return r.move(ctx, tx, p, q, a.Agency, Suspended, Signed)
	})
}

// Extend asks that an agreement ends later, or confirms it.
func (r *Register) Extend(ctx context.Context, p identity.Principal, q Request) (receipt string, done bool, err error) {
	q.Agency = ""
	return r.two(ctx, p, q, "extend", &q.EndsOn, func(tx pgx.Tx, a *Act) error {
		if a.EndsOn == nil || !a.EndsOn.Equal(q.EndsOn) {
			return ErrState // the second party confirms the date that the first named
		}
		tag, err := tx.Exec(ctx, `
UPDATE agreement SET first_end = coalesce(first_end, ends_on), ends_on = $2
 WHERE id = $1 AND partnership = $3 AND $2 > ends_on AND $2 <= coalesce(first_end, ends_on) + $4::integer`, q.Agreement, q.EndsOn, r.Partnership, int(maxExtension.Hours()/24))
		if err != nil {
			return fmt.Errorf("extend agreement %s: %w", q.Agreement, err)
		}
		if tag.RowsAffected() != 1 {
			return ErrTooFar
		}
		return nil
	})
}

// check that the caller may act, and gives the agency whose part it is about.
func (r *Register) check(p identity.Principal, q Request) (string, error) {
	if p.Worker == uuid.Nil || !slices.Contains(p.Roles, roleSignatory) {
		return "", ErrNotOfficer
	}
	if q.Agency == "" {
		return p.Agency, nil
	}
	return q.Agency, nil
}

// act does something that one party does alone.
func (r *Register) act(ctx context.Context, p identity.Principal, q Request, kind string, do func(pgx.Tx, *Act) error) (string, error) {
	agency, err := r.check(p, q)
	if err != nil {
		return "", err
	}
	if agency != p.Agency {
		return "", ErrNotOfficer
	}
	id, err := uuid.NewRandomFromReader(r.Random)
	if err != nil {
		return "", fmt.Errorf("%s agreement: %w", kind, err)
	}
	var receipt proof.Receipt
	err = postgres.InTx(ctx, r.Pool, func(tx pgx.Tx) error {
		if err := r.lock(ctx, tx, q.Agreement, p.Agency); err != nil {
			return err
		}
		if err := do(tx, &Act{Agency: agency, AskedAgency: p.Agency}); err != nil {
			return err
		}
		var deputised string
		var from, until *time.Time
		if q.Deputy != nil {
			deputised, from, until = q.Deputy.For, &q.Deputy.From, &q.Deputy.Until
		}
		if _, err := tx.Exec(ctx, `INSERT INTO agreement_act (id, agreement, kind, agency, asked_agency, asked_by, name, post, evidence, reason, document, deputy_for, deputy_from, deputy_until, done_at)
			VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, clock_timestamp())`,
			id, q.Agreement, kind, agency, p.Worker, p.WorkerName, q.Post, q.Evidence, q.Reason, q.Document, deputised, from, until); err != nil {
			return fmt.Errorf("record act: %w", err)
		}
		receipt, err = r.Recorder.AppendTx(ctx, tx, r.event(p, q, kind, agency, ""))
		return err
	})
	return receipt.String(), err
}

// two asks for an act of two parties, or confirms what another party asked.
func (r *Register) two(ctx context.Context, p identity.Principal, q Request, kind string, endsOn *time.Time, do func(pgx.Tx, *Act) error) (string, bool, error) {
	agency, err := r.check(p, q)
	if err != nil {
		return "", false, err
	}
	if strings.TrimSpace(q.Reason) == "" {
		return "", false, ErrReason
	}
	id, err := uuid.NewRandomFromReader(r.Random)
	if err != nil {
		return "", false, fmt.Errorf("%s agreement: %w", kind, err)
	}
	var receipt proof.Receipt
	done := false
	err = postgres.InTx(ctx, r.Pool, func(tx pgx.Tx) error {
		done = false
		if err := r.lock(ctx, tx, q.Agreement, p.Agency); err != nil {
			return err
		}
		a := Act{Kind: kind}
		var asker uuid.UUID
		// An extension is about the whole agreement: whoever asked first is the one to confirm.
		err := tx.QueryRow(ctx, `SELECT id, agency, asked_agency, asked_by, ends_on, asked_at FROM agreement_act
			WHERE agreement = $1 AND kind = $2 AND ($2 = 'extend' OR agency = $3) AND done_at IS NULL ORDER BY asked_at LIMIT 1 FOR UPDATE`, q.Agreement, kind, agency).
			Scan(&a.ID, &a.Agency, &a.AskedAgency, &asker, &a.EndsOn, &a.AskedAt)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			if kind == "resume" {
				if err := r.suspended(ctx, tx, q.Agreement, agency); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, `INSERT INTO agreement_act (id, agreement, kind, agency, asked_agency, asked_by, name, post, reason, ends_on) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
				id, q.Agreement, kind, agency, p.Agency, p.Worker, p.WorkerName, q.Post, q.Reason, endsOn); err != nil {
				return fmt.Errorf("ask to %s: %w", kind, err)
			}
			receipt, err = r.Recorder.AppendTx(ctx, tx, r.event(p, q, kind+"-asked", agency, ""))
			return err
		case err != nil:
			return fmt.Errorf("find act: %w", err)
		case a.AskedAgency == p.Agency || asker == p.Worker:
			return ErrSecond
		}
		if err := do(tx, &a); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE agreement_act SET second_agency = $2, second_by = $3, done_at = clock_timestamp() WHERE id = $1`, a.ID, p.Agency, p.Worker); err != nil {
			return fmt.Errorf("confirm %s: %w", kind, err)
		}
		done = true
		receipt, err = r.Recorder.AppendTx(ctx, tx, r.event(p, q, kind, a.Agency, a.AskedAgency))
		return err
	})
	return receipt.String(), done && err == nil, err
}

// lock finds the agreement among this partnership's, with the caller a party.
func (r *Register) lock(ctx context.Context, tx pgx.Tx, id, agency string) error {
	var party bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM agreement a JOIN agreement_party p ON p.agreement = a.id WHERE a.id = $1 AND a.partnership = $2 AND p.agency = $3)`, id, r.Partnership, agency).Scan(&party)
	if err != nil {
		return fmt.Errorf("find agreement: %w", err)
	}
	if !party {
		return ErrUnknown
	}
	_, err = tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('kith.agreement ' || $1, 0))`, id)
	return err
}

func (r *Register) suspended(ctx context.Context, tx pgx.Tx, id, agency string) error {
	var state State
	err := tx.QueryRow(ctx, `SELECT state FROM agreement_party WHERE agreement = $1 AND agency = $2`, id, agency).Scan(&state)
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrUnknown
	}
	if err == nil && state != Suspended {
		return ErrState
	}
	return err
}

// move takes a party's part from one state to another; the trigger on the
// table raises the stamp that every read asserts.
func (r *Register) move(ctx context.Context, tx pgx.Tx, p identity.Principal, q Request, agency string, from, to State) error {
	tag, err := tx.Exec(ctx, `UPDATE agreement_party SET state = $4, since = clock_timestamp(), set_by = $5, reason = $6 WHERE agreement = $1 AND agency = $2 AND state = $3`,
		q.Agreement, agency, from, to, p.Worker, q.Reason)
	if err != nil {
		return fmt.Errorf("move %s of agreement %s: %w", agency, q.Agreement, err)
	}
	if tag.RowsAffected() != 1 {
		return ErrState
	}
	return nil
}

func (r *Register) event(p identity.Principal, q Request, action, agency, asked string) audit.Event {
	e := audit.Event{
		Kind: audit.KindAgreement, Outcome: audit.OutcomeDone, Agency: p.Agency, ActingFor: p.ActingFor, Request: q.RequestID, Reason: q.Reason,
		Principal: proof.Principal{ACR: p.ACR, Client: p.Client, Issuer: p.Issuer, Name: p.WorkerName, Roles: p.Roles, Subject: p.Subject, Worker: p.Worker},
		Details:   map[string]string{"action": action, "agreement": q.Agreement, "party": agency},
	}
	for k, v := range q.Impact {
		e.Details[k] = v
	}
	if asked != "" {
		e.Details["asked_by"] = asked
	}
	if q.Document != "" {
		e.Details["document"] = q.Document
	}
	if q.Deputy != nil {
		e.Details["deputy_for"] = q.Deputy.For
	}
	if !q.EndsOn.IsZero() {
		e.Details["ends_on"] = q.EndsOn.Format(time.DateOnly)
	}
	return e
}
