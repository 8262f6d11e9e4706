-- Owner: internal/audit. The end of what the log holds: legal holds, erasure by two officers, months past their retention, and the
-- certificates that say what was done. Leaves and tiles are never touched: every proof of what is left stays valid.

ALTER TABLE log_hold
  ADD CONSTRAINT log_hold_of_an_agency FOREIGN KEY (agency) REFERENCES agency,   -- a misspelt one would hold nothing
  ADD COLUMN review_on date,                               -- NULL: placed before holds had one
  ADD COLUMN placed_by uuid REFERENCES worker,
  ADD COLUMN placed_for text,                              -- agency of who placed it
  ADD COLUMN lifted_by uuid REFERENCES worker,
  ADD COLUMN lifted_why text NOT NULL DEFAULT '' CONSTRAINT log_hold_lifted_why_length CHECK (length(lifted_why) <= 2000);
CREATE INDEX log_hold_standing ON log_hold (placed_at) WHERE lifted_at IS NULL;
GRANT INSERT (review_on, placed_by, placed_for), UPDATE (review_on, lifted_by, lifted_why) ON log_hold TO kith_retention;

-- What was done, signed by a replica's key.
CREATE TABLE log_certificate (
  id        uuid        PRIMARY KEY,
  kind      text        NOT NULL CONSTRAINT log_certificate_kind_known CHECK (kind IN ('erasure', 'hold', 'lift', 'drop')),
  event     uuid        NOT NULL,                           -- that accounts for it
  made_at   timestamptz NOT NULL,
  agencies  text[]      NOT NULL,                           -- of the officers
  body      bytea       NOT NULL,
  replica   text        NOT NULL,
  signature bytea       NOT NULL CONSTRAINT log_certificate_signature_form CHECK (length(signature) = 64),
  class     text,
  month     date,
  CONSTRAINT log_certificate_of_a_month CHECK ((kind = 'drop') = (class IS NOT NULL) AND (kind = 'drop') = (month IS NOT NULL))
);
CREATE INDEX log_certificate_by_time ON log_certificate (made_at DESC, id);

-- Erasures that one officer asked for and another, of another agency, confirms. The person's id goes with the erasure; the reference stays.
CREATE TABLE log_erasure (
  id            uuid        PRIMARY KEY,
  person        uuid,
  reference     text        NOT NULL,
  rule          text        NOT NULL CONSTRAINT log_erasure_names_a_rule CHECK (length(rule) BETWEEN 3 AND 200),
  reason        text        NOT NULL CONSTRAINT log_erasure_has_reason CHECK (length(reason) BETWEEN 10 AND 2000),
  asked_by      uuid        NOT NULL REFERENCES worker,
  asked_for     text        NOT NULL REFERENCES agency,
  asked_name    text        NOT NULL,
  asked_at      timestamptz NOT NULL,
  second_by     uuid        REFERENCES worker,
  second_for    text        REFERENCES agency,
  state         text        NOT NULL DEFAULT 'open' CONSTRAINT log_erasure_state_known CHECK (state IN ('open', 'done', 'withdrawn')),
  ended_at      timestamptz,
  certificate   uuid        REFERENCES log_certificate,
  CONSTRAINT log_erasure_forgets_whom CHECK ((state = 'open') = (person IS NOT NULL)),
  CONSTRAINT log_erasure_ended_whole CHECK ((state = 'open') = (ended_at IS NULL)),
  CONSTRAINT log_erasure_of_two CHECK (state <> 'done' OR second_by <> asked_by AND second_for <> asked_for AND certificate IS NOT NULL)
);
CREATE UNIQUE INDEX log_erasure_one_open ON log_erasure (person) WHERE state = 'open';

-- Exports that came to their end: a month is dropped only where one of these holds it.
CREATE TABLE log_export (
  event   uuid        PRIMARY KEY,                          -- that accounts for it
  scope   text        NOT NULL,
  number  integer     NOT NULL,
  first   bigint      NOT NULL,
  until   bigint      NOT NULL,
  digest  bytea       NOT NULL CONSTRAINT log_export_digest_form CHECK (length(digest) = 32),
  made_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX log_export_by_digest ON log_export (digest);

GRANT SELECT, INSERT (id, kind, event, made_at, agencies, body, replica, signature, class, month) ON log_certificate TO kith_retention;
GRANT SELECT, INSERT (id, person, reference, rule, reason, asked_by, asked_for, asked_name, asked_at),
  UPDATE (person, second_by, second_for, state, ended_at, certificate) ON log_erasure TO kith_retention;
GRANT INSERT (event, scope, number, first, until, digest) ON log_export TO kith_app;
GRANT SELECT ON log_export TO kith_retention, kith_auditor;
GRANT SELECT ON log_certificate, log_erasure TO kith_auditor;

-- A hold covers the whole event, whoever of it is to be erased.
CREATE FUNCTION event_is_held(people uuid[], of_family uuid, of_agency text, of_owners text[]) RETURNS boolean
  LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM kith.log_hold h
                  WHERE h.lifted_at IS NULL
                    AND (h.person = ANY (people) OR h.family = of_family OR h.agency = of_agency OR h.agency = ANY (of_owners)))
