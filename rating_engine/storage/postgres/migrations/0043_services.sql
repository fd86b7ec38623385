-- Services that are paid for besides calls, and who takes them. There is none yet.

CREATE SEQUENCE IF NOT EXISTS subscription_ids;
-- What is paid for besides calls: `price` times `quantity` a period (once, if one_time), `setup_price` to begin with.
-- flat_rate: a line has the option while it is paid. `grace_days`: so long unpaid a subscription ends; NULL: it waits, and
-- owes. `is_public`: users may take it themselves. What is removed is kept for what was charged by it.
CREATE TABLE IF NOT EXISTS services (
    service_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    party_id     bigint NOT NULL DEFAULT 1 REFERENCES parties,
    name         text NOT NULL CHECK (name <> ''),
    kind         text NOT NULL CHECK (kind IN ('periodic', 'one_time', 'flat_rate')),
    period       text NOT NULL CHECK (period IN ('day', 'week', 'month', 'year')),
    price        numeric(20, 6) NOT NULL DEFAULT 0 CHECK (price >= 0),
    setup_price  numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_price >= 0),
    self_cost    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (self_cost >= 0),
    quantity     integer NOT NULL DEFAULT 1 CHECK (quantity > 0),
    currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    minutes      integer CHECK (minutes > 0),      -- free ones a month, of the option that was made for them
    option_id    bigint REFERENCES tariffs,
    grace_days   integer CHECK (grace_days >= 0),
    is_public    boolean NOT NULL DEFAULT false,
    is_removed   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CHECK ((kind = 'flat_rate') = (option_id IS NOT NULL))
);
CREATE UNIQUE INDEX IF NOT EXISTS services_by_name ON services (party_id, lower(name)) WHERE NOT is_removed;

-- Who takes a service, and up to when it is charged: `paid_to` NULL: for good; `paid_from` and `last_reference` are of the
-- period charged last. `missing`: what its account had not for the next one, asked for again when it has. `calendar`: its
-- periods are those of the calendar. A line has the service's option up to `paid_to`.
CREATE TABLE IF NOT EXISTS service_subscriptions (
    bucket           smallint NOT NULL,
    subscription_id  bigint NOT NULL DEFAULT nextval('subscription_ids'),
    account_id       bigint NOT NULL,
    service_id       bigint NOT NULL,
    party_id         bigint NOT NULL,
    login            text,
    did              text,
    memo             text NOT NULL DEFAULT '',
    state            text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'unpaid', 'ended', 'removed')),
    calendar         boolean NOT NULL DEFAULT false,
    starts_at        timestamptz NOT NULL,
    ends_at          timestamptz,
    paid_to          timestamptz,
    paid_from        timestamptz,
    last_reference   text,
    missing          numeric(20, 6) NOT NULL DEFAULT 0,
    reference        text CHECK (length(reference) BETWEEN 1 AND 200),  -- the idempotency key of who asked for it
    created_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, subscription_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS service_subscriptions_once ON service_subscriptions (bucket, account_id, reference)
    WHERE reference IS NOT NULL;
CREATE INDEX IF NOT EXISTS service_subscriptions_due ON service_subscriptions (paid_to) WHERE state IN ('active', 'unpaid');
CREATE INDEX IF NOT EXISTS service_subscriptions_by_party ON service_subscriptions (party_id, subscription_id);
