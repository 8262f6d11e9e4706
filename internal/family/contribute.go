package family

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"kith/internal/postgres"
)

// Sender is who contributes: an agency's system, or a worker of it. What is
// sent becomes the agency's own, whatever the record says.
type Sender struct {
	Partnership string
	Agency      string
	Kind        string    // of the agency
	Worker      uuid.UUID // zero for a system
	Principal   string
	Submission  uuid.UUID // zero where it is no part of one
	Now         time.Time
	Random      io.Reader // of ids and family references; nil means crypto/rand
}

// social tells the kind that hosts the hub: what it says of families, and of
// statutory work, counts at once (domain.md §4).
func (s Sender) social() bool { return s.Kind == "CSC" }

// Outcome of one record.
type Outcome string

// Outcomes. The zero value says that nothing was taken.
const (
	New       Outcome = "new"
	Changed   Outcome = "changed"
	Unchanged Outcome = "unchanged"
)

// Result of a record that was taken.
type Result struct {
	Outcome Outcome
	ID      uuid.UUID // of what it became: person's source record, membership, entry, …
}

// Contribute takes one record, as ContributeAll does.
func Contribute(ctx context.Context, tx pgx.Tx, s Sender, r Record, c Catalogue) (Result, error) {
	results, err := ContributeAll(ctx, tx, s, []Record{r}, c)
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// ContributeAll takes the records of one group, all or none of them, in a
// savepoint of tx, and says what became of each. A record that breaks a rule
// refuses the group with a *FieldError, and tx is as it was before; the caller
// may go on with it. Any other error is one of the database, and tx may be
// beyond use.
//
// It is idempotent: the same records again are unchanged. Two contributions of
// one agency at the same time may find each other's rows; then the later one
// fails with a serialization or uniqueness error and can be sent again.
func ContributeAll(ctx context.Context, tx pgx.Tx, s Sender, records []Record, c Catalogue) ([]Result, error) {
	if s.Agency == "" || s.Partnership == "" || s.Now.IsZero() {
		return nil, errors.New("contribute: sender without agency, partnership or time")
	}
	if s.Random == nil {
		s.Random = rand.Reader
	}
	savepoint, err := tx.Begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("contribute: %w", postgres.Redact(err))
	}
	in := &intake{Sender: s, tx: savepoint, catalogue: c, today: day(s.Now)}
	results, err := in.all(ctx, records)
	if err != nil {
		err = explain(err)
		if back := savepoint.Rollback(ctx); back != nil {
			return nil, fmt.Errorf("contribute: %w", postgres.Redact(errors.Join(err, back)))
		}
		return nil, err
	}
	if err := savepoint.Commit(ctx); err != nil {
		return nil, fmt.Errorf("contribute: %w", postgres.Redact(err))
	}
	return results, nil
}

// intake is one group of records on its way in.
type intake struct {
	Sender
	tx        pgx.Tx
	catalogue Catalogue
	today     time.Time
	adults    []adult     // who must turn out to be tied to a child with open work
	loose     []uuid.UUID // children who may still be without a family
}

type adult struct {
	person uuid.UUID
	field  string // of the record that brought the adult
}

