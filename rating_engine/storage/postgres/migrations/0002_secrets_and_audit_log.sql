-- mode: transaction
-- with functions
-- New tables, which nobody waits for. Engines of version 1 never ask them.

CREATE TABLE engine_secrets (
    name    text PRIMARY KEY,
    secret  bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO engine_secrets VALUES ('rate_cache', sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

CREATE TABLE audit_log (
    audit_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    party       text NOT NULL,
    level       text NOT NULL,
    surface     text NOT NULL,
    key         text,
    address     text,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_log_by_subject ON audit_log (subject, audit_id);

CREATE TABLE idempotency_keys (
    party       text NOT NULL,
    key         text NOT NULL,
    digest      bytea NOT NULL,
    answer      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
