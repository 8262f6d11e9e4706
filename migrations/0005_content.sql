-- Owner: internal/family. Content, sealed: the app's role reads a part only after an access event that releases it was
-- committed on the same connection, seconds ago (see 0002, released_by). One row per part: the full text and the shared
-- summary of an entry's version are different parts.
CREATE TABLE content (
  part bigint PRIMARY KEY,
  body jsonb NOT NULL
);
ALTER TABLE content ENABLE ROW LEVEL SECURITY;
ALTER TABLE content FORCE ROW LEVEL SECURITY;
CREATE POLICY logged ON content FOR SELECT TO kith_app
  USING (part = ANY ((SELECT released_by(nullif(current_setting('kith.event', true), '')::uuid))::bigint[]));
CREATE POLICY contributed ON content FOR INSERT TO kith_app WITH CHECK (true);
-- The owner may add (bulk load of a borough) and, by retention, erase; it cannot be logged in as.
CREATE POLICY owner_adds ON content FOR INSERT TO kith_owner WITH CHECK (true);
CREATE POLICY erased ON content FOR DELETE TO kith_retention USING (true);
GRANT SELECT, INSERT ON content TO kith_app;
GRANT DELETE ON content TO kith_retention;

