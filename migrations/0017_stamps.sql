-- Owner: internal/family. Stamps that also hold for facts kept in memory. While facts were read anew for each access, a stamp had
-- to tell only of changes within that access; a kept copy lives longer, so that every change of what it holds must raise a stamp
-- that the access asserts, whoever else writes at the same moment.
--
-- Two gaps are closed here. One: changes that reached no family (the restriction of somebody who is only mentioned there, a
-- mention of one who is no member, an agency's end). Two: writers who do not see one another. The families of a change are
-- found through memberships and subjects; who adds such an edge and who changes a fact at its far end at the same time each miss
-- what the other has not committed. So both lock the person between them: an edge FOR UPDATE before it is added, a fact FOR KEY
-- SHARE before its families are looked up (facts that name a person hold that lock by their foreign key anyway). Whoever comes
-- second waits, and then sees the first.

-- People first, then families, each in the order of their ids.
CREATE OR REPLACE FUNCTION raise_families_of(people uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.person p WHERE p.id = ANY (people) ORDER BY p.id FOR KEY SHARE;
  PERFORM 1 FROM kith.family f WHERE f.id IN (SELECT m.family FROM kith.membership m WHERE m.person = ANY (people)) ORDER BY f.id FOR UPDATE;
  UPDATE kith.family f SET stamp = stamp + 1 WHERE f.id IN (SELECT m.family FROM kith.membership m WHERE m.person = ANY (people));
END $$;

-- An edge between a family and a person. Who is in the family already brings no new one.
CREATE FUNCTION hold_new_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM kith.membership m WHERE m.family = NEW.family AND m.person = NEW.person) THEN
    PERFORM 1 FROM kith.person p WHERE p.id = NEW.person FOR UPDATE;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER membership_hold_person BEFORE INSERT OR UPDATE OF family, person ON membership FOR EACH ROW EXECUTE FUNCTION hold_new_member();

-- What is set about a person acts wherever an entry names them: the lock keeps entries that name them from being added unseen.
CREATE FUNCTION hold_person() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.person p WHERE p.id = NEW.person FOR UPDATE;
  RETURN NEW;
END $$;
CREATE TRIGGER restriction_hold_person BEFORE INSERT OR UPDATE ON restriction FOR EACH ROW EXECUTE FUNCTION hold_person();
CREATE TRIGGER protection_hold_person BEFORE INSERT OR UPDATE ON protection FOR EACH ROW EXECUTE FUNCTION hold_person();

-- The families of these people, and of everybody who stands in an entry with them.
CREATE FUNCTION raise_families_around(people uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(
    SELECT unnest(people)
    UNION
    SELECT o.person FROM kith.entry_subject s JOIN kith.entry_subject o ON o.version = s.version WHERE s.person = ANY (people)));
END $$;
REVOKE ALL ON FUNCTION raise_families_around(uuid[]) FROM PUBLIC;

CREATE FUNCTION stamp_around_person() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_around(ARRAY(SELECT DISTINCT person FROM changed));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_around_person_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_around(ARRAY(SELECT person FROM changed UNION SELECT person FROM before));
  RETURN NULL;
END $$;
DO $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['restriction', 'protection'] LOOP
    EXECUTE format('DROP TRIGGER %I ON kith.%I', t || '_stamp_insert', t);
    EXECUTE format('DROP TRIGGER %I ON kith.%I', t || '_stamp_delete', t);
    EXECUTE format('DROP TRIGGER %I ON kith.%I', t || '_stamp_update', t);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON kith.%I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.stamp_around_person()', t || '_stamp_insert', t);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON kith.%I REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.stamp_around_person()', t || '_stamp_delete', t);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON kith.%I REFERENCING NEW TABLE AS changed OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION kith.stamp_around_person_moved()', t || '_stamp_update', t);
  END LOOP;
END $$;

-- A subject that comes, goes or turns out to be somebody else changes the entry for all whom it names. The version is held, where
-- another transaction made it, so that who marks it as questioned at the same time finds the new subject too.
CREATE FUNCTION stamp_by_subject() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.entry_version v
    WHERE v.id IN (SELECT version FROM changed) AND v.xmin IS DISTINCT FROM pg_current_xact_id()::xid ORDER BY v.id FOR SHARE;
  PERFORM kith.raise_families_of(ARRAY(
    SELECT person FROM changed UNION SELECT o.person FROM changed c JOIN kith.entry_subject o ON o.version = c.version));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_subject_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.entry_version v
    WHERE v.id IN (SELECT version FROM changed) AND v.xmin IS DISTINCT FROM pg_current_xact_id()::xid ORDER BY v.id FOR SHARE;
  PERFORM kith.raise_families_of(ARRAY(
    SELECT person FROM before UNION SELECT person FROM changed UNION SELECT o.person FROM changed c JOIN kith.entry_subject o ON o.version = c.version));
  RETURN NULL;