$$;

-- An event lives as long as the record that it protects: while an entry about one of its people, or about one of its family, is held.
CREATE FUNCTION event_has_record(people uuid[], of_family uuid) RETURNS boolean
  LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM kith.entry_subject s JOIN kith.entry_version v ON v.id = s.version
                  WHERE s.person = ANY (people) AND v.held <> 'erased' AND NOT v.withdrawn)
      OR EXISTS (SELECT FROM kith.membership m JOIN kith.entry_subject s ON s.person = m.person JOIN kith.entry_version v ON v.id = s.version
                  WHERE m.family = of_family AND v.held <> 'erased' AND NOT v.withdrawn)
$$;
REVOKE ALL ON FUNCTION event_is_held(uuid[], uuid, text, text[]), event_has_record(uuid[], uuid) FROM PUBLIC;

-- Whoever places a hold, erases or drops waits for the others: a hold that was placed holds.
CREATE FUNCTION lock_disposal() RETURNS void LANGUAGE sql AS $$ SELECT pg_advisory_xact_lock(hashtext('kith.dispose')) $$;
REVOKE ALL ON FUNCTION lock_disposal() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lock_disposal() TO kith_retention;

-- Destroys one person's part of every event, with its salt, so that the commitment can no longer be tried against guesses, and the search
-- copies that came of it. Where nobody else is left in the event and its common part names the person, that part goes too: reason and search
-- terms were then about nobody else. A row for each event; part 0 is the common part.
DROP FUNCTION erase_from_log(uuid);
CREATE FUNCTION erase_person(who uuid) RETURNS TABLE (event uuid, part integer, whole boolean, held boolean)
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE
  nobody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
  e kith.access_event;
  common jsonb;
  others boolean;
  named boolean;
BEGIN
  IF who IS NULL OR who = nobody THEN RAISE EXCEPTION 'nobody is named'; END IF;
  PERFORM kith.lock_disposal();
  FOR e IN
    SELECT * FROM kith.access_event x WHERE x.subjects @> ARRAY[who]
    UNION
    SELECT * FROM kith.access_event x
     WHERE x.family IN (SELECT m.family FROM kith.membership m WHERE m.person = who)
       AND x.common IS NOT NULL AND position(convert_to('"' || who::text || '"', 'UTF8') IN x.common) > 0
  LOOP
    event := e.id; part := coalesce(array_position(e.subjects, who), 0); whole := false;
    held := kith.event_is_held(e.subjects, e.family, e.agency, e.owners);
    common := CASE WHEN e.common IS NOT NULL THEN convert_from(e.common, 'UTF8')::jsonb END;
    others := EXISTS (SELECT FROM unnest(e.subjects) s WHERE s NOT IN (who, nobody))
           OR EXISTS (SELECT FROM jsonb_array_elements_text(common -> 'children') c WHERE c <> who::text);
    named := coalesce(common -> 'children' ? who::text OR common ? 'search', false);
    IF held THEN RETURN NEXT; CONTINUE; END IF;
    IF part = 0 AND (others OR NOT named) THEN CONTINUE; END IF;    -- a request for several that was refused: nothing about this person alone
    IF part > 0 THEN
      e.subject_parts[part] := NULL; e.subject_salts[part] := NULL; e.subjects[part] := nobody;
    END IF;
    IF named AND NOT others THEN
      whole := true;
      e.common := NULL; e.common_salt := NULL; common := NULL;
      e.worker := NULL; e.principal := ''; e.purpose := ''; e.family := NULL; e.declared := false; e.emergency := false; e.request_id := '';
    END IF;
    UPDATE kith.access_event x
       SET subject_parts = e.subject_parts, subject_salts = e.subject_salts, subjects = e.subjects, common = e.common, common_salt = e.common_salt,
           input = NULL, released = '{}', worker = e.worker, principal = e.principal, purpose = e.purpose, family = e.family,
           declared = e.declared, emergency = e.emergency, request_id = e.request_id, owners = r.owners, top_level = r.top
      FROM (SELECT coalesce(array_agg(DISTINCT t ->> 'owner' COLLATE "C" ORDER BY t ->> 'owner' COLLATE "C") FILTER (WHERE t ->> 'owner' <> ''), '{}') AS owners,
                   coalesce(max(CASE t ->> 'level' WHEN 'full' THEN 3 WHEN 'summary' THEN 2 WHEN 'existence' THEN 1 ELSE 0 END), 0)::smallint AS top
              FROM (SELECT jsonb_array_elements(common -> 'released') AS t
                    UNION ALL
                    SELECT jsonb_array_elements(convert_from(p, 'UTF8')::jsonb -> 'released') FROM unnest(e.subject_parts) p WHERE p IS NOT NULL) terms) r
     WHERE x.id = e.id AND x.retention = e.retention AND x.occurred_at = e.occurred_at;
    RETURN NEXT;
  END LOOP;
