-- Owner: internal/disclosure. Corrections of entries that were shown before: whoever received the wrong version is told (issue 4).
-- A row is written in the correcting transaction; the hub then finds in the log who was shown the wrong parts, and writes each of
-- them an event. No content stands here. Once everybody is told, the people and parts are emptied.
CREATE TABLE correction (
  id           uuid        PRIMARY KEY,
  partnership  text        NOT NULL REFERENCES partnership (code),
  entry        uuid        NOT NULL,
  version      integer     NOT NULL CONSTRAINT correction_of_a_version CHECK (version > 0),   -- the latest that was wrong
  corrected_to integer     NOT NULL CONSTRAINT correction_is_newer CHECK (corrected_to > version),
  action       text        NOT NULL CONSTRAINT correction_action_known CHECK (action IN ('corrected', 'withdrawn')),
  versions     integer[]   NOT NULL,                                                          -- of each part, the version that it was in last
  parts        bigint[]    NOT NULL CONSTRAINT correction_parts_match CHECK (cardinality(parts) = cardinality(versions)),
  about        uuid[]      NOT NULL,
  since        timestamptz NOT NULL,                                                          -- when the oldest of these versions came
  by_worker    uuid,
  corrected_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  told_at      timestamptz,
  closed_at    timestamptz
);
CREATE INDEX correction_waits ON correction (corrected_at) WHERE closed_at IS NULL;
CREATE INDEX correction_by_entry ON correction (entry, version);

-- Who was told, so that nobody is told twice, whichever replica looks.
CREATE TABLE correction_told (
  correction uuid NOT NULL REFERENCES correction (id),
  worker     uuid NOT NULL,
  agency     text NOT NULL,
  event      uuid NOT NULL,
  PRIMARY KEY (correction, worker, agency)
);
GRANT SELECT, INSERT (id, partnership, entry, version, corrected_to, action, versions, parts, about, since, by_worker), UPDATE (told_at, closed_at, versions, parts, about) ON correction TO kith_app;
GRANT SELECT, INSERT ON correction_told TO kith_app;

-- An account may be asked for by the reference that stands in the log: it is resolved by making every person's. Ids alone.
GRANT SELECT (id, partnership) ON person TO kith_auditor;