END $$;
DROP TRIGGER entry_subject_stamp_insert ON entry_subject;
DROP TRIGGER entry_subject_stamp_delete ON entry_subject;
DROP TRIGGER entry_subject_stamp_update ON entry_subject;
CREATE TRIGGER entry_subject_stamp_insert AFTER INSERT ON entry_subject REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stamp_by_subject();
CREATE TRIGGER entry_subject_stamp_delete AFTER DELETE ON entry_subject REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION stamp_by_subject();
CREATE TRIGGER entry_subject_stamp_update AFTER UPDATE ON entry_subject REFERENCING NEW TABLE AS changed OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION stamp_by_subject_moved();

-- A version's subjects and an episode's person may be moving to another person at this moment: wait for it.
CREATE OR REPLACE FUNCTION stamp_by_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF TG_OP = 'UPDATE' THEN
    PERFORM 1 FROM kith.entry_subject s WHERE s.version IN (SELECT id FROM changed) ORDER BY s.version, s.person, s.relation FOR SHARE;
  END IF;
  PERFORM kith.raise_families_of(ARRAY(SELECT DISTINCT s.person FROM kith.entry_subject s JOIN changed c ON c.id = s.version));
  RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION stamp_by_episode_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.episode e WHERE e.id IN (SELECT episode FROM changed) ORDER BY e.id FOR SHARE;
  PERFORM kith.raise_families_of(ARRAY(SELECT DISTINCT e.person FROM kith.episode e JOIN changed c ON c.episode = e.id));
  RETURN NULL;
END $$;

-- A membership that moves between families changes both.
CREATE FUNCTION stamp_by_family_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.family f WHERE f.id IN (SELECT family FROM changed UNION SELECT family FROM before) ORDER BY f.id FOR UPDATE;
  UPDATE kith.family f SET stamp = stamp + 1 WHERE f.id IN (SELECT family FROM changed UNION SELECT family FROM before);
  RETURN NULL;
END $$;
DROP TRIGGER membership_stamp_update ON membership;
CREATE TRIGGER membership_stamp_update AFTER UPDATE ON membership REFERENCING NEW TABLE AS changed OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION stamp_by_family_moved();

-- What an agency is, and from when to when, bears on every decision: it stands under the stamp that every access asserts. A feed
-- that came in, or another telephone number, does not.
CREATE FUNCTION raise_agreement_stamp_by_agency() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  UPDATE kith.agreement_head SET stamp = stamp + 1;
  RETURN NULL;
END $$;
CREATE TRIGGER agency_stamp AFTER UPDATE ON agency FOR EACH ROW
  WHEN ((OLD.kind, OLD.partnership, OLD.active_from, OLD.active_until) IS DISTINCT FROM (NEW.kind, NEW.partnership, NEW.active_from, NEW.active_until))
  EXECUTE FUNCTION raise_agreement_stamp_by_agency();

-- The look at the search keys (0007), which grew with the number of people of one name: what is asked of each match (restriction,
-- membership, scope) is asked in the order of the answer and only until it is full, section and owner come with the match, and a
-- scope of more than a few hundred families is held against the matches, since listing its people costs more than any name does.
-- It answers as before.
CREATE OR REPLACE FUNCTION search_candidates(of_partnership text, of_worker uuid, of_agency text, at_time timestamptz, scope text, works text[], allowed text[], asked jsonb, most integer)
  RETURNS TABLE (person uuid, families uuid[], best integer, version bigint, term text, fields text[], score integer)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, kith_ext, pg_temp SET jit = off SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 SET random_page_cost = 1.1 AS $$
#variable_conflict use_column
DECLARE
  today    constant date := (at_time AT TIME ZONE 'UTC')::date;
  bound    constant integer := 400;                    -- a larger scope is held against the matches instead
  within   uuid[];                                     -- families; NULL = not listed
  people   uuid[];                                     -- who is still in question; NULL = anybody
  late     boolean := false;                           -- the scope is checked at the end
  gw text[]; gp integer[]; fw text[]; fp integer[];
  matches  text[] := '{}';                             -- one statement per term
  one      text;
  field    text;
  terms    constant integer := (SELECT count(*) FROM jsonb_object_keys(asked -> 'weights'));
  keyed    constant text := $q$
        JOIN kith.entry_version v ON v.full_part = k.part AND v.latest AND v.section IN ('identity', 'former-names', 'usual-address') AND NOT v.withdrawn
        JOIN kith.entry_subject s ON s.version = v.id AND s.relation = 'about'$q$;
