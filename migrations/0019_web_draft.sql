-- Owner: internal/identity. What somebody was typing, kept for the same person alone; and the cover over a session's screen.

-- A draft begins when a form is shown, so that a form that is sent after the session has ended still finds its owner: the
-- form carries the draft's random id, and the row says whose it is. It is offered after sign-in to that worker, for that
-- agency, and to nobody else. It goes when the form is saved, when it is thrown away, and when it is old.
CREATE TABLE web_draft (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL REFERENCES partnership,
  worker      uuid NOT NULL REFERENCES worker,
  agency      text NOT NULL REFERENCES agency,
  place       text NOT NULL CONSTRAINT web_draft_place_is_ours CHECK (place ~ '^/([^/\\]|$)' AND length(place) <= 400),
  title       text NOT NULL CONSTRAINT web_draft_title_length CHECK (length(title) <= 200),
  body        jsonb,                                    -- NULL: the form was shown and nothing was typed yet
  begun_at    timestamptz NOT NULL,
  kept_at     timestamptz,
  expires_at  timestamptz NOT NULL,
  CONSTRAINT web_draft_kept_whole CHECK ((body IS NULL) = (kept_at IS NULL)),
  CONSTRAINT web_draft_size CHECK (body IS NULL OR pg_column_size(body) <= 131072)
);
CREATE INDEX web_draft_by_worker ON web_draft (worker, agency);
CREATE INDEX web_draft_by_end ON web_draft (expires_at);
GRANT SELECT, INSERT, DELETE ON web_draft TO kith_app;
GRANT UPDATE (place, title, body, kept_at, expires_at) ON web_draft TO kith_app;
GRANT SELECT (id, expires_at), DELETE ON web_draft TO kith_retention;

-- A desk in an open office: the session shows a neutral page until its worker returns.
ALTER TABLE web_session ADD COLUMN covered_back text CONSTRAINT web_session_cover_is_ours CHECK (covered_back ~ '^/([^/\\]|$)' AND length(covered_back) <= 400);
GRANT UPDATE (covered_back) ON web_session TO kith_app;
