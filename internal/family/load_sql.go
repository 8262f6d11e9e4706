package family

// The statements of Load. $1 family, $2 today, $3 the caller's agency, $4 the
// caller (zero for a system), $5 now, $6 purpose; each takes as many as it needs.
// They are few and driven by the family's members: what a statement costs
// before its first row, and rows that are looked up twice, are most of a read.

// selectHead reads the stamps, and whether the caller is named here. The
// caller's own person record closes the family even where the membership still
// waits to be confirmed: in doubt, nobody opens their own record.
const selectHead = `
SELECT a.partnership, h.digest, coalesce(g.stamp, 0), f.id IS NOT NULL, coalesce(f.stamp, 0), coalesce(f.ref, ''),
       coalesce(w.stamp, 0),
       coalesce(NOT w.suspended AND w.active_from <= $2 AND (w.active_until IS NULL OR w.active_until >= $2)
                AND (w.training_until IS NULL OR w.training_until >= $2) AND (w.vetting_until IS NULL OR w.vetting_until >= $2)
                AND a.active_from <= $2 AND (a.active_until IS NULL OR a.active_until >= $2), false),
       EXISTS (SELECT 1 FROM staff_register r JOIN membership m ON m.person = r.person WHERE r.worker = $4 AND m.family = $1)
         OR EXISTS (SELECT 1 FROM staff_conflict c
                     WHERE c.worker = $4 AND (c.valid_until IS NULL OR c.valid_until >= $2)
                       AND (c.family = $1 OR EXISTS (SELECT 1 FROM membership m WHERE m.family = $1 AND m.person = c.person)))
  FROM agency a
  LEFT JOIN policy_head h ON h.partnership = a.partnership
  LEFT JOIN agreement_head g ON g.partnership = a.partnership
  LEFT JOIN family f ON f.id = $1 AND f.partnership = a.partnership
  LEFT JOIN worker w ON w.id = $4 AND w.partnership = a.partnership
 WHERE a.code = $3`

// Members are memberships that children's social care confirmed, live or past;
// a future one opens nothing yet.
const (
	withMembers = `
WITH member AS MATERIALIZED (
  SELECT m.person, m.role, m.valid_from, m.valid_until FROM membership m
   WHERE m.family = $1 AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= $2)),
who AS MATERIALIZED (SELECT DISTINCT member.person FROM member)`

	// A restriction that lists nobody leaves nobody in.
	closedTo = `r.valid_from <= $5 AND (r.valid_until IS NULL OR r.valid_until > $5)
   AND CASE r.kind WHEN 'exclusion' THEN $4 = ANY (r.workers) OR $3 = ANY (r.agencies) ELSE $4 <> ALL (r.workers) END`
	shelteredNow = `x.since <= $2 AND (x.valid_until IS NULL OR x.valid_until >= $2)`
)

// selectPeople says in one list who belongs to the family, how they are tied,
// what is open about them and what is to be heeded; its first column tells
// which. A team counts as the family's when it belongs to children's social
// care and the caller sits in that very team; a team of the same name elsewhere
// does not. Membership of a MARAC and the lead of an event stand on their
// episodes.
const selectPeople = withMembers + `
SELECT 'member' AS what, NULL::uuid AS id, m.person, NULL::uuid AS other, m.role AS a, NULL AS b, NULL AS c, p.pregnancy_told AS x, false AS y,
       m.valid_from, m.valid_until, p.born, p.expected, p.died
  FROM member m JOIN person p ON p.id = m.person
UNION ALL
SELECT 'tie', NULL, r.from_person, r.to_person, r.kind, r.status, r.supplied_by, false, false, r.valid_from, r.valid_until, NULL, NULL, NULL
  FROM who JOIN relationship r ON r.from_person = who.person
 WHERE r.to_person IN (SELECT person FROM who) AND r.confirmed_at IS NOT NULL AND (r.valid_from IS NULL OR r.valid_from <= $2)
UNION ALL
SELECT 'harm', NULL, h.by_person, h.to_person, NULL, NULL, NULL, false, false, NULL, NULL, NULL, NULL, NULL
  FROM who JOIN alleged_harm h ON h.by_person = who.person
 WHERE h.to_person IN (SELECT person FROM who) AND h.withdrawn_at IS NULL
UNION ALL
SELECT 'episode', e.id, e.person, NULL, e.kind, e.rating, NULL,
       CASE e.kind WHEN 'marac' THEN EXISTS (SELECT 1 FROM episode_member x WHERE x.episode = e.id AND x.agency = $3 AND (x.worker = $4 OR x.worker IS NULL)) ELSE false END,
       CASE e.kind WHEN 'encompass' THEN EXISTS (SELECT 1 FROM episode_member x WHERE x.episode = e.id AND x.agency = $3 AND x.worker = $4) ELSE false END,
       NULL, NULL, NULL, NULL, NULL
  FROM who JOIN episode e ON e.person = who.person
 WHERE NOT e.withdrawn AND e.valid_from <= $2 AND (e.valid_until IS NULL OR e.valid_until >= $2)
UNION ALL
SELECT CASE WHEN i.agency = $3 THEN 'involvement' ELSE 'elsewhere' END, i.id, i.person, NULL, i.source,
       CASE WHEN i.team IS NULL THEN NULL ELSE (SELECT o.kind FROM worker_team t JOIN agency o ON o.code = t.agency
         WHERE t.worker = $4 AND t.agency = i.agency AND t.team = i.team AND t.valid_from <= $5 AND (t.valid_until IS NULL OR t.valid_until > $5) LIMIT 1) END,
       NULL, coalesce(i.worker = $4, false), false, NULL, NULL, NULL, NULL, NULL
  FROM who JOIN involvement i ON i.person = who.person
 WHERE (i.agency = $3 OR i.team IS NOT NULL) AND i.valid_from <= $5 AND (i.valid_until IS NULL OR i.valid_until > $5)
UNION ALL
SELECT 'grant', g.id, g.person, NULL, g.section, g.level, o.kind || ' ' || g.giver, g.break_glass, g.approved_by IS NOT NULL, NULL, NULL, NULL, NULL, NULL
  FROM who JOIN access_grant g ON g.person = who.person JOIN agency o ON o.code = g.giver
 WHERE g.agency = $3 AND (g.worker = $4 OR g.worker IS NULL) AND g.revoked_at IS NULL AND g.valid_from <= $5 AND g.valid_until > $5
UNION ALL
SELECT 'told', t.id, t.person, NULL, t.agreed, t.told, t.agency, false, false, t.at, t.review_on, NULL, NULL, NULL
  FROM (SELECT DISTINCT ON (o.person, o.agency) o.id, o.person, o.agency, o.agreed, o.told, o.at, o.review_on
          FROM who JOIN told_and_agreed o ON o.person = who.person
         WHERE o.purpose = $6 AND o.at <= $2
         ORDER BY o.person, o.agency, o.at DESC, o.recorded_at DESC, o.id) t
UNION ALL
SELECT 'restricted', NULL, r.person, NULL, NULL, NULL, NULL, false, false, NULL, NULL, NULL, NULL, NULL
  FROM who JOIN restriction r ON r.person = who.person WHERE ` + closedTo + `
UNION ALL
SELECT 'protected', NULL, x.person, NULL, NULL, NULL, NULL, false, false, x.since, NULL, NULL, NULL, NULL
  FROM who JOIN protection x ON x.person = who.person WHERE ` + shelteredNow + `
 ORDER BY 1, 3, 4, 5, 2, 10`

