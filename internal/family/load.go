package family

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
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
	return load(ctx, db, of, c, nil)
}

// finish makes facts of the rows.
func (l *loader) finish() Facts {
	if !l.facts.Found {
		f := l.facts
		return Facts{
			Family: f.Family, Partnership: f.Partnership, AgreementStamp: f.AgreementStamp, Policy: f.Policy,
			Agreements: f.Agreements, Kinds: map[string]string{}, Worker: f.Worker,
		}
	}
	l.settle()
	l.facts.People, l.facts.Near = relate(l.members, l.ties, l.today)
	return l.facts
}

// loader collects what the statements of one Load return.
type loader struct {
	facts   Facts
	today   time.Time
	members []member
	ties    []tie
	at      map[int64]int // index into facts.Entries by version
	words   map[string]string
}

// day cuts a time to its day in UTC, the only clock that a decision knows.
func day(t time.Time) time.Time {
	t = t.UTC()
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}

func (l *loader) queue(b *pgx.Batch, of uuid.UUID, c Caller) {
	today, now := l.today, c.Now.UTC()
	b.Queue(selectHead, of, today, c.Agency, c.Worker).QueryRow(l.head)
	b.Queue(selectPeople, of, today, c.Agency, c.Worker, now, c.Purpose).Query(l.people)
	b.Queue(selectAgreements, c.Agency).Query(l.agreements)
	if f := c.Few; f != nil {
		b.Queue(selectFewEntries, of, today, c.Agency, c.Worker, now, notNil(f.Sections), f.Since, orNull(f.Entry), orNull(f.Person)).Query(l.entries)
		return
	}
	b.Queue(selectEntries, of, today, c.Agency, c.Worker, now).Query(l.entries)
}

