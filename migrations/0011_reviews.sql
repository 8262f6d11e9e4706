-- Owner: internal/audit and internal/disclosure. What the auditor and the privacy officers look at: findings over new events, their reviews,
-- alerts, counts for pictures, and the indexes by which ten million events are searched.

-- Search. Each list is ordered by (occurred_at, id) within a month's partition. The two arrays are found by their elements.
CREATE INDEX access_event_by_subject ON access_event USING gin (subjects);
CREATE INDEX access_event_by_owner ON access_event USING gin (owners);
-- The columns behind the order let what never occurs together (an agency and a purpose) be seen in the index alone.
CREATE INDEX access_event_by_purpose ON access_event (purpose, occurred_at DESC, id DESC, agency, outcome, top_level);
-- Most events are reads that released something: what is rare has an index of its own, which costs a read nothing.
CREATE INDEX access_event_by_outcome ON access_event (outcome, occurred_at DESC, id DESC) WHERE outcome <> 'released';
CREATE INDEX access_event_by_kind ON access_event (kind, occurred_at DESC, id DESC) WHERE kind <> 'read';
CREATE INDEX access_event_by_emergency ON access_event (occurred_at DESC, id DESC) WHERE emergency;
CREATE INDEX access_event_by_declared ON access_event (occurred_at DESC, id DESC) WHERE declared;

-- The first instant that a partition exists for: where a list by months comes to its end.
CREATE FUNCTION event_partitions_from() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT min((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1]::timestamptz)
    FROM pg_inherits p JOIN pg_inherits i ON i.inhparent = p.inhrelid JOIN pg_class c ON c.oid = i.inhrelid
   WHERE p.inhparent = 'kith.access_event'::regclass
$$;

-- Findings. They are made from the leaves of the log in their order, once each: a leaf is given after the commit, and leaves become visible
-- in order, so an event that commits late is met late and never missed (0006). The cursor moves in the transaction that stores the findings.
CREATE TABLE finding_scan (
  partnership text PRIMARY KEY,
  number      integer NOT NULL DEFAULT 0,               -- of the log, and the last leaf looked at
  index       bigint  NOT NULL DEFAULT -1
);

CREATE TABLE finding (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL,
  reference   text NOT NULL UNIQUE CONSTRAINT finding_reference_form CHECK (reference ~ '^V-[A-Z2-7]{8}$'), -- drawn at random: tells no order
  kind        text NOT NULL CONSTRAINT finding_kind_known CHECK (kind IN ('sample', 'same-surname', 'own-record', 'own-family', 'own-address', 'colleague',
                'no-involvement', 'out-of-hours', 'volume', 'denials', 'restricted', 'declared', 'new-involvement', 'emergency', 'protected-address')),
  urgency     smallint NOT NULL CONSTRAINT finding_urgency_range CHECK (urgency BETWEEN 1 AND 3),           -- 1 is looked at first
  about       text NOT NULL,                            -- while it is not closed, another event with the same joins it
  events      uuid[] NOT NULL CONSTRAINT finding_of_events CHECK (cardinality(events) BETWEEN 1 AND 200),
  count       integer NOT NULL CONSTRAINT finding_count_positive CHECK (count > 0),
  first_at    timestamptz NOT NULL,
  last_at     timestamptz NOT NULL,
  worker      uuid NOT NULL,                            -- who is looked at: no foreign key, a finding outlives the directory
  agency      text NOT NULL,
  family      uuid,
  people      uuid[] NOT NULL DEFAULT '{}',             -- whom it is about; opens with the review
  readers     text[] NOT NULL DEFAULT '{}',             -- agencies whose privacy officers may know of it
  numbers     jsonb NOT NULL DEFAULT '{}',              -- what the sentence is made of: counts alone
  excuses     text[] NOT NULL DEFAULT '{}',             -- codes of what speaks for innocence
  raised_at   timestamptz NOT NULL,
  due_at      timestamptz NOT NULL,
  state       text NOT NULL DEFAULT 'waiting' CONSTRAINT finding_state_known CHECK (state IN ('waiting', 'open', 'closed')),
  CONSTRAINT finding_due_after_raised CHECK (due_at >= raised_at)
);
CREATE UNIQUE INDEX finding_once ON finding (partnership, kind, about) WHERE state <> 'closed';
CREATE INDEX finding_queue ON finding (partnership, urgency, due_at, id) WHERE state <> 'closed';
CREATE INDEX finding_by_kind ON finding (partnership, kind, urgency, due_at, id);
CREATE INDEX finding_by_reader ON finding USING gin (readers);
CREATE INDEX finding_by_event ON finding USING gin (events);

