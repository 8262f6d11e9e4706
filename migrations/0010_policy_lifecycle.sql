-- Owner: internal/policy and internal/agreement. How a policy version comes to be: drafts, submissions, approvals, activation; and how parties
-- act on a live agreement.

-- Drafts are shared by officers of several agencies. Whoever changed a draft is one of its authors and cannot approve it.
CREATE TABLE policy_draft (
  id           uuid PRIMARY KEY,
  partnership  text NOT NULL REFERENCES partnership,
  title        text NOT NULL CONSTRAINT policy_draft_title_length CHECK (length(title) BETWEEN 1 AND 200),
  based_on     bytea NOT NULL REFERENCES policy_version,
  agency       text NOT NULL REFERENCES agency,            -- of the officer who opened it
  authors      uuid[] NOT NULL CONSTRAINT policy_draft_has_author CHECK (cardinality(authors) >= 1),
  revision     bigint NOT NULL DEFAULT 1,                  -- raised by every change of any file
  changed_by   uuid NOT NULL REFERENCES worker,
  opened_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  changed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  submitted    boolean NOT NULL DEFAULT false,
  discarded    boolean NOT NULL DEFAULT false
);
CREATE TABLE policy_draft_file (
  draft        uuid NOT NULL REFERENCES policy_draft,
  path         text NOT NULL CONSTRAINT policy_draft_path_length CHECK (length(path) BETWEEN 1 AND 200),
  content      bytea NOT NULL CONSTRAINT policy_draft_file_size CHECK (length(content) <= 262144),
  revision     bigint NOT NULL,                            -- the draft's, when this file last changed
  PRIMARY KEY (draft, path)
);

-- A submission is one proposal to make one version the active one in place of another. A version that was active before can be proposed again.
CREATE TABLE policy_submission (
  id            uuid PRIMARY KEY,
  partnership   text NOT NULL REFERENCES partnership,
  digest        bytea NOT NULL REFERENCES policy_version,
  compared_with bytea NOT NULL REFERENCES policy_version,  -- the active version that the report speaks of
  draft         uuid REFERENCES policy_draft,              -- NULL: a return to an earlier version
  agency        text NOT NULL REFERENCES agency,
  authors       uuid[] NOT NULL CONSTRAINT policy_submission_has_author CHECK (cardinality(authors) >= 1),
  submitted_by  uuid NOT NULL REFERENCES worker,
  why           text NOT NULL CONSTRAINT policy_submission_says_why CHECK (length(why) BETWEEN 1 AND 2000),
  report        bytea NOT NULL,                            -- the change report, as it was shown to the approvers
  starts_at     timestamptz,                               -- not active before
  submitted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  state         text NOT NULL DEFAULT 'open' CONSTRAINT policy_submission_state_known CHECK (state IN ('open', 'activated', 'withdrawn')),
  ended_at      timestamptz,
  ended_by      uuid REFERENCES worker,
  CONSTRAINT policy_submission_changes_something CHECK (digest <> compared_with),
  CONSTRAINT policy_submission_ended_whole CHECK ((state = 'open') = (ended_at IS NULL))
);
CREATE INDEX policy_submission_by_time ON policy_submission (partnership, submitted_at DESC);

