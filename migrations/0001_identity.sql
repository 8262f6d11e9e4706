-- Owner: internal/identity. Partnerships, agencies, workers and what joins a sign-in to an allocation feed.
GRANT USAGE ON SCHEMA kith TO kith_app, kith_sequencer, kith_auditor, kith_replay, kith_retention, kith_migrate;

CREATE TABLE partnership (
  code            text PRIMARY KEY CHECK (code ~ '^[a-z][a-z0-9-]{1,39}$'),
  name            text NOT NULL,
  desk_name       text NOT NULL,             -- the neutral contact that existence-level holders name
  desk_phone      text NOT NULL,
  mash_phone      text NOT NULL,
  out_of_hours    text NOT NULL
);

CREATE TABLE agency (
  code             text PRIMARY KEY CONSTRAINT agency_code_form CHECK (code ~ '^[A-Z][A-Z0-9-]{1,19}$'),
  partnership      text NOT NULL REFERENCES partnership,
  kind             text NOT NULL CONSTRAINT agency_kind_form CHECK (kind ~ '^[A-Z][A-Z0-9]{1,9}$'), -- a kind of the active policy version; unknown to it means no
  name             text NOT NULL,
  legal_controller text NOT NULL,
  ods              text,
  ico              text,
  contact_name     text NOT NULL DEFAULT '',
  contact_phone    text NOT NULL DEFAULT '',
  feed             text NOT NULL DEFAULT 'none' CONSTRAINT agency_feed_known CHECK (feed IN ('daily', 'late', 'none')),
  feed_last        timestamptz,
  active_from      date NOT NULL DEFAULT current_date,
  active_until     date,
  CONSTRAINT agency_names_its_controller CHECK (ods IS NOT NULL OR ico IS NOT NULL),
  CONSTRAINT agency_dates_in_order CHECK (active_until IS NULL OR active_until >= active_from)
);

-- A worker is one person at one employer; the sign-in is (issuer, subject), stable for life.
CREATE TABLE worker (
  id              uuid PRIMARY KEY,
  partnership     text NOT NULL REFERENCES partnership,
  agency          text NOT NULL REFERENCES agency,     -- whom the worker speaks for by default
  employer        text NOT NULL,
  issuer          text,
  subject         text,
  name            text NOT NULL,                        -- shown to the auditor and to colleagues
  roles           text[] NOT NULL,                      -- an empty list means nobody: no role, no access
  active_from     date NOT NULL DEFAULT current_date,
  active_until    date,                                 -- last day included
  suspended       boolean NOT NULL DEFAULT false,
  training_until  date,
  vetting_until   date,
  last_seen       timestamptz,
  enrolled_at     timestamptz NOT NULL DEFAULT now(),   -- or woken: whoever was never seen is dormant counting from here
  file_digest     bytea,                                -- what the directory file last said; saying the same again undoes nothing
  stamp           bigint NOT NULL DEFAULT 1,            -- raised by every change that can end or narrow access
  CONSTRAINT worker_sign_in_whole CHECK ((issuer IS NULL) = (subject IS NULL)),
  CONSTRAINT worker_dates_in_order CHECK (active_until IS NULL OR active_until >= active_from),
  CONSTRAINT worker_sign_in_once UNIQUE (issuer, subject)
);

CREATE TABLE worker_case_id (
  worker uuid NOT NULL REFERENCES worker,
  agency text NOT NULL REFERENCES agency,               -- whose case system
  scheme text NOT NULL,
  value  text NOT NULL,
  PRIMARY KEY (agency, scheme, value)
);

CREATE TABLE worker_team (
  id          uuid PRIMARY KEY,
  worker      uuid NOT NULL REFERENCES worker,
  agency      text NOT NULL REFERENCES agency,
  team        text NOT NULL,
  cover       boolean NOT NULL DEFAULT false,           -- covering for the team, not a member
  valid_from  timestamptz NOT NULL,
  valid_until timestamptz,
  CONSTRAINT worker_team_dates_in_order CHECK (valid_until IS NULL OR valid_until > valid_from),
  CONSTRAINT worker_cover_ends CHECK (NOT cover OR valid_until IS NOT NULL)
);
CREATE INDEX worker_team_by_worker ON worker_team (worker);
CREATE INDEX worker_team_by_team ON worker_team (agency, team);

