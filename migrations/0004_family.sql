-- Owner: internal/family. Facts about families: who belongs together, who works with whom, what is open, who was told.
-- Facts are read without a log row (they feed the decision); content stands in 0005 and is never read without one.

-- Sources. A source record is a person as one agency sent them; a link says which person that is, and can be taken back.
CREATE TABLE submission (
  id              uuid PRIMARY KEY,
  partnership     text NOT NULL REFERENCES partnership,
  agency          text NOT NULL REFERENCES agency,
  principal       text NOT NULL,
  format          text NOT NULL CONSTRAINT submission_format_known CHECK (format IN ('cin-census', 'dfe-csc', 'ndjson', 'api', 'borough')),
  idempotency_key text,
  digest          bytea,                                -- of the whole body, once it was read
  started_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at     timestamptz,
  taken           integer NOT NULL DEFAULT 0,
  refused         integer NOT NULL DEFAULT 0,
  created         integer NOT NULL DEFAULT 0,
  changed         integer NOT NULL DEFAULT 0,
  unchanged       integer NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX submission_key_once ON submission (agency, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE person (
  id             uuid PRIMARY KEY,
  partnership    text NOT NULL REFERENCES partnership,
  born           date,
  expected       date,                                  -- expected and not born: an unborn child
  died           date,
  pregnancy_told boolean NOT NULL DEFAULT false,        -- of the unborn: the family has told, so the membership may be known
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT person_dies_after_birth CHECK (died IS NULL OR born IS NULL OR died >= born)
);

CREATE TABLE source_record (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL REFERENCES partnership,
  agency      text NOT NULL REFERENCES agency,
  local_id    text NOT NULL CONSTRAINT source_record_local_id_form CHECK (length(local_id) BETWEEN 1 AND 200),
  about       text NOT NULL CONSTRAINT source_record_about_known CHECK (about IN ('child', 'adult', 'unknown')),
  latest      integer NOT NULL DEFAULT 0,
  CONSTRAINT source_record_once UNIQUE (agency, local_id)
);
CREATE TABLE source_record_version (
  record      uuid NOT NULL REFERENCES source_record,
  version     integer NOT NULL CHECK (version > 0),
  media_type  text NOT NULL,
  bytes       bytea NOT NULL,                           -- as sent; no role of the running hub may read it back
  digest      bytea NOT NULL CHECK (length(digest) = 32),
  submission  uuid REFERENCES submission,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (record, version)
);
-- Whether an agency sends the same again, without letting the caller read what it sent before.
CREATE FUNCTION record_unchanged(of_record uuid, with_digest bytea) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM kith.source_record_version v JOIN kith.source_record r ON r.id = v.record
                  WHERE v.record = of_record AND v.version = r.latest AND v.digest = with_digest);
END $$;
REVOKE ALL ON FUNCTION record_unchanged(uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION record_unchanged(uuid, bytea) TO kith_app;

CREATE TABLE person_link (
  id          uuid PRIMARY KEY,
  record      uuid NOT NULL REFERENCES source_record,
  person      uuid NOT NULL REFERENCES person,
  linked_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  linked_by   uuid,                                     -- worker; NULL = made when the record first came
  reason      text NOT NULL,
  ended_at    timestamptz,                              -- taken back
  ended_by    uuid,
  ended_why   text,
  CONSTRAINT person_link_ends_with_reason CHECK ((ended_at IS NULL) = (ended_why IS NULL))
);
CREATE UNIQUE INDEX person_link_one_current ON person_link (record) WHERE ended_at IS NULL;
CREATE INDEX person_link_by_person ON person_link (person);

-- Families.
CREATE TABLE family (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL REFERENCES partnership,
  ref         text NOT NULL UNIQUE,                     -- F-20417: drawn at random, tells no order
  stamp       bigint NOT NULL DEFAULT 1,                -- raised by every change that can change a decision
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- The name by which one agency knows a family.
CREATE TABLE family_local (
  agency   text NOT NULL REFERENCES agency,
  local_id text NOT NULL CONSTRAINT family_local_id_form CHECK (length(local_id) BETWEEN 1 AND 200),
  family   uuid NOT NULL REFERENCES family,
  PRIMARY KEY (agency, local_id)
);
CREATE TABLE membership (
  id           uuid PRIMARY KEY,
  family       uuid NOT NULL REFERENCES family,
  person       uuid NOT NULL REFERENCES person,
  role         text NOT NULL CONSTRAINT membership_role_known CHECK (role IN ('child', 'parent', 'carer', 'household', 'contact')),
  main_home    boolean NOT NULL DEFAULT true,
  valid_from   date,
  valid_until  date,
  supplied_by  text NOT NULL REFERENCES agency,
  confirmed_by text REFERENCES agency,                  -- children's social care; a membership that is not confirmed opens nothing
  confirmed_at timestamptz,
  ended_why    text,
  CONSTRAINT membership_confirmed_whole CHECK ((confirmed_by IS NULL) = (confirmed_at IS NULL)),
  CONSTRAINT membership_dates_in_order CHECK (valid_until IS NULL OR valid_from IS NULL OR valid_until >= valid_from)
);
CREATE INDEX membership_by_family ON membership (family);
CREATE INDEX membership_by_person ON membership (person);

-- from_person is the parent (carer, contact, …) of to_person. Household, sibling, twin and partner hold both ways and stand once.
CREATE TABLE relationship (
  id             uuid PRIMARY KEY,
  from_person    uuid NOT NULL REFERENCES person,
  to_person      uuid NOT NULL REFERENCES person,
  kind           text NOT NULL CONSTRAINT relationship_kind_known CHECK (kind IN
                   ('parent', 'carer', 'grandparent', 'contact', 'household', 'sibling', 'half-sibling', 'twin', 'partner', 'step-parent', 'foster-carer')),
  status         text CONSTRAINT relationship_status_known CHECK (status IN ('married', 'together', 'separated', 'divorced')),
  responsibility boolean NOT NULL DEFAULT false,        -- holds parental responsibility
  valid_from     date,
  valid_until    date,
  supplied_by    text NOT NULL REFERENCES agency,
  confirmed_at   timestamptz,
  CONSTRAINT relationship_of_two CHECK (from_person <> to_person),
  CONSTRAINT relationship_dates_in_order CHECK (valid_until IS NULL OR valid_from IS NULL OR valid_until >= valid_from)
);
CREATE INDEX relationship_by_from ON relationship (from_person);
CREATE INDEX relationship_by_to ON relationship (to_person);

CREATE TABLE alleged_harm (
  id           uuid PRIMARY KEY,
  by_person    uuid NOT NULL REFERENCES person,
  to_person    uuid NOT NULL REFERENCES person,
  valid_from   date,
  valid_until  date,
  source       text NOT NULL REFERENCES agency,
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  withdrawn_at timestamptz,                             -- said to be wrong, with a reason; an end of the harm is not a withdrawal
  withdrawn_why text,
  CONSTRAINT alleged_harm_of_two CHECK (by_person <> to_person),
  CONSTRAINT alleged_harm_withdrawn_with_reason CHECK ((withdrawn_at IS NULL) = (withdrawn_why IS NULL))
);
CREATE INDEX alleged_harm_by ON alleged_harm (by_person);
CREATE INDEX alleged_harm_to ON alleged_harm (to_person);

-- Open work.
CREATE TABLE episode (
  id          uuid PRIMARY KEY,
  record      uuid REFERENCES source_record,
  person      uuid NOT NULL REFERENCES person,
  kind        text NOT NULL CONSTRAINT episode_kind_known CHECK (kind IN
                ('early-help', 'contact', 'child-in-need', 'section-47', 'child-protection-plan', 'care', 'marac', 'encompass')),
  rating      text CONSTRAINT episode_rating_known CHECK (rating IN ('green', 'amber', 'red')),
  valid_from  date NOT NULL,
  valid_until date,                                     -- last day included
  source      text NOT NULL REFERENCES agency,
  local_id    text,
  submission  uuid REFERENCES submission,
  withdrawn   boolean NOT NULL DEFAULT false,
  CONSTRAINT episode_rating_of_contacts CHECK (rating IS NULL OR kind = 'contact')
);
CREATE UNIQUE INDEX episode_once ON episode (source, local_id) WHERE local_id IS NOT NULL;
CREATE INDEX episode_by_person ON episode (person);
-- A MARAC case's member list, and the named lead of an Operation Encompass event. An empty list means nobody.
CREATE TABLE episode_member (
  episode uuid NOT NULL REFERENCES episode,
  agency  text NOT NULL REFERENCES agency,
  worker  uuid REFERENCES worker,                       -- NULL = the agency's MARAC roles
  id      uuid PRIMARY KEY
);
CREATE INDEX episode_member_by_episode ON episode_member (episode);

-- Who works with whom: the legitimate relationship. Never from the person concerned.
CREATE TABLE involvement (
  id          uuid PRIMARY KEY,
  record      uuid REFERENCES source_record,
  person      uuid NOT NULL REFERENCES person,
  agency      text NOT NULL REFERENCES agency,
  worker      uuid REFERENCES worker,
  team        text,
  role        text NOT NULL DEFAULT '',
  source      text NOT NULL CONSTRAINT involvement_source_known CHECK (source IN ('feed', 'allocation', 'duty', 'cover', 'declared')),
  reason      text NOT NULL DEFAULT '',
  made_by     uuid REFERENCES worker,                   -- the manager, the declaring worker; NULL = the agency's system
  valid_from  timestamptz NOT NULL,
  valid_until timestamptz,
  ended_by    uuid REFERENCES worker,
  ended_why   text,
  local_id    text,
  submission  uuid REFERENCES submission,
  CONSTRAINT involvement_of_somebody CHECK (worker IS NOT NULL OR team IS NOT NULL),
  CONSTRAINT involvement_dates_in_order CHECK (valid_until IS NULL OR valid_until >= valid_from),
  CONSTRAINT involvement_declared_a_day CHECK (source <> 'declared' OR
    (worker IS NOT NULL AND valid_until IS NOT NULL AND valid_until <= valid_from + interval '24 hours' AND length(btrim(reason)) > 0)),
  CONSTRAINT involvement_cover_ends CHECK (source <> 'cover' OR valid_until IS NOT NULL)
);
CREATE UNIQUE INDEX involvement_once ON involvement (agency, local_id) WHERE local_id IS NOT NULL;
CREATE INDEX involvement_by_person ON involvement (person);
CREATE INDEX involvement_by_worker ON involvement (worker) WHERE worker IS NOT NULL;
CREATE INDEX involvement_by_team ON involvement (agency, team) WHERE team IS NOT NULL;

-- Told and agreed: the latest row per person, purpose and agency holds.
CREATE TABLE told_and_agreed (
  id          uuid PRIMARY KEY,
  record      uuid REFERENCES source_record,
  person      uuid NOT NULL REFERENCES person,
  purpose     text NOT NULL,
  agency      text NOT NULL REFERENCES agency,          -- who asked and told
  agreed      text NOT NULL CONSTRAINT told_agreed_known CHECK (agreed IN ('agreed', 'declined', 'withdrawn', 'not-asked')),
  told        text NOT NULL CONSTRAINT told_told_known CHECK (told IN ('told', 'not-told')),
  why         text NOT NULL DEFAULT '',
  by_worker   uuid REFERENCES worker,
  by_words    text NOT NULL DEFAULT '',
  at          date NOT NULL,
  review_on   date,
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT told_not_asked_says_why CHECK (agreed <> 'not-asked' OR length(btrim(why)) > 0),
  CONSTRAINT told_not_told_says_why CHECK (told <> 'not-told' OR length(btrim(why)) > 0)
);
CREATE INDEX told_by_person ON told_and_agreed (person, purpose, agency, at DESC);

-- Restriction: only the listed workers may open this person (an empty list: nobody). Exclusion: the listed may not.
CREATE TABLE restriction (
  id          uuid PRIMARY KEY,
  person      uuid NOT NULL REFERENCES person,
  kind        text NOT NULL CONSTRAINT restriction_kind_known CHECK (kind IN ('restriction', 'exclusion')),
  workers     uuid[] NOT NULL DEFAULT '{}',
  agencies    text[] NOT NULL DEFAULT '{}',
  reason      text NOT NULL CONSTRAINT restriction_says_why CHECK (length(btrim(reason)) > 0),
  set_by      uuid REFERENCES worker,
  valid_from  timestamptz NOT NULL,
  review_on   date NOT NULL,
  valid_until timestamptz,
  ended_by    uuid REFERENCES worker,
  ended_why   text,
  CONSTRAINT restriction_dates_in_order CHECK (valid_until IS NULL OR valid_until >= valid_from),
  CONSTRAINT exclusion_names_somebody CHECK (kind <> 'exclusion' OR cardinality(workers) + cardinality(agencies) > 0)
);
CREATE INDEX restriction_by_person ON restriction (person);

-- Where a person's address is protected: since when. The address itself is content.
CREATE TABLE protection (
  id          uuid PRIMARY KEY,
  person      uuid NOT NULL REFERENCES person,
  since       date NOT NULL,
  valid_until date,
  set_by      text NOT NULL REFERENCES agency,
  reason      text NOT NULL DEFAULT ''
);
CREATE INDEX protection_by_person ON protection (person);

CREATE TABLE access_grant (
  id          uuid PRIMARY KEY,
  person      uuid NOT NULL REFERENCES person,
  agency      text NOT NULL REFERENCES agency,
  worker      uuid REFERENCES worker,                   -- by name; NULL only where the agency as such holds it (MARAC papers)
  section     text,                                     -- NULL only for break-glass
  level       text NOT NULL CONSTRAINT access_grant_level_known CHECK (level IN ('existence', 'summary', 'full')),
  break_glass boolean NOT NULL DEFAULT false,
  reason      text NOT NULL CONSTRAINT access_grant_says_why CHECK (length(btrim(reason)) > 0),
  given_by    uuid REFERENCES worker,
  giver       text NOT NULL REFERENCES agency,          -- the agency that gave it
  approved_by uuid REFERENCES worker,                   -- second approval
  valid_from  timestamptz NOT NULL,
  valid_until timestamptz NOT NULL,
  reviewed_at timestamptz,
  revoked_at  timestamptz,
  revoked_by  uuid REFERENCES worker,
  revoked_why text,
  CONSTRAINT access_grant_section_or_emergency CHECK (break_glass = (section IS NULL)),
  CONSTRAINT access_grant_ends CHECK (valid_until > valid_from),
  CONSTRAINT access_grant_emergency_an_hour CHECK (NOT break_glass OR (worker IS NOT NULL AND valid_until <= valid_from + interval '60 minutes'))
);
CREATE INDEX access_grant_by_person ON access_grant (person);

-- Entries: one item each, in immutable versions.
CREATE TABLE entry (
  id          uuid PRIMARY KEY,
  partnership text NOT NULL REFERENCES partnership,
  owner       text NOT NULL REFERENCES agency,
  local_id    text,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT entry_has_one_owner UNIQUE (id, owner)
);
CREATE UNIQUE INDEX entry_once ON entry (owner, local_id) WHERE local_id IS NOT NULL;

CREATE SEQUENCE part_id AS bigint CACHE 100;
CREATE TABLE entry_version (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  entry          uuid NOT NULL REFERENCES entry,
  owner          text,                                   -- copy of entry.owner, so that facts need no join; NULL = look there
  version        integer NOT NULL CHECK (version > 0),
  latest         boolean NOT NULL,
  section        text NOT NULL,
  schema         text NOT NULL,                          -- "mh-risk/1"
  supplied_by    text NOT NULL REFERENCES agency,
  source_kind    text NOT NULL CONSTRAINT entry_source_known CHECK (source_kind IN ('fact', 'allegation', 'opinion', 'self-report', 'third-party')),
  handling       text CONSTRAINT entry_handling_known CHECK (handling IN ('P', 'C')),
  existence_ok   boolean NOT NULL DEFAULT false,         -- code C: police say that its existence may be shown
  sensitivity    smallint NOT NULL CONSTRAINT entry_sensitivity_range CHECK (sensitivity BETWEEN 1 AND 4),
  event_from     date,
  event_until    date,
  event_words    text,                                   -- as said: "summer 2024", "about 8.40pm"
  recorded_on    date NOT NULL,
  narrative      boolean NOT NULL,
  tagged         boolean NOT NULL,
  contains       text[] NOT NULL DEFAULT '{}',
  flags          text[] NOT NULL DEFAULT '{}' CONSTRAINT entry_flags_known CHECK (flags <@ ARRAY['do-not-inform', 'onward', 'court', 'legal', 'new-name', 'places', 'encompass']),
  onward_label   text,
  language       text NOT NULL DEFAULT 'en',
  held           text NOT NULL DEFAULT 'held' CONSTRAINT entry_held_known CHECK (held IN ('held', 'remote', 'erased')),
  fields         text[] NOT NULL DEFAULT '{}',           -- fields that the catalogue did not know when it came
  full_part      bigint,
  summary_part   bigint,
  summary_by     text,
  summary_on     date,
  summary_review date,
  event_of       uuid,                                   -- accounts of one event are linked by a worker: same value
  author         uuid REFERENCES worker,
  author_words   text NOT NULL DEFAULT '',
  questioned     boolean NOT NULL DEFAULT false,
  withdrawn      boolean NOT NULL DEFAULT false,         -- purged by its owner
  digest         bytea,                                  -- of the content: to tell "sent again" from "changed"; not readable by the app
  submission     uuid REFERENCES submission,
  received_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT entry_version_once UNIQUE (entry, version),
  CONSTRAINT entry_version_of_its_owner FOREIGN KEY (entry, owner) REFERENCES entry (id, owner),
  CONSTRAINT entry_dates_in_order CHECK (event_until IS NULL OR event_from IS NULL OR event_until >= event_from),
  CONSTRAINT entry_tags_only_when_tagged CHECK (tagged OR cardinality(contains) = 0),
  CONSTRAINT entry_existence_mark_of_code_c CHECK (NOT existence_ok OR handling = 'C'),
  CONSTRAINT entry_held_has_a_part CHECK (held <> 'held' OR withdrawn OR num_nonnulls(full_part, summary_part) > 0)
);
CREATE UNIQUE INDEX entry_version_one_latest ON entry_version (entry) WHERE latest;

CREATE TABLE entry_subject (
  version  bigint NOT NULL REFERENCES entry_version,
  record   uuid REFERENCES source_record,
  person   uuid NOT NULL REFERENCES person,
  relation text NOT NULL CONSTRAINT entry_subject_relation_known CHECK (relation IN ('about', 'mentions')),
  PRIMARY KEY (version, person, relation)
);
CREATE INDEX entry_subject_by_person ON entry_subject (person, version);
CREATE INDEX entry_subject_by_record ON entry_subject (record) WHERE record IS NOT NULL;
CREATE INDEX episode_by_record ON episode (record) WHERE record IS NOT NULL;
CREATE INDEX involvement_by_record ON involvement (record) WHERE record IS NOT NULL;
CREATE INDEX told_by_record ON told_and_agreed (record) WHERE record IS NOT NULL;

-- Whether the latest version of an entry has this content; the digest itself stays out of reach.
CREATE FUNCTION entry_unchanged(of_entry uuid, with_digest bytea) RETURNS boolean
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM kith.entry_version v WHERE v.entry = of_entry AND v.latest AND v.digest = with_digest);
END $$;
REVOKE ALL ON FUNCTION entry_unchanged(uuid, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION entry_unchanged(uuid, bytea) TO kith_app;

-- A concern ("wrong person", "wrong fact") reaches the owner of the entry.
CREATE TABLE concern (
  id          uuid PRIMARY KEY,
  entry       uuid NOT NULL REFERENCES entry,
  version     integer NOT NULL,
  kind        text NOT NULL CONSTRAINT concern_kind_known CHECK (kind IN ('wrong-person', 'wrong-fact')),
  what        text NOT NULL CONSTRAINT concern_says_what CHECK (length(btrim(what)) > 0),
  raised_by   uuid REFERENCES worker,
  agency      text NOT NULL REFERENCES agency,
  raised_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  answered_at timestamptz,
  answer      text,
  CONSTRAINT concern_answered_whole CHECK ((answered_at IS NULL) = (answer IS NULL))
);
CREATE INDEX concern_by_entry ON concern (entry);

-- Stamps. One function for tables that name a person, one for those that name two, one for memberships.
-- Families are locked in the order of their ids, so that two writers cannot deadlock.
CREATE FUNCTION raise_families_of(people uuid[]) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.family f WHERE f.id IN (SELECT m.family FROM kith.membership m WHERE m.person = ANY (people)) ORDER BY f.id FOR UPDATE;
  UPDATE kith.family f SET stamp = stamp + 1 WHERE f.id IN (SELECT m.family FROM kith.membership m WHERE m.person = ANY (people));
END $$;
REVOKE ALL ON FUNCTION raise_families_of(uuid[]) FROM PUBLIC;

CREATE FUNCTION stamp_by_person() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT DISTINCT person FROM changed));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_person_moved() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT person FROM changed UNION SELECT person FROM before));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_family() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM 1 FROM kith.family f WHERE f.id IN (SELECT family FROM changed) ORDER BY f.id FOR UPDATE;
  UPDATE kith.family f SET stamp = stamp + 1 WHERE f.id IN (SELECT family FROM changed);
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_relationship() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT from_person FROM changed UNION SELECT to_person FROM changed));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_harm() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT by_person FROM changed UNION SELECT to_person FROM changed));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_version() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT DISTINCT s.person FROM kith.entry_subject s JOIN changed c ON c.id = s.version));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_episode_member() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT DISTINCT e.person FROM kith.episode e JOIN changed c ON c.episode = e.id));
  RETURN NULL;
