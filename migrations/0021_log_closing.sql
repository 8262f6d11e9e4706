-- Owner: internal/audit (alerts), internal/family (what was wrong). Alerts are closed by whoever may act on them, with a note; who was
-- shown what turns out to be wrong is told however that came out: a feed, a concern that is upheld, a wrong link that is taken back.

-- Who took an alert up or settled it, and why, stands in the log: here are the events alone.
ALTER TABLE alert
  ADD COLUMN acknowledged_at    timestamptz,
  ADD COLUMN acknowledged_event uuid,
  ADD COLUMN closed_event       uuid,                     -- NULL: settled with a review, or over by itself
  ADD CONSTRAINT alert_acknowledged_by_an_event CHECK ((acknowledged_at IS NULL) = (acknowledged_event IS NULL)),
  ADD CONSTRAINT alert_closed_by_an_event CHECK (closed_event IS NULL OR closed_at IS NOT NULL);
-- The hub's own role reads no alerts: it takes one up (without an outcome) or closes it, in the transaction that logs who does. What lasts
-- is closed by keep_alert() alone. False: it was done already.
CREATE FUNCTION settle_alert(which uuid, of_partnership text, by_event uuid, with_outcome text) RETURNS boolean
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF with_outcome IS NULL THEN
    UPDATE kith.alert SET acknowledged_at = clock_timestamp(), acknowledged_event = by_event
     WHERE id = which AND partnership = of_partnership AND closed_at IS NULL AND acknowledged_at IS NULL;
  ELSE
    UPDATE kith.alert SET closed_at = clock_timestamp(), closed_event = by_event, outcome = with_outcome
     WHERE id = which AND partnership = of_partnership AND closed_at IS NULL AND kind NOT IN ('log-late', 'quorum-missing');
  END IF;
  RETURN FOUND;
END $$;
REVOKE ALL ON FUNCTION settle_alert(uuid, text, uuid, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION settle_alert(uuid, text, uuid, text) TO kith_app;

-- A concern is upheld or not: what was wrong is then wrong for all who were shown it.
ALTER TABLE concern
  ADD COLUMN upheld boolean,                              -- NULL: not answered, or before there was a choice
  ADD CONSTRAINT concern_upheld_when_answered CHECK (upheld IS NULL OR answered_at IS NOT NULL);
GRANT UPDATE (upheld) ON concern TO kith_app;

-- What was wrong need not have a right version yet, or ever.
ALTER TABLE correction
  ALTER COLUMN corrected_to DROP NOT NULL,
  DROP CONSTRAINT correction_action_known,
  ADD CONSTRAINT correction_action_known CHECK (action IN ('corrected', 'withdrawn', 'wrong-person', 'wrong-fact', 'separated')),
  ADD CONSTRAINT correction_by_a_version CHECK ((action IN ('corrected', 'withdrawn')) = (corrected_to IS NOT NULL));
CREATE INDEX correction_of_versions ON correction (entry, version) WHERE corrected_to IS NOT NULL;
