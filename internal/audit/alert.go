package audit

import (
	"context"
	"encoding/base32"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/postgres"
)

// Alert is something that somebody was told of at once: a code and a
// reference, never a name.
type Alert struct {
	ID      uuid.UUID
	Kind    string
	Raised  time.Time
	Closed  *time.Time
	Outcome string     // once closed
	Taken   *time.Time // when somebody took it up
	Review  *uuid.UUID // the review in which it is looked at, where this reader has one
}

// Reference is what people quote.
func (a Alert) Reference() string {
	return "A-" + base32.StdEncoding.EncodeToString(a.ID[:5])
}

// AlertFilter narrows the list. Zero fields do not filter.
type AlertFilter struct {
	Kind     string
	Standing bool // those that are not closed alone
	// OfLog leaves those about accesses out: what an administrator needs, who
	// sees none. It needs no scope.
	OfLog bool
}

// alertScope: an agency's privacy officer has those about accesses by its own
// people or to its own data, of the kinds that tell nothing of what was
// withheld; nobody has one about themselves.
func (l *Log) alertScope(s Scope, reader uuid.UUID, ofLog bool) conditions {
	var c conditions
	c.add("a.partnership = ?", l.partnership)
	c.add("NOT EXISTS (SELECT 1 FROM kith.access_event e WHERE e.id = a.event AND e.worker = ?)", reader)
	switch {
	case ofLog:
		c.add("(a.event IS NULL OR a.kind = 'forged-receipt')")
	case s.all:
	case s.agency != "":
		c.add(`a.kind IN ('emergency-access', 'declared-involvement', 'bulk-look-up')
			AND EXISTS (SELECT 1 FROM kith.access_event e WHERE e.id = a.event AND (e.agency = ? OR e.owners @> ARRAY[?]::text[]))`, s.agency, s.agency)
	default:
		c.add("false")
	}
	return c
}

// Alerts lists alerts, newest first, and the cursor of the next page.
// Error: ErrPage.
func (l *Log) Alerts(ctx context.Context, s Scope, reader uuid.UUID, f AlertFilter, p Page) (list []Alert, next string, err error) {
	limit := p.Limit
	if limit == 0 {
		limit = DefaultLimit
	}
	if limit < 0 || limit > MaxLimit {
		return nil, "", fmt.Errorf("%w: limit is 1 to %d", ErrPage, MaxLimit)
	}
	c := l.alertScope(s, reader, f.OfLog)
	if f.Kind != "" {
		c.add("a.kind = ?", f.Kind)
	}
	if f.Standing {
		c.add("a.closed_at IS NULL")
	}
	if p.After != "" {
		after, err := parseCursor(p.After)
		if err != nil {
			return nil, "", err
		}
		c.add("(a.raised_at, a.id) < (?, ?)", after.occurred, after.id)
	}
	mine := "false"
	switch {
	case f.OfLog:
	case s.all:
		mine = c.text("f.worker <> ?", reader)
	case s.agency != "":
		mine = c.text("f.worker <> ? AND f.readers @> ARRAY[?]::text[]", reader, s.agency)
	}
	rows, _ := l.pool.Query(ctx, fmt.Sprintf(`SELECT a.id, a.kind, a.raised_at, a.closed_at, coalesce(a.outcome, ''), a.acknowledged_at,
       (SELECT f.id FROM kith.finding f WHERE f.partnership = a.partnership AND f.events @> ARRAY[a.event] AND %s ORDER BY f.urgency, f.id LIMIT 1)
  FROM kith.alert a WHERE %s ORDER BY a.raised_at DESC, a.id DESC LIMIT %d`, mine, c.sql, limit+1), c.args...)
	list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Alert])
	if err != nil {
		return nil, "", fmt.Errorf("list alerts: %w", postgres.Redact(err))
	}
	if len(list) > limit {
		list = list[:limit]
		next = position{list[limit-1].Raised, list[limit-1].ID}.cursor()
	}
	return list, next, nil
}
