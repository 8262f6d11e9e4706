package family

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Batcher sends several statements in one round trip: a pool, a connection or
// a transaction.
type Batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Load reads the facts of one family for one caller in one round trip and
// without a log row.
//
// The stamps are read by the first statement. A change that another session
// commits while the later statements run is either not seen by them, or raised
// a stamp that is now out of date: the access event asserts the stamps of the
// first statement, so a mixture of old and new facts is never acted upon.
//
// The same statements run for a family that does not exist; then Found is
// false and nothing but the caller's own standing is filled in.
func Load(ctx context.Context, db Batcher, of uuid.UUID, c Caller) (Facts, error) {
	l := &loader{facts: Facts{Family: of, Kinds: map[string]string{}}, today: day(c.Now)}
	b := &pgx.Batch{}
	l.queue(b, of, c)
	if err := db.SendBatch(ctx, b).Close(); err != nil {
		return Facts{}, fmt.Errorf("load facts of family %s: %w", of, postgres.Redact(err))
	}
	if !l.facts.Found {
		f := l.facts
		return Facts{
			Family: of, Partnership: f.Partnership, AgreementStamp: f.AgreementStamp, Policy: f.Policy,
			Agreements: f.Agreements, Kinds: map[string]string{}, Worker: f.Worker,
		}, nil
	}
	l.settle()
	l.facts.People, l.facts.Near = relate(l.members, l.ties, l.today)
	return l.facts, nil
}

// loader collects what the statements of one Load return.
type loader struct {
	facts    Facts
	today    time.Time
	members  []member
	ties     []tie
	subjects []subject
}

// subject is one person whom one version of an entry is about, or mentions.
type subject struct {
	version int64
	person  uuid.UUID
	about   bool
}