END $$;
CREATE FUNCTION stamp_by_self() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  PERFORM kith.raise_families_of(ARRAY(SELECT id FROM changed));
  RETURN NULL;
END $$;

DO $$
DECLARE t text; f text; pair text[];
BEGIN
  FOREACH t IN ARRAY ARRAY['involvement', 'episode', 'told_and_agreed', 'restriction', 'protection', 'access_grant', 'entry_subject'] LOOP
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON kith.%I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.stamp_by_person()', t || '_stamp_insert', t);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON kith.%I REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.stamp_by_person()', t || '_stamp_delete', t);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON kith.%I REFERENCING NEW TABLE AS changed OLD TABLE AS before FOR EACH STATEMENT EXECUTE FUNCTION kith.stamp_by_person_moved()', t || '_stamp_update', t);
  END LOOP;
  FOREACH pair SLICE 1 IN ARRAY ARRAY[['membership', 'stamp_by_family'], ['relationship', 'stamp_by_relationship'], ['alleged_harm', 'stamp_by_harm'], ['entry_version', 'stamp_by_version'], ['episode_member', 'stamp_by_episode_member'], ['person', 'stamp_by_self']] LOOP
    t := pair[1]; f := pair[2];
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON kith.%I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.%I()', t || '_stamp_insert', t, f);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON kith.%I REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.%I()', t || '_stamp_delete', t, f);
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON kith.%I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION kith.%I()', t || '_stamp_update', t, f);
  END LOOP;
