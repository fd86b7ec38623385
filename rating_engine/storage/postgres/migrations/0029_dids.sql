-- for functions
-- Telephone numbers, their pools, rents and rules. There is none yet.

-- Where telephone numbers come from: a stock of ours (`local`), or somebody who is asked for each of them.
CREATE TABLE IF NOT EXISTS did_pools (
    pool_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    country        text NOT NULL CHECK (country <> ''),
    area           text NOT NULL CHECK (area <> ''),
    monthly_price  numeric(20, 6) NOT NULL DEFAULT 0 CHECK (monthly_price >= 0),
    setup_price    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_price >= 0),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    provider       text NOT NULL DEFAULT 'local' CHECK (provider ~ '^[a-z0-9_-]{1,32}$'),
    username       text NOT NULL DEFAULT '',
    params         text[] NOT NULL DEFAULT '{"","",""}' CHECK (cardinality(params) = 3),
    quantity       integer NOT NULL DEFAULT 100 CHECK (quantity BETWEEN 1 AND 1000)   -- numbers shown at a time
);

-- Numbers that calls come in by. free: in a pool, nobody's; ordered: its first rent is being paid; active: its owner's, and
-- rented to `paid_to`; unpaid: the rent of the next month could not be had, it takes no calls; closed: for good, until
-- somebody gives it anew. `enabled`: as its owner wants it. `orders`: how often it was ordered, which is part of the
-- reference of its first rent. `max_calls` 0: any number at a time. `line`: who pays and what rings; NULL: the owner's first.
CREATE TABLE IF NOT EXISTS dids (
    did_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number         text COLLATE "C" NOT NULL UNIQUE CHECK (number ~ '^[0-9]{3,15}$'),
    party_id       bigint REFERENCES parties,
    pool_id        bigint REFERENCES did_pools ON DELETE SET NULL,
    state          text NOT NULL CHECK (state IN ('free', 'ordered', 'active', 'unpaid', 'closed')),
    enabled        boolean NOT NULL DEFAULT true,
    auto_renew     boolean NOT NULL DEFAULT true,
    monthly_price  numeric(20, 6) NOT NULL DEFAULT 0 CHECK (monthly_price >= 0),
    setup_price    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_price >= 0),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    paid_to        timestamptz,
    notified_at    timestamptz,                    -- that its rent ends soon; NULL: not of this month
    ordered_at     timestamptz,
    orders         integer NOT NULL DEFAULT 0,
    arguments      text[] NOT NULL DEFAULT '{"","",""}' CHECK (cardinality(arguments) = 3),
    line           text,
    max_calls      integer NOT NULL DEFAULT 0 CHECK (max_calls >= 0),
    comment        text NOT NULL DEFAULT '',
    created_at     timestamptz NOT NULL DEFAULT now(),
    CHECK ((party_id IS NULL) = (state IN ('free', 'closed'))),
    CHECK ((paid_to IS NOT NULL) = (state IN ('active', 'unpaid')))
);
CREATE INDEX IF NOT EXISTS dids_by_party ON dids (party_id, did_id) WHERE party_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS dids_by_pool ON dids (pool_id, number) WHERE state = 'free';
CREATE INDEX IF NOT EXISTS dids_by_rent ON dids (paid_to) WHERE state IN ('active', 'unpaid');

-- What happens to calls of a number, in the order of `position`; every surface writes the columns that it has words for.
CREATE TABLE IF NOT EXISTS call_rules (
    rule_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    did_id           bigint NOT NULL REFERENCES dids,
    position         integer NOT NULL,
    source           text NOT NULL CHECK (source IN ('number', 'input')),
    pattern          text NOT NULL,
    condition        text NOT NULL DEFAULT ''
                     CHECK (condition IN ('', 'SUCCESS', 'UNSUCCESS', 'BUSY', 'NOANSWER', 'UNAVAIL', 'INPUT')),
    input            text NOT NULL DEFAULT '',
    policy           text NOT NULL CHECK (policy IN ('ACCEPT', 'REJECT')),
    action           text NOT NULL,
    destination      text NOT NULL DEFAULT '',
    exchange         text NOT NULL DEFAULT '',
    callerid         text NOT NULL DEFAULT '',
    timeout          integer NOT NULL DEFAULT 30 CHECK (timeout BETWEEN 1 AND 600),
    sms_action       text NOT NULL DEFAULT '',
    sms_destination  text NOT NULL DEFAULT '',
    UNIQUE (did_id, position) DEFERRABLE INITIALLY DEFERRED
);
-- When a rule counts; none: always. Days 1 Monday to 7 Sunday, [starts, ends); half-open and over midnight as tariff_bands.
CREATE TABLE IF NOT EXISTS call_rule_times (
    rule_id    bigint NOT NULL REFERENCES call_rules ON DELETE CASCADE,
    first_day  smallint NOT NULL CHECK (first_day BETWEEN 1 AND 7),
    last_day   smallint NOT NULL CHECK (last_day BETWEEN 1 AND 7),
    starts     time NOT NULL,
    ends       time NOT NULL,
    PRIMARY KEY (rule_id, first_day, last_day, starts, ends)
);

-- By which tariff's rates the calls are priced that come in to who has the other: a rate is that of the number called.
-- Without a row they cost nothing.
CREATE TABLE IF NOT EXISTS inbound_tariffs (
    tariff_id          bigint PRIMARY KEY REFERENCES tariffs,
    inbound_tariff_id  bigint NOT NULL REFERENCES tariffs
);
