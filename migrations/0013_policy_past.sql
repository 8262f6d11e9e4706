-- Owner: internal/policy. What a proposal would have changed in the past and would change in the live records; who comes to own what it opens;
-- starts that were scheduled; how replicas learn of an activation.

-- One row for each submission, written by whichever replica is at work on it. While it is being computed nobody can approve.
CREATE TABLE policy_effect (
  submission   uuid PRIMARY KEY REFERENCES policy_submission,
  state        text NOT NULL DEFAULT 'computing' CONSTRAINT policy_effect_state_known CHECK (state IN ('computing', 'complete', 'failed')),
  stage        text NOT NULL DEFAULT 'past' CONSTRAINT policy_effect_stage_known CHECK (stage IN ('past', 'live')),
  done         bigint NOT NULL DEFAULT 0,
  total        bigint NOT NULL DEFAULT 0,
  progress     bytea,                                    -- where another replica goes on; never shown
  result       bytea,                                    -- counts and references, or why there is none
  holder       uuid,                                     -- who is at work
  held_until   timestamptz NOT NULL DEFAULT '-infinity',
  CONSTRAINT policy_effect_ends_with_result CHECK ((state = 'computing') = (result IS NULL))
);
-- What was shown to the approvers does not change under them.
CREATE FUNCTION keep_policy_effect() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF OLD.state <> 'computing' OR NEW.submission <> OLD.submission THEN RAISE EXCEPTION 'policy-closed'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER policy_effect_kept BEFORE UPDATE ON policy_effect FOR EACH ROW EXECUTE FUNCTION keep_policy_effect();

-- The parts of the record that a submission opens wider, with those who had entries there when its report was made.
CREATE TABLE policy_opening (
  submission uuid NOT NULL REFERENCES policy_submission,
  section    text NOT NULL,
  owners     text[] NOT NULL,
  PRIMARY KEY (submission, section)
);

-- Who contributes to what, by hopping from one pair to the next: a few hundred look-ups, however many entries there are.
CREATE INDEX entry_version_by_contributor ON entry_version (section, owner) WHERE latest AND owner IS NOT NULL;
CREATE INDEX entry_version_owner_elsewhere ON entry_version (entry) WHERE latest AND owner IS NULL;
CREATE FUNCTION contributors() RETURNS TABLE (section text, owner text)
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  WITH RECURSIVE pair AS (
    (SELECT v.section, v.owner FROM kith.entry_version v WHERE v.latest AND v.owner IS NOT NULL ORDER BY v.section, v.owner LIMIT 1)
    UNION ALL
    SELECT n.section, n.owner FROM pair p CROSS JOIN LATERAL
      (SELECT v.section, v.owner FROM kith.entry_version v
        WHERE v.latest AND v.owner IS NOT NULL AND (v.section, v.owner) > (p.section, p.owner) ORDER BY v.section, v.owner LIMIT 1) n
  )
  SELECT p.section, p.owner FROM pair p
  UNION
  SELECT v.section, e.owner FROM kith.entry_version v JOIN kith.entry e ON e.id = v.entry WHERE v.latest AND v.owner IS NULL
$$;
CREATE FUNCTION contributors_of(part text) RETURNS SETOF text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  WITH RECURSIVE one AS (
    (SELECT v.owner FROM kith.entry_version v WHERE v.latest AND v.owner IS NOT NULL AND v.section = part ORDER BY v.owner LIMIT 1)
    UNION ALL
    SELECT n.owner FROM one p CROSS JOIN LATERAL
      (SELECT v.owner FROM kith.entry_version v WHERE v.latest AND v.owner IS NOT NULL AND v.section = part AND v.owner > p.owner ORDER BY v.owner LIMIT 1) n
  )
  SELECT p.owner FROM one p
  UNION
  SELECT e.owner FROM kith.entry_version v JOIN kith.entry e ON e.id = v.entry WHERE v.latest AND v.owner IS NULL AND v.section = part
$$;

