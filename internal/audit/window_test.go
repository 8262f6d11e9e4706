package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"kith/internal/audit"
)

// A list that goes back month by month, over months with nothing, gives the
// same as one statement over everything.
func TestListGoesBackByMonths(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	log := h.log(t)
	if _, err := h.recorder.Append(t.Context(), denied()); err != nil {
		t.Fatal(err)
	}
	month := time.Now().UTC()
	month = time.Date(month.Year(), month.Month(), 1, 0, 0, 0, 0, time.UTC)
	for _, ago := range []int{1, 2, 5, 11, 17, 30} {
		from, until := month.AddDate(0, -ago, 0), month.AddDate(0, 1-ago, 0)
		h.exec(t, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS access_event_access_%s PARTITION OF access_event_access FOR VALUES FROM ('%s 00:00:00+00') TO ('%s 00:00:00+00')`,
			from.Format("2006_01"), from.Format(time.DateOnly), until.Format(time.DateOnly)))
		// The first and the last instant of a month, and three events of one moment.
		h.exec(t, `INSERT INTO access_event (id, retention, occurred_at, partnership, replica, header, commitments, receipt, kind, agency, outcome, purpose, subjects, subject_salts, subject_parts)
			SELECT gen_random_uuid(), 'access', CASE g WHEN 1 THEN $1::timestamptz WHEN 2 THEN $2::timestamptz - interval '1 us' ELSE $1::timestamptz + interval '9 days' END,
			       e.partnership, e.replica, e.header, e.commitments, e.receipt, 'read', CASE WHEN g = 4 THEN 'RARE' ELSE 'NHFT' END, 'released', 'FS', '{}', '{}', '{}'
			  FROM generate_series(1, 5) g, (SELECT * FROM access_event LIMIT 1) e`, from, until)
	}
	for name, f := range map[string]audit.Filter{
		"all": {}, "rare": {Agency: "RARE"}, "nothing": {Agency: "NONE"},
		"bounded": {From: month.AddDate(0, -6, 0), Until: month.AddDate(0, -1, 1)}, "from": {From: month.AddDate(0, -12, 0)}, "until": {Until: month.AddDate(0, -17, 0)},
	} {
		until := f.Until
		if until.IsZero() {
			until = time.Now().Add(time.Hour)
		}
		rows, _ := h.admin.Query(t.Context(), `SELECT id FROM access_event WHERE ($1 = '' OR agency = $1) AND occurred_at >= $2 AND occurred_at < $3 ORDER BY occurred_at DESC, id DESC`, f.Agency, f.From, until)
		want, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		if err != nil {
			t.Fatal(err)
		}
		for _, limit := range []int{1, 2, 7, 500} {
			var got []uuid.UUID
			for after, pages := "", 0; ; pages++ {
				list, next, err := log.List(t.Context(), audit.AuditorScope(), f, audit.Page{Limit: limit, After: after})
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list {
					got = append(got, r.ID)
				}
				if next == "" || pages > 100 {
					break
				}
				after = next
			}
			if diff := cmp.Diff(len(want), len(got)); diff != "" || len(want) > 0 && !cmp.Equal(want, got) {
				t.Errorf("%s, limit %d: %d events, want %d", name, limit, len(got), len(want))
			}
		}
		if (name == "nothing" || name == "") != (len(want) == 0) {
			t.Errorf("%s: the case finds %d", name, len(want))
		}
	}
}
