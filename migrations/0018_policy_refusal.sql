-- Owner: internal/policy. An approver's no to a proposal, with its reason: what the author answers to. It takes nothing away from the approvals,
-- which block by not being there.
CREATE TABLE policy_refusal (
  id         uuid PRIMARY KEY,
  submission uuid NOT NULL REFERENCES policy_submission,
  agency     text NOT NULL REFERENCES agency,
  worker     uuid NOT NULL REFERENCES worker,
  name       text NOT NULL,
  why        text NOT NULL CONSTRAINT policy_refusal_says_why CHECK (length(why) BETWEEN 1 AND 2000),
  given_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX policy_refusal_by_submission ON policy_refusal (submission, given_at);
GRANT SELECT, INSERT ON policy_refusal TO kith_app;
GRANT SELECT ON policy_refusal TO kith_auditor;
