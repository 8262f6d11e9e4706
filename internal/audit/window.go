package audit

import (
	"context"
	"fmt"
	"time"

	"kith/internal/postgres"
)

// window is the part of the log that one statement looks at. A list goes back
// month by month, in steps that double: what is frequent is found in the
// newest month alone, and what is rare never has the whole log sorted at once.
type window struct {
	from, until time.Time
	oldest      time.Time // nothing is older
	months      int
}

// newest is the window in which a list begins.
func (l *Log) newest(ctx context.Context, f Filter, after position) (window, error) {
	w := window{months: 1}
	err := l.pool.QueryRow(ctx, `SELECT now() + interval '1 minute', coalesce(kith.event_partitions_from(), now())`).Scan(&w.until, &w.oldest)
	if err != nil {
		return window{}, fmt.Errorf("list access events: %w", postgres.Redact(err))
	}
	if !f.Until.IsZero() && f.Until.Before(w.until) {
		w.until = f.Until
	}
	// The cursor's own moment belongs to the window: others may have the same.
	if next := after.occurred.Add(time.Microsecond); !after.occurred.IsZero() && next.Before(w.until) {
		w.until = next
	}
	if f.From.After(w.oldest) {
		w.oldest = f.From
	}
	w.begin()
	return w, nil
}

// begin sets the lower end: the first of a month, so that whole partitions are
// left out.
func (w *window) begin() {
	y, m, _ := w.until.UTC().Add(-time.Microsecond).Date()
	w.from = time.Date(y, m-time.Month(w.months-1), 1, 0, 0, 0, 0, time.UTC)
	if w.from.Before(w.oldest) {
		w.from = w.oldest
	}
}

// older is the window before, twice as long.
func (w window) older() window {
	w.until, w.months = w.from, w.months*2
	w.begin()
	return w
}

func (w window) empty() bool { return !w.until.After(w.oldest) }
