-- Owner: internal/family. Writing one by one, and managing who works with whom.

-- A write under a key is made once: sent again with the same content it is answered as the first time, with other content
-- it is refused. The answer holds ids and a receipt, never content.
CREATE TABLE write_once (
  partnership text NOT NULL REFERENCES partnership,
  actor       text NOT NULL,                            -- worker's id or client; a key is the actor's own
  key         text NOT NULL CONSTRAINT write_once_key_form CHECK (length(key) BETWEEN 1 AND 200),
  digest      bytea NOT NULL CONSTRAINT write_once_digest_form CHECK (length(digest) = 32),
  answer      jsonb,
  made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (partnership, actor, key)
);
CREATE INDEX write_once_by_age ON write_once (made_at);
GRANT SELECT, INSERT ON write_once TO kith_app;
GRANT UPDATE (answer) ON write_once TO kith_app;
GRANT SELECT, DELETE ON write_once TO kith_retention;

-- A version written by hand carries the digest of the one before: the nightly feed that sends the old content again must
-- not undo a correction, a tag or a shared summary. What the feed changes becomes a new version as ever.
CREATE FUNCTION carry_digest() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  SELECT v.digest INTO NEW.digest FROM kith.entry_version v WHERE v.entry = NEW.entry AND v.version = NEW.version - 1;
  RETURN NEW;
END $$;
CREATE TRIGGER entry_version_carry_digest BEFORE INSERT ON entry_version FOR EACH ROW
  WHEN (NEW.digest IS NULL AND NOT NEW.withdrawn AND NEW.version > 1) EXECUTE FUNCTION carry_digest();

-- Why a version came to be, in the corrector's words: for the owner alone.
ALTER TABLE entry_version ADD COLUMN why text NOT NULL DEFAULT '' CONSTRAINT entry_version_why_length CHECK (length(why) <= 2000);
GRANT SELECT (why) ON entry_version TO kith_app;

ALTER TABLE concern ADD COLUMN answered_by uuid REFERENCES worker;
GRANT UPDATE (answered_by) ON concern TO kith_app;
CREATE INDEX concern_open ON concern (entry) WHERE answered_at IS NULL;

-- Memberships that wait for children's social care.
CREATE INDEX membership_waiting ON membership (family) WHERE confirmed_by IS NULL;

-- One agency's involvements, as its managers list and cover them.
CREATE INDEX involvement_by_agency ON involvement (agency, valid_until);
