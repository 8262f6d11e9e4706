-- Owner: internal/outbox, internal/agreement and internal/audit. Word that goes out to those who must act; what a sign-off says; how often
-- a clause was used.

-- Counted by the watch as it goes along the log: releases a day, by clause, part of the record, receiver and purpose. No person stands here.
CREATE TABLE clause_use (
  partnership text   NOT NULL,
  day         date   NOT NULL,
  clause      text   NOT NULL,
  section     text   NOT NULL,
  agency      text   NOT NULL,
  purpose     text   NOT NULL,
  n           bigint NOT NULL,
  PRIMARY KEY (partnership, day, clause, section, agency, purpose)
);
GRANT SELECT, INSERT, UPDATE (n) ON clause_use TO kith_auditor;

-- A sign-off names the very text that was signed, and a deputy says for whom and from when to when.
ALTER TABLE agreement_act
  ADD COLUMN document     text NOT NULL DEFAULT '' CONSTRAINT agreement_act_document_form CHECK (document ~ '^([0-9a-f]{64})?$'),
  ADD COLUMN deputy_for   text NOT NULL DEFAULT '' CONSTRAINT agreement_act_deputy_length CHECK (length(deputy_for) <= 200),
  ADD COLUMN deputy_from  date,
  ADD COLUMN deputy_until date,
  ADD CONSTRAINT agreement_act_deputy_dated CHECK (CASE WHEN deputy_for = '' THEN num_nonnulls(deputy_from, deputy_until) = 0 ELSE deputy_from <= deputy_until END);

-- Messages: a kind and a reference, never a name. key makes each go out once: whoever finds the same reason again adds nothing.
CREATE TABLE outbox_message (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL REFERENCES partnership,
  key         text NOT NULL CONSTRAINT outbox_message_key_length CHECK (length(key) BETWEEN 1 AND 300),
  kind        text NOT NULL,
  agency      text NOT NULL REFERENCES agency,             -- who must act, or lost something
  role        text NOT NULL,                               -- whose office it is there
  reference   text NOT NULL CONSTRAINT outbox_message_reference_length CHECK (length(reference) <= 100),
  due         date,
  made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT outbox_message_once UNIQUE (partnership, key)
);
CREATE INDEX outbox_message_newest ON outbox_message (partnership, made_at DESC, id DESC);

-- One row for each address that a message goes to. It is tried until it is delivered or given up.
CREATE TABLE outbox_delivery (
  message      uuid NOT NULL REFERENCES outbox_message ON DELETE CASCADE,
  channel      text NOT NULL,                              -- name in the configuration: the address itself stays out of the database
  attempts     integer NOT NULL DEFAULT 0,
  next_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  delivered_at timestamptz,
  given_up_at  timestamptz,
  fault        text NOT NULL DEFAULT '' CONSTRAINT outbox_delivery_fault_length CHECK (length(fault) <= 200),
  PRIMARY KEY (message, channel),
  CONSTRAINT outbox_delivery_ends_once CHECK (num_nonnulls(delivered_at, given_up_at) <= 1)
);
CREATE INDEX outbox_delivery_waiting ON outbox_delivery (next_at) WHERE delivered_at IS NULL AND given_up_at IS NULL;

GRANT SELECT, INSERT, DELETE ON outbox_message TO kith_app;
GRANT SELECT, INSERT, UPDATE (attempts, next_at, delivered_at, given_up_at, fault) ON outbox_delivery TO kith_app;

-- Alerts of the last days, for word of them: the hub's own role adds alerts and reads none otherwise.
CREATE FUNCTION alerts_since(of_partnership text, since timestamptz) RETURNS TABLE (id uuid, kind text, raised_at timestamptz)
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  RETURN QUERY SELECT a.id, a.kind, a.raised_at FROM kith.alert a WHERE a.partnership = of_partnership AND a.raised_at >= since AND a.closed_at IS NULL
    ORDER BY a.raised_at DESC LIMIT 1000;
END $$;
REVOKE ALL ON FUNCTION alerts_since(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION alerts_since(text, timestamptz) TO kith_app;