-- Who opened a finding saw whom it is about and the typed reason; only who has opened it may close it. The events stand in the log.
CREATE TABLE review_opening (
  finding   uuid NOT NULL REFERENCES finding,
  reviewer  uuid NOT NULL,
  opened_at timestamptz NOT NULL,
  PRIMARY KEY (finding, reviewer)
);
CREATE TABLE review (
  finding   uuid PRIMARY KEY REFERENCES finding,
  reviewer  uuid NOT NULL,
  name      text NOT NULL,
  agency    text NOT NULL,
  outcome   text NOT NULL CONSTRAINT review_outcome_known CHECK (outcome IN ('right', 'right-poorly-recorded', 'wrong', 'cannot-tell')),
  note      text NOT NULL CONSTRAINT review_says_why CHECK (length(btrim(note)) BETWEEN 10 AND 4000),
  closed_at timestamptz NOT NULL,
  CONSTRAINT review_opened_first FOREIGN KEY (finding, reviewer) REFERENCES review_opening
);

-- Nobody reviews themselves, whatever the program says.
CREATE FUNCTION check_reviewer() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM kith.finding f WHERE f.id = NEW.finding AND f.worker = NEW.reviewer) THEN RAISE EXCEPTION 'review-of-oneself'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER review_opening_by_another BEFORE INSERT ON review_opening FOR EACH ROW EXECUTE FUNCTION check_reviewer();
CREATE TRIGGER review_by_another BEFORE INSERT ON review FOR EACH ROW EXECUTE FUNCTION check_reviewer();

-- Accesses counted by day: for pictures. owner '' counts each event once; a row per owner counts those that released something of theirs.
CREATE TABLE access_count (
  partnership text   NOT NULL,
  day         date   NOT NULL,                          -- in London
  owner       text   NOT NULL,
  agency      text   NOT NULL,
  purpose     text   NOT NULL,
  outcome     text   NOT NULL,
  kind        text   NOT NULL,
  emergency   boolean NOT NULL,
  n           bigint NOT NULL,
  PRIMARY KEY (partnership, day, owner, agency, purpose, outcome, kind, emergency)
);