-- As before, and beyond it: who has come to contribute to a part that opens wider must approve as well. The report did not know of them.
CREATE OR REPLACE FUNCTION policy_approvals_missing(of_submission uuid) RETURNS text[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT coalesce(array_agg(n.agency ORDER BY n.agency), '{}')
    FROM kith.policy_submission s
    CROSS JOIN LATERAL (
      SELECT x.agency FROM kith.policy_need x WHERE x.submission = s.id
       UNION
      SELECT c.owner FROM kith.policy_opening o CROSS JOIN LATERAL kith.contributors_of(o.section) AS c (owner)
       WHERE s.state = 'open' AND o.submission = s.id AND NOT c.owner = ANY (o.owners)) AS n (agency)
   WHERE s.id = of_submission
     AND NOT EXISTS (SELECT 1 FROM kith.policy_approval a
                      WHERE a.submission = s.id AND a.digest = s.digest AND a.compared_with = s.compared_with
                        AND (n.agency = '' OR a.agency = n.agency)
                        AND NOT a.worker = ANY (s.authors)
                        AND kith.may_act(a.worker, a.agency, 'ig-approver'))
$$;

-- As before, and beyond it: nobody approves before the whole report is there.
CREATE OR REPLACE FUNCTION check_policy_approval() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE s kith.policy_submission;
BEGIN
  SELECT * INTO s FROM kith.policy_submission WHERE id = NEW.submission FOR UPDATE;
  IF s.state IS DISTINCT FROM 'open' THEN RAISE EXCEPTION 'policy-closed'; END IF;
  IF NEW.digest <> s.digest OR NEW.compared_with <> s.compared_with
     OR NOT EXISTS (SELECT 1 FROM kith.policy_head h WHERE h.partnership = s.partnership AND h.digest = s.compared_with) THEN
    RAISE EXCEPTION 'policy-compared-with-changed';
  END IF;
  IF NEW.worker = ANY (s.authors) THEN RAISE EXCEPTION 'policy-own-draft'; END IF;
  IF NOT kith.may_act(NEW.worker, NEW.agency, 'ig-approver') THEN RAISE EXCEPTION 'policy-not-approver'; END IF;
  IF NOT EXISTS (SELECT 1 FROM kith.policy_effect f WHERE f.submission = s.id AND f.state = 'complete') THEN RAISE EXCEPTION 'policy-report-pending'; END IF;
  RETURN NEW;
END $$;

-- As before, with both of these asked again in the transaction that activates.
CREATE OR REPLACE FUNCTION activate_policy(of_submission uuid, actor uuid) RETURNS text
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE s kith.policy_submission; head bytea; missing text[];
BEGIN
  SELECT * INTO s FROM kith.policy_submission WHERE id = of_submission;
  IF NOT FOUND THEN RETURN 'policy-unknown'; END IF;
  SELECT h.digest INTO head FROM kith.policy_head h WHERE h.partnership = s.partnership FOR UPDATE;   -- one activation at a time
  SELECT * INTO s FROM kith.policy_submission WHERE id = of_submission FOR UPDATE;
  IF s.state <> 'open' THEN RETURN 'policy-closed'; END IF;
  IF head IS DISTINCT FROM s.compared_with THEN RETURN 'policy-compared-with-changed'; END IF;
  IF NOT EXISTS (SELECT 1 FROM kith.policy_version v WHERE v.digest = s.digest AND v.partnership = s.partnership AND v.state IN ('submitted', 'approved')) THEN
    RETURN 'policy-state';
  END IF;
  IF s.starts_at > clock_timestamp() THEN RETURN 'policy-early'; END IF;
  IF NOT EXISTS (SELECT 1 FROM kith.worker w, unnest(ARRAY['ig-author', 'ig-approver']) AS r (code), kith.agency a
                  WHERE w.id = actor AND a.partnership = s.partnership AND kith.may_act(actor, a.code, r.code)) THEN
    RETURN 'policy-not-officer';
  END IF;
  IF NOT EXISTS (SELECT 1 FROM kith.policy_effect f WHERE f.submission = s.id AND f.state = 'complete') THEN RETURN 'policy-report-pending'; END IF;
  missing := kith.policy_approvals_missing(of_submission);
  IF cardinality(missing) > 0 THEN RETURN 'policy-approval-missing ' || array_to_string(missing, ' '); END IF;
  UPDATE kith.policy_version SET state = 'retired' WHERE partnership = s.partnership AND state = 'active';
  UPDATE kith.policy_version SET state = 'active' WHERE digest = s.digest;
  UPDATE kith.policy_head SET digest = s.digest, stamp = stamp + 1, activated_at = clock_timestamp() WHERE partnership = s.partnership;
  UPDATE kith.policy_submission SET state = 'activated', ended_at = clock_timestamp(), ended_by = actor WHERE id = s.id;
  RETURN 'done';
END $$;

-- A scheduled start is tried once, by one replica. What was refused then waits for an officer.
CREATE TABLE policy_start (
  submission uuid PRIMARY KEY REFERENCES policy_submission,
  tried_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  outcome    text NOT NULL                               -- 'done', or the code of the refusal
);

-- Replicas hear of a new version at once; one that does not hear it finds out by asking.
CREATE FUNCTION tell_policy_head() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM pg_notify('kith_policy', '');
  RETURN NULL;
END $$;
CREATE TRIGGER policy_head_told AFTER INSERT OR UPDATE ON policy_head FOR EACH STATEMENT EXECUTE FUNCTION tell_policy_head();

REVOKE ALL ON FUNCTION contributors(), contributors_of(text), policy_approvals_missing(uuid), activate_policy(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION contributors(), policy_approvals_missing(uuid), activate_policy(uuid, uuid) TO kith_app;
GRANT SELECT, INSERT (submission, total), UPDATE (state, stage, done, total, progress, result, holder, held_until) ON policy_effect TO kith_app;
GRANT SELECT, INSERT ON policy_opening, policy_start TO kith_app;
GRANT SELECT ON policy_opening, policy_start TO kith_auditor;
GRANT SELECT (submission, state, stage, done, total, result) ON policy_effect TO kith_auditor;
