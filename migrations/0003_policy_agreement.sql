-- Owner: internal/policy and internal/agreement. Versions by digest, the active head, and the live state of agreements.
CREATE TABLE policy_version (
  digest       bytea PRIMARY KEY CONSTRAINT policy_digest_form CHECK (length(digest) = 32),
  partnership  text NOT NULL REFERENCES partnership,
  name         text NOT NULL,
  bundle       bytea NOT NULL,                          -- every file, the kernel's modules and the engine version, canonical
  state        text NOT NULL CONSTRAINT policy_state_known CHECK (state IN ('draft', 'submitted', 'approved', 'active', 'retired')),
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX policy_one_active ON policy_version (partnership) WHERE state = 'active';

-- What every read asserts: one row per partnership.
CREATE TABLE policy_head (
  partnership  text PRIMARY KEY REFERENCES partnership,
  digest       bytea NOT NULL REFERENCES policy_version,
  stamp        bigint NOT NULL DEFAULT 1,
  activated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE agreement (
  id           text PRIMARY KEY,
  partnership  text NOT NULL REFERENCES partnership,
  starts_on    date NOT NULL,
  review_on    date NOT NULL,
  ends_on      date NOT NULL,                           -- live: signatories may extend it
  CONSTRAINT agreement_dates_in_order CHECK (starts_on <= review_on AND starts_on <= ends_on)
);
CREATE TABLE agreement_party (
  agreement    text NOT NULL REFERENCES agreement,
  agency       text NOT NULL REFERENCES agency,
  state        text NOT NULL CONSTRAINT agreement_party_state_known CHECK (state IN ('unsigned', 'signed', 'suspended', 'ended')),
  since        timestamptz NOT NULL DEFAULT clock_timestamp(),
  set_by       uuid,
  reason       text NOT NULL DEFAULT '',
  PRIMARY KEY (agreement, agency)
);
CREATE TABLE agreement_head (
  partnership  text PRIMARY KEY REFERENCES partnership,
  stamp        bigint NOT NULL DEFAULT 1
);
CREATE FUNCTION raise_agreement_stamp() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  UPDATE kith.agreement_head SET stamp = stamp + 1;     -- one partnership per hub
  RETURN NULL;
END $$;
CREATE TRIGGER agreement_stamp AFTER INSERT OR UPDATE OR DELETE ON agreement FOR EACH STATEMENT EXECUTE FUNCTION raise_agreement_stamp();
CREATE TRIGGER agreement_party_stamp AFTER INSERT OR UPDATE OR DELETE ON agreement_party FOR EACH STATEMENT EXECUTE FUNCTION raise_agreement_stamp();

GRANT SELECT ON policy_version, policy_head, agreement, agreement_party, agreement_head TO kith_app;
GRANT SELECT ON policy_version, policy_head TO kith_auditor, kith_replay;
GRANT INSERT ON policy_version, agreement, agreement_party TO kith_app;
GRANT UPDATE (review_on, ends_on) ON agreement TO kith_app;
GRANT UPDATE (state, since, set_by, reason) ON agreement_party TO kith_app;
