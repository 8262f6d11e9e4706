-- Owner: internal/family. Search keys: names and numbers of the latest identity, former-names and usual-address entries, in the
-- form in which they are compared. Keys are content: they go with the part that they were made of, the app's role may add them
-- and never reads one. It asks search_candidates(), which answers with ids and scores alone, and only behind a committed search
-- event of the same connection, seconds old. Protected addresses and earlier identities have no keys: nothing finds by them.
CREATE TABLE search_name (
  part    bigint NOT NULL REFERENCES content ON DELETE CASCADE,
  fields  text[] NOT NULL,                              -- of the content; a match counts only where all of them are shown
  given   text   NOT NULL,
  family  text   NOT NULL,
  CONSTRAINT search_name_says_something CHECK (given <> '' OR family <> '')
);
CREATE INDEX search_name_by_family ON search_name (family, given);
CREATE INDEX search_name_by_given ON search_name (given, family);
CREATE INDEX search_name_by_part ON search_name (part);

CREATE TABLE search_code (
  part    bigint NOT NULL REFERENCES content ON DELETE CASCADE,
  field   text   NOT NULL CONSTRAINT search_code_field_known CHECK (field IN ('date_of_birth', 'nhs_number', 'upn', 'postcode')),
  value   text   NOT NULL
);
CREATE INDEX search_code_by_value ON search_code (value, field);
CREATE INDEX search_code_by_part ON search_code (part);

-- Every word that occurs in a name, once: near spellings are looked for among these, whose number hardly grows with the
-- number of people, and people then by equal words. A word that only hidden entries have leads to nobody else.
CREATE TABLE search_word (
  word      text NOT NULL,
  sound     text GENERATED ALWAYS AS (kith_ext.dmetaphone(word)) STORED,
  sound_too text GENERATED ALWAYS AS (kith_ext.dmetaphone_alt(word)) STORED,
  CONSTRAINT search_word_once EXCLUDE USING hash (word WITH =)  -- hash, so that only the spelling index can be read through
);
CREATE INDEX search_word_by_sound ON search_word USING hash (sound);
CREATE INDEX search_word_by_sound_too ON search_word USING hash (sound_too);
CREATE INDEX search_word_by_spelling ON search_word USING gin (word kith_ext.gin_trgm_ops);

CREATE FUNCTION keep_search_words() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  INSERT INTO kith.search_word (word)
  SELECT w.word FROM (SELECT given AS word FROM added UNION SELECT family FROM added) w
   WHERE w.word <> '' AND NOT EXISTS (SELECT 1 FROM kith.search_word o WHERE o.word = w.word)
   ORDER BY w.word                                     -- two writers take the same words in the same order
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$;
CREATE TRIGGER search_name_words AFTER INSERT ON search_name REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION keep_search_words();

-- Keys lead through the latest version that shows their part: a corrected or purged one is found by nobody.
CREATE INDEX entry_version_by_searched_part ON entry_version (full_part) WHERE latest AND section IN ('identity', 'former-names', 'usual-address');

-- Whether a committed search of this very connection, seconds old, opens the keys (see 0002, released_by).
CREATE FUNCTION search_opened() RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  RETURN EXISTS (
    SELECT 1 FROM kith.access_event e
     WHERE e.id = nullif(current_setting('kith.event', true), '')::uuid
       AND e.retention = 'access' AND e.kind = 'search'
       AND e.occurred_at BETWEEN now() - interval '15 s' AND now() + interval '15 s'
       AND e.backend = pg_backend_pid()
       AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()
       AND e.recorded_at > clock_timestamp() - interval '5 s');
END $$;
REVOKE ALL ON FUNCTION search_opened() FROM PUBLIC;

-- Words spelled like one. It is planned for that very word, so that the spelling index is used: comparing every word costs ten times as much.
CREATE FUNCTION words_spelled_like(asked text) RETURNS TABLE (word text, steps integer)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, kith_ext, pg_temp SET enable_seqscan = off ROWS 20 AS $$
BEGIN
  RETURN QUERY EXECUTE 'SELECT w.word, levenshtein_less_equal(w.word, $1, 4) FROM kith.search_word w WHERE w.word % $1 AND length(w.word) <= 60' USING asked;
END $$;
REVOKE ALL ON FUNCTION words_spelled_like(text) FROM PUBLIC;

-- The words near to those asked for ([{word, score, near}]), each with its best score. A word is compared in spelling and sound
-- only where near says so: a nickname stands for itself. Thresholds decide, not places in a list; the limit is for safety alone.
CREATE FUNCTION near_words(asked jsonb, OUT words text[], OUT points integer[])
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, kith_ext, pg_temp SET jit = off SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 SET random_page_cost = 1.1 AS $$
BEGIN
  SELECT array_agg(b.word ORDER BY b.points DESC, b.word), array_agg(b.points ORDER BY b.points DESC, b.word) INTO words, points
    FROM (
      WITH q AS (SELECT x.word, x.score, x.near FROM jsonb_to_recordset(asked) AS x (word text, score integer, near boolean))
      SELECT n.word, max(n.points)::integer AS points
        FROM (
          SELECT q.word, q.score AS points FROM q
          UNION ALL
          SELECT w.word, q.score * CASE l.steps WHEN 0 THEN 100 WHEN 1 THEN 92 WHEN 2 THEN 84 ELSE 76 END / 100
            FROM (SELECT q.word, q.score FROM q WHERE q.near AND length(q.word) BETWEEN 4 AND 60 OFFSET 0) q
            CROSS JOIN LATERAL kith.words_spelled_like(q.word) w
            CROSS JOIN LATERAL (SELECT w.steps) l
           WHERE length(w.word) >= 3
             AND l.steps <= CASE WHEN length(q.word) < 5 THEN 1 WHEN length(q.word) < 9 THEN 2 ELSE 3 END
          UNION ALL
          SELECT w.word, q.score * greatest(70, 88 - 3 * l.steps) / 100
            FROM q
            CROSS JOIN LATERAL (
              SELECT s.word FROM kith.search_word s WHERE s.sound = dmetaphone(q.word)
              UNION SELECT s.word FROM kith.search_word s WHERE s.sound_too = dmetaphone(q.word)
              UNION SELECT s.word FROM kith.search_word s WHERE s.sound = dmetaphone_alt(q.word)) w
            CROSS JOIN LATERAL (SELECT CASE WHEN length(w.word) <= 60 THEN levenshtein(w.word, q.word) ELSE 99 END AS steps) l
           WHERE q.near AND length(q.word) BETWEEN 3 AND 60 AND dmetaphone(q.word) <> ''
             AND l.steps <= greatest(2, greatest(length(q.word), length(w.word)) / 2)
        ) n
       GROUP BY n.word
       ORDER BY 2 DESC, 1
       LIMIT 400) b;
