package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"kith/internal/audit"
	"kith/internal/audit/proof"
)

// What is new is measured against the sitting before this one: reads on end are
// one visit, and a read of one entry is none.
func TestLastVisits(t *testing.T) {
	t.Parallel()
	h := newHub(t)
	log := h.log(t)
	entry := uuid.New()
	now := time.Now()
	longAgo := now.UTC().AddDate(0, 0, -300)
	first := time.Date(longAgo.Year(), longAgo.Month(), 1, 0, 0, 0, 0, time.UTC)
	h.exec(t, fmt.Sprintf(`CREATE TABLE access_event_access_old PARTITION OF access_event_access FOR VALUES FROM ('%s') TO ('%s')`,
		first.Format(time.RFC3339), first.AddDate(0, 1, 0).Format(time.RFC3339)))
	type read struct {
		ago     time.Duration
		version int
		purpose string
		only    bool
		refused bool
	}
	for name, c := range map[string]struct {
		reads   []read
		ago     time.Duration // 0: there was no visit
		version int
	}{
		"nothing at all":                         {},
		"a first visit":                          {reads: []read{{version: 1}}},
		"a reload is the same visit":             {reads: []read{{version: 2}, {ago: time.Hour, version: 1}, {ago: 3 * time.Hour, version: 1}}},
		"a long sitting is one visit":            {reads: []read{{version: 3}, {ago: 3 * time.Hour, version: 2}, {ago: 6 * time.Hour, version: 1}}},
		"yesterday's is the one before":          {reads: []read{{version: 5}, {ago: 24 * time.Hour, version: 3}, {ago: 48 * time.Hour, version: 4}}, ago: 24 * time.Hour, version: 3},
		"its pages under each purpose count":     {reads: []read{{version: 5}, {ago: 24 * time.Hour, version: 2}, {ago: 26 * time.Hour, version: 3, purpose: "CP"}}, ago: 24 * time.Hour, version: 3},
		"one entry is no visit":                  {reads: []read{{version: 5}, {ago: 24 * time.Hour, version: 4, only: true}, {ago: 48 * time.Hour, version: 2}}, ago: 48 * time.Hour, version: 2},
		"one entry keeps a sitting":              {reads: []read{{version: 5}, {ago: 3 * time.Hour, version: 4, only: true}, {ago: 6 * time.Hour, version: 2}}},
		"a refusal is no visit":                  {reads: []read{{version: 5}, {ago: 24 * time.Hour, refused: true}, {ago: 48 * time.Hour, version: 2}}, ago: 48 * time.Hour, version: 2},
		"before there was a read today":          {reads: []read{{ago: 24 * time.Hour, version: 2}}, ago: 24 * time.Hour, version: 2},
		"what was read long ago is old for ever": {reads: []read{{ago: 300 * 24 * time.Hour, version: 2}}},
	} {
		t.Run(name, func(t *testing.T) {
			reader, family, conn := uuid.New(), uuid.New(), h.acquire(t)
			for _, r := range c.reads {
				e := h.read()
				e.Principal.Worker, e.Family = reader, family
				e.Released = e.Released[:1]
				e.Released[0].Entry = proof.EntryRef{Entry: entry, Version: r.version}
				if r.purpose != "" {
					e.Purpose = r.purpose
				}
				if r.only {
					e.Details = map[string]string{"only": "entry"}
				}
				if r.refused {
					e.Outcome, e.Released = audit.OutcomeDenied, nil
				}
				e.Reason = `she said "only": once` // what is typed does not make a read one of an entry
				var id uuid.UUID
				if r.refused {
					receipt, err := h.recorder.Append(t.Context(), e)
					if err != nil {
						t.Fatal(err)
					}
					id = receipt.Event()
				} else {
					a := h.open(t.Context(), t, conn, e, h.guard())
					if a.err != nil {
						t.Fatal(a.err)
					}
					id = a.receipt.Event()
				}
				h.exec(t, `UPDATE access_event SET occurred_at = $2 WHERE id = $1`, id, now.Add(-r.ago))
			}
			for _, of := range []uuid.UUID{family, uuid.Nil} {
				visits, err := log.LastVisits(t.Context(), reader, of, now, 4*time.Hour)
				if err != nil {
					t.Fatal(err)
				}
				got, found := visits[family]
				if c.ago == 0 {
					if found {
						t.Errorf("a visit of %s", got.At)
					}
					continue
				}
				if want := now.Add(-c.ago); got.At.Sub(want).Abs() > time.Millisecond || got.Entries[entry] != c.version {
					t.Errorf("visit of %s with version %d, want %s with %d", got.At, got.Entries[entry], want, c.version)
				}
			}
			if other, err := log.LastVisits(t.Context(), uuid.New(), family, now, 4*time.Hour); err != nil || len(other) > 0 {
				t.Errorf("another reader: %d visits, %v", len(other), err)
			}
		})
	}
}