// selectAgreements reads those to which the caller's agency is party.
const selectAgreements = `
SELECT a.id, a.starts_on, a.review_on, a.ends_on, array_agg(q.agency), array_agg(q.state)
  FROM agreement_party mine
  JOIN agreement a ON a.id = mine.agreement
  JOIN agreement_party q ON q.agreement = a.id
 WHERE mine.agency = $1::text
 GROUP BY a.id
 ORDER BY a.id`

// selectEntries reads the latest versions about or mentioning a member, one row
// for each person whom the version is about or mentions. Restriction and
// protection of those who are no members stand here: a restricted person who is
// only mentioned closes the entry too. The versions come as an array, so that
// each is looked up once and nothing is sorted: a quarter cheaper than a join.
const selectEntries = withMembers + `
SELECT v.id, o.person, o.relation = 'about',
       CASE WHEN o.person = ANY (ARRAY(SELECT person FROM who)) THEN false
            ELSE EXISTS (SELECT 1 FROM restriction r WHERE r.person = o.person AND ` + closedTo + `) END,
       CASE WHEN o.person = ANY (ARRAY(SELECT person FROM who)) THEN NULL
            ELSE (SELECT min(x.since) FROM protection x WHERE x.person = o.person AND ` + shelteredNow + `) END,
       v.entry, v.version, v.section, v.schema, a.code, a.kind, v.supplied_by,
       v.source_kind, v.handling, v.existence_ok, v.sensitivity, v.event_from, v.event_until, v.event_words, v.recorded_on,
       v.narrative, v.tagged, nullif(v.contains, '{}'), nullif(v.flags, '{}'), v.onward_label, v.language, v.held, nullif(v.fields, '{}'),
       coalesce(v.full_part, 0), coalesce(v.summary_part, 0), v.summary_by, v.summary_on, v.summary_review, v.event_of, v.questioned
  FROM entry_version v
  JOIN entry_subject o ON o.version = v.id
  JOIN agency a ON a.code = coalesce(v.owner, (SELECT e.owner FROM entry e WHERE e.id = v.entry))
 WHERE v.id = ANY (ARRAY(SELECT s.version FROM who JOIN entry_subject s ON s.person = who.person))
   AND v.latest AND NOT v.withdrawn`

// selectFewEntries is selectEntries for a list or a form: whole parts, what is
// dated or recorded since a day, one entry, one person's. $6 parts, $7 day,
// $8 entry, $9 person.
const selectFewEntries = selectEntries + `
   AND (v.section = ANY ($6::text[]) OR v.recorded_on >= $7::date OR v.event_from >= $7::date OR v.questioned AND $7::date IS NOT NULL OR v.entry = $8::uuid
        OR EXISTS (SELECT 1 FROM entry_subject x WHERE x.version = v.id AND x.person = $9::uuid AND x.relation = 'about'))`