END $$;

-- A source record that turns out to be another person takes everything that came with it along, and back again.
CREATE FUNCTION follow_link() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  UPDATE kith.entry_subject   SET person = NEW.person WHERE record = NEW.record AND person <> NEW.person;
  UPDATE kith.involvement     SET person = NEW.person WHERE record = NEW.record AND person <> NEW.person;
  UPDATE kith.episode         SET person = NEW.person WHERE record = NEW.record AND person <> NEW.person;
  UPDATE kith.told_and_agreed SET person = NEW.person WHERE record = NEW.record AND person <> NEW.person;
  RETURN NULL;
END $$;
CREATE TRIGGER person_link_follow AFTER INSERT ON person_link FOR EACH ROW WHEN (NEW.ended_at IS NULL) EXECUTE FUNCTION follow_link();

GRANT SELECT ON submission, person, source_record, person_link, family, family_local, membership, relationship, alleged_harm, episode, episode_member,
  involvement, told_and_agreed, restriction, protection, access_grant, entry, entry_subject, concern TO kith_app;
GRANT SELECT (record, version, media_type, submission, received_at) ON source_record_version TO kith_app;
GRANT SELECT (id, entry, owner, version, latest, section, schema, supplied_by, source_kind, handling, existence_ok, sensitivity, event_from, event_until, event_words,
  recorded_on, narrative, tagged, contains, flags, onward_label, language, held, fields, full_part, summary_part, summary_by, summary_on, summary_review,
  event_of, author, author_words, questioned, withdrawn, submission, received_at) ON entry_version TO kith_app;
