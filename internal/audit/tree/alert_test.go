package tree

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

// A log that is late raises one alert however long it lasts and however many
// replicas say so; it is closed when the log has caught up, and raised anew
// the next time.
func TestAlertsThatStand(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := b.tree(t), b.tree(t)
	s := lead(t, one)
	standing := func() []string {
		rows, _ := b.admin.Query(t.Context(), `SELECT kind || CASE WHEN closed_at IS NULL THEN '' ELSE ' ' || outcome END FROM kith.alert WHERE kind IN ('log-late', 'quorum-missing') ORDER BY raised_at`)
		list, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	keep := func(lag time.Duration, want ...string) {
		t.Helper()
		for _, x := range []*Tree{one, two, one} {
			x.lag.Store(int64(lag))
			if err := x.keepAlerts(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, standing()); diff != "" {
			t.Errorf("after a lag of %s: %s", lag, diff)
		}
	}
	if got := standing(); len(got) > 0 {
		t.Fatalf("a new log has alerts: %v", got)
	}
	keep(11*time.Minute, "log-late")
	keep(time.Hour, "log-late")
	keep(0, "log-late over")
	keep(11*time.Minute, "log-late over", "log-late")
	// Nobody leads: the second still says so.
	s.resign()
	b.exec(t, `DELETE FROM kith.alert`)
	keep(11*time.Minute, "log-late")
	// Other kinds may stand as often as they were raised.
	for range 2 {
		if err := one.raise(t.Context(), one.Pool, "witness-disagrees", nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.sequencer.Exec(t.Context(), `SELECT kith.keep_alert(gen_random_uuid(), 'borough', 'log-rolled-back', false)`); err == nil {
		t.Error("an alert that two officers must settle was closed by the sequencer's role")
	}
}
