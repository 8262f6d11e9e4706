-- Owner: internal/identity. Browser sessions. The cookie's token is never stored: its SHA-256 is the key, so that whoever
-- reads this table cannot be anybody. A row says who signed in and under which record they look; it holds no content.
CREATE TABLE sign_in_attempt (
  id_hash     bytea PRIMARY KEY CONSTRAINT sign_in_attempt_hash_form CHECK (length(id_hash) = 32),
  issuer      text NOT NULL,
  state       text NOT NULL,
  nonce       text NOT NULL,
  verifier    text NOT NULL,                            -- PKCE
  back        text NOT NULL CONSTRAINT sign_in_attempt_back_is_ours CHECK (back ~ '^/([^/\\]|$)' AND length(back) <= 200),
  expires_at  timestamptz NOT NULL
);
CREATE INDEX sign_in_attempt_by_end ON sign_in_attempt (expires_at);

CREATE TABLE web_session (
  token_hash  bytea PRIMARY KEY CONSTRAINT web_session_hash_form CHECK (length(token_hash) = 32),
  partnership text NOT NULL REFERENCES partnership,
  worker      uuid NOT NULL REFERENCES worker,
  agency      text NOT NULL,                            -- for whom the worker spoke at sign-in; read anew at each request
  issuer      text NOT NULL,
  subject     text NOT NULL,
  client      text NOT NULL,
  acr         text NOT NULL DEFAULT '',
  sid         text NOT NULL DEFAULT '',                 -- the issuer's own name for the session, for back-channel logout
  claims      jsonb NOT NULL,                           -- what the issuer said of agency and roles, and nothing else
  hint        bytea NOT NULL,                           -- the ID token, sealed with the cookie's token: for sign-out at the issuer
  created_at  timestamptz NOT NULL,
  seen_at     timestamptz NOT NULL,
  ends_at     timestamptz NOT NULL,                     -- absolute limit
  CONSTRAINT web_session_dates_in_order CHECK (created_at <= seen_at AND created_at < ends_at)
);
CREATE INDEX web_session_by_subject ON web_session (issuer, subject);
CREATE INDEX web_session_by_end ON web_session (ends_at);

-- For what, about whom and why this session looks at a family. An address never says it.
CREATE TABLE web_session_choice (
  token_hash  bytea NOT NULL REFERENCES web_session ON DELETE CASCADE,
  family      uuid NOT NULL,                            -- as asked for, whether there is such a family or not
  purpose     text NOT NULL CONSTRAINT web_session_purpose_form CHECK (purpose ~ '^[A-Z][A-Z0-9]{1,9}$'),
  children    uuid[] NOT NULL DEFAULT '{}',
  reason      text NOT NULL DEFAULT '' CONSTRAINT web_session_reason_length CHECK (length(reason) <= 2000),
  chosen_at   timestamptz NOT NULL,
  PRIMARY KEY (token_hash, family)
);

-- Logout tokens that were used, until they expire (OpenID Connect Back-Channel Logout 1.0 §2.6).
CREATE TABLE logout_token (
  issuer      text NOT NULL,
  jti         text NOT NULL,
  expires_at  timestamptz NOT NULL,
  PRIMARY KEY (issuer, jti)
);

GRANT SELECT, INSERT, DELETE ON sign_in_attempt, web_session, web_session_choice, logout_token TO kith_app;
GRANT UPDATE (seen_at) ON web_session TO kith_app;
GRANT UPDATE (purpose, children, reason, chosen_at) ON web_session_choice TO kith_app;
