-- Owner: internal/policy. That an agency was asked again for its approval of a proposal: at most once a day (London), whoever asks.
CREATE TABLE policy_reminder (
  submission uuid NOT NULL REFERENCES policy_submission,
  agency     text NOT NULL,                                             -- "" = anybody but the authors, as in policy_need
  day        date NOT NULL,
  worker     uuid NOT NULL REFERENCES worker,
  sent_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (submission, agency, day)
);
GRANT SELECT, INSERT (submission, agency, day, worker) ON policy_reminder TO kith_app;
GRANT SELECT ON policy_reminder TO kith_auditor;