-- What the family's facts and the staff register have to say about accesses: yes or no, and counts; never a name. asked is a list of
-- {n, worker, agency, family, people, released, at, today}: of what was released the people whom it concerned, else the family's members.
CREATE FUNCTION watch_facts(asked jsonb) RETURNS TABLE (n integer, fact text, people uuid[], number integer, more text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH a AS MATERIALIZED (
    SELECT x.*, r.person AS own,
           (SELECT array_agg(DISTINCT w.word) FROM (
              SELECT regexp_replace(p.part, '[^a-z]', '', 'g') AS word
                FROM (SELECT normalize(lower(coalesce(r.surname, regexp_replace(k.name, '^.*\s', ''))), NFKD) AS s) s,
                     LATERAL (SELECT s.s AS part UNION SELECT regexp_split_to_table(s.s, '[\s-]+')) p) w
             WHERE length(w.word) > 2) AS words
      FROM jsonb_to_recordset(asked) AS x (n integer, worker uuid, agency text, family uuid, people uuid[], released boolean, at timestamptz, today timestamptz)
      LEFT JOIN kith.worker k ON k.id = x.worker
      LEFT JOIN kith.staff_register r ON r.worker = x.worker),
  who AS MATERIALIZED (
    SELECT DISTINCT a.n, p.person FROM a CROSS JOIN LATERAL (
      SELECT unnest(a.people) AS person WHERE a.released
      UNION ALL SELECT m.person FROM kith.membership m WHERE NOT a.released AND m.family = a.family) p),
  near AS MATERIALIZED (                                  -- with the rest of the family
    SELECT who.n, who.person FROM who UNION SELECT a.n, m.person FROM a JOIN kith.membership m ON m.family = a.family),
  conflict AS MATERIALIZED (
    SELECT a.n, c.kind, who.person FROM a
      JOIN kith.staff_conflict c ON c.worker = a.worker AND c.declared_at <= a.at AND (c.valid_until IS NULL OR c.valid_until >= (a.at AT TIME ZONE 'UTC')::date)
      LEFT JOIN who ON who.n = a.n AND who.person = c.person
     WHERE who.person IS NOT NULL OR c.family = a.family),
  work AS MATERIALIZED (
    SELECT a.n, i.source, i.valid_from, i.worker = a.worker IS TRUE AS own,
           i.worker = a.worker IS TRUE OR EXISTS (SELECT 1 FROM kith.worker_team t WHERE t.worker = a.worker AND t.agency = i.agency AND t.team = i.team
              AND t.valid_from <= a.at AND (t.valid_until IS NULL OR t.valid_until > a.at)) AS theirs
      FROM a JOIN near ON near.n = a.n JOIN kith.involvement i ON i.person = near.person
     WHERE i.valid_from <= a.at AND (i.valid_until IS NULL OR i.valid_until > a.at) AND (i.agency = a.agency OR i.worker = a.worker OR i.team IS NOT NULL)),
  worker_day AS MATERIALIZED (SELECT DISTINCT a.worker, a.today FROM a WHERE a.released)
  SELECT a.n, 'own-record', array_agg(DISTINCT who.person), 0, '' FROM a JOIN who ON who.n = a.n AND who.person = a.own GROUP BY a.n
  UNION ALL
  SELECT c.n, CASE c.kind WHEN 'self' THEN 'own-record' WHEN 'neighbour' THEN 'own-address' ELSE 'own-family' END,
         coalesce(array_agg(DISTINCT c.person) FILTER (WHERE c.person IS NOT NULL), '{}'), 0, 'declared' FROM conflict c GROUP BY 1, 2
  UNION ALL
  SELECT a.n, 'own-family', '{}'::uuid[], 0, 'member' FROM a JOIN kith.membership m ON m.family = a.family AND m.person = a.own GROUP BY a.n
  UNION ALL
  SELECT a.n, 'own-family', array_agg(DISTINCT who.person), 0, 'related'
    FROM a JOIN who ON who.n = a.n AND who.person <> a.own
    JOIN kith.relationship r ON (r.from_person, r.to_person) IN ((a.own, who.person), (who.person, a.own)) AND r.kind <> 'contact' GROUP BY a.n
  UNION ALL
  SELECT a.n, 'own-address', array_agg(DISTINCT who.person), 0, 'postcode'
    FROM a JOIN who ON who.n = a.n AND who.person <> a.own
   WHERE EXISTS (SELECT 1 FROM kith.entry_subject s1 JOIN kith.entry_version v1 ON v1.id = s1.version AND v1.latest AND NOT v1.withdrawn AND v1.section = 'usual-address'
                   JOIN kith.search_code c1 ON c1.part = v1.full_part AND c1.field = 'postcode'
                   JOIN kith.search_code c2 ON c2.value = c1.value AND c2.field = 'postcode'
                   JOIN kith.entry_version v2 ON v2.full_part = c2.part AND v2.latest AND NOT v2.withdrawn AND v2.section = 'usual-address'
                   JOIN kith.entry_subject s2 ON s2.version = v2.id AND s2.relation = 'about'
                  WHERE s1.person = a.own AND s1.relation = 'about' AND s2.person = who.person)
   GROUP BY a.n
  UNION ALL
  SELECT x.n, 'same-surname', x.people, (
           SELECT count(*)::integer FROM (SELECT DISTINCT s.person FROM kith.search_name k JOIN kith.entry_version v ON v.full_part = k.part AND v.latest AND NOT v.withdrawn AND v.section = 'identity'
             JOIN kith.entry_subject s ON s.version = v.id AND s.relation = 'about' WHERE k.family = x.word LIMIT 1000) b), ''
    FROM (SELECT a.n, min(k.family) AS word, array_agg(DISTINCT who.person) AS people
            FROM a JOIN who ON who.n = a.n AND who.person IS DISTINCT FROM a.own
            JOIN kith.entry_subject s ON s.person = who.person AND s.relation = 'about'
            JOIN kith.entry_version v ON v.id = s.version AND v.latest AND NOT v.withdrawn AND v.section = 'identity'
            JOIN kith.search_name k ON k.part = v.full_part AND k.family = ANY (a.words)
           GROUP BY a.n) x
  UNION ALL
  SELECT a.n, 'colleague', array_agg(DISTINCT who.person), 0, ''
    FROM a JOIN who ON who.n = a.n JOIN kith.staff_register r ON r.person = who.person AND r.worker <> a.worker
    JOIN kith.worker w ON w.id = r.worker AND w.agency = a.agency GROUP BY a.n
  UNION ALL
  SELECT a.n, 'restricted', array_agg(DISTINCT who.person), 0, CASE WHEN bool_and(r.kind = 'restriction' AND a.worker = ANY (r.workers)) THEN 'listed' ELSE '' END
    FROM a JOIN who ON who.n = a.n JOIN kith.restriction r ON r.person = who.person AND r.valid_from <= a.at AND (r.valid_until IS NULL OR r.valid_until > a.at) GROUP BY a.n
  UNION ALL
  SELECT w.n, 'work', '{}'::uuid[], (extract(epoch FROM a.at - min(w.valid_from)) / 60)::integer, (array_agg(w.source ORDER BY w.valid_from, w.source))[1]
    FROM work w JOIN a ON a.n = w.n WHERE w.theirs GROUP BY w.n, a.at
  UNION ALL
  SELECT w.n, 'agency-work', '{}'::uuid[], 0, '' FROM work w WHERE NOT w.theirs GROUP BY w.n
  UNION ALL
  SELECT a.n, 'cover', '{}'::uuid[], 0, '' FROM a WHERE EXISTS (SELECT 1 FROM kith.worker_team t WHERE t.worker = a.worker AND t.cover AND t.valid_from <= a.at AND t.valid_until > a.at)
  UNION ALL
  SELECT a.n, 'first', '{}'::uuid[], 0, '' FROM a
   WHERE a.released AND a.family IS NOT NULL
     AND NOT EXISTS (SELECT 1 FROM kith.access_event e WHERE e.retention = 'access' AND e.family = a.family AND e.worker = a.worker AND e.outcome = 'released' AND e.occurred_at < a.at)
  UNION ALL
  SELECT a.n, 'today', '{}'::uuid[], v.n, '' FROM a JOIN (
      SELECT d.worker, d.today, count(DISTINCT e.family)::integer AS n FROM worker_day d
        JOIN kith.access_event e ON e.retention = 'access' AND e.worker = d.worker AND e.outcome = 'released' AND e.occurred_at >= d.today AND e.occurred_at < d.today + interval '1 day'
       GROUP BY d.worker, d.today) v ON v.worker = a.worker AND v.today = a.today
  UNION ALL
  SELECT a.n, 'before', '{}'::uuid[], v.most, v.days::text FROM a JOIN (
      SELECT y.worker, y.today, max(y.n)::integer AS most, count(*) AS days
        FROM (SELECT d.worker, d.today, count(DISTINCT e.family) AS n FROM worker_day d
                JOIN kith.access_event e ON e.retention = 'access' AND e.worker = d.worker AND e.outcome = 'released' AND e.occurred_at >= d.today - interval '28 days' AND e.occurred_at < d.today
               GROUP BY d.worker, d.today, (e.occurred_at AT TIME ZONE 'Europe/London')::date) y
       GROUP BY y.worker, y.today) v ON v.worker = a.worker AND v.today = a.today
  UNION ALL
  SELECT a.n, 'denials', '{}'::uuid[], (
      SELECT count(*)::integer FROM kith.access_event e
       WHERE e.retention IN ('access', 'security') AND e.worker = a.worker AND e.outcome IN ('denied', 'not-found') AND e.occurred_at > a.at - interval '24 hours' AND e.occurred_at <= a.at), ''
    FROM a WHERE NOT a.released;
END $$;

-- Work that began after the access: it may be that the allocation was only written down late.
CREATE FUNCTION work_since(findings uuid[]) RETURNS TABLE (finding uuid, source text, since timestamptz)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp SET jit = off AS $$
BEGIN
  RETURN QUERY
  SELECT DISTINCT ON (f.id) f.id, i.source, i.valid_from
    FROM kith.finding f
    CROSS JOIN LATERAL (SELECT unnest(f.people) AS person UNION SELECT m.person FROM kith.membership m WHERE m.family = f.family) p
    JOIN kith.involvement i ON i.person = p.person AND i.worker = f.worker AND i.valid_from > f.first_at AND i.source <> 'declared'
   WHERE f.id = ANY (findings)
   ORDER BY f.id, i.valid_from;
END $$;

-- Alerts of the log itself have no event: each kind stands once while it lasts.
CREATE UNIQUE INDEX alert_standing ON alert (partnership, kind) WHERE event IS NULL AND closed_at IS NULL AND kind IN ('log-late', 'quorum-missing');
CREATE INDEX alert_newest ON alert (partnership, raised_at DESC, id DESC);
CREATE INDEX alert_by_event ON alert (event) WHERE event IS NOT NULL;
CREATE FUNCTION keep_alert(new_id uuid, of_partnership text, of_kind text, standing boolean) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF of_kind NOT IN ('log-late', 'quorum-missing') THEN RAISE EXCEPTION 'alert-not-kept'; END IF;
  IF standing THEN
    INSERT INTO kith.alert (id, partnership, kind) VALUES (new_id, of_partnership, of_kind)
    ON CONFLICT (partnership, kind) WHERE event IS NULL AND closed_at IS NULL AND kind IN ('log-late', 'quorum-missing') DO NOTHING;
  ELSE
    UPDATE kith.alert SET closed_at = clock_timestamp(), outcome = 'over' WHERE partnership = of_partnership AND kind = of_kind AND event IS NULL AND closed_at IS NULL;
  END IF;
END $$;

REVOKE ALL ON FUNCTION event_partitions_from(), watch_facts(jsonb), work_since(uuid[]), keep_alert(uuid, text, text, boolean) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION event_partitions_from(), watch_facts(jsonb), work_since(uuid[]) TO kith_auditor;
GRANT EXECUTE ON FUNCTION keep_alert(uuid, text, text, boolean) TO kith_sequencer;
-- The watch runs as the role that may read the log: it stores findings, counts and alerts, and changes nothing that a reviewer wrote.
GRANT SELECT ON finding, review_opening, review, access_count, finding_scan TO kith_auditor;
GRANT INSERT, UPDATE (number, index) ON finding_scan TO kith_auditor;
GRANT INSERT, UPDATE (n) ON access_count TO kith_auditor;
GRANT INSERT (id, partnership, reference, kind, urgency, about, events, count, first_at, last_at, worker, agency, family, people, readers, numbers, excuses, raised_at, due_at) ON finding TO kith_auditor;
GRANT UPDATE (events, count, last_at, people, readers, numbers, excuses) ON finding TO kith_auditor;
GRANT INSERT (id, partnership, kind, event) ON alert TO kith_auditor;
-- A review is written beside its event, by the role that appends events.
GRANT SELECT (id, partnership, kind, worker, family, people, readers, state, events) ON finding TO kith_app;
GRANT UPDATE (state) ON finding TO kith_app;
GRANT SELECT, INSERT ON review_opening, review TO kith_app;
GRANT SELECT (event, closed_at), UPDATE (closed_at, outcome) ON alert TO kith_app;