func (l *loader) head(row pgx.Row) error {
	var digest []byte
	f := &l.facts
	err := row.Scan(&f.Partnership, &digest, &f.AgreementStamp, &f.Found, &f.Stamp, &f.Ref,
		&f.Worker.Stamp, &f.Worker.Active, &f.Named)
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

// word takes a text column. The same few codes stand in every row, so each is
// kept once; NULL is empty.
type word struct {
	known map[string]string
	text  string
}

// ScanBytes is pgx's way to a column without a copy of its own.
func (w *word) ScanBytes(v []byte) error {
	text, ok := w.known[string(v)]
	if !ok {
		text = string(v)
		w.known[text] = text
	}
	w.text = text
	return nil
}

// people takes the rows of selectPeople.
func (l *loader) people(rows pgx.Rows) error {
	var id, other pgtype.UUID
	var person uuid.UUID
	what, a, b, c := word{known: l.words}, word{known: l.words}, word{known: l.words}, word{known: l.words}
	var x, y bool
	var days [5]*time.Time
	f := &l.facts
	for rows.Next() {
		if err := rows.Scan(&what, &id, asBytes(&person), &other, &a, &b, &c, &x, &y, &days[0], &days[1], &days[2], &days[3], &days[4]); err != nil {
			return fmt.Errorf("read people: %w", err)
		}
		switch what.text {
		case "member":
			l.members = append(l.members, member{person: person, role: a.text, from: days[0], until: days[1], born: days[2], expected: days[3], died: days[4], told: x})
		case "tie":
			l.ties = append(l.ties, tie{from: person, to: other.Bytes, kind: a.text, since: days[0], until: days[1]})
			if a.text == "partner" {
				f.Couples = append(f.Couples, CoupleFacts{A: person, B: other.Bytes, Status: b.text, Since: days[0], Until: days[1], Source: c.text})
			}
		case "harm":
			// Several agencies may allege the same.
			if h := (HarmFacts{By: person, To: other.Bytes}); !slices.Contains(f.Harm, h) {
				f.Harm = append(f.Harm, h)
			}
		case "episode":
			f.Episodes = append(f.Episodes, EpisodeFacts{Person: person, Kind: a.text, Rating: b.text})
			f.Marac, f.Lead = f.Marac || x, f.Lead || y
		case "involvement":
			f.Involvements = append(f.Involvements, InvolvementFacts{Person: person, Source: a.text, ByName: x, Mine: x || b.text != ""})
			f.FamilyTeam = f.FamilyTeam || b.text == "CSC"
		case "elsewhere": // of another agency: only whether it is the caller's team there
			f.FamilyTeam = f.FamilyTeam || b.text == "CSC"
		case "grant":
			kind, giver, _ := strings.Cut(c.text, " ")
			f.Grants = append(f.Grants, GrantFacts{ID: id.Bytes, Person: person, Section: a.text, Level: b.text, Giver: giver, GiverKind: kind, BreakGlass: x, Approved: y})
		case "told":
			f.Told = append(f.Told, ToldFacts{Person: person, Agency: c.text, Agreed: a.text, Told: b.text, At: days[0], Review: days[1]})
		case "restricted":
			l.restricted(person)
		case "protected":
			l.protected(person, days[0])
		default:
			return fmt.Errorf("read people: a row is about %q", what.text)
		}
	}
	return rows.Err()
}

func (l *loader) restricted(person uuid.UUID) {
	if !slices.Contains(l.facts.Restricted, person) {
		l.facts.Restricted = append(l.facts.Restricted, person)
	}
}

// protected keeps the earliest day of several.
func (l *loader) protected(person uuid.UUID, since *time.Time) {
	if since == nil {
		return
	}
	for i := range l.facts.Protected {
		if p := &l.facts.Protected[i]; p.Person == person {
			if since.Before(p.Since) {
				p.Since = *since
			}
			return
		}
	}
	l.facts.Protected = append(l.facts.Protected, ProtectionFacts{Person: person, Since: *since})
}

func (l *loader) agreements(rows pgx.Rows) error {
	for rows.Next() {
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
	}
	return rows.Err()
}

// entries takes the rows of selectEntries: an entry has one for each of its
// subjects.
func (l *loader) entries(rows pgx.Rows) error {
	l.at = map[int64]int{}
	var e EntryFacts
	var person uuid.UUID
	var about, restricted bool
	var since *time.Time
	var w [12]word
	for i := range w {
		w[i].known = l.words
	}
	var eventOf pgtype.UUID
	into := []any{&e.VersionID, asBytes(&person), &about, &restricted, &since,
		asBytes(&e.Entry), &e.Version, &w[0], &w[1], &w[2], &w[3], &w[4],
		&w[5], &w[6], &e.ExistenceOK, &e.Sensitivity, &e.EventFrom, &e.EventUntil, &w[7], &e.RecordedOn,
		&e.Narrative, &e.Tagged, &e.Contains, &e.Flags, &w[8], &w[9], &w[10], &e.Fields,
		&e.FullPart, &e.SummaryPart, &w[11], &e.SummaryOn, &e.SummaryReview, &eventOf, &e.Questioned}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read entry: %w", err)
		}
		i, seen := l.at[e.VersionID]
		if !seen {
			e.Section, e.Schema, e.Owner, e.SuppliedBy, e.SourceKind, e.Handling = w[0].text, w[1].text, w[2].text, w[4].text, w[5].text, w[6].text
			e.EventWords, e.OnwardLabel, e.Language, e.Held, e.SummaryBy = w[7].text, w[8].text, w[9].text, w[10].text, w[11].text
			e.EventOf = nil
			if eventOf.Valid {
				linked := uuid.UUID(eventOf.Bytes)
				e.EventOf = &linked
			}
			for _, list := range []*[]string{&e.Contains, &e.Flags, &e.Fields} {
				if *list == nil {
					*list = []string{}
				}
			}
			l.facts.Kinds[e.Owner] = w[3].text
			i = len(l.facts.Entries)
			l.at[e.VersionID] = i
			l.facts.Entries = append(l.facts.Entries, e)
		}
		if about {
			l.facts.Entries[i].About = append(l.facts.Entries[i].About, person)
		} else {
			l.facts.Entries[i].Mentions = append(l.facts.Entries[i].Mentions, person)
		}
		if restricted {
			l.restricted(person)
		}
		l.protected(person, since)
		// What was handed on must not be written over by the next row.
		e.Contains, e.Flags, e.Fields = nil, nil, nil
	}
	return rows.Err()
}

// settle gives everything an order that depends on nothing but itself.
func (l *loader) settle() {
	byPerson := func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }
	slices.SortFunc(l.facts.Entries, func(a, b EntryFacts) int {
		if c := a.RecordedOn.Compare(b.RecordedOn); c != 0 {
			return c
		}
		return byPerson(a.Entry, b.Entry)
	})
	for i := range l.facts.Entries {
		slices.SortFunc(l.facts.Entries[i].About, byPerson)
		slices.SortFunc(l.facts.Entries[i].Mentions, byPerson)
	}
	slices.SortFunc(l.facts.Restricted, byPerson)
	slices.SortFunc(l.facts.Protected, func(a, b ProtectionFacts) int { return byPerson(a.Person, b.Person) })
}

// asBytes lets pgx scan an id by its fast path.
func asBytes(id *uuid.UUID) *[16]byte { return (*[16]byte)(id) }