-- Who must approve. Agency '' is anybody who may approve and is no author.
CREATE TABLE policy_need (
  submission uuid NOT NULL REFERENCES policy_submission,
  agency     text NOT NULL,
  why        text[] NOT NULL,
  PRIMARY KEY (submission, agency)
);
CREATE TABLE policy_approval (
  id            uuid PRIMARY KEY,
  submission    uuid NOT NULL REFERENCES policy_submission,
  digest        bytea NOT NULL,
  compared_with bytea NOT NULL,
  agency        text NOT NULL REFERENCES agency,
  worker        uuid NOT NULL REFERENCES worker,
  name          text NOT NULL,
  why           text NOT NULL DEFAULT '',
  given_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT policy_approval_once UNIQUE (submission, worker)
);
-- A data protection officer advises and never approves (UK GDPR art. 38(6), 39).
CREATE TABLE policy_advice (
  id         uuid PRIMARY KEY,
  submission uuid NOT NULL REFERENCES policy_submission,
  agency     text NOT NULL REFERENCES agency,
  worker     uuid NOT NULL REFERENCES worker,
  name       text NOT NULL,
  advice     text NOT NULL CONSTRAINT policy_advice_length CHECK (length(advice) BETWEEN 1 AND 4000),
  given_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Whether a worker may act for an agency in a role on this day: at home there, or accepted by name.
CREATE FUNCTION may_act(who uuid, for_agency text, in_role text) RETURNS boolean
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT EXISTS (SELECT 1 FROM kith.worker w
                  WHERE w.id = who AND NOT w.suspended AND w.active_from <= current_date AND (w.active_until IS NULL OR w.active_until >= current_date)
                    AND (w.agency = for_agency AND in_role = ANY (w.roles)
                         OR EXISTS (SELECT 1 FROM kith.worker_acceptance a
                                     WHERE a.worker = w.id AND a.agency = for_agency AND in_role = ANY (a.roles) AND NOT a.withdrawn
                                       AND a.valid_from <= current_date AND (a.valid_until IS NULL OR a.valid_until >= current_date))))
$$;

-- The agencies that must still approve a submission. An approval counts while its author could still give it, for the two versions that it
-- names; the officer's role may have been lost since.
CREATE FUNCTION policy_approvals_missing(of_submission uuid) RETURNS text[]
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
  SELECT coalesce(array_agg(n.agency ORDER BY n.agency), '{}')
    FROM kith.policy_need n JOIN kith.policy_submission s ON s.id = n.submission
   WHERE s.id = of_submission
     AND NOT EXISTS (SELECT 1 FROM kith.policy_approval a
                      WHERE a.submission = s.id AND a.digest = s.digest AND a.compared_with = s.compared_with
                        AND (n.agency = '' OR a.agency = n.agency)
                        AND NOT a.worker = ANY (s.authors)
                        AND kith.may_act(a.worker, a.agency, 'ig-approver'))
$$;

-- An approval is checked where it is stored. The message is a code for the program.
CREATE FUNCTION check_policy_approval() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
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
  RETURN NEW;
END $$;
CREATE TRIGGER policy_approval_checked BEFORE INSERT ON policy_approval FOR EACH ROW EXECUTE FUNCTION check_policy_approval();

CREATE FUNCTION policy_approved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  UPDATE kith.policy_version v SET state = 'approved'
   WHERE v.digest = NEW.digest AND v.state = 'submitted' AND cardinality(kith.policy_approvals_missing(NEW.submission)) = 0;
  RETURN NULL;
END $$;
CREATE TRIGGER policy_approval_counted AFTER INSERT ON policy_approval FOR EACH ROW EXECUTE FUNCTION policy_approved();

-- The app stores a version as submitted, never as anything else, and changes none of it afterwards.
CREATE FUNCTION submit_policy_version(new_digest bytea, of_partnership text, called text, content bytea) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  INSERT INTO kith.policy_version (digest, partnership, name, bundle, state) VALUES (new_digest, of_partnership, called, content, 'submitted')
  ON CONFLICT (digest) DO UPDATE SET state = 'submitted' WHERE policy_version.state IN ('retired', 'approved');
END $$;
REVOKE INSERT ON policy_version FROM kith_app;

-- The one way in which a running hub changes its policy. It answers 'done' or a code; whatever it is, nothing was half done.
CREATE FUNCTION activate_policy(of_submission uuid, actor uuid) RETURNS text
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
  missing := kith.policy_approvals_missing(of_submission);
  IF cardinality(missing) > 0 THEN RETURN 'policy-approval-missing ' || array_to_string(missing, ' '); END IF;
  UPDATE kith.policy_version SET state = 'retired' WHERE partnership = s.partnership AND state = 'active';
  UPDATE kith.policy_version SET state = 'active' WHERE digest = s.digest;
  UPDATE kith.policy_head SET digest = s.digest, stamp = stamp + 1, activated_at = clock_timestamp() WHERE partnership = s.partnership;
  UPDATE kith.policy_submission SET state = 'activated', ended_at = clock_timestamp(), ended_by = actor WHERE id = s.id;
  RETURN 'done';
END $$;

-- What parties do to a live agreement, beside its state. An act of two parties stands open until the second confirms it.
ALTER TABLE agreement ADD COLUMN first_end date;           -- the end before the first extension
CREATE TABLE agreement_act (
  id           uuid PRIMARY KEY,
  agreement    text NOT NULL REFERENCES agreement,
  kind         text NOT NULL CONSTRAINT agreement_act_known CHECK (kind IN ('sign', 'suspend', 'resume', 'extend')),
  agency       text NOT NULL REFERENCES agency,            -- whose part it is about
  asked_agency text NOT NULL REFERENCES agency,
  asked_by     uuid NOT NULL REFERENCES worker,
  name         text NOT NULL,
  post         text NOT NULL DEFAULT '',
  evidence     text NOT NULL DEFAULT '',
  reason       text NOT NULL DEFAULT '',
  ends_on      date,
  asked_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  second_agency text REFERENCES agency,
  second_by    uuid REFERENCES worker,
  done_at      timestamptz,
  CONSTRAINT agreement_act_of_two CHECK (kind NOT IN ('resume', 'extend') OR done_at IS NULL OR (second_agency <> asked_agency AND second_by <> asked_by)),
  CONSTRAINT agreement_act_extends_to CHECK ((kind = 'extend') = (ends_on IS NOT NULL))
);
CREATE INDEX agreement_act_by_agreement ON agreement_act (agreement, asked_at DESC);
CREATE UNIQUE INDEX agreement_act_one_open ON agreement_act (agreement, agency, kind) WHERE done_at IS NULL;

REVOKE ALL ON FUNCTION may_act(uuid, text, text), policy_approvals_missing(uuid), submit_policy_version(bytea, text, text, bytea), activate_policy(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION may_act(uuid, text, text), policy_approvals_missing(uuid), submit_policy_version(bytea, text, text, bytea), activate_policy(uuid, uuid) TO kith_app;
GRANT SELECT, INSERT ON policy_draft, policy_draft_file, policy_submission, policy_need, policy_approval, policy_advice, agreement_act TO kith_app;
GRANT UPDATE (title, authors, revision, changed_by, changed_at, submitted, discarded) ON policy_draft TO kith_app;
GRANT UPDATE (content, revision), DELETE ON policy_draft_file TO kith_app;
GRANT UPDATE (second_agency, second_by, done_at) ON agreement_act TO kith_app;
GRANT UPDATE (first_end) ON agreement TO kith_app;
GRANT SELECT ON policy_submission, policy_need, policy_approval, policy_advice, agreement_act TO kith_auditor;

-- A proposal that is taken back stays in the record.
CREATE FUNCTION withdraw_policy(of_submission uuid, actor uuid) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE changed integer;
BEGIN
  UPDATE kith.policy_submission SET state = 'withdrawn', ended_at = clock_timestamp(), ended_by = actor WHERE id = of_submission AND state = 'open';
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed = 1;
END $$;
REVOKE ALL ON FUNCTION withdraw_policy(uuid, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION withdraw_policy(uuid, uuid) TO kith_app;
