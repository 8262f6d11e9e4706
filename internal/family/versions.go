package family

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"kith/internal/postgres"
)

// VersionFacts says how one version of an entry came to be. Why and By are the
// owner's own words and people: nobody else's to read.
type VersionFacts struct {
	Version   int
	Received  time.Time
	Why       string
	By        string // name of the worker; empty where a case system sent it
	Withdrawn bool
}

// History lists the versions of an entry of one agency, newest first; of
// somebody else's entry it lists nothing.
func History(ctx context.Context, db *pgxpool.Pool, entry uuid.UUID, owner string) ([]VersionFacts, error) {
	rows, _ := db.Query(ctx, `
SELECT v.version, v.received_at, v.why, coalesce(w.name, v.author_words), v.withdrawn
  FROM entry_version v JOIN entry e ON e.id = v.entry LEFT JOIN worker w ON w.id = v.author
 WHERE v.entry = $1 AND e.owner = $2 ORDER BY v.version DESC LIMIT 100`, entry, owner)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[VersionFacts])
	if err != nil {
		return nil, fmt.Errorf("list versions: %w", postgres.Redact(err))
	}
	return list, nil
}

// selectEarlier reads the versions before the latest of one entry of the
// caller's agency, in the shape of selectEntries. $6 is the entry.
const selectEarlier = withMembers + `
SELECT v.id, o.person, o.relation = 'about',
       EXISTS (SELECT 1 FROM restriction r WHERE r.person = o.person AND ` + closedTo + `),
       (SELECT min(x.since) FROM protection x WHERE x.person = o.person AND ` + shelteredNow + `),
       v.entry, v.version, v.section, v.schema, a.code, a.kind, v.supplied_by,
       v.source_kind, v.handling, v.existence_ok, v.sensitivity, v.event_from, v.event_until, v.event_words, v.recorded_on,
       v.narrative, v.tagged, nullif(v.contains, '{}'), nullif(v.flags, '{}'), v.onward_label, v.language, v.held, nullif(v.fields, '{}'),
       coalesce(v.full_part, 0), coalesce(v.summary_part, 0), v.summary_by, v.summary_on, v.summary_review, v.event_of, v.questioned
  FROM entry_version v
  JOIN entry e ON e.id = v.entry
  JOIN entry_subject o ON o.version = v.id
  JOIN agency a ON a.code = e.owner
 WHERE v.entry = $6 AND e.owner = $3 AND NOT v.latest AND NOT v.withdrawn AND EXISTS (SELECT 1 FROM who)`

// AddEarlier adds to the facts of a family the earlier versions of one entry
// that the caller's agency owns, so that the policy decides on each of them as
// it would decide today. Whom such a version names and who is closed or
// protected is heeded as it is for the latest one.
func (f *Facts) AddEarlier(ctx context.Context, db Batcher, c Caller, entry uuid.UUID) error {
	l := &loader{facts: *f, today: day(c.Now), words: map[string]string{}}
	// The facts may be kept, and others may be reading them.
	l.facts.Entries = nil
	l.facts.Kinds, l.facts.Restricted, l.facts.Protected = maps.Clone(f.Kinds), slices.Clone(f.Restricted), slices.Clone(f.Protected)
	b := &pgx.Batch{}
	b.Queue(selectEarlier, f.Family, l.today, c.Agency, c.Worker, c.Now.UTC(), entry).Query(l.entries)
	if err := db.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("load earlier versions: %w", postgres.Redact(err))
	}
	l.settle()
	for i := range l.facts.Entries {
		l.facts.Entries[i].Earlier = true
	}
	l.facts.Entries = slices.Concat(f.Entries, l.facts.Entries)
	*f = l.facts
	return nil
}
