package family

// The statements of Load. $1 family, $2 today, $3 the caller's agency, $4 the
// caller (zero for a system), $5 now, $6 purpose; each takes as many as it needs.
//
// confirmedMembers is who belongs to the family: memberships that children's
// social care confirmed, live or past; a future one opens nothing yet.
const confirmedMembers = `SELECT m.person FROM membership m
 WHERE m.family = $1 AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= $2)`

// selectHead reads the stamps, and what the caller is to this family. The
// caller's own person record closes the family even where the membership still
// waits to be confirmed: in doubt, nobody opens their own record.
//
// A team counts as the family's when it belongs to children's social care and
// the caller sits in that very team; a team of the same name elsewhere does not.
const selectHead = `
SELECT a.partnership, h.digest, coalesce(g.stamp, 0), f.id IS NOT NULL, coalesce(f.stamp, 0), coalesce(f.ref, ''),
       coalesce(w.stamp, 0),
       coalesce(NOT w.suspended AND w.active_from <= $2 AND (w.active_until IS NULL OR w.active_until >= $2)
                AND (w.training_until IS NULL OR w.training_until >= $2) AND (w.vetting_until IS NULL OR w.vetting_until >= $2)
                AND a.active_from <= $2 AND (a.active_until IS NULL OR a.active_until >= $2), false),
       EXISTS (SELECT 1 FROM staff_register r JOIN membership m ON m.person = r.person WHERE r.worker = $4 AND m.family = $1)
         OR EXISTS (SELECT 1 FROM staff_conflict c
                     WHERE c.worker = $4 AND (c.valid_until IS NULL OR c.valid_until >= $2)
                       AND (c.family = $1 OR EXISTS (SELECT 1 FROM membership m WHERE m.family = $1 AND m.person = c.person))),
       EXISTS (SELECT 1 FROM worker_team t JOIN agency o ON o.code = t.agency AND o.kind = 'CSC'
                        JOIN involvement i ON i.agency = t.agency AND i.team = t.team
                WHERE t.worker = $4 AND t.valid_from <= $5 AND (t.valid_until IS NULL OR t.valid_until > $5)
                  AND i.valid_from <= $5 AND (i.valid_until IS NULL OR i.valid_until > $5)
                  AND i.person IN (` + confirmedMembers + `)),
       EXISTS (SELECT 1 FROM episode e JOIN episode_member x ON x.episode = e.id
                WHERE e.kind = 'marac' AND NOT e.withdrawn AND e.valid_from <= $2 AND (e.valid_until IS NULL OR e.valid_until >= $2)
                  AND x.agency = $3 AND (x.worker = $4 OR x.worker IS NULL)
                  AND e.person IN (` + confirmedMembers + `)),
       EXISTS (SELECT 1 FROM episode e JOIN episode_member x ON x.episode = e.id
                WHERE e.kind = 'encompass' AND NOT e.withdrawn AND e.valid_from <= $2 AND (e.valid_until IS NULL OR e.valid_until >= $2)
                  AND x.agency = $3 AND x.worker = $4
                  AND e.person IN (` + confirmedMembers + `))
  FROM agency a
  LEFT JOIN policy_head h ON h.partnership = a.partnership
  LEFT JOIN agreement_head g ON g.partnership = a.partnership
  LEFT JOIN family f ON f.id = $1 AND f.partnership = a.partnership
  LEFT JOIN worker w ON w.id = $4 AND w.partnership = a.partnership
 WHERE a.code = $3`

const selectMembers = `
SELECT m.person, m.role, m.valid_from, m.valid_until, p.born, p.expected, p.died, p.pregnancy_told
  FROM membership m JOIN person p ON p.id = m.person
 WHERE m.family = $1 AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= $2)
 ORDER BY m.person, m.role, m.valid_from`

// selectSubjects says whom the entries are about and whom they mention (older
// versions too, which the loader passes over), and who of these and of the
// members is restricted or has a protected address: a restricted person who is
// only mentioned closes the entry too. A restriction that lists nobody leaves
// nobody in.
const selectSubjects = `
WITH member AS MATERIALIZED (` + confirmedMembers + `),
subject AS MATERIALIZED (
  SELECT DISTINCT o.version, o.person, o.relation
    FROM member JOIN entry_subject s ON s.person = member.person
    JOIN entry_subject o ON o.version = s.version)
SELECT version, person, relation, false, NULL::date FROM subject
UNION ALL
SELECT 0, c.person, '', r.closed IS NOT NULL, p.since
  FROM (SELECT person FROM member UNION SELECT person FROM subject) c
  LEFT JOIN LATERAL (
    SELECT true AS closed FROM restriction r
     WHERE r.person = c.person AND r.valid_from <= $5 AND (r.valid_until IS NULL OR r.valid_until > $5)
       AND CASE r.kind WHEN 'exclusion' THEN $4 = ANY (r.workers) OR $3 = ANY (r.agencies) ELSE $4 <> ALL (r.workers) END
     LIMIT 1) r ON true
  LEFT JOIN LATERAL (
    SELECT min(x.since) AS since FROM protection x
     WHERE x.person = c.person AND x.since <= $2 AND (x.valid_until IS NULL OR x.valid_until >= $2)) p ON true
 WHERE r.closed OR p.since IS NOT NULL`

