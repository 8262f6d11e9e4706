-- Owner: internal/audit. The access log: append-only for the app, partitioned by retention class and month.
-- The leaf of an event in the tree is made from header and commitments alone (design.md §5), so a payload can be erased
-- and the leaf stands. Columns after "search copies" repeat what header and payload say; the verifier compares them.
CREATE TABLE access_event (
  id            uuid        NOT NULL,                                   -- random, given by the app
  retention     text        NOT NULL CONSTRAINT access_event_class_known CHECK (retention IN ('access', 'contribution', 'policy', 'security', 'log')),
  occurred_at   timestamptz NOT NULL,                                   -- given by the app, within 5 s of the server's clock (policy below)
  recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),         -- these three only by the database: column grants
  xid           xid8        NOT NULL DEFAULT pg_current_xact_id(),
  backend       integer     NOT NULL DEFAULT pg_backend_pid(),
  partnership   text        NOT NULL,
  replica       text        NOT NULL,                                   -- whose key signed the receipt
  header        bytea       NOT NULL,                                   -- canonical, names no person
  commitments   bytea       NOT NULL CONSTRAINT access_event_commitments_whole CHECK (length(commitments) % 32 = 0 AND length(commitments) >= 32),
  receipt       bytea       NOT NULL CONSTRAINT access_event_receipt_form CHECK (length(receipt) = 64), -- Ed25519
  common        bytea,                                                  -- payload: common part (NULL once erased)
  common_salt   bytea,
  subjects      uuid[]      NOT NULL DEFAULT '{}',                      -- one payload part each, same order
  subject_salts bytea[]     NOT NULL DEFAULT '{}',
  subject_parts bytea[]     NOT NULL DEFAULT '{}',
  input         bytea,                                                  -- sealed decision input: for the replayer alone
  released      bigint[]    NOT NULL DEFAULT '{}',                      -- the parts that this event opens
  -- search copies
  kind          text        NOT NULL,
  agency        text        NOT NULL DEFAULT '',
  acting_for    text        NOT NULL DEFAULT '',
  worker        uuid,
  principal     text        NOT NULL DEFAULT '',
  purpose       text        NOT NULL DEFAULT '',
  family        uuid,
  outcome       text        NOT NULL,
  declared      boolean     NOT NULL DEFAULT false,
  emergency     boolean     NOT NULL DEFAULT false,
  owners        text[]      NOT NULL DEFAULT '{}',                      -- agencies whose entries were released
  top_level     smallint    NOT NULL DEFAULT 0,                         -- highest level released: 0 hidden … 3 full
  request_id    text        NOT NULL DEFAULT '',
  CONSTRAINT access_event_parts_match CHECK (cardinality(subjects) = cardinality(subject_salts) AND cardinality(subjects) = cardinality(subject_parts)),
  PRIMARY KEY (retention, occurred_at, id)
) PARTITION BY LIST (retention);
CREATE INDEX access_event_by_id ON access_event (id);
CREATE INDEX access_event_by_time ON access_event (occurred_at DESC, id DESC);
CREATE INDEX access_event_by_worker ON access_event (worker, occurred_at DESC, id DESC);
CREATE INDEX access_event_by_family ON access_event (family, occurred_at DESC, id DESC);
CREATE INDEX access_event_by_agency ON access_event (agency, occurred_at DESC, id DESC);
CREATE INDEX access_event_by_xid ON access_event (xid);

CREATE TABLE access_event_access       PARTITION OF access_event FOR VALUES IN ('access')       PARTITION BY RANGE (occurred_at);
CREATE TABLE access_event_contribution PARTITION OF access_event FOR VALUES IN ('contribution') PARTITION BY RANGE (occurred_at);
CREATE TABLE access_event_policy       PARTITION OF access_event FOR VALUES IN ('policy')       PARTITION BY RANGE (occurred_at);
CREATE TABLE access_event_security     PARTITION OF access_event FOR VALUES IN ('security')     PARTITION BY RANGE (occurred_at);
CREATE TABLE access_event_log          PARTITION OF access_event FOR VALUES IN ('log')          PARTITION BY RANGE (occurred_at);

-- Makes the month partitions that are missing from last month to `ahead` months from now (UTC months).
CREATE FUNCTION make_event_partitions(ahead integer) RETURNS integer LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE
  class text; m date; made integer := 0; name text;
