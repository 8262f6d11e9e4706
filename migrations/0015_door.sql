-- Owner: internal/family. Protected addresses: who has one, by the entries that tell so, and attempts to find somebody by one. Keys of
-- writes that are long done.

-- A protection that an entry made ends with it: corrected, withdrawn, purged. NULL: set without one.
ALTER TABLE protection ADD COLUMN entry uuid REFERENCES entry;
CREATE INDEX protection_by_entry ON protection (entry) WHERE entry IS NOT NULL;

-- The postcodes of protected addresses, in the form in which they are asked for. They are content and go with the part that they were
-- made of. Nobody is found by them, and no role reads them: watch_search() alone compares.
CREATE TABLE guarded_code (
  part  bigint NOT NULL REFERENCES content ON DELETE CASCADE,
  value text   NOT NULL CONSTRAINT guarded_code_says_something CHECK (value <> '')
);
CREATE INDEX guarded_code_by_value ON guarded_code (value);
CREATE INDEX guarded_code_by_part ON guarded_code (part);
GRANT INSERT ON guarded_code TO kith_app;

-- What came before. The owner of the table reads no content either, so the lock is taken off for this one statement.
ALTER TABLE content NO FORCE ROW LEVEL SECURITY;
INSERT INTO guarded_code (part, value)
SELECT c.part, x.code FROM entry_version v JOIN content c ON c.part = v.full_part
 CROSS JOIN LATERAL (SELECT upper(regexp_replace(c.body ->> 'postcode', '[\s-]+', '', 'g')) AS code) x
 WHERE v.section = 'protected-address' AND v.latest AND NOT v.withdrawn AND x.code <> '';
ALTER TABLE content FORCE ROW LEVEL SECURITY;

INSERT INTO protection (id, person, since, valid_until, set_by, reason, entry)
SELECT gen_random_uuid(), s.person, coalesce(v.event_from, '1900-01-01'), CASE WHEN v.event_until > v.event_from AND v.event_words IS NULL THEN v.event_until END, e.owner, 'a protected address was recorded', e.id
  FROM entry_version v JOIN entry e ON e.id = v.entry JOIN entry_subject s ON s.version = v.id AND s.relation = 'about'
 WHERE v.section = 'protected-address' AND v.latest AND NOT v.withdrawn
   AND NOT EXISTS (SELECT 1 FROM protection p WHERE p.person = s.person);

-- Somebody is looked for by the postcode of a protected address, or by one that counts as such (of an address since the protection
-- began): an attempt, which raises an alert on the committed search of this very connection (NHS S-flag practice). The caller learns
-- nothing: no answer, the same look whoever asks, and no wait for the disk, since the row that answers the search waits for it anyway.
CREATE FUNCTION watch_search(of_partnership text, postcode text, today date) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF NOT kith.search_opened() THEN
    RETURN;
  END IF;
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO kith.alert (id, partnership, kind, event)
  SELECT gen_random_uuid(), of_partnership, 'protected-address', current_setting('kith.event')::uuid
   WHERE EXISTS (
           SELECT 1 FROM kith.guarded_code k JOIN kith.entry_version v ON v.full_part = k.part AND v.latest AND v.section = 'protected-address' AND NOT v.withdrawn
            WHERE k.value = postcode)
      OR EXISTS (
           SELECT 1 FROM kith.search_code k JOIN kith.entry_version v ON v.full_part = k.part AND v.latest AND v.section = 'usual-address' AND NOT v.withdrawn
             JOIN kith.entry_subject s ON s.version = v.id AND s.relation = 'about'
             JOIN kith.protection p ON p.person = s.person AND p.since <= today AND (p.valid_until IS NULL OR p.valid_until >= today)
            WHERE k.field = 'postcode' AND k.value = postcode AND (v.event_from IS NULL OR v.event_from >= p.since OR v.event_until >= p.since));
END $$;
REVOKE ALL ON FUNCTION watch_search(text, text, date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION watch_search(text, text, date) TO kith_app;
CREATE INDEX entry_version_by_guarded_part ON entry_version (full_part) WHERE latest AND section = 'protected-address';

-- A key guards a write against being made twice while somebody may still send it again. It is forgotten by the role of the background,
-- which has no other right here: a key of today or yesterday stays, whatever is asked.
CREATE FUNCTION forget_write_keys(before timestamptz, most integer) RETURNS integer
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE gone integer;
BEGIN
  DELETE FROM kith.write_once w
   WHERE w.ctid = ANY (ARRAY(SELECT o.ctid FROM kith.write_once o WHERE o.made_at < least(before, clock_timestamp() - interval '1 day') ORDER BY o.made_at LIMIT most));
  GET DIAGNOSTICS gone = ROW_COUNT;
  RETURN gone;
END $$;
REVOKE ALL ON FUNCTION forget_write_keys(timestamptz, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION forget_write_keys(timestamptz, integer) TO kith_sequencer;
