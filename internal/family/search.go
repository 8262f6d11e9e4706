package family

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// SearchScope says in which families a caller can find anybody at all under a
// purpose. It is wider than what a decision will allow and depends on the
// caller's own work alone. The zero value is nowhere.
type SearchScope struct {
	Kind     string   // "involvement", "open-work", "listed", "everybody"
	Works    []string // kinds of open work, for open-work and listed
	Sections []string // that the caller can have of other agencies
}

// Match is one key that matches one term. The identifier's version is 0.
type Match struct {
	Version int64
	Term    string
	Fields  []string // of the content; it counts only where all of them are shown
	Score   int      // of 100
}

// Candidate is somebody who may be meant. It says nothing of what the caller
// may know: Best is what the score would be if everything were shown.
type Candidate struct {
	Person   uuid.UUID
	Families []uuid.UUID
	Best     int
	Matches  []Match
}

// Candidates of one search, best first; filled when the batch is read.
type Candidates struct{ List []Candidate }

// QueueSearch queues the look at the search keys behind the access event of the
// search; PostgreSQL gives nothing out unless that event is committed on the
// same connection. What comes back are ids and scores: keys never leave the
// database.
func QueueSearch(b *pgx.Batch, partnership string, c Caller, q SearchQuery, s SearchScope, most int) (*Candidates, error) {
	asked, err := json.Marshal(q.asked)
	if err != nil {
		return nil, fmt.Errorf("write search: %w", err)
	}
	found := &Candidates{}
	list := func(s []string) []string { return append([]string{}, s...) }
	b.Queue(`SELECT * FROM search_candidates($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		partnership, c.Worker, c.Agency, c.Now.UTC(), s.Kind, list(s.Works), list(s.Sections), json.RawMessage(asked), most).Query(found.take)
	return found, nil
}

func (f *Candidates) take(rows pgx.Rows) error {
	for rows.Next() {
		var person uuid.UUID
		var families []uuid.UUID
		var best int
		var version *int64
		var m Match
		if err := rows.Scan(asBytes(&person), &families, &best, &version, &m.Term, &m.Fields, &m.Score); err != nil {
			return fmt.Errorf("read candidates: %w", err)
		}
		if version != nil {
			m.Version = *version
		}
		if n := len(f.List); n == 0 || f.List[n-1].Person != person {
			f.List = append(f.List, Candidate{Person: person, Families: families, Best: best})
		}
		c := &f.List[len(f.List)-1]
		c.Matches = append(c.Matches, m)
	}
	return rows.Err()
}

// Numbering is an agency whose case-system numbers may be searched by.
type Numbering struct{ Agency, Kind string }

// Numberings lists the partnership's agencies, by code.
func Numberings(ctx context.Context, db *pgxpool.Pool, partnership string) ([]Numbering, error) {
	rows, _ := db.Query(ctx, `SELECT a.code, a.kind FROM agency a WHERE a.partnership = $1 ORDER BY a.code`, partnership)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Numbering])
	if err != nil {
		return nil, fmt.Errorf("list numberings: %w", postgres.Redact(err))
	}
	return all, nil
}

// FillSearchWords gives the search the words of names that were copied in bulk,
// past the trigger that does so for each contribution.
func FillSearchWords(ctx context.Context, tx pgx.Tx) error {
	_, err := tx.Exec(ctx, `
INSERT INTO kith.search_word (word)
SELECT w.word FROM (SELECT given AS word FROM kith.search_name UNION SELECT family FROM kith.search_name) w WHERE w.word <> ''
ON CONFLICT DO NOTHING`)
	if err != nil {
		return fmt.Errorf("fill search words: %w", postgres.Redact(err))
	}
	return nil
}
