-- Owner: internal/audit/tree. The log's Merkle tree: which event has which leaf, the hash tiles, the head. Nothing here is secret and
-- nothing here is trusted: the signed checkpoint lies outside the database too, and kith-verify compares all of it.

-- One row for each origin. A log is resumed under a new origin after a legitimate restore; the highest number is the present one.
CREATE TABLE log_head (
  number            integer PRIMARY KEY CONSTRAINT log_head_counts_from_one CHECK (number > 0),
  origin            text        NOT NULL UNIQUE,
  started_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  resumed_by        uuid,                               -- the event that stands first in a resumed log
  size              bigint      NOT NULL DEFAULT 0 CONSTRAINT log_head_size_positive CHECK (size >= 0),
  root              bytea       NOT NULL CONSTRAINT log_head_root_form CHECK (length(root) = 32),
  scanned           xid8        NOT NULL DEFAULT '0',   -- every event of an older transaction has its leaf
  system_identifier bigint      NOT NULL DEFAULT 0,     -- of the server that `scanned` counts on
  checkpoint        bytea       NOT NULL DEFAULT '',    -- signed note of checkpoint_size leaves
  checkpoint_size   bigint      NOT NULL DEFAULT 0,
  checkpoint_at     timestamptz
);

-- No foreign key to access_event: a month may be dropped, its leaves stay.
CREATE TABLE log_leaf (
  number      integer     NOT NULL REFERENCES log_head,
  index       bigint      NOT NULL CONSTRAINT log_leaf_index_positive CHECK (index >= 0),
  event       uuid        NOT NULL,
  retention   text        NOT NULL,
  occurred_at timestamptz NOT NULL,
  xid         xid8        NOT NULL,
  hash        bytea       NOT NULL CONSTRAINT log_leaf_hash_form CHECK (length(hash) = 32),
  forged      boolean     NOT NULL DEFAULT false,       -- no replica's key signed it: an alarm was raised
  PRIMARY KEY (number, index)
);
-- The three that make an event: an id alone may be used twice by somebody who can insert.
CREATE UNIQUE INDEX log_leaf_once ON log_leaf (event, occurred_at, retention);

-- C2SP tlog-tiles, one row a tile: a partial tile is the beginning of the full one.
CREATE TABLE log_tile (
  number integer  NOT NULL REFERENCES log_head,
  level  smallint NOT NULL,
  n      bigint   NOT NULL,
  hashes bytea    NOT NULL CONSTRAINT log_tile_form CHECK (length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192),
  PRIMARY KEY (number, level, n)
);

-- The last checkpoint of each hour, for who wants to know where two histories part.
CREATE TABLE log_checkpoint (
  number integer     NOT NULL REFERENCES log_head,
  hour   timestamptz NOT NULL,
  size   bigint      NOT NULL,
  note   bytea       NOT NULL,
  PRIMARY KEY (number, hour)
);

-- Officers who ask that a stopped log be resumed. A row counts only with its event in the log under a replica's signature; two
-- different workers must name the same last known head.
CREATE TABLE log_resumption (
  event    uuid        PRIMARY KEY,
  worker   uuid        NOT NULL,
  reason   text        NOT NULL CONSTRAINT log_resumption_has_reason CHECK (length(reason) BETWEEN 10 AND 2000),
  origin   text        NOT NULL,
  size     bigint      NOT NULL,
  root     bytea       NOT NULL,
  asked_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT, INSERT, UPDATE ON log_head, log_tile, log_checkpoint TO kith_sequencer;
GRANT SELECT, INSERT ON log_leaf TO kith_sequencer;
GRANT SELECT ON log_resumption TO kith_sequencer;
GRANT INSERT (id, partnership, kind, event) ON alert TO kith_sequencer;
GRANT INSERT (event, worker, reason, origin, size, root) ON log_resumption TO kith_app;
GRANT SELECT ON log_head, log_leaf, log_tile, log_checkpoint, log_resumption TO kith_auditor, kith_retention;

-- Legal holds: while one stands, nothing that it covers is erased from the log.
CREATE TABLE log_hold (
  id        uuid        PRIMARY KEY,
  person    uuid,
  family    uuid,
  agency    text,
  reason    text        NOT NULL CONSTRAINT log_hold_has_reason CHECK (length(reason) BETWEEN 10 AND 2000),
  placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  lifted_at timestamptz,
  CONSTRAINT log_hold_covers_one CHECK (num_nonnulls(person, family, agency) = 1)
);
GRANT SELECT, INSERT (id, person, family, agency, reason), UPDATE (lifted_at) ON log_hold TO kith_retention;
GRANT SELECT ON log_hold TO kith_auditor;

-- Destroys one person's part of every event, with its salt, so that the commitment can no longer be tried against guesses. Leaves
-- and proofs stay valid. Recorded inputs that spoke of the person go with it: such an event says that it cannot be replayed.
CREATE POLICY owner_erases ON access_event FOR UPDATE TO kith_owner USING (true) WITH CHECK (true);
CREATE FUNCTION erase_from_log(who uuid, OUT erased bigint, OUT held bigint) LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
DECLARE
  nobody CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
BEGIN
  IF who IS NULL OR who = nobody THEN RAISE EXCEPTION 'nobody is named'; END IF;
  SELECT count(*) INTO held FROM kith.access_event e
   WHERE e.subjects @> ARRAY[who]
     AND EXISTS (SELECT FROM kith.log_hold h WHERE h.lifted_at IS NULL AND (h.person = who OR h.family = e.family OR h.agency = e.agency OR h.agency = ANY (e.owners)));
  UPDATE kith.access_event e
     SET subject_parts[array_position(e.subjects, who)] = NULL, subject_salts[array_position(e.subjects, who)] = NULL,
         subjects[array_position(e.subjects, who)] = nobody, input = NULL
   WHERE e.subjects @> ARRAY[who]
     AND NOT EXISTS (SELECT FROM kith.log_hold h WHERE h.lifted_at IS NULL AND (h.person = who OR h.family = e.family OR h.agency = e.agency OR h.agency = ANY (e.owners)));
  GET DIAGNOSTICS erased = ROW_COUNT;
END $$;
REVOKE ALL ON FUNCTION erase_from_log(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_from_log(uuid) TO kith_retention;
