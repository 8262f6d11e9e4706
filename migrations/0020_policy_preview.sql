-- Owner: internal/policy. The whole report of a draft that is not submitted yet; what the schema itself reads from a submission's report, so that
-- no approval which follows from it can be left out; and whom an activation took something from.

-- The report of a draft as one officer asked for it. It speaks of one revision and one active version, and is void when either changes.
CREATE TABLE policy_preview (
  draft         uuid PRIMARY KEY REFERENCES policy_draft,
  revision      bigint NOT NULL,
  digest        bytea NOT NULL,                          -- of the draft's files as they were, with the kernel of the hub that was asked
  compared_with bytea NOT NULL REFERENCES policy_version,
  agency        text NOT NULL REFERENCES agency,         -- whose officer asked
  asked_by      uuid NOT NULL REFERENCES worker,
  asked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  report        bytea NOT NULL,
  state         text NOT NULL DEFAULT 'computing' CONSTRAINT policy_preview_state_known CHECK (state IN ('computing', 'complete', 'failed')),
  stage         text NOT NULL DEFAULT 'past' CONSTRAINT policy_preview_stage_known CHECK (stage IN ('past', 'live')),
  done          bigint NOT NULL DEFAULT 0,
  total         bigint NOT NULL DEFAULT 0,
  progress      bytea,                                   -- where another replica goes on; never shown
  result        bytea,                                   -- counts and references, or why there is none
  holder        uuid,
  held_until    timestamptz NOT NULL DEFAULT '-infinity',
  CONSTRAINT policy_preview_ends_with_result CHECK ((state = 'computing') = (result IS NULL))
);
GRANT SELECT, INSERT, UPDATE ON policy_preview TO kith_app;

-- What a submission's report says of who must approve and of what opens wider: read from it when it is stored, whatever the program says of it.
-- The row is never changed, and its report with it.
ALTER TABLE policy_submission ADD COLUMN needs jsonb NOT NULL DEFAULT '[]', ADD COLUMN opens jsonb NOT NULL DEFAULT '[]';
CREATE FUNCTION policy_report_needs(report bytea) RETURNS jsonb
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_path_query_array(convert_from(report, 'UTF8')::jsonb, '$.needs[*].agency')
$$;
CREATE FUNCTION policy_report_opens(report bytea) RETURNS jsonb
  LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT jsonb_path_query_array(convert_from(report, 'UTF8')::jsonb, '$.changes[*] ? (@.gain == true).section')
$$;
UPDATE policy_submission SET needs = policy_report_needs(report), opens = policy_report_opens(report);

-- As before, and beyond it: what the report asks for is asked for, whether the program stored it as a need or not; and a part that opens wider
-- without a list of who contributed to it asks everybody who does.
CREATE OR REPLACE FUNCTION policy_approvals_missing(of_submission uuid) RETURNS text[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT coalesce(array_agg(n.agency ORDER BY n.agency), '{}')
    FROM kith.policy_submission s
    CROSS JOIN LATERAL (
      SELECT x.agency FROM kith.policy_need x WHERE x.submission = s.id
       UNION
      SELECT r.agency FROM jsonb_array_elements_text(s.needs) AS r (agency)
       UNION
      SELECT c.owner FROM (SELECT DISTINCT t.section FROM jsonb_array_elements_text(s.opens) AS t (section)) AS w
        LEFT JOIN kith.policy_opening o ON o.submission = s.id AND o.section = w.section
        CROSS JOIN LATERAL kith.contributors_of(w.section) AS c (owner)
       WHERE s.state = 'open' AND NOT c.owner = ANY (coalesce(o.owners, '{}'))) AS n (agency)
   WHERE s.id = of_submission
     AND NOT EXISTS (SELECT 1 FROM kith.policy_approval a
                      WHERE a.submission = s.id AND a.digest = s.digest AND a.compared_with = s.compared_with
                        AND (n.agency = '' OR a.agency = n.agency)
                        AND NOT a.worker = ANY (s.authors)
                        AND kith.may_act(a.worker, a.agency, 'ig-approver'))
$$;

-- Nobody is listed as a contributor whom the report knew who is none: such a one could come later and not be asked.
CREATE FUNCTION keep_policy_opening() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  NEW.owners := ARRAY(SELECT c.owner FROM kith.contributors_of(NEW.section) AS c (owner) WHERE c.owner = ANY (NEW.owners) ORDER BY 1);
  RETURN NEW;
END $$;
CREATE TRIGGER policy_opening_true BEFORE INSERT ON policy_opening FOR EACH ROW EXECUTE FUNCTION keep_policy_opening();

-- Whoever changed a draft stays one of its authors, and of what is submitted from it: none of them approves it.
CREATE FUNCTION keep_policy_authors() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF NOT OLD.authors <@ NEW.authors OR NOT NEW.changed_by = ANY (NEW.authors) THEN RAISE EXCEPTION 'policy-authors'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER policy_draft_authors_stay BEFORE UPDATE ON policy_draft FOR EACH ROW EXECUTE FUNCTION keep_policy_authors();
CREATE FUNCTION check_policy_submission() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF NOT NEW.submitted_by = ANY (NEW.authors)
     OR EXISTS (SELECT 1 FROM kith.policy_draft d WHERE d.id = NEW.draft AND NOT d.authors <@ NEW.authors) THEN RAISE EXCEPTION 'policy-authors'; END IF;
  NEW.needs := kith.policy_report_needs(NEW.report);
  NEW.opens := kith.policy_report_opens(NEW.report);
  RETURN NEW;
END $$;
CREATE TRIGGER policy_submission_checked BEFORE INSERT ON policy_submission FOR EACH ROW EXECUTE FUNCTION check_policy_submission();

-- As before, and only by one of its authors.
CREATE OR REPLACE FUNCTION withdraw_policy(of_submission uuid, actor uuid) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE changed integer;
BEGIN
  UPDATE kith.policy_submission SET state = 'withdrawn', ended_at = clock_timestamp(), ended_by = actor
   WHERE id = of_submission AND state = 'open' AND actor = ANY (authors);
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed = 1;
END $$;

-- Whose people an activation took something from, by agency and role, written in its transaction: they are told.
CREATE TABLE policy_loss (
  submission uuid NOT NULL REFERENCES policy_submission,
  agency     text NOT NULL REFERENCES agency,
  role       text NOT NULL,
  lost_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (submission, agency, role)
);
CREATE INDEX policy_loss_by_time ON policy_loss (lost_at);
GRANT SELECT, INSERT ON policy_loss TO kith_app;
GRANT SELECT ON policy_loss TO kith_auditor;

REVOKE ALL ON FUNCTION policy_report_needs(bytea), policy_report_opens(bytea), policy_approvals_missing(uuid), withdraw_policy(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION policy_approvals_missing(uuid), withdraw_policy(uuid, uuid) TO kith_app;
