package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// ClauseUse is how often a clause carried a release of a section to an agency
// for a purpose: once an event, however many entries it showed.
type ClauseUse struct {
	Clause, Section, Agency, Purpose string
	Times                            int64
	Last                             time.Time // day of the newest, UTC
}

// ClauseUses counts what was released since a day, clause by clause, all
// agencies together: of one section, or of all where it is "". It reads the
// counts that the watch keeps.
func (l *Log) ClauseUses(ctx context.Context, section string, since time.Time) ([]ClauseUse, error) {
	rows, _ := l.pool.Query(ctx, `
SELECT clause, section, agency, purpose, sum(n)::bigint, max(day)::timestamptz FROM kith.clause_use
 WHERE partnership = $1 AND day >= $2 AND ($3 = '' OR section = $3) GROUP BY clause, section, agency, purpose ORDER BY 1, 2, 3, 4`, l.partnership, since, section)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ClauseUse])
	if err != nil {
		return nil, fmt.Errorf("count use of clauses: %w", postgres.Redact(err))
	}
	return list, nil
}

// countClauses adds what these accesses released to the counts of their days.
func (l *Log) countClauses(ctx context.Context, tx pgx.Tx, accesses []Access) error {
	type mark struct{ clause, section, agency, purpose, day string }
	times := map[mark]int64{}
	for i := range accesses {
		a := &accesses[i]
		if !a.Released() {
			continue
		}
		once := map[mark]bool{}
		for _, x := range a.lines {
			for _, clause := range x.terms.Clauses {
				once[mark{clause, x.terms.Section, a.Agency, a.Purpose, a.Occurred.UTC().Format(time.DateOnly)}] = true
			}
		}
		for m := range once {
			times[m]++
		}
	}
	if len(times) == 0 {
		return nil
	}
	var clauses, sections, agencies, purposes, days []string
	var counts []int64
	for m, n := range times {
		clauses, sections, agencies = append(clauses, m.clause), append(sections, m.section), append(agencies, m.agency)
		purposes, days, counts = append(purposes, m.purpose), append(days, m.day), append(counts, n)
	}
	_, err := tx.Exec(ctx, `
INSERT INTO kith.clause_use AS c (partnership, clause, section, agency, purpose, day, n)
SELECT $1, u.* FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::date[], $7::bigint[]) u
ON CONFLICT (partnership, day, clause, section, agency, purpose) DO UPDATE SET n = c.n + excluded.n`,
		l.partnership, clauses, sections, agencies, purposes, days, counts)
	if err != nil {
		return fmt.Errorf("count use of clauses: %w", err)
	}
	return nil
}
