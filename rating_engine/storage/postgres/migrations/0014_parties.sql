-- for functions
-- Parties, and what they ask with; all that there is belongs to the system. Defaults are constants: no table is rewritten.

-- What was changed of an account is noted on the account's node; what the log holds so far stays where it is.
DO $$
BEGIN
    IF (SELECT relkind FROM pg_class WHERE oid = to_regclass('audit_log')) = 'r' THEN
        ALTER TABLE audit_log RENAME TO catalogue_audit;
        ALTER INDEX audit_log_pkey RENAME TO catalogue_audit_pkey;
        ALTER INDEX audit_log_by_subject RENAME TO catalogue_audit_by_subject;
        ALTER SEQUENCE audit_log_audit_id_seq RENAME TO catalogue_audit_audit_id_seq;
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS account_audit (
    bucket      smallint NOT NULL,
    audit_id    bigint GENERATED ALWAYS AS IDENTITY,
    at          timestamptz NOT NULL DEFAULT now(),
    party       text NOT NULL,
    level       text NOT NULL,
    surface     text NOT NULL,
    key         text,
    address     text,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    party_id    bigint,
    PRIMARY KEY (bucket, audit_id)
);
CREATE INDEX IF NOT EXISTS account_audit_by_party ON account_audit (party_id, audit_id) WHERE party_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS account_audit_by_subject ON account_audit (subject, audit_id);

DO $$
BEGIN
    IF to_regtype('party_state') IS NULL THEN
        CREATE TYPE party_state AS ENUM
            ('locked', 'deactivated', 'active', 'external_blocked', 'all_blocked', 'protected');
        CREATE TYPE allowed_calls AS ENUM ('none', 'internal', 'all');
    END IF;
END $$;

CREATE TABLE IF NOT EXISTS parties (
    party_id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 2) PRIMARY KEY,
    owner_id      bigint REFERENCES parties CHECK (owner_id < party_id),
    kind          text NOT NULL CHECK (kind IN ('system', 'admin', 'accountant', 'reseller', 'user', 'tenant')),
    access_level  smallint NOT NULL CHECK (access_level IN (10, 11, 22, 25, 33, 44)),
    login         text NOT NULL CHECK (login ~ '^[^\s,]{1,64}$'),
    name          text NOT NULL DEFAULT '',
    status        party_state NOT NULL DEFAULT 'active',
    hidden        boolean NOT NULL DEFAULT false,
    language      text NOT NULL DEFAULT '' CHECK (language ~ '^[a-z]{0,3}$'),
    utc_offset    smallint NOT NULL DEFAULT 0 CHECK (utc_offset BETWEEN -720 AND 840),
    currency      text NOT NULL DEFAULT '' CHECK (currency ~ '^([A-Z]{3})?$'),
    tariff_id     bigint REFERENCES tariffs,
    comment       text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    CHECK ((owner_id IS NULL) = (kind = 'system')),
    CHECK (kind <> 'system' OR party_id = 1 AND status = 'protected' AND NOT hidden)
);
CREATE UNIQUE INDEX IF NOT EXISTS parties_by_login ON parties (lower(login));
CREATE INDEX IF NOT EXISTS parties_by_owner ON parties (owner_id, party_id);
INSERT INTO parties (party_id, kind, access_level, login, status)
  OVERRIDING SYSTEM VALUE VALUES (1, 'system', 44, 'system', 'protected') ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS party_credentials (
    party_id       bigint PRIMARY KEY REFERENCES parties,
    password_hash  text NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS api_keys (
    key_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text NOT NULL UNIQUE CHECK (name <> ''),
    secret_hash       bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    shown             text NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('client', 'server')),
    access_level      smallint NOT NULL DEFAULT 0 CHECK ((kind = 'server') = (access_level > 0)),
    auth_by           text NOT NULL DEFAULT 'username'
                      CHECK (auth_by IN ('username', 'sip_extension', 'id', 'msisdn', 'iccid', 'custom')),
    owner_id          bigint NOT NULL REFERENCES parties,
    default_party_id  bigint REFERENCES parties,
    allowed_sources   cidr[] NOT NULL DEFAULT '{}',
    allowed_methods   text[] NOT NULL DEFAULT '{}',
    scopes            text[] NOT NULL DEFAULT '{}',
    secure_only       boolean NOT NULL DEFAULT false,
    enabled           boolean NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL DEFAULT now(),
    revoked_at        timestamptz
);
CREATE INDEX IF NOT EXISTS api_keys_by_owner ON api_keys (owner_id);

CREATE TABLE IF NOT EXISTS sessions (
    token_hash    bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    party_id      bigint NOT NULL REFERENCES parties,
    surface       text NOT NULL,
    address       text NOT NULL DEFAULT '',
    idle_seconds  integer NOT NULL CHECK (idle_seconds > 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_by_party ON sessions (party_id);
CREATE INDEX IF NOT EXISTS sessions_by_end ON sessions (expires_at);

CREATE TABLE IF NOT EXISTS bans (
    ban_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text NOT NULL CHECK (source <> ''),
    target      cidr NOT NULL,
    reason      text NOT NULL DEFAULT '',
    permanent   boolean NOT NULL DEFAULT false,
    expires_at  timestamptz NOT NULL DEFAULT 'infinity',
    hits        bigint NOT NULL DEFAULT 0,
    created_at  timestamptz NOT NULL DEFAULT now(),
    UNIQUE (source, target)
);

ALTER TABLE accounts ADD COLUMN IF NOT EXISTS party_id bigint NOT NULL DEFAULT 1;
ALTER TABLE subscribers
    ADD COLUMN IF NOT EXISTS party_id bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS calls allowed_calls NOT NULL DEFAULT 'all';
ALTER TABLE catalogue_audit ADD COLUMN IF NOT EXISTS party_id bigint;
