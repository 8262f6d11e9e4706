package family

// selectTurn finds the first instant after now at which something of Load's
// answer begins or ends by itself: an involvement of a member, the caller's
// place in a team, a grant, a restriction of a member or of somebody whom an
// entry here mentions. Whatever Load compares with $5 stands here; what it
// compares with $2 are days, which [Kept] does not carry over midnight.
const selectTurn = withMembers + `,
close AS (
  SELECT who.person FROM who
  UNION
  SELECT o.person FROM who JOIN entry_subject s ON s.person = who.person JOIN entry_subject o ON o.version = s.version)
SELECT min(t.at)
  FROM (
    SELECT unnest(ARRAY[i.valid_from, i.valid_until]) AS at FROM who JOIN involvement i ON i.person = who.person
    UNION ALL
    SELECT unnest(ARRAY[w.valid_from, w.valid_until]) FROM worker_team w WHERE w.worker = $4
    UNION ALL
    SELECT unnest(ARRAY[g.valid_from, g.valid_until]) FROM who JOIN access_grant g ON g.person = who.person WHERE g.agency = $3
    UNION ALL
    SELECT unnest(ARRAY[r.valid_from, r.valid_until]) FROM close JOIN restriction r ON r.person = close.person) t
 WHERE t.at > $5 AND isfinite(t.at)`
