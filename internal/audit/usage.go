package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit/proof"
	"kith/internal/postgres"
)

// ErrTooMuch: the period holds more than one answer counts. Ask for less of it.
var ErrTooMuch = errors.New("too many events for one answer")

const (
	usageEvents = 200_000 // that one answer looks at
	usageLines  = 5_000   // that it has
)

// UsageBy says by what uses are counted. The zero value counts them together.
type UsageBy struct{ Agency, Role, Purpose, Month, Subject bool }

// Usage is how often an agency's information was released on the same marks.
// Marks by which nothing was counted are empty.
type Usage struct {
	Agency  string // that was shown it
	Roles   string // of its worker, separated by commas
	Purpose string
	Month   string // YYYY-MM, UTC
	Subject string // reference
	// Accesses are events, Entries the entries that they showed, each as often as
	// it was shown. Existence are those of them that told only that something is held.
	Accesses, Entries, Existence int
	First, Last                  time.Time
}

// Usage counts how the information of one agency was used, by whom and for
// what, within a filter; subject, a reference, narrows it to one person. Memory
// is bounded. Error: ErrTooMuch.
func (l *Log) Usage(ctx context.Context, owner string, f Filter, by UsageBy, subject string) ([]Usage, error) {
	var c conditions
	c.add("partnership = ?", l.partnership)
	c.add("retention = 'access' AND owners @> ARRAY[?]::text[]", owner)
	c.filter(f)
	rows, err := l.pool.Query(ctx, `
SELECT occurred_at, agency, purpose, commitments, common, common_salt, subject_salts, subject_parts
  FROM kith.access_event WHERE `+c.sql+fmt.Sprintf(" LIMIT %d", usageEvents+1), c.args...)
	if err != nil {
		return nil, fmt.Errorf("count use: %w", postgres.Redact(err))
	}
	defer rows.Close()
	owned, lines := proof.ReadOwned(owner), map[Usage]*Usage{}
	references := map[uuid.UUID]string{}
	for seen := 0; rows.Next(); seen++ {
		if seen == usageEvents {
			return nil, ErrTooMuch
		}
		var row storedRow
		if err := rows.Scan(&row.OccurredAt, &row.Agency, &row.Purpose, &row.Commitments, &row.Common, &row.CommonSalt, &row.SubjectSalts, &row.SubjectParts); err != nil {
			return nil, fmt.Errorf("count use: %w", postgres.Redact(err))
		}
		for key, u := range l.usageOf(&row, owned, by, subject, references) {
			line := lines[key]
			if line == nil {
				if len(lines) == usageLines {
					return nil, ErrTooMuch
				}
				line = &Usage{Agency: key.Agency, Roles: key.Roles, Purpose: key.Purpose, Month: key.Month, Subject: key.Subject, First: row.OccurredAt, Last: row.OccurredAt}
				lines[key] = line
			}
			line.Accesses++
			line.Entries += u.Entries
			line.Existence += u.Existence
			if row.OccurredAt.Before(line.First) {
				line.First = row.OccurredAt
			}
			if row.OccurredAt.After(line.Last) {
				line.Last = row.OccurredAt
			}
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("count use: %w", postgres.Redact(err))
	}
	out := make([]Usage, 0, len(lines))
	for _, line := range lines {
		out = append(out, *line)
	}
	slices.SortFunc(out, func(a, b Usage) int {
		return cmp.Or(strings.Compare(b.Month, a.Month), cmp.Compare(b.Accesses, a.Accesses), strings.Compare(a.Agency, b.Agency), strings.Compare(a.Roles, b.Roles),
			strings.Compare(a.Purpose, b.Purpose), strings.Compare(a.Subject, b.Subject))
	})
	return out, nil
}

// usageOf is what one event adds: to one line, or to one for each person.
func (l *Log) usageOf(row *storedRow, owned *proof.OwnedReader, by UsageBy, subject string, references map[uuid.UUID]string) map[Usage]Usage {
	entry := row.entry()
	opened, err := owned.Open(&entry)
	if err != nil {
		return nil // the verifier names it; a count is no place for it
	}
	var mark Usage
	if by.Agency {
		mark.Agency = row.Agency
	}
	if by.Role && opened.Common != nil {
		mark.Roles = strings.Join(slices.Sorted(slices.Values(opened.Common.Principal.Roles)), ",")
	}
	if by.Purpose {
		mark.Purpose = row.Purpose
	}
	if by.Month {
		mark.Month = row.OccurredAt.UTC().Format("2006-01")
	}
	out := map[Usage]Usage{}
	for _, x := range linesOf(&opened) {
		keys := []Usage{mark}
		if by.Subject || subject != "" {
			keys = nil
			for _, person := range x.people {
				ref, ok := references[person]
				if !ok {
					ref = l.Reference(person)
					references[person] = ref
				}
				if subject != "" && ref != subject {
					continue
				}
				key := mark
				if by.Subject {
					key.Subject = ref
				}
				if !slices.Contains(keys, key) {
					keys = append(keys, key)
				}
			}
		}
		for _, key := range keys {
			u := out[key]
			u.Entries += len(x.terms.Entries)
			if len(x.terms.Entries) == 0 {
				u.Existence++
			}
			out[key] = u
		}
	}
	return out
}

// Person finds whom a reference stands for, among the people of the record.
// References have no inverse: each person's is made and compared, which takes a
// second for a million. Error: ErrNotFound.
func (l *Log) Person(ctx context.Context, reference string) (uuid.UUID, error) {
	rows, err := l.pool.Query(ctx, `SELECT id FROM kith.person WHERE partnership = $1`, l.partnership)
	if err != nil {
		return uuid.Nil, fmt.Errorf("resolve a reference: %w", postgres.Redact(err))
	}
	defer rows.Close()
	for rows.Next() {
		var id uuid.UUID
		if err := rows.Scan(&id); err != nil {
			return uuid.Nil, fmt.Errorf("resolve a reference: %w", postgres.Redact(err))
		}
		if l.Reference(id) == reference {
			return id, nil
		}
	}
	if err := rows.Err(); err != nil {
		return uuid.Nil, fmt.Errorf("resolve a reference: %w", postgres.Redact(err))
	}
	return uuid.Nil, fmt.Errorf("resolve a reference: %w", ErrNotFound)
}
