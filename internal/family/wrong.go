package family

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"kith/internal/postgres"
)

// What turns out to be wrong is noted in the transaction in which it does: by a
// new version or a withdrawal (of a worker or a feed), by a concern that is
// upheld, by a wrong link that is taken back. The note holds ids alone; the hub
// then finds in the log who was shown those parts, and tells them.

// noteWrong ends each note. It begins with the versions that were wrong (their
// entry, number, arrival and parts) under the name wrong; $1 to $4 are the
// partnership, what came out, the version that is right (0: none), and by whom.
const noteWrong = `, part AS (
  SELECT w.entry, x.part, max(w.version) AS version FROM wrong w CROSS JOIN LATERAL (VALUES (w.full_part), (w.summary_part)) AS x (part)
   WHERE x.part IS NOT NULL GROUP BY w.entry, x.part
)
INSERT INTO correction (id, partnership, entry, version, corrected_to, action, versions, parts, about, since, by_worker)
SELECT gen_random_uuid(), $1, p.entry, max(p.version), nullif($3::integer, 0), $2, array_agg(p.version ORDER BY p.part), array_agg(p.part ORDER BY p.part),
       `

// A reader is found by the people whom the entry was about when it was shown.
const aboutThem = `ARRAY(SELECT DISTINCT s.person FROM entry_subject s JOIN wrong w ON w.id = s.version WHERE s.relation = 'about' AND w.entry = p.entry)`

const noteWrongOf = `, (SELECT min(w.received_at) FROM wrong w WHERE w.entry = p.entry), $4
  FROM part p GROUP BY p.entry`

// corrected notes that the latest version is another now: what was wrong is
// each version of which nobody has been told yet. A version that only got tags
// or a summary has the content of the one before, and is wrong with it.
func (in *intake) corrected(ctx context.Context, entry uuid.UUID, to int, action string) error {
	return in.noteWrong(ctx, `
WITH wrong AS (
  SELECT v.id, v.entry, v.version, v.received_at, v.full_part, v.summary_part FROM entry_version v
   WHERE v.entry = $5 AND v.version < $3
     AND v.version > coalesce((SELECT max(c.version) FROM correction c WHERE c.entry = $5 AND c.corrected_to IS NOT NULL), 0)
)`+noteWrong+aboutThem+noteWrongOf, action, to, entry)
}

// upheld notes that what a concern said of a version is so: the versions with
// the same content are wrong, whether they have been corrected or not.
func (in *intake) upheld(ctx context.Context, entry uuid.UUID, version int, kind string) error {
	return in.noteWrong(ctx, `
WITH wrong AS (
  SELECT v.id, v.entry, v.version, v.received_at, v.full_part, v.summary_part FROM entry_version v
    JOIN entry_version k ON k.entry = v.entry AND k.version = $6
   WHERE v.entry = $5 AND v.full_part IS NOT DISTINCT FROM k.full_part
)`+noteWrong+aboutThem+noteWrongOf, kind, 0, entry, version)
}

// separated notes that what came with a source record was shown as another
// person's since the record was linked to that person, whom the notes alone
// name: who the record is in truth is nobody's to learn from them. A record
// that was the only one of its person was shown as nobody else's.
func (in *intake) separated(ctx context.Context, record, from uuid.UUID, linked time.Time) error {
	return in.noteWrong(ctx, `
WITH wrong AS (
  SELECT v.id, v.entry, v.version, greatest(v.received_at, $7) AS received_at, v.full_part, v.summary_part
    FROM entry_version v JOIN entry_subject s ON s.version = v.id AND s.relation = 'about'
   WHERE s.record = $5 AND EXISTS (SELECT 1 FROM person_link o WHERE o.person = $6 AND o.record <> $5 AND o.ended_at IS NULL)
)`+noteWrong+`ARRAY[$6::uuid]`+noteWrongOf, "separated", 0, record, from, linked)
}

func (in *intake) noteWrong(ctx context.Context, sql, action string, to int, of ...any) error {
	if _, err := in.tx.Exec(ctx, sql, append([]any{in.Partnership, action, to, orNull(in.Worker)}, of...)...); err != nil {
		return fmt.Errorf("note what was wrong: %w", postgres.Redact(err))
	}
	return nil
}
