package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// MaxDays is the longest time that figures are given for.
const MaxDays = 92

// ErrDays: from and until are no period of 1 to MaxDays days.
var ErrDays = errors.New("not a period of 1 to 92 days")

// DayCount is how many accesses of one kind there were on one day.
type DayCount struct {
	Day       time.Time // in London
	Agency    string
	Purpose   string
	Outcome   Outcome
	Kind      Kind
	Emergency bool
	Count     int64
}

// Figures counts accesses by day, from one day until another, last one
// included. It reads the counts that the watch keeps, so it costs the same
// whatever the log's size, and lags behind the log as the tree does. An
// agency's are those by its own people, and those that released something of
// its own.
func (l *Log) Figures(ctx context.Context, s Scope, from, until time.Time) ([]DayCount, error) {
	if days := until.Sub(from).Hours()/24 + 1; days < 1 || days > MaxDays {
		return nil, ErrDays
	}
	var c conditions
	c.add("c.partnership = ?", l.partnership)
	c.add("c.day BETWEEN ? AND ?", from, until)
	switch {
	case s.all:
		c.add("c.owner = ''")
	case s.agency != "":
		c.add("(c.owner = '' AND c.agency = ? OR c.owner = ? AND c.agency <> ?)", s.agency, s.agency, s.agency)
	default:
		c.add("false")
	}
	rows, _ := l.pool.Query(ctx, `
SELECT c.day, c.agency, c.purpose, c.outcome, c.kind, c.emergency, sum(c.n)::bigint FROM kith.access_count c WHERE `+c.sql+`
 GROUP BY c.day, c.agency, c.purpose, c.outcome, c.kind, c.emergency ORDER BY 1, 2, 3, 4, 5, 6`, c.args...)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[DayCount])
	if err != nil {
		return nil, fmt.Errorf("count accesses: %w", postgres.Redact(err))
	}
	return list, nil
}

// count adds the accesses among these leaves to their days.
func (l *Log) count(ctx context.Context, tx pgx.Tx, after, end leaf) error {
	_, err := tx.Exec(ctx, `
INSERT INTO kith.access_count AS c (partnership, day, owner, agency, purpose, outcome, kind, emergency, n)
SELECT e.partnership, (e.occurred_at AT TIME ZONE 'Europe/London')::date, o.owner, e.agency, e.purpose, e.outcome, e.kind, e.emergency, count(*)
  FROM kith.log_leaf l
  JOIN kith.access_event e ON e.id = l.event AND e.occurred_at = l.occurred_at AND e.retention = 'access'
  CROSS JOIN LATERAL (SELECT '' AS owner UNION SELECT unnest(e.owners)) o
 WHERE (l.number, l.index) > ($2, $3) AND (l.number, l.index) <= ($4, $5) AND l.retention = 'access' AND e.partnership = $1
 GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
ON CONFLICT (partnership, day, owner, agency, purpose, outcome, kind, emergency) DO UPDATE SET n = c.n + excluded.n`,
		l.partnership, after.Number, after.Index, end.Number, end.Index)
	if err != nil {
		return fmt.Errorf("count accesses: %w", err)
	}
	return nil
}