BEGIN
  IF terms = 0 OR NOT kith.search_opened() THEN
    RETURN;
  END IF;

  CASE scope
  WHEN 'involvement' THEN
    SELECT array_agg(DISTINCT m.family) INTO within
      FROM (SELECT i.person FROM kith.involvement i
             WHERE i.worker = of_worker AND i.agency = of_agency AND i.valid_from <= at_time AND (i.valid_until IS NULL OR i.valid_until > at_time)
            UNION
            SELECT i.person FROM kith.worker_team t JOIN kith.involvement i ON i.agency = t.agency AND i.team = t.team
             WHERE t.worker = of_worker AND t.agency = of_agency AND t.valid_from <= at_time AND (t.valid_until IS NULL OR t.valid_until > at_time)
               AND i.valid_from <= at_time AND (i.valid_until IS NULL OR i.valid_until > at_time)) mine
      JOIN kith.membership m ON m.person = mine.person
     WHERE m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= today);
  WHEN 'open-work' THEN
    SELECT array_agg(x.family) INTO within
      FROM (SELECT DISTINCT m.family FROM kith.episode e JOIN kith.membership m ON m.person = e.person
             WHERE e.kind = ANY (works) AND NOT e.withdrawn AND e.valid_from <= today AND (e.valid_until IS NULL OR e.valid_until >= today)
               AND m.role = 'child' AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= today)
             LIMIT bound + 1) x;
    late := coalesce(cardinality(within), 0) > bound;
  WHEN 'listed' THEN
    SELECT array_agg(DISTINCT m.family) INTO within
      FROM kith.episode_member x JOIN kith.episode e ON e.id = x.episode JOIN kith.membership m ON m.person = e.person
     WHERE x.agency = of_agency AND (x.worker = of_worker OR x.worker IS NULL)
       AND e.kind = ANY (works) AND NOT e.withdrawn AND e.valid_from <= today AND (e.valid_until IS NULL OR e.valid_until >= today)
       AND m.confirmed_by IS NOT NULL;
  WHEN 'everybody' THEN
    late := true;
  ELSE
    RETURN;
  END CASE;
  IF late THEN
    within := NULL;
  ELSE
    SELECT coalesce(array_agg(DISTINCT m.person), '{}') INTO people FROM kith.membership m
     WHERE m.family = ANY (within) AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= today);
  END IF;

  -- Numbers, dates and postcodes first: each narrows what the next looks at.
  IF asked ? 'local_id' THEN
    SELECT coalesce(array_agg(DISTINCT x.person), '{}') INTO people
      FROM (SELECT l.person FROM kith.source_record r JOIN kith.person_link l ON l.record = r.id AND l.ended_at IS NULL
             WHERE r.agency = asked ->> 'agency' AND r.local_id = asked ->> 'local_id'
            UNION
            SELECT m.person FROM kith.family_local o JOIN kith.membership m ON m.family = o.family
             WHERE o.agency = asked ->> 'agency' AND o.local_id = asked ->> 'local_id' AND m.confirmed_by IS NOT NULL) x
     WHERE people IS NULL OR x.person = ANY (people);
    matches := matches || $q$SELECT x.person, NULL::bigint AS version, NULL AS section, NULL AS owner, 'identifier' AS term, '{}'::text[] AS fields, 100 AS score FROM unnest($1) x (person)$q$::text;
  END IF;
  FOR field IN SELECT jsonb_object_keys(asked -> 'codes') LOOP
    one := format($q$
      SELECT s.person, v.id AS version, v.section, v.owner, k.field AS term, ARRAY[k.field] AS fields, q.score::integer AS score
        FROM jsonb_each_text($2 -> 'codes' -> %1$L) q (value, score)
        JOIN kith.search_code k ON k.value = q.value AND k.field = %1$L $q$, field) || keyed
      || CASE WHEN people IS NULL THEN '' ELSE ' WHERE s.person = ANY ($1)' END;
    EXECUTE 'SELECT coalesce(array_agg(DISTINCT x.person), ''{}'') FROM (' || one || ') x' INTO people USING people, asked;
    matches := matches || one;
  END LOOP;

  -- Names: near words of both, then equal words; in the other order too, which counts a little less.
  SELECT n.words, n.points INTO gw, gp FROM kith.near_words(asked -> 'given') n;
  SELECT n.words, n.points INTO fw, fp FROM kith.near_words(asked -> 'family') n;
  one := $q$
      SELECT s.person, v.id AS version, v.section, v.owner, 'name' AS term, k.fields, %s AS score
        FROM kith.search_name k $q$ || keyed || ' WHERE %s' || CASE WHEN people IS NULL THEN '' ELSE ' AND s.person = ANY ($1)' END;
  IF gw IS NOT NULL AND fw IS NOT NULL THEN
    matches := matches
      || format(one, '(($4)[array_position($3, k.given)] + ($6)[array_position($5, k.family)]) / 2', 'k.given = ANY ($3) AND k.family = ANY ($5)')
      || format(one, '(($4)[array_position($3, k.family)] + ($6)[array_position($5, k.given)]) / 2 - 6', 'k.family = ANY ($3) AND k.given = ANY ($5)');
  ELSIF gw IS NOT NULL THEN
    matches := matches || format(one, '($4)[array_position($3, k.given)]', 'k.given = ANY ($3)') || format(one, '($4)[array_position($3, k.family)] - 12', 'k.family = ANY ($3)');
  ELSIF fw IS NOT NULL THEN
    matches := matches || format(one, '($6)[array_position($5, k.family)]', 'k.family = ANY ($5)') || format(one, '($6)[array_position($5, k.given)] - 12', 'k.given = ANY ($5)');
  END IF;

  -- $1 people, $2 asked, $3 to $6 near words and their points, $7 allowed, $8 to $10 agency, worker, time, $11 terms, $12 partnership, $13 today,
  -- $14 most, $15 within, $16 works.
  RETURN QUERY EXECUTE format($q$
    WITH found AS MATERIALIZED (
      SELECT x.person, x.version, x.section, x.owner, x.term, x.fields, max(x.score) AS score
        FROM (%s) x
       GROUP BY 1, 2, 3, 4, 5, 6),
    counted AS MATERIALIZED (
      SELECT h.person, h.version, h.term, h.fields, h.score
        FROM found h
       WHERE h.version IS NULL OR h.section = ANY ($7) OR h.owner = $8
          OR EXISTS (SELECT 1 FROM kith.access_grant g WHERE g.person = h.person AND g.section = h.section AND g.agency = $8
                        AND (g.worker = $9 OR g.worker IS NULL) AND g.revoked_at IS NULL AND g.valid_from <= $10 AND g.valid_until > $10)),
    ranked AS (
      SELECT t.person, (sum(t.score * (($2 -> 'weights') ->> t.term)::integer) / sum((($2 -> 'weights') ->> t.term)::integer))::integer AS best
        FROM (SELECT c.person, c.term, max(c.score) AS score FROM counted c GROUP BY 1, 2) t
       GROUP BY t.person
      HAVING count(*) = $11
       ORDER BY 2 DESC, 1),
    housed AS (
      SELECT k.person, k.best, h.families
        FROM ranked k
        CROSS JOIN LATERAL (
          SELECT array_agg(DISTINCT m.family ORDER BY m.family) AS families
            FROM kith.membership m JOIN kith.family o ON o.id = m.family AND o.partnership = $12
           WHERE m.person = k.person AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= $13) AND %s) h
       WHERE h.families IS NOT NULL
         AND NOT EXISTS (
           SELECT 1 FROM kith.restriction r
            WHERE r.person = k.person AND r.valid_from <= $10 AND (r.valid_until IS NULL OR r.valid_until > $10)
              AND CASE r.kind WHEN 'exclusion' THEN $9 = ANY (r.workers) OR $8 = ANY (r.agencies) ELSE $9 <> ALL (r.workers) END)
       ORDER BY k.best DESC, k.person
       LIMIT $14)
    SELECT p.person, p.families, p.best, c.version, c.term, c.fields, c.score::integer
      FROM housed p JOIN counted c ON c.person = p.person
     ORDER BY p.best DESC, p.person, c.version, c.term, c.fields$q$,
    array_to_string(matches, ' UNION ALL '),
    CASE WHEN NOT late THEN 'm.family = ANY ($15)'
         WHEN scope = 'open-work' THEN $q$EXISTS (
           SELECT 1 FROM kith.membership k JOIN kith.episode e ON e.person = k.person
            WHERE k.family = m.family AND k.role = 'child' AND k.confirmed_by IS NOT NULL
              AND e.kind = ANY ($16) AND NOT e.withdrawn AND e.valid_from <= $13 AND (e.valid_until IS NULL OR e.valid_until >= $13))$q$
         ELSE 'true' END)
    USING people, asked, gw, gp, fw, fp, allowed, of_agency, of_worker, at_time, terms, of_partnership, today, most, within, works;
END $$;

-- Words are added seldom and looked up in each search: what waits in the index's pending list would be read through every time, and
-- a bulk load leaves thousands there.
ALTER INDEX search_word_by_spelling SET (fastupdate = off);
SELECT gin_clean_pending_list('search_word_by_spelling');