// harmKind marks the rows of selectTies that are allegations.
const harmKind = "harm"

const selectTies = `
WITH member AS MATERIALIZED (` + confirmedMembers + `)
SELECT r.from_person, r.to_person, r.kind, r.valid_from, r.valid_until
  FROM relationship r
 WHERE r.from_person IN (SELECT person FROM member) AND r.to_person IN (SELECT person FROM member)
   AND r.confirmed_at IS NOT NULL AND (r.valid_from IS NULL OR r.valid_from <= $2)
UNION ALL
SELECT h.by_person, h.to_person, 'harm', NULL, NULL
  FROM alleged_harm h
 WHERE h.by_person IN (SELECT person FROM member) AND h.to_person IN (SELECT person FROM member) AND h.withdrawn_at IS NULL
 ORDER BY 1, 2, 3, 4`

const selectWork = `
WITH member AS MATERIALIZED (SELECT DISTINCT k.person FROM (` + confirmedMembers + `) k)
SELECT 'episode', e.id, e.person, e.kind, coalesce(e.rating, ''), '', false, false
  FROM member JOIN episode e ON e.person = member.person
 WHERE NOT e.withdrawn AND e.valid_from <= $2 AND (e.valid_until IS NULL OR e.valid_until >= $2)
UNION ALL
SELECT 'involvement', i.id, i.person, i.source, '', '', coalesce(i.worker = $4, false),
       i.team IS NOT NULL AND i.team IN (SELECT t.team FROM worker_team t
         WHERE t.worker = $4 AND t.agency = $3 AND t.valid_from <= $5 AND (t.valid_until IS NULL OR t.valid_until > $5))
  FROM member JOIN involvement i ON i.person = member.person
 WHERE i.agency = $3 AND i.valid_from <= $5 AND (i.valid_until IS NULL OR i.valid_until > $5)
UNION ALL
SELECT 'grant', g.id, g.person, coalesce(g.section, ''), g.level, '', g.break_glass, g.approved_by IS NOT NULL
  FROM member JOIN access_grant g ON g.person = member.person
 WHERE g.agency = $3 AND (g.worker = $4 OR g.worker IS NULL) AND g.revoked_at IS NULL AND g.valid_from <= $5 AND g.valid_until > $5
UNION ALL
SELECT 'told', t.id, t.person, t.agreed, t.told, t.agency, false, false
  FROM (SELECT DISTINCT ON (o.person, o.agency) o.id, o.person, o.agency, o.agreed, o.told
          FROM told_and_agreed o
         WHERE o.person IN (SELECT person FROM member) AND o.purpose = $6 AND o.at <= $2
         ORDER BY o.person, o.agency, o.at DESC, o.recorded_at DESC, o.id) t
 ORDER BY 1, 3, 2`

const selectAgreements = `
SELECT a.id, a.starts_on, a.review_on, a.ends_on, p.agencies, p.states
  FROM agreement_party mine
  JOIN agreement a ON a.id = mine.agreement
  CROSS JOIN LATERAL (SELECT array_agg(agency) AS agencies, array_agg(state) AS states
                        FROM agreement_party q WHERE q.agreement = a.id) p
 WHERE mine.agency = $1::text
 ORDER BY a.id`

// selectEntries reads the latest versions about or mentioning a member, in an
// order that depends on nothing but the entries themselves.
const selectEntries = `
SELECT v.entry, v.version, v.id, v.section, v.schema, a.code, a.kind, v.supplied_by,
       v.source_kind, coalesce(v.handling, ''), v.existence_ok, v.sensitivity, v.event_from, v.event_until, coalesce(v.event_words, ''), v.recorded_on,
       v.narrative, v.tagged, v.contains, v.flags, coalesce(v.onward_label, ''), v.language, v.held, v.fields,
       coalesce(v.full_part, 0), coalesce(v.summary_part, 0), coalesce(v.summary_by, ''), v.summary_on, v.summary_review, v.event_of, v.questioned
  FROM entry_version v
  JOIN agency a ON a.code = coalesce(v.owner, (SELECT e.owner FROM entry e WHERE e.id = v.entry))
 WHERE v.latest AND NOT v.withdrawn
   AND v.id IN (SELECT o.version FROM entry_subject o WHERE o.person IN (` + confirmedMembers + `))
 ORDER BY v.recorded_on, v.entry`