GRANT INSERT ON submission, person, source_record, source_record_version, person_link, family, family_local, membership, relationship, alleged_harm, episode, episode_member,
  involvement, told_and_agreed, restriction, protection, access_grant, entry, entry_version, entry_subject, concern TO kith_app;
GRANT USAGE ON SEQUENCE part_id TO kith_app;
GRANT UPDATE (digest, finished_at, taken, refused, created, changed, unchanged) ON submission TO kith_app;
GRANT UPDATE (born, expected, died, pregnancy_told) ON person TO kith_app;
GRANT UPDATE (latest, about) ON source_record TO kith_app;
GRANT UPDATE (ended_at, ended_by, ended_why) ON person_link TO kith_app;
GRANT UPDATE (role, main_home, valid_from, valid_until, confirmed_by, confirmed_at, ended_why) ON membership TO kith_app;
GRANT UPDATE (status, responsibility, valid_from, valid_until, confirmed_at) ON relationship TO kith_app;
GRANT UPDATE (valid_until, withdrawn_at, withdrawn_why) ON alleged_harm TO kith_app;
GRANT UPDATE (rating, valid_from, valid_until, withdrawn) ON episode TO kith_app;
GRANT UPDATE (valid_until, ended_by, ended_why, team, role) ON involvement TO kith_app;
GRANT UPDATE (review_on, valid_until, ended_by, ended_why) ON restriction TO kith_app;
GRANT UPDATE (valid_until) ON protection TO kith_app;
GRANT UPDATE (approved_by, reviewed_at, revoked_at, revoked_by, revoked_why) ON access_grant TO kith_app;
GRANT UPDATE (latest, questioned, event_of) ON entry_version TO kith_app;
GRANT UPDATE (answered_at, answer) ON concern TO kith_app;