END $$;
REVOKE ALL ON FUNCTION erase_person(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_person(uuid) TO kith_retention;

-- The months that there are.
CREATE FUNCTION event_months() RETURNS TABLE (class text, month date) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT substr(p.relname, length('access_event_') + 1), to_date(right(c.relname, 7), 'YYYY_MM')
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent JOIN pg_inherits up ON up.inhrelid = p.oid
   WHERE up.inhparent = 'kith.access_event'::regclass AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
   ORDER BY 2, 1
$$;

-- One month's events in the order of the log. stays says what keeps an event beyond its retention: 'held', 'record', or nothing.
CREATE FUNCTION month_events(of_class text, of_month date) RETURNS TABLE (event uuid, number integer, index bigint, hash bytea, stays text)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  RETURN QUERY
  SELECT e.id, l.number, l.index, l.hash,
         CASE WHEN kith.event_is_held(e.subjects, e.family, e.agency, e.owners) THEN 'held'
              WHEN of_class IN ('access', 'contribution') AND kith.event_has_record(e.subjects, e.family) THEN 'record' ELSE '' END
    FROM kith.access_event e
    LEFT JOIN kith.log_leaf l ON l.event = e.id AND l.occurred_at = e.occurred_at AND l.retention = e.retention
   WHERE e.retention = of_class
     AND e.occurred_at >= of_month::timestamp AT TIME ZONE 'UTC' AND e.occurred_at < (of_month + interval '1 month') AT TIME ZONE 'UTC'
   ORDER BY l.number, l.index;
END $$;

-- Drops a month. Who calls it has certified what goes (`total` events, less those `carried` over); if that is no longer so, nothing is dropped.
-- What stays is copied first; the lock that readers and writers would wait for is held for a moment alone, and given up after two seconds.
CREATE FUNCTION drop_events(of_class text, of_month date, total bigint, carried uuid[]) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  parent text := 'access_event_' || of_class;
  part   text := 'access_event_' || of_class || '_' || to_char(of_month, 'YYYY_MM');
  bounds text; fields text; there bigint; stay uuid[];
BEGIN
  IF of_month <> date_trunc('month', of_month)::date OR (of_month + interval '1 month') AT TIME ZONE 'UTC' > now() THEN
    RAISE EXCEPTION 'disposal-early';
  END IF;
  PERFORM kith.lock_disposal();
  SELECT pg_get_expr(c.relpartbound, c.oid) INTO bounds FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = to_regclass('kith.' || quote_ident(parent)) AND c.oid = to_regclass('kith.' || quote_ident(part));
  IF bounds IS NULL THEN RAISE EXCEPTION 'disposal-no-month'; END IF;
  SELECT count(*), coalesce(array_agg(m.event ORDER BY m.event) FILTER (WHERE m.stays <> ''), '{}') INTO there, stay FROM kith.month_events(of_class, of_month) m;
  IF there <> total OR stay <> ARRAY (SELECT c FROM unnest(carried) c ORDER BY c) THEN RAISE EXCEPTION 'disposal-changed'; END IF;
  IF cardinality(stay) > 0 THEN
    EXECUTE format('CREATE TABLE kith.%I (LIKE kith.%I INCLUDING ALL)', part || '_kept', part);
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) INTO fields FROM pg_attribute a
     WHERE a.attrelid = to_regclass('kith.' || quote_ident(part)) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
    EXECUTE format('INSERT INTO kith.%I (%s) SELECT %s FROM kith.%I WHERE id = ANY ($1)', part || '_kept', fields, fields, part) USING stay;
  END IF;
  EXECUTE format('ALTER TABLE kith.%I DETACH PARTITION kith.%I', parent, part);
  EXECUTE format('DROP TABLE kith.%I', part);
  IF cardinality(stay) > 0 THEN
    EXECUTE format('ALTER TABLE kith.%I RENAME TO %I', part || '_kept', part);
    EXECUTE format('ALTER TABLE kith.%I ATTACH PARTITION kith.%I %s', parent, part, bounds);
  END IF;
END $$;
REVOKE ALL ON FUNCTION event_months(), month_events(text, date), drop_events(text, date, bigint, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION event_months(), month_events(text, date), drop_events(text, date, bigint, uuid[]) TO kith_retention;