BEGIN
  IF ahead < 0 OR ahead > 24 THEN RAISE EXCEPTION 'ahead must be 0 to 24 months'; END IF;
  PERFORM pg_advisory_xact_lock(hashtext('kith.make_event_partitions'));
  FOREACH class IN ARRAY ARRAY['access', 'contribution', 'policy', 'security', 'log'] LOOP
    FOR i IN -1 .. ahead LOOP
      m := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => i))::date;
      name := 'access_event_' || class || '_' || to_char(m, 'YYYY_MM');
      IF to_regclass('kith.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE kith.%I PARTITION OF kith.%I FOR VALUES FROM (%L) TO (%L)', name, 'access_event_' || class,
          m::text || ' 00:00:00+00', (m + interval '1 month')::date::text || ' 00:00:00+00');
        made := made + 1;
      END IF;
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION make_event_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_event_partitions(integer) TO kith_sequencer, kith_retention;
SELECT make_event_partitions(3);

-- The last instant that a partition exists for (readiness warns 14 days before it).
CREATE FUNCTION event_partitions_until() RETURNS timestamptz LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT max((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
   WHERE i.inhparent = 'kith.access_event_access'::regclass
$$;
REVOKE ALL ON FUNCTION event_partitions_until() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION event_partitions_until() TO kith_app, kith_sequencer, kith_auditor, kith_retention;

ALTER TABLE access_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_event FORCE ROW LEVEL SECURITY;
CREATE POLICY app_appends ON access_event FOR INSERT TO kith_app
  WITH CHECK (occurred_at BETWEEN clock_timestamp() - interval '5 s' AND clock_timestamp() + interval '5 s');
CREATE POLICY owner_reads ON access_event FOR SELECT TO kith_owner USING (true);      -- released_by() runs as the owner
CREATE POLICY auditor_reads ON access_event FOR SELECT TO kith_auditor USING (true);  -- scopes are kept by internal/audit
CREATE POLICY replay_reads ON access_event FOR SELECT TO kith_replay USING (true);
CREATE POLICY sequencer_reads ON access_event FOR SELECT TO kith_sequencer USING (true);

GRANT INSERT (id, retention, occurred_at, partnership, replica, header, commitments, receipt, common, common_salt, subjects, subject_salts,
  subject_parts, input, released, kind, agency, acting_for, worker, principal, purpose, family, outcome, declared, emergency, owners, top_level, request_id)
  ON access_event TO kith_app;
GRANT SELECT (id, retention, occurred_at, recorded_at, xid, backend, partnership, replica, header, commitments, receipt, common, common_salt, subjects, subject_salts,
  subject_parts, released, kind, agency, acting_for, worker, principal, purpose, family, outcome, declared, emergency, owners, top_level, request_id)
  ON access_event TO kith_auditor;
GRANT SELECT ON access_event TO kith_replay;
GRANT SELECT (id, retention, occurred_at, recorded_at, xid, replica, header, commitments, receipt, kind) ON access_event TO kith_sequencer;

-- Which parts a committed event of this very connection, seconds old, opens. plpgsql, since a function in SQL would be planned at each call.
-- occurred_at is within 5 s of the server's clock, so its bounds let the planner skip all other months.
CREATE FUNCTION released_by(event uuid) RETURNS bigint[]
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE parts bigint[];
BEGIN
  SELECT e.released INTO parts FROM kith.access_event e
   WHERE e.id = event
     AND e.retention = 'access'
     AND e.occurred_at BETWEEN now() - interval '15 s' AND now() + interval '15 s'
     AND e.backend = pg_backend_pid()
     AND e.xid IS DISTINCT FROM pg_current_xact_id_if_assigned()       -- visible and not ours: committed
     AND e.recorded_at > clock_timestamp() - interval '5 s';
  RETURN coalesce(parts, '{}');
END $$;
REVOKE ALL ON FUNCTION released_by(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION released_by(uuid) TO kith_app;

-- Alerts carry a reference, never a name.
CREATE TABLE alert (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL,
  kind        text NOT NULL,
  event       uuid,
  raised_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  closed_at   timestamptz,
  outcome     text,
  CONSTRAINT alert_closed_with_outcome CHECK ((closed_at IS NULL) = (outcome IS NULL))
);
GRANT INSERT (id, partnership, kind, event) ON alert TO kith_app;
GRANT SELECT ON alert TO kith_auditor;
