-- New tables, which nobody waits for: engines of version 1 never ask them.

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

CREATE TABLE rate_edits (
    LIKE rates INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    removed  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (deck_id, prefix, origin, band, effective_from),
    FOREIGN KEY (deck_id) REFERENCES rate_decks ON DELETE CASCADE
);

CREATE TABLE exchange_orders (
    order_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange     text NOT NULL,
    uniqueid     text NOT NULL,
    attempt      smallint NOT NULL,
    party        text NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    outcome      text,
    answered_at  timestamptz
);
CREATE INDEX exchange_orders_waiting ON exchange_orders (exchange, order_id) WHERE outcome IS NULL;

CREATE TABLE idempotency_keys (
    party       text NOT NULL,
    key         text NOT NULL,
    digest      bytea NOT NULL,
    answer      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE TABLE logins (
    login   text PRIMARY KEY CHECK (login ~ '^[^\s,]{1,64}$'),
    bucket  smallint NOT NULL
);
CREATE INDEX logins_elsewhere ON logins (bucket) WHERE bucket <> 0;

CREATE TABLE tariff_terms (
    tariff_id  bigint PRIMARY KEY,
    name       text NOT NULL,
    version    integer NOT NULL,
    is_option  boolean NOT NULL,
    time_zone  text NOT NULL
) WITH (fillfactor = 70);
CREATE TABLE package_terms (
    package_id  bigint PRIMARY KEY,
    tariff_id   bigint NOT NULL,
    seconds     integer,
    carry_over  text NOT NULL,
    period      text NOT NULL,
    created_at  timestamptz NOT NULL
);
CREATE TABLE route_limits (
    route_id              bigint PRIMARY KEY,
    enabled               boolean NOT NULL,
    max_calls             integer,
    max_calls_per_second  integer,
    shared                boolean NOT NULL
);

CREATE TABLE subscriber_load (
    bucket         smallint NOT NULL,
    subscriber_id  bigint NOT NULL,
    open_calls     integer NOT NULL CHECK (open_calls >= 0),
    PRIMARY KEY (bucket, subscriber_id)
) WITH (fillfactor = 50);

CREATE TABLE frozen_rates (
    bucket    smallint NOT NULL,
    rate_key  bigint NOT NULL,
    rate      text NOT NULL CHECK (rate <> ''),
    PRIMARY KEY (bucket, rate_key)
);

CREATE TABLE open_rerates (
    bucket     smallint NOT NULL,
    rerate_id  bigint NOT NULL,
    PRIMARY KEY (bucket, rerate_id)
);
