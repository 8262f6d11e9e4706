package disclosure

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"kith/internal/family"
	"kith/internal/identity"
	"kith/internal/policy"
)

// Seen is what an earlier visit released of a family: entry to version.
type Seen struct {
	At      time.Time
	Entries map[uuid.UUID]int
}

// CaseNews is what the list tells of a case beside its children: only what was
// released, and no more than the list needs.
type CaseNews struct {
	Status     []CaseEntry // open work as children's social care tells it
	Today      []CaseEntry // dated today
	New        []CaseEntry // released now and not at the visit before
	Questioned []CaseEntry // of the own agency, said to be wrong by somebody
}

// CaseEntry is one released entry.
type CaseEntry struct {
	Section string
	EntryView
}

const sectionOfStatus = "care-status"

// CaseloadSince is Caseload with what is new since the visits given. An entry
// that was shared with the reader after a visit, and is older by its own date,
// is new on the family's page alone.
func (d *Door) CaseloadSince(ctx context.Context, p identity.Principal, since map[uuid.UUID]Seen, requestID string) (Caseload, error) {
	if since == nil {
		since = map[uuid.UUID]Seen{}
	}
	return d.caseloadOf(ctx, p, uuid.Nil, since, requestID)
}

// listed says which entries the list asks about. Each is decided like any other:
// what is asked only keeps the decision small, since a list decides about every
// case of its reader.
func listed(p identity.Principal, since map[uuid.UUID]Seen, of uuid.UUID, now time.Time) func(*family.EntryFacts) bool {
	before := since[of]
	return func(e *family.EntryFacts) bool {
		switch {
		case e.Section == "identity":
			return len(e.About) == 1
		case since == nil:
			return false
		case e.Section == sectionOfStatus, today(e, now), e.Questioned && e.Owner == p.Agency:
			return true
		}
		return fresh(e, before)
	}
}

// few asks the database for no more entries than listed can want.
func few(since map[uuid.UUID]Seen, of uuid.UUID, now time.Time) *family.Few {
	f := &family.Few{Sections: []string{"identity"}}
	if since == nil {
		return f
	}
	f.Sections = append(f.Sections, sectionOfStatus)
	day := now.UTC().Truncate(24 * time.Hour)
	if before := since[of]; !before.At.IsZero() && before.At.Before(day) {
		day = before.At.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1)
	}
	f.Since = &day
	return f
}

func today(e *family.EntryFacts, now time.Time) bool {
	return e.EventFrom != nil && e.EventFrom.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) && e.EventUntil != nil && e.EventUntil.Equal(*e.EventFrom)
}

func fresh(e *family.EntryFacts, before Seen) bool {
	if before.At.IsZero() || within(sectionsOfNames(), e.Section) || e.Section == "usual-address" {
		return false
	}
	version, read := before.Entries[e.Entry]
	return read && version < e.Version || !read && !e.RecordedOn.Before(before.At.UTC().Truncate(24*time.Hour).AddDate(0, 0, -1))
}

func (o *opening) news(p identity.Principal, v *policy.Version, bodies map[int64]json.RawMessage, now time.Time) CaseNews {
	var out CaseNews
	if o.since == nil {
		return out
	}
	before := o.since[o.facts.Family]
	for _, section := range v.Sections {
		for _, s := range o.released {
			body := bodies[s.part]
			if s.facts.Section != section.Code || section.Code == "identity" || body == nil {
				continue
			}
			e := CaseEntry{Section: section.Code, EntryView: entryView(s, body, now)}
			e.AccountOf = nil
			if section.Code == sectionOfStatus {
				out.Status = append(out.Status, e)
			}
			if today(s.facts, now) {
				out.Today = append(out.Today, e)
			}
			if fresh(s.facts, before) {
				out.New = append(out.New, e)
			}
			if s.facts.Questioned && s.facts.Owner == p.Agency {
				out.Questioned = append(out.Questioned, e)
			}
		}
	}
	return out
}