END $$;
REVOKE ALL ON FUNCTION near_words(jsonb) FROM PUBLIC;

-- Who in this scope may be meant, best first: ids, versions and scores, no key. The one door decides which of these matches its
-- caller may know of, and scores anew by those alone. Whom a restriction closes to the caller, and sections that the caller can
-- have in no family (allowed), are left out here already, so that they cost nothing there.
--
-- The planner is told to look things up: what is asked for is little, and compiling or reading whole tables would cost more.
-- asked: {"weights": {term: weight}, "codes": {field: {value: score}}, "given": words, "family": words, "agency": …, "local_id": …};
-- whoever is found fits every term. scope: involvement, open-work (of the kinds in works), listed, or everybody. Unknown = nobody.
CREATE FUNCTION search_candidates(of_partnership text, of_worker uuid, of_agency text, at_time timestamptz, scope text, works text[], allowed text[], asked jsonb, most integer)
  RETURNS TABLE (person uuid, families uuid[], best integer, version bigint, term text, fields text[], score integer)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, kith_ext, pg_temp SET jit = off SET enable_seqscan = off SET max_parallel_workers_per_gather = 0 SET random_page_cost = 1.1 AS $$
#variable_conflict use_column
DECLARE
  today    constant date := (at_time AT TIME ZONE 'UTC')::date;
  bound    constant integer := 4000;                   -- a larger scope is held against the matches instead
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
    matches := matches || $q$SELECT x.person, NULL::bigint AS version, 'identifier' AS term, '{}'::text[] AS fields, 100 AS score FROM unnest($1) x (person)$q$::text;
  END IF;
  FOR field IN SELECT jsonb_object_keys(asked -> 'codes') LOOP
    one := format($q$
      SELECT s.person, v.id AS version, k.field AS term, ARRAY[k.field] AS fields, q.score::integer AS score
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
      SELECT s.person, v.id AS version, 'name' AS term, k.fields, %s AS score
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
      SELECT x.person, x.version, x.term, x.fields, max(x.score) AS score
        FROM (%s) x
       GROUP BY 1, 2, 3, 4),
    counted AS MATERIALIZED (
      SELECT h.person, h.version, h.term, h.fields, h.score
        FROM found h
       WHERE h.version IS NULL OR EXISTS (
         SELECT 1 FROM kith.entry_version v
          WHERE v.id = h.version
            AND (v.section = ANY ($7) OR v.owner = $8
                 OR EXISTS (SELECT 1 FROM kith.access_grant g WHERE g.person = h.person AND g.section = v.section AND g.agency = $8
                               AND (g.worker = $9 OR g.worker IS NULL) AND g.revoked_at IS NULL AND g.valid_from <= $10 AND g.valid_until > $10)))),
    ranked AS (
      SELECT t.person, (sum(t.score * (($2 -> 'weights') ->> t.term)::integer) / sum((($2 -> 'weights') ->> t.term)::integer))::integer AS best
        FROM (SELECT c.person, c.term, max(c.score) AS score FROM counted c GROUP BY 1, 2) t
       WHERE NOT EXISTS (
         SELECT 1 FROM kith.restriction r
          WHERE r.person = t.person AND r.valid_from <= $10 AND (r.valid_until IS NULL OR r.valid_until > $10)
            AND CASE r.kind WHEN 'exclusion' THEN $9 = ANY (r.workers) OR $8 = ANY (r.agencies) ELSE $9 <> ALL (r.workers) END)
       GROUP BY t.person
      HAVING count(*) = $11),
    housed AS (
      SELECT k.person, k.best, h.families
        FROM ranked k
        CROSS JOIN LATERAL (
          SELECT array_agg(DISTINCT m.family ORDER BY m.family) AS families
            FROM kith.membership m JOIN kith.family o ON o.id = m.family AND o.partnership = $12
           WHERE m.person = k.person AND m.confirmed_by IS NOT NULL AND (m.valid_from IS NULL OR m.valid_from <= $13) AND %s) h
       WHERE h.families IS NOT NULL
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
REVOKE ALL ON FUNCTION search_candidates(text, uuid, text, timestamptz, text, text[], text[], jsonb, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_candidates(text, uuid, text, timestamptz, text, text[], text[], jsonb, integer) TO kith_app;

-- Open work by its kind: the scope of a front-door search.
CREATE INDEX episode_open_by_kind ON episode (kind, valid_until) WHERE NOT withdrawn;

GRANT INSERT ON search_name, search_code TO kith_app;