// day cuts a time to its day in UTC, the only clock that a decision knows.
func day(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

func (l *loader) queue(b *pgx.Batch, of uuid.UUID, c Caller) {
	today, now := l.today, c.Now.UTC()
	b.Queue(selectHead, of, today, c.Agency, c.Worker, now).QueryRow(l.head)
	each(b, l.member, selectMembers, of, today)
	each(b, l.subject, selectSubjects, of, today, c.Agency, c.Worker, now)
	each(b, l.tie, selectTies, of, today)
	each(b, l.work, selectWork, of, today, c.Agency, c.Worker, now, c.Purpose)
	each(b, l.agreement, selectAgreements, c.Agency)
	each(b, l.entry, selectEntries, of, today)
}

// each queues a statement whose rows are taken one by one.
func each(b *pgx.Batch, take func(pgx.Rows) error, sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := take(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

func (l *loader) head(row pgx.Row) error {
	var digest []byte
	f := &l.facts
	err := row.Scan(&f.Partnership, &digest, &f.AgreementStamp, &f.Found, &f.Stamp, &f.Ref,
		&f.Worker.Stamp, &f.Worker.Active, &f.Named, &f.FamilyTeam, &f.Marac, &f.Lead)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // an agency that the hub does not know: nothing is found for it
	}
	if err != nil {
		return fmt.Errorf("read stamps: %w", err)
	}
	if len(digest) == len(f.Policy) {
		copy(f.Policy[:], digest)
	}
	return nil
}

func (l *loader) member(rows pgx.Rows) error {
	var m member
	if err := rows.Scan(asBytes(&m.person), &m.role, &m.from, &m.until, &m.born, &m.expected, &m.died, &m.told); err != nil {
		return fmt.Errorf("read member: %w", err)
	}
	l.members = append(l.members, m)
	return nil
}

// subject takes one row of selectSubjects: a subject of a version, or (version
// 0) what is to be heeded about a person.
func (l *loader) subject(rows pgx.Rows) error {
	var version int64
	var person uuid.UUID
	var relation string
	var restricted bool
	var since *time.Time
	if err := rows.Scan(&version, asBytes(&person), &relation, &restricted, &since); err != nil {
		return fmt.Errorf("read subject: %w", err)
	}
	if version != 0 {
		l.subjects = append(l.subjects, subject{version, person, relation == "about"})
		return nil
	}
	if restricted {
		l.facts.Restricted = append(l.facts.Restricted, person)
	}
	if since != nil {
		l.facts.Protected = append(l.facts.Protected, ProtectionFacts{Person: person, Since: *since})
	}
	return nil
}

func (l *loader) tie(rows pgx.Rows) error {
	var t tie
	if err := rows.Scan(asBytes(&t.from), asBytes(&t.to), &t.kind, &t.since, &t.until); err != nil {
		return fmt.Errorf("read relationship: %w", err)
	}
	if t.kind == harmKind {
		// Several agencies may allege the same.
		if h := (HarmFacts{By: t.from, To: t.to}); !slices.Contains(l.facts.Harm, h) {
			l.facts.Harm = append(l.facts.Harm, h)
		}
		return nil
	}
	l.ties = append(l.ties, t)
	return nil
}

// work takes one row of selectWork, whose first column says what it is.
func (l *loader) work(rows pgx.Rows) error {
	var what, a, b, c string
	var id, person uuid.UUID
	var x, y bool
	if err := rows.Scan(&what, asBytes(&id), asBytes(&person), &a, &b, &c, &x, &y); err != nil {
		return fmt.Errorf("read open work: %w", err)
	}
	f := &l.facts
	switch what {
	case "episode":
		f.Episodes = append(f.Episodes, EpisodeFacts{Person: person, Kind: a, Rating: b})
	case "involvement":
		f.Involvements = append(f.Involvements, InvolvementFacts{Person: person, Source: a, ByName: x, Mine: x || y})
	case "told":
		f.Told = append(f.Told, ToldFacts{Person: person, Agency: c, Agreed: a, Told: b})
	case "grant":
		f.Grants = append(f.Grants, GrantFacts{ID: id, Person: person, Section: a, Level: b, BreakGlass: x, Approved: y})
	}
	return nil
}

func (l *loader) agreement(rows pgx.Rows) error {
	var a AgreementFacts
	var agencies, states []string
	if err := rows.Scan(&a.ID, &a.From, &a.Review, &a.End, &agencies, &states); err != nil {
		return fmt.Errorf("read agreement: %w", err)
	}
	a.Parties = make(map[string]string, len(agencies))
	for i, agency := range agencies {
		a.Parties[agency] = states[i]
	}
	l.facts.Agreements = append(l.facts.Agreements, a)
	return nil
}

func (l *loader) entry(rows pgx.Rows) error {
	var e EntryFacts
	var kind string
	err := rows.Scan(asBytes(&e.Entry), &e.Version, &e.VersionID, &e.Section, &e.Schema, &e.Owner, &kind, &e.SuppliedBy,
		&e.SourceKind, &e.Handling, &e.ExistenceOK, &e.Sensitivity, &e.EventFrom, &e.EventUntil, &e.EventWords, &e.RecordedOn,
		&e.Narrative, &e.Tagged, &e.Contains, &e.Flags, &e.OnwardLabel, &e.Language, &e.Held, &e.Fields,
		&e.FullPart, &e.SummaryPart, &e.SummaryBy, &e.SummaryOn, &e.SummaryReview, &e.EventOf, &e.Questioned)
	if err != nil {
		return fmt.Errorf("read entry: %w", err)
	}
	l.facts.Kinds[e.Owner] = kind
	l.facts.Entries = append(l.facts.Entries, e)
	return nil
}

// settle gives the entries their subjects, and everything an order that depends
// on nothing but itself.
func (l *loader) settle() {
	byPerson := func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(l.subjects, func(a, b subject) int { return byPerson(a.person, b.person) })
	at := make(map[int64]*EntryFacts, len(l.facts.Entries))
	for i := range l.facts.Entries {
		at[l.facts.Entries[i].VersionID] = &l.facts.Entries[i]
	}
	for _, s := range l.subjects {
		switch e := at[s.version]; {
		case e == nil:
		case s.about:
			e.About = append(e.About, s.person)
		default:
			e.Mentions = append(e.Mentions, s.person)
		}
	}
	slices.SortFunc(l.facts.Restricted, byPerson)
	slices.SortFunc(l.facts.Protected, func(a, b ProtectionFacts) int { return byPerson(a.Person, b.Person) })
}

// asBytes lets pgx scan an id by its fast path.
func asBytes(id *uuid.UUID) *[16]byte { return (*[16]byte)(id) }