-- An agency accepts, by name, a worker whom another employer's issuer signs in (co-located specialists).
CREATE TABLE worker_acceptance (
  id          uuid PRIMARY KEY,
  worker      uuid NOT NULL REFERENCES worker,
  agency      text NOT NULL REFERENCES agency,          -- for whom the worker may speak
  roles       text[] NOT NULL,
  accepted_by uuid,                                     -- worker of that agency; NULL = from the agency's file
  valid_from  date NOT NULL,
  valid_until date,
  withdrawn   boolean NOT NULL DEFAULT false,           -- at once, on the day it began too, which valid_until can't say
  reason      text NOT NULL DEFAULT '',
  CONSTRAINT worker_acceptance_dates_in_order CHECK (valid_until IS NULL OR valid_until >= valid_from)
);
CREATE INDEX worker_acceptance_by_worker ON worker_acceptance (worker);

-- The staff register: what a worker's own life has to do with the records (never rule: nobody opens their own family).
CREATE TABLE staff_register (
  worker  uuid PRIMARY KEY REFERENCES worker,
  surname text NOT NULL,
  person  uuid                                          -- own person record, if there is one (family.person; no FK: identity comes first)
);
CREATE TABLE staff_conflict (
  id          uuid PRIMARY KEY,
  worker      uuid NOT NULL REFERENCES worker,
  person      uuid,
  family      uuid,
  kind        text NOT NULL CHECK (kind IN ('self', 'relative', 'neighbour', 'conflict')),
  declared_at timestamptz NOT NULL,
  valid_until date,
  CONSTRAINT staff_conflict_names_one CHECK (num_nonnulls(person, family) >= 1)
);
CREATE INDEX staff_conflict_by_worker ON staff_conflict (worker);

CREATE FUNCTION raise_worker_stamp() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, kith, pg_temp AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    UPDATE kith.worker SET stamp = stamp + 1 WHERE id = OLD.worker;
  ELSE
    UPDATE kith.worker SET stamp = stamp + 1 WHERE id = NEW.worker;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER worker_team_stamp AFTER INSERT OR UPDATE OR DELETE ON worker_team FOR EACH ROW EXECUTE FUNCTION raise_worker_stamp();
CREATE TRIGGER worker_acceptance_stamp AFTER INSERT OR UPDATE OR DELETE ON worker_acceptance FOR EACH ROW EXECUTE FUNCTION raise_worker_stamp();
CREATE TRIGGER staff_register_stamp AFTER INSERT OR UPDATE OR DELETE ON staff_register FOR EACH ROW EXECUTE FUNCTION raise_worker_stamp();
CREATE TRIGGER staff_conflict_stamp AFTER INSERT OR UPDATE OR DELETE ON staff_conflict FOR EACH ROW EXECUTE FUNCTION raise_worker_stamp();

-- A change to the worker raises the stamp by itself; being seen does not.
CREATE FUNCTION raise_own_stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF (NEW.agency, NEW.employer, NEW.issuer, NEW.subject, NEW.roles, NEW.active_from, NEW.active_until, NEW.suspended, NEW.training_until, NEW.vetting_until)
     IS DISTINCT FROM
     (OLD.agency, OLD.employer, OLD.issuer, OLD.subject, OLD.roles, OLD.active_from, OLD.active_until, OLD.suspended, OLD.training_until, OLD.vetting_until) THEN
    NEW.stamp := OLD.stamp + 1;
  END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER worker_stamp BEFORE UPDATE ON worker FOR EACH ROW EXECUTE FUNCTION raise_own_stamp();

GRANT SELECT ON partnership, agency, worker, worker_case_id, worker_team, worker_acceptance, staff_register, staff_conflict TO kith_app;
GRANT INSERT ON agency, worker, worker_case_id, worker_team, worker_acceptance, staff_register, staff_conflict TO kith_app;
GRANT UPDATE (name, legal_controller, ods, ico, contact_name, contact_phone, feed, feed_last, active_until) ON agency TO kith_app;
GRANT UPDATE (agency, employer, issuer, subject, name, roles, active_from, active_until, suspended, training_until, vetting_until, last_seen, enrolled_at, file_digest) ON worker TO kith_app;
GRANT INSERT, UPDATE (name, desk_name, desk_phone, mash_phone, out_of_hours) ON partnership TO kith_app;
GRANT UPDATE (withdrawn) ON worker_acceptance TO kith_app;
GRANT UPDATE (valid_until) ON worker_team, worker_acceptance, staff_conflict TO kith_app;
GRANT UPDATE (surname, person) ON staff_register TO kith_app;
GRANT SELECT ON partnership, agency, worker TO kith_auditor;
