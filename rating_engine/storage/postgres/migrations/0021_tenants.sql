-- Tenants: how their calls are charged, and their call rates. No line has a private account yet.

CREATE TABLE IF NOT EXISTS tenant_billing (
    party_id    bigint PRIMARY KEY REFERENCES parties,
    enabled     boolean NOT NULL DEFAULT false,    -- off: its calls are recorded and cost nothing
    account     text NOT NULL DEFAULT 'TENANT' CHECK (account IN ('TENANT', 'USER')),      -- whose account is charged
    type        text NOT NULL DEFAULT 'OFFLINE' CHECK (type IN ('OFFLINE', 'ONLINE')),     -- ONLINE: money is held first
    tariff_id   bigint NOT NULL REFERENCES tariffs,
    bucket      smallint,                          -- of the company's account; NULL: it has no line yet
    account_id  bigint,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    CHECK ((bucket IS NULL) = (account_id IS NULL))
);
CREATE TABLE IF NOT EXISTS call_rates (
    rate_id             bigint GENERATED ALWAYS AS IDENTITY (START WITH 100000000000000001) PRIMARY KEY,
    party_id            bigint NOT NULL REFERENCES parties,
    prefix              text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{1,64}$'),
    type                text NOT NULL DEFAULT 'LOCAL' CHECK (type IN ('LOCAL', 'NATIONAL', 'INTERNATIONAL', 'MOBILE')),
    free_seconds        integer NOT NULL CHECK (free_seconds >= 0),
    grace_period        integer NOT NULL CHECK (grace_period >= 0),
    interval_1          integer NOT NULL CHECK (interval_1 >= 1),
    interval_n          integer NOT NULL CHECK (interval_n >= 1),
    connect_fee         numeric(18, 8) NOT NULL CHECK (connect_fee >= 0),
    postcall_surcharge  numeric(18, 8) NOT NULL CHECK (postcall_surcharge >= 0),
    price_1             numeric(18, 8) NOT NULL CHECK (price_1 >= 0),
    price_n             numeric(18, 8) NOT NULL CHECK (price_n >= 0),
    description         text NOT NULL DEFAULT '',
    UNIQUE (party_id, prefix)
);

ALTER TABLE subscribers ADD COLUMN IF NOT EXISTS private_account_id bigint;