func (in *intake) all(ctx context.Context, records []Record) ([]Result, error) {
	results := make([]Result, 0, len(records))
	for i := range records {
		r, err := in.one(ctx, &records[i])
		if err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	// A family may come after its people, so these wait for the end of the group.
	for _, child := range in.loose {
		if err := in.houseChild(ctx, child); err != nil {
			return nil, err
		}
	}
	for _, a := range in.adults {
		if err := in.checkAdult(ctx, a); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func (in *intake) one(ctx context.Context, r *Record) (Result, error) {
	count := 0
	for _, set := range []bool{r.Person != nil, r.Membership != nil, r.Relationship != nil, r.Harm != nil, r.Episode != nil, r.Involvement != nil, r.Told != nil, r.Entry != nil, r.Worker != nil, r.Purge != nil} {
		if set {
			count++
		}
	}
	if count != 1 {
		return Result{}, &FieldError{"record", "does not hold exactly one kind of record"}
	}
	switch {
	case r.Person != nil:
		return in.person(ctx, r.Person)
	case r.Membership != nil:
		m := r.Membership
		return in.membership(ctx, "membership", m.Person, PersonMembership{Family: m.Family, Role: m.Role, From: m.From, Until: m.Until})
	case r.Relationship != nil:
		return in.relationship(ctx, r.Relationship)
	case r.Harm != nil:
		return in.harm(ctx, r.Harm)
	case r.Episode != nil:
		return in.episode(ctx, r.Episode)
	case r.Involvement != nil:
		return in.involvement(ctx, r.Involvement)
	case r.Told != nil:
		return in.told(ctx, r.Told)
	case r.Worker != nil:
		return in.worker(ctx, r.Worker)
	case r.Purge != nil:
		return in.purgeAll(ctx, r.Purge)
	default:
		return in.entry(ctx, r.Entry)
	}
}

// known is a person of the sender's, found by local id.
type known struct {
	record, person uuid.UUID
	about          string // child, adult, unknown
}

// resolve finds a person by the sender's own id; those of other agencies are
// out of its reach, whatever their ids.
func (in *intake) resolve(ctx context.Context, field, local string) (known, error) {
	if err := label(field, local, true); err != nil {
		return known{}, err
	}
	var k known
	err := in.tx.QueryRow(ctx, `
SELECT r.id, l.person, r.about
  FROM source_record r JOIN person_link l ON l.record = r.id AND l.ended_at IS NULL
 WHERE r.agency = $1 AND r.local_id = $2`, in.Agency, local).Scan(asBytes(&k.record), asBytes(&k.person), &k.about)
	if errors.Is(err, pgx.ErrNoRows) {
		return known{}, &FieldError{field, "names a person that was not sent before"}
	}
	if err != nil {
		return known{}, fmt.Errorf("find person: %w", err)
	}
	return k, nil
}

// checkAdult refuses an adult who is on the hub through no child with open
// work: nobody's patients are uploaded in bulk (domain.md §1). The tie is a
// membership or a relationship that the sender or children's social care gave.
func (in *intake) checkAdult(ctx context.Context, a adult) error {
	var tied bool
	err := in.tx.QueryRow(ctx, `
WITH child AS (
  SELECT kid.person
    FROM membership own JOIN membership kid ON kid.family = own.family AND kid.role = 'child' AND kid.person <> own.person
   WHERE own.person = $1 AND (own.confirmed_by IS NOT NULL OR own.supplied_by = $2) AND (kid.confirmed_by IS NOT NULL OR kid.supplied_by = $2)
     AND (own.valid_until IS NULL OR own.valid_until >= $3) AND (kid.valid_until IS NULL OR kid.valid_until >= $3)
   UNION
  SELECT CASE WHEN r.from_person = $1 THEN r.to_person ELSE r.from_person END
    FROM relationship r
   WHERE (r.from_person = $1 OR r.to_person = $1) AND (r.confirmed_at IS NOT NULL OR r.supplied_by = $2)
     AND (r.valid_until IS NULL OR r.valid_until >= $3))
SELECT EXISTS (SELECT 1 FROM child JOIN episode e ON e.person = child.person
                WHERE NOT e.withdrawn AND e.valid_from <= $3 AND (e.valid_until IS NULL OR e.valid_until >= $3))`,
		a.person, in.Agency, in.today).Scan(&tied)
	if err != nil {
		return fmt.Errorf("look for a child with open work: %w", err)
	}
	if !tied {
		return &FieldError{a.field, "is about an adult who is linked to no child with open work"}
	}
	return nil
}

func (in *intake) newID() (uuid.UUID, error) {
	id, err := uuid.NewRandomFromReader(in.Random)
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an id: %w", err)
	}
	return id, nil
}

// orNull gives NULL for no id.
func orNull(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}

// textOrNull gives NULL for an empty text.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// dayOf reads an optional day.
func dayOf(field, s string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	d, rule := parseDay(s)
	if rule != "" {
		return nil, &FieldError{field, rule}
	}
	return &d, nil
}

// days reads two optional days in order.
func days(field, from, until string, fromName, untilName string) (a, b *time.Time, err error) {
	if a, err = dayOf(field+"."+fromName, from); err != nil {
		return nil, nil, err
	}
	if b, err = dayOf(field+"."+untilName, until); err != nil {
		return nil, nil, err
	}
	if a != nil && b != nil && b.Before(*a) {
		return nil, nil, &FieldError{field + "." + untilName, "lies before its beginning"}
	}
	return a, b, nil
}

func sameDay(a, b *time.Time) bool {
	return a == nil && b == nil || a != nil && b != nil && a.Equal(*b)
}

// explain turns a rule of the schema that a record broke into a refusal: the
// constraint's name says the rule, and no value is repeated.
func explain(err error) error {
	var field *FieldError
	if errors.As(err, &field) {
		return field
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "23514" {
		return &FieldError{pg.TableName, "breaks the rule " + pg.ConstraintName}
	}
	return fmt.Errorf("contribute: %w", postgres.Redact(err))
}
