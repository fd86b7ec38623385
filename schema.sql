-- The whole database of the rating engine: types, tables, and one set-based function for every money transition.
--
-- Laws kept here (and proved over live data by `rating-engine doctor`):
--   1. accounts.reserved   = the sum of `held` over the account's open reservations
--   2. accounts.balance    = the sum of its ledger entries; every change of a balance is one append-only entry
--   3. a call key is settled at most once (primary keys of reservations and cdrs)
--   4. balance + overdraft - reserved >= 0, but for an overrun counted in its CDR
--   5. of a package no second is spent twice: used + held <= allowance, held = what open reservations hold, used = what
--      CDRs used
--   6. route_load.open_calls = the open reservations by that route; it never exceeds the route's max_calls
--
-- Made for Citus from the first day: every account-scoped table has `bucket` first in its primary key, and every
-- money function takes the bucket first, answers ONE array in the order of its input, and is called in the form
-- SELECT reserve_v2($1, $2), which is handed whole to the worker that owns the bucket. The rest are reference tables.

CREATE TYPE account_kind      AS ENUM ('prepaid', 'postpaid');
CREATE TYPE party_status      AS ENUM ('active', 'blocked');
CREATE TYPE deck_state        AS ENUM ('loading', 'published', 'withdrawn');  -- loading -> published (-> withdrawn)
CREATE TYPE ledger_entry_kind AS ENUM ('opening', 'topup', 'charge', 'correction', 'fee');
-- How a call ended for its money. An expired call may still become settled or voided by a late finish.
CREATE TYPE cdr_state         AS ENUM ('settled', 'voided', 'expired');

-- What engines share and nobody else may know: 32 random bytes each. `rate_cache` seals the answers that they keep in
-- Redis. One that is changed counts at once, and what the old one sealed counts as not there.
CREATE TABLE engine_secrets (
    name    text PRIMARY KEY,
    secret  bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO engine_secrets VALUES ('rate_cache', sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));

---------------------------------------------------------------------------------------------------------------
-- Reference tables: tariffs, rate decks, directions, routes, subscribers

-- A tariff is what a subscriber has, or adds to it (an option), or what a carrier charges us (the cost of a route).
-- `version` grows with every change of what an engine remembers of a tariff: its settings, bands, packages, routes and
-- the timeline of its decks. reserve() refuses what was planned from another version.
CREATE TABLE tariffs (
    tariff_id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                text NOT NULL UNIQUE CHECK (name <> ''),
    currency            text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    description         text NOT NULL DEFAULT '',
    is_option           boolean NOT NULL DEFAULT false,      -- added to a subscriber beside its tariff
    multiplier          numeric(12, 6) NOT NULL DEFAULT 1 CHECK (multiplier > 0),    -- of every price and fee: the markup
    switch_price        numeric(20, 6) NOT NULL DEFAULT 0 CHECK (switch_price >= 0), -- what changing to it costs, in its currency
    decimals            smallint NOT NULL DEFAULT 5 CHECK (decimals BETWEEN 0 AND 6),
    increment_mode      text NOT NULL DEFAULT 'interval' CHECK (increment_mode IN ('interval', 'total')),
    duration_rounding   text NOT NULL DEFAULT 'up' CHECK (duration_rounding IN ('up', 'nearest')),
    minimum_charge      numeric(18, 8) NOT NULL DEFAULT 0 CHECK (minimum_charge >= 0),  -- a rate's own counts where it has one
    time_zone           text NOT NULL DEFAULT 'UTC',         -- of its bands and package periods
    band_mode           text NOT NULL DEFAULT 'start' CHECK (band_mode IN ('start', 'split')),
    holiday_calendar    text NOT NULL DEFAULT '',            -- '': none
    by_routing_number   boolean NOT NULL DEFAULT false,      -- price by the routing number (LRN), not by the dialled one
    route_order         text NOT NULL DEFAULT 'priority' CHECK (route_order IN ('priority', 'cost', 'quality', 'manual')),
    allow_loss          boolean NOT NULL DEFAULT false,      -- off: no route whose minute costs more than it is sold for
    version             integer NOT NULL DEFAULT 1,
    created_at          timestamptz NOT NULL DEFAULT now()
);

-- The timeline of a tariff: at any instant the published deck with the latest effective_from that is not after it is in
-- force, of several the newest version. A deck may be published ahead, and withdrawn before it comes into force.
CREATE TABLE rate_decks (
    deck_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tariff_id       bigint NOT NULL REFERENCES tariffs,
    version         integer NOT NULL,
    state           deck_state NOT NULL DEFAULT 'loading',
    effective_from  timestamptz,                   -- NULL while loading
    rate_count      integer NOT NULL DEFAULT 0,
    longest_prefix  smallint NOT NULL DEFAULT 0,   -- a match depends on this many leading digits only
    created_at      timestamptz NOT NULL DEFAULT now(),
    published_at    timestamptz,
    UNIQUE (tariff_id, version),
    CHECK (state = 'loading' OR effective_from IS NOT NULL)
);
CREATE INDEX rate_decks_timeline ON rate_decks (tariff_id, effective_from DESC, version DESC) WHERE state = 'published';

-- Time of day. The first window, by position, that holds an instant gives its band; '' is what no window holds.
-- days: 1 Monday to 7 Sunday, 8 holidays of the tariff's calendar, on which the other days don't count.
-- Half-open, [starts, ends): 08:00 belongs to the window that starts then. One that ends at or before its start goes on
-- into the next day; 00:00 to 24:00 is the whole day.
CREATE TABLE tariff_bands (
    tariff_id  bigint NOT NULL REFERENCES tariffs,
    position   smallint NOT NULL,
    band       text NOT NULL CHECK (band ~ '^[a-z][a-z0-9_-]{0,31}$'),
    days       smallint[] NOT NULL CHECK (days <@ ARRAY[1, 2, 3, 4, 5, 6, 7, 8]::smallint[] AND cardinality(days) > 0),
    starts     time NOT NULL,
    ends       time NOT NULL,
    PRIMARY KEY (tariff_id, position)
);
CREATE TABLE holidays (
    calendar  text NOT NULL CHECK (calendar <> ''),
    day       date NOT NULL,
    name      text NOT NULL DEFAULT '',
    PRIMARY KEY (calendar, day)
);

CREATE TABLE direction_groups (
    name       text NOT NULL CHECK (name <> ''),
    direction  text NOT NULL,                      -- a code
    PRIMARY KEY (name, direction)
);

-- What a subscriber of a tariff may use up in a period. `free`: so many billed seconds cost nothing. `volume`: nothing
-- is free, but the price of a call falls by the steps with the seconds used before it.
CREATE TABLE packages (
    package_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tariff_id        bigint NOT NULL REFERENCES tariffs,
    name             text NOT NULL CHECK (name <> ''),
    kind             text NOT NULL CHECK (kind IN ('free', 'volume')),
    direction_group  text NOT NULL DEFAULT '',     -- '': every direction
    seconds          integer CHECK (seconds > 0),  -- free ones in a period
    period           text NOT NULL DEFAULT 'month' CHECK (period IN ('day', 'week', 'month')),
    carry_over       text NOT NULL DEFAULT 'none' CHECK (carry_over IN ('none', 'next', 'all')),
    waives_fees      boolean NOT NULL DEFAULT false,  -- a call covered whole has no connect fee and no surcharge
    position         integer NOT NULL DEFAULT 0,      -- the lowest is used up first
    created_at       timestamptz NOT NULL DEFAULT now(),
    UNIQUE (tariff_id, name),
    CHECK ((kind = 'free') = (seconds IS NOT NULL))
);
CREATE TABLE package_steps (
    package_id     bigint NOT NULL REFERENCES packages ON DELETE CASCADE,
    after_seconds  integer NOT NULL CHECK (after_seconds > 0),
    multiplier     numeric(12, 6) NOT NULL CHECK (multiplier > 0),  -- of every price, for calls that start beyond
    PRIMARY KEY (package_id, after_seconds)
);

-- One unit of the one currency in the other, from an instant on.
CREATE TABLE exchange_rates (
    currency_from   text NOT NULL CHECK (currency_from ~ '^[A-Z]{3}$'),
    currency_to     text NOT NULL CHECK (currency_to ~ '^[A-Z]{3}$' AND currency_to <> currency_from),
    effective_from  timestamptz NOT NULL,
    rate            numeric(20, 10) NOT NULL CHECK (rate > 0),
    PRIMARY KEY (currency_from, currency_to, effective_from)
);

-- How the phones of an account write numbers. A rewrite replaces the leading digits `prefix`, before anything else is
-- looked at; the longest one counts. What is dialled with a technical prefix loses it first.
CREATE TABLE numbering_plans (
    name                  text PRIMARY KEY CHECK (name <> ''),
    international_prefix  text NOT NULL DEFAULT '00' CHECK (international_prefix ~ '^[0-9]{0,8}$'),
    national_prefix       text NOT NULL DEFAULT '' CHECK (national_prefix ~ '^[0-9]{0,8}$'),
    country_code          text NOT NULL DEFAULT '' CHECK (country_code ~ '^[0-9]{0,4}$'),
    technical_prefixes    text[] NOT NULL DEFAULT '{}',
    CHECK (national_prefix = '' OR country_code <> '')
);
CREATE TABLE numbering_rewrites (
    plan         text NOT NULL REFERENCES numbering_plans ON DELETE CASCADE,
    prefix       text NOT NULL CHECK (prefix ~ '^[0-9*#+]{1,32}$'),
    replacement  text NOT NULL CHECK (replacement ~ '^[0-9+]{0,32}$'),
    PRIMARY KEY (plan, prefix)
);

CREATE TABLE directions (
    code     text PRIMARY KEY,
    name     text NOT NULL,
    min_len  smallint CHECK (min_len > 0),         -- of the whole destination, in digits
    max_len  smallint CHECK (max_len >= min_len)
);

-- A published deck never changes: what a cache holds under its deck_id stays true for ever. A rate counts for a call
-- that starts in [effective_from, effective_to), whose caller's number begins with `origin` and whose band it is.
-- No foreign keys: a deck of a million rates is loaded by COPY and removed whole with its deck.
CREATE TABLE rates (
    deck_id             bigint NOT NULL,
    prefix              text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{1,32}$'),
    origin              text COLLATE "C" NOT NULL DEFAULT '' CHECK (origin ~ '^[0-9]{0,32}$'),  -- '': any caller
    band                text NOT NULL DEFAULT '',  -- '': whenever no other band has a rate
    effective_from      timestamptz NOT NULL DEFAULT '-infinity',
    effective_to        timestamptz NOT NULL DEFAULT 'infinity' CHECK (effective_to > effective_from),
    direction           text NOT NULL DEFAULT '',
    price_1             numeric(18, 8) NOT NULL CHECK (price_1 >= 0),
    price_n             numeric(18, 8) NOT NULL CHECK (price_n >= 0),
    price_unit          text NOT NULL DEFAULT 'minute' CHECK (price_unit IN ('interval', 'minute')),
    interval_1          integer NOT NULL DEFAULT 1 CHECK (interval_1 >= 1),
    interval_n          integer NOT NULL DEFAULT 1 CHECK (interval_n >= 1),
    connect_fee         numeric(18, 8) NOT NULL DEFAULT 0 CHECK (connect_fee >= 0),
    free_seconds        integer NOT NULL DEFAULT 0 CHECK (free_seconds >= 0),
    grace_period        integer NOT NULL DEFAULT 0 CHECK (grace_period >= 0),
    postcall_surcharge  numeric(18, 8) NOT NULL DEFAULT 0 CHECK (postcall_surcharge >= 0),
    minimum_charge      numeric(18, 8) NOT NULL DEFAULT 0 CHECK (minimum_charge >= 0),
    extras              text NOT NULL DEFAULT '',  -- rarer terms as JSON, by the names of rating/rate; '': none
    blocked             boolean NOT NULL DEFAULT false,  -- calls are declined, even where a shorter prefix has a rate
    PRIMARY KEY (deck_id, prefix, origin, band, effective_from)
);

-- Single rates changed after their deck was published: from effective_from until effective_to such a row stands in the
-- place of the deck's rows of the same prefix, origin and band; `removed`: there is none of them then. Rows of one key
-- never overlap. So a price is changed without a copy of the deck, and what caches hold of the deck stays true.
CREATE TABLE rate_edits (
    LIKE rates INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
    removed  boolean NOT NULL DEFAULT false,
    PRIMARY KEY (deck_id, prefix, origin, band, effective_from),
    FOREIGN KEY (deck_id) REFERENCES rate_decks ON DELETE CASCADE
);

CREATE TABLE routes (
    route_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text NOT NULL UNIQUE CHECK (name ~ '^[^ ,]+$'),
    dial_prefix      text NOT NULL DEFAULT '' CHECK (dial_prefix !~ '[ ,]'),
    number_prefix    text NOT NULL DEFAULT '' CHECK (number_prefix ~ '^[0-9]*$'),  -- serves destinations that start so
    position         integer NOT NULL,             -- its priority: the lowest is tried first
    weight           integer NOT NULL DEFAULT 1 CHECK (weight >= 1),       -- share among routes that are equal otherwise
    percentage       smallint CHECK (percentage BETWEEN 1 AND 100),        -- of the calls it may serve at all; NULL: all
    max_calls        integer CHECK (max_calls >= 0),                       -- at a time; NULL: no limit
    max_calls_per_second  integer CHECK (max_calls_per_second >= 1),
    cost_tariff_id   bigint REFERENCES tariffs,    -- whose deck says what it costs us; NULL: not known
    callerid_policy  smallint NOT NULL DEFAULT 99 CHECK (callerid_policy IN (1, 2, 99)),  -- 1 national, 2 international, 99 any
    country_code     text NOT NULL DEFAULT '' CHECK (country_code ~ '^[0-9]{0,4}$'),      -- whose caller ids are national
    default_allowed  boolean NOT NULL DEFAULT true,  -- destinations that no route_prefixes row names
    time_zone        text NOT NULL DEFAULT 'UTC',    -- of its windows
    enabled          boolean NOT NULL DEFAULT true,
    CHECK (callerid_policy <> 1 OR country_code <> '')
);

-- The longest prefix of a destination decides, as with account_prefixes.
CREATE TABLE route_prefixes (
    route_id  bigint NOT NULL REFERENCES routes ON DELETE CASCADE,
    prefix    text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{1,32}$'),
    allowed   boolean NOT NULL,
    PRIMARY KEY (route_id, prefix)
);

-- When a route is used, half-open as tariff_bands; no rows: always.
CREATE TABLE route_windows (
    route_id  bigint NOT NULL REFERENCES routes ON DELETE CASCADE,
    days      smallint[] NOT NULL CHECK (days <@ ARRAY[1, 2, 3, 4, 5, 6, 7]::smallint[] AND cardinality(days) > 0),
    starts    time NOT NULL,
    ends      time NOT NULL,
    PRIMARY KEY (route_id, days, starts)
);

-- The routes of a tariff's calls, in their manual order; a tariff without rows may use every route.
CREATE TABLE tariff_routes (
    tariff_id  bigint NOT NULL REFERENCES tariffs,
    route_id   bigint NOT NULL REFERENCES routes ON DELETE CASCADE,
    position   integer NOT NULL,
    PRIMARY KEY (tariff_id, route_id)
);

-- How calls went by a route lately, measured again and again from the CDRs.
CREATE TABLE route_quality (
    route_id     bigint PRIMARY KEY REFERENCES routes ON DELETE CASCADE,
    attempts     integer NOT NULL,
    answered     integer NOT NULL,
    seconds      bigint NOT NULL,
    measured_at  timestamptz NOT NULL DEFAULT now()
);

-- How many open calls a route with a limit carries, and how many it was given in the second `started_in`. A row is
-- locked after the accounts of a batch, in the order of route ids.
CREATE TABLE route_load (
    route_id    bigint PRIMARY KEY,
    open_calls  integer NOT NULL DEFAULT 0 CHECK (open_calls >= 0),
    started_in  timestamptz NOT NULL DEFAULT '-infinity',
    started     integer NOT NULL DEFAULT 0
);

-- The engine that watches an exchange (AMI) says so again and again. Calls are granted in slices only where it does.
CREATE TABLE exchange_watch (
    exchange       text PRIMARY KEY,
    watched_until  timestamptz NOT NULL
);

---------------------------------------------------------------------------------------------------------------
-- Account-scoped tables

CREATE SEQUENCE account_ids;

CREATE TABLE accounts (
    bucket      smallint NOT NULL DEFAULT 0,
    account_id  bigint NOT NULL DEFAULT nextval('account_ids'),
    kind        account_kind NOT NULL DEFAULT 'prepaid',
    status      party_status NOT NULL DEFAULT 'active',
    currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    balance     numeric(20, 6) NOT NULL DEFAULT 0,
    overdraft   numeric(20, 6) DEFAULT 0 CHECK (overdraft >= 0),  -- the credit limit; NULL: unlimited (postpaid only)
    reserved    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    open_calls  integer NOT NULL DEFAULT 0 CHECK (open_calls >= 0),
    -- Limits; NULL: none. All are checked in the transaction that holds the money.
    max_calls         integer CHECK (max_calls >= 0),             -- open calls at a time
    max_call_seconds  integer CHECK (max_call_seconds > 0),
    max_price         numeric(18, 8) CHECK (max_price >= 0),      -- per minute; dearer destinations are declined
    daily_limit       numeric(20, 6) CHECK (daily_limit >= 0),    -- charged and held, by the account's own calendar
    monthly_limit     numeric(20, 6) CHECK (monthly_limit >= 0),
    default_allowed   boolean NOT NULL DEFAULT true,              -- destinations that no account_prefixes row names
    quota             boolean,                                    -- reserve in slices; NULL: as the settings say
    time_zone         text NOT NULL DEFAULT 'UTC',
    numbering_plan    text REFERENCES numbering_plans,            -- how its phones write numbers; NULL: as the settings say
    -- What was charged on the local day spent_on, and in its month
    spent_on     date NOT NULL DEFAULT '-infinity',
    day_spent    numeric(20, 6) NOT NULL DEFAULT 0,
    month_spent  numeric(20, 6) NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, account_id),
    CHECK (overdraft IS NOT NULL OR kind = 'postpaid')
) WITH (fillfactor = 70);  -- room for HOT updates: a call updates its account twice, and no index changes

-- The longest prefix of a destination decides; where none matches, accounts.default_allowed does: a blacklist names
-- what is not allowed, a whitelist turns default_allowed off and names what is.
CREATE TABLE account_prefixes (
    bucket      smallint NOT NULL,
    account_id  bigint NOT NULL,
    prefix      text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{1,32}$'),
    allowed     boolean NOT NULL,
    PRIMARY KEY (bucket, account_id, prefix)
);

CREATE TABLE subscribers (
    subscriber_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login          text NOT NULL UNIQUE CHECK (login ~ '^[^\s,]{1,64}$'),
    bucket         smallint NOT NULL,
    account_id     bigint NOT NULL,
    tariff_id      bigint NOT NULL REFERENCES tariffs,
    tariff_since   timestamptz NOT NULL DEFAULT now(),   -- packages carry nothing over from before
    status         party_status NOT NULL DEFAULT 'active',
    callerid       text NOT NULL DEFAULT '',
    max_seconds    integer CHECK (max_seconds > 0),  -- the longest call; NULL: max_reserve_seconds alone
    max_calls      integer CHECK (max_calls >= 0),   -- open calls at a time; NULL: no limit of its own
    version        integer NOT NULL DEFAULT 1,       -- grows with every change, so that a cached copy is told stale
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX subscribers_by_account ON subscribers (bucket, account_id);

-- Options a subscriber has beside its tariff. Of rates with equal prefixes an option's counts, the lowest position first.
CREATE TABLE subscriber_options (
    subscriber_id   bigint NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    tariff_id       bigint NOT NULL REFERENCES tariffs,
    position        integer NOT NULL DEFAULT 0,
    effective_from  timestamptz NOT NULL DEFAULT now(),
    effective_to    timestamptz NOT NULL DEFAULT 'infinity' CHECK (effective_to > effective_from),
    PRIMARY KEY (subscriber_id, tariff_id, effective_from)
);

-- Short numbers; subscriber_id NULL: everybody's. A subscriber's own counts before it.
CREATE TABLE aliases (
    alias_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscriber_id  bigint REFERENCES subscribers ON DELETE CASCADE,
    alias          text NOT NULL CHECK (alias ~ '^[0-9*#+]{1,32}$'),
    destination    text NOT NULL CHECK (destination ~ '^[0-9+]{1,32}$'),
    UNIQUE NULLS NOT DISTINCT (subscriber_id, alias)
);

-- What was used up of a package in a period (the day it begins, in the tariff's time zone). `allowance` NULL: nothing
-- is free, it only counts (a volume). Law 5: held = what open reservations hold, used = what CDRs have used.
CREATE TABLE package_usage (
    bucket         smallint NOT NULL,
    account_id     bigint NOT NULL,
    subscriber_id  bigint NOT NULL,
    package_id     bigint NOT NULL,
    period_start   date NOT NULL,
    allowance      integer CHECK (allowance >= 0),
    used           bigint NOT NULL DEFAULT 0 CHECK (used >= 0),  -- a reseller's thousand lines talk 2.6 billion a month
    held           bigint NOT NULL DEFAULT 0 CHECK (held >= 0),
    PRIMARY KEY (bucket, subscriber_id, package_id, period_start),
    CHECK (used + held <= allowance)
);
CREATE TYPE package_use AS (package_id bigint, period_start date, seconds integer);

-- Calls whose money is held. A row leaves when its call is settled, voided or expired, and its CDR takes its place
-- in the same transaction: the table stays as small as the traffic.
CREATE TABLE reservations (
    bucket         smallint NOT NULL,
    call_key       text COLLATE "C" NOT NULL CHECK (length(call_key) <= 200),
    account_id     bigint NOT NULL,
    subscriber_id  bigint NOT NULL,
    held           numeric(20, 6) NOT NULL CHECK (held >= 0),     -- part of accounts.reserved; 0 where credit is unlimited
    granted        numeric(20, 6) NOT NULL CHECK (granted >= 0),  -- what the call may cost
    cap_seconds    integer NOT NULL CHECK (cap_seconds > 0),
    exchange       text NOT NULL,
    attempt        smallint NOT NULL,
    callerid       text NOT NULL,
    destination    text NOT NULL,
    direction      text NOT NULL,
    prefix         text NOT NULL,
    tariff_id      bigint NOT NULL,
    deck_id        bigint NOT NULL,
    rate           text NOT NULL,                    -- frozen: the settle charges by this, whatever is published since
    route_name     text NOT NULL,
    route_prefix   text NOT NULL,
    quota          boolean NOT NULL,                 -- granted in slices: extend() raises it while the call lasts
    prepared_at    timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    answered_at    timestamptz,                      -- as the exchange was seen to say; NULL: not seen
    last_seen_at   timestamptz,                      -- when its channel was last seen alive
    claim          bigint,                           -- of the request that made it, and that alone may take it back;
                                                     -- NULL once another request was told of it too
    routing_number    text NOT NULL DEFAULT '',      -- as translated (LRN); '': the destination
    carrier_rate      text NOT NULL DEFAULT '',      -- what the route costs, frozen; '': not known
    carrier_currency  text NOT NULL DEFAULT '',
    carrier_exchange  numeric(20, 10),               -- one of the carrier's currency in the account's; NULL: not known
    packages          package_use[] NOT NULL DEFAULT '{}',  -- what it holds of packages, first used first
    route_id          bigint,                        -- counted in route_load; NULL: its route has no limit
    PRIMARY KEY (bucket, call_key)
);
-- Not by bucket first, here and below: on a table without statistics the planner finds such an index as good as the
-- primary key for looking a call up, and reads the whole bucket (measured: ten times slower after a thousand calls).
CREATE INDEX reservations_by_account ON reservations (account_id, subscriber_id);

CREATE TABLE cdrs (
    bucket          smallint NOT NULL,
    call_key        text COLLATE "C" NOT NULL,
    account_id      bigint NOT NULL,
    subscriber_id   bigint NOT NULL,
    state           cdr_state NOT NULL,
    source          text NOT NULL,  -- who said how it ended: finish, late, unreserved, unrated, expired, abandoned,
                                    -- reconciled (its channel was gone, and no finish had come)
    exchange        text NOT NULL,
    attempt         smallint NOT NULL,
    callerid        text NOT NULL,
    destination     text NOT NULL,
    direction       text NOT NULL,
    prefix          text NOT NULL,
    tariff_id       bigint NOT NULL,
    deck_id         bigint NOT NULL,
    rate            text NOT NULL,
    route_name      text NOT NULL,
    currency        text NOT NULL,
    granted         numeric(20, 6) NOT NULL,
    seconds         integer NOT NULL CHECK (seconds >= 0),
    billed_seconds  integer NOT NULL CHECK (billed_seconds >= 0),
    cost            numeric(20, 6) NOT NULL CHECK (cost >= 0),
    overrun         numeric(20, 6) NOT NULL DEFAULT 0 CHECK (overrun >= 0),  -- charged beyond what was granted
    disposition     text NOT NULL,
    cause           smallint NOT NULL,
    prepared_at     timestamptz NOT NULL,
    answered_at     timestamptz,
    ended_at        timestamptz NOT NULL,
    routing_number    text NOT NULL DEFAULT '',
    carrier_rate      text NOT NULL DEFAULT '',
    carrier_currency  text NOT NULL DEFAULT '',
    carrier_exchange  numeric(20, 10),
    carrier_cost      numeric(20, 6),       -- in the carrier's currency; NULL: not known
    margin            numeric(20, 6),       -- cost less the carrier's cost, in the account's currency; NULL: not known
    packages          package_use[] NOT NULL DEFAULT '{}',  -- what it used of packages
    rerate_id         bigint,               -- the re-rating that corrected it last; NULL: none did
    PRIMARY KEY (bucket, call_key)
);
CREATE INDEX cdrs_by_account ON cdrs (account_id, ended_at);
-- The calls of the last hour, which stand together at the end of the table; a few kB for millions of calls.
CREATE INDEX cdrs_by_end ON cdrs USING brin (ended_at) WITH (autosummarize = on);

-- What nobody finished: few rows, listed newest first by `rating-engine calls --reconciled`.
CREATE INDEX cdrs_unfinished ON cdrs (bucket, ended_at) WHERE source IN ('reconciled', 'expired');

CREATE SEQUENCE ledger_entry_ids;

CREATE TABLE ledger_entries (
    bucket         smallint NOT NULL,
    account_id     bigint NOT NULL,
    entry_id       bigint NOT NULL DEFAULT nextval('ledger_entry_ids'),
    kind           ledger_entry_kind NOT NULL,
    amount         numeric(20, 6) NOT NULL,          -- signed: a charge is negative
    balance_after  numeric(20, 6) NOT NULL,
    call_key       text COLLATE "C",
    reference      text CHECK (length(reference) BETWEEN 1 AND 200),  -- the idempotency key of a top-up or a fee
    subject        text NOT NULL DEFAULT '',         -- what a fee was for
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, account_id, entry_id)
);
CREATE UNIQUE INDEX ledger_entries_once ON ledger_entries (bucket, account_id, reference) WHERE reference IS NOT NULL;

---------------------------------------------------------------------------------------------------------------
-- Re-rating: past calls priced by another deck, shown first, posted then

-- `version`: of the tariff when it was begun. The last three say how far reading has come: by the primary key of cdrs.
CREATE TABLE rerates (
    rerate_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tariff_id       bigint NOT NULL REFERENCES tariffs,
    tariff_version  integer NOT NULL,
    deck_id         bigint NOT NULL,
    deck_version    integer NOT NULL,
    calls_from      timestamptz NOT NULL,                  -- of calls that were prepared in [calls_from, calls_to)
    calls_to        timestamptz NOT NULL CHECK (calls_to > calls_from),
    subscriber_id   bigint,                                -- whose calls; NULL: everybody's
    prefix          text COLLATE "C" NOT NULL DEFAULT '' CHECK (prefix ~ '^[0-9]{0,32}$'),  -- of their destinations
    state           text NOT NULL DEFAULT 'reading' CHECK (state IN ('reading', 'open', 'posted', 'discarded')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    calls           bigint NOT NULL DEFAULT 0,             -- found so far
    last_bucket     smallint NOT NULL DEFAULT -1,
    last_call_key   text COLLATE "C" NOT NULL DEFAULT ''
);

-- What becomes of a call: what it was charged, and the rest as its CDR will say. `new_cost` NULL: it cannot be priced,
-- `problem` says why, and nothing is posted of it. `changed`: its CDR was no longer what it was when it was read, so it
-- was left alone.
CREATE TABLE rerate_items (
    bucket          smallint NOT NULL,
    rerate_id       bigint NOT NULL,
    call_key        text COLLATE "C" NOT NULL,
    account_id      bigint NOT NULL,
    subscriber_id   bigint NOT NULL,
    currency        text NOT NULL,
    destination     text NOT NULL,
    seconds         integer NOT NULL,
    old_cost        numeric(20, 6) NOT NULL,
    new_cost        numeric(20, 6) CHECK (new_cost >= 0),
    billed_seconds  integer NOT NULL DEFAULT 0,
    rate            text NOT NULL DEFAULT '',
    deck_id         bigint NOT NULL DEFAULT 0,
    prefix          text NOT NULL DEFAULT '',
    direction       text NOT NULL DEFAULT '',
    problem         text NOT NULL DEFAULT '' CHECK ((problem = '') = (new_cost IS NOT NULL)),
    changed         boolean NOT NULL DEFAULT false,
    posted_at       timestamptz,
    PRIMARY KEY (bucket, rerate_id, call_key)
);

-- What the engine that follows an exchange is asked to do there: to end a call. `outcome`: its answer; NULL: none yet.
CREATE TABLE exchange_orders (
    order_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange     text NOT NULL,
    uniqueid     text NOT NULL,
    attempt      smallint NOT NULL,
    party        text NOT NULL,
    asked_at     timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,       -- what was not done until then is not done any more
    outcome      text,
    answered_at  timestamptz
);
CREATE INDEX exchange_orders_waiting ON exchange_orders (exchange, order_id) WHERE outcome IS NULL;

-- Who changed what: one row a management call, written in the transaction of the change.
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

-- Requests done once however often they are said: the key a party gave, what it asked for (digest) and was told. A row is
-- written in the transaction of the change, and forgotten after a week (storage/idempotency.py).
CREATE TABLE idempotency_keys (
    party       text NOT NULL,
    key         text NOT NULL,
    digest      bytea NOT NULL,
    answer      jsonb NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (party, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

---------------------------------------------------------------------------------------------------------------
-- ==== functions and types: run whole at every migrate ====
--
-- What holds no data. Everything below may be run again on a live database, while engines of this release and of the one
-- before it call it: functions and triggers are replaced in place, and migrate passes over a type that is there. A money
-- function and a type are named by their shape: whoever changes the arguments of one, or a field of the other, gives it
-- the next number and leaves the old one to the engines that still ask it.

CREATE OR REPLACE FUNCTION deck_at(p_tariff_id bigint, p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT deck_id FROM rate_decks
    WHERE tariff_id = p_tariff_id AND state = 'published' AND effective_from <= p_at
    ORDER BY effective_from DESC, version DESC LIMIT 1
$$;

-- Since when a subscriber has what a tariff gives: its own tariff since it was changed to it; an option since the first
-- of the grants that go on into one another without a gap up to the last one that begins before p_before. NULL: it had
-- neither.
CREATE OR REPLACE FUNCTION tariff_held_since(p_subscriber_id bigint, p_tariff_id bigint, p_before timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT COALESCE(
        (SELECT tariff_since FROM subscribers WHERE subscriber_id = p_subscriber_id AND tariff_id = p_tariff_id),
        (SELECT max(o.effective_from) FROM subscriber_options o
         WHERE o.subscriber_id = p_subscriber_id AND o.tariff_id = p_tariff_id AND o.effective_from < p_before
           AND NOT EXISTS (
               SELECT FROM subscriber_options earlier
               WHERE earlier.subscriber_id = o.subscriber_id AND earlier.tariff_id = o.tariff_id
                 AND earlier.effective_from < o.effective_from AND earlier.effective_to >= o.effective_from)))
$$;

-- What a subscriber may use of a package in a period that has no row in package_usage yet: its seconds, and what is
-- carried over. NULL: nothing is free (a volume). 0: the package is gone.
--   none  nothing is carried.
--   next  what the period just before left of its own seconds. What it had been carried itself was used up first, and
--         is lost if it was not.
--   all   all that the latest period with a row left, and the whole seconds of every period since.
-- A period without a row was not used at all: it leaves its whole seconds. The first period is the one in which the
-- subscriber got the tariff, or in which the package was added to it, if that was later; it counts whole, and nothing is
-- carried from before it: who gives an option up and takes it again begins anew. What open calls hold counts as used.
-- The sum is in closed form: a subscriber who stayed away for years costs no more than one who called yesterday.
CREATE OR REPLACE FUNCTION package_allowance(p_bucket smallint, p_subscriber_id bigint, p_package_id bigint, p_period_start date)
RETURNS integer LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    package   record;
    length    interval;
    since     timestamptz;
    first     date;             -- the first period
    latest    record;           -- the latest period with a row, from the first one to the one before this
    begun     date;             -- where the periods begin in which nothing was used
    carried   bigint;
BEGIN
    SELECT p.seconds, p.carry_over, p.period, p.tariff_id, p.created_at, t.time_zone INTO package
      FROM packages p JOIN tariffs t USING (tariff_id) WHERE p.package_id = p_package_id;
    IF NOT FOUND THEN
        RETURN 0;
    ELSIF package.carry_over = 'none' OR package.seconds IS NULL THEN
        RETURN package.seconds;
    END IF;
    length := ('1 ' || package.period)::interval;
    since := tariff_held_since(p_subscriber_id, package.tariff_id,
                               (p_period_start + length) AT TIME ZONE package.time_zone);
    first := date_trunc(package.period, GREATEST(since, package.created_at) AT TIME ZONE package.time_zone);
    IF since IS NULL OR first >= p_period_start THEN
        RETURN package.seconds;
    END IF;
    SELECT period_start, allowance - used - held AS rest INTO latest FROM package_usage
      WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND package_id = p_package_id
        AND period_start >= first AND period_start < p_period_start
      ORDER BY period_start DESC LIMIT 1;
    IF package.carry_over = 'next' THEN
        carried := CASE WHEN latest.period_start = p_period_start - length
                        THEN LEAST(latest.rest, package.seconds) ELSE package.seconds END;
    ELSE
        begun := COALESCE(latest.period_start + length, first);
        carried := COALESCE(latest.rest, 0) + package.seconds::bigint * CASE package.period
            WHEN 'day' THEN p_period_start - begun
            WHEN 'week' THEN (p_period_start - begun) / 7
            ELSE (extract(year FROM age(p_period_start, begun)) * 12 + extract(month FROM age(p_period_start, begun)))::integer
        END;
    END IF;
    RETURN LEAST(package.seconds + carried, 2147483647);
END $$;

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: post a correction instead', TG_TABLE_NAME;
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

---------------------------------------------------------------------------------------------------------------
-- Changes are announced, so that a cached copy is dropped at once. The announcement is for speed alone: reserve_v2()
-- checks the version it was asked with, so that a lost one costs a second try and never a wrong price.

CREATE OR REPLACE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'subscribers' THEN
        PERFORM pg_notify('rating_engine', 'subscriber ' || COALESCE(NEW.login, OLD.login));
    ELSIF TG_TABLE_NAME = 'tariffs' THEN
        PERFORM pg_notify('rating_engine', 'tariff ' || COALESCE(NEW.tariff_id, OLD.tariff_id));
    ELSE  -- one name for what is remembered together
        PERFORM pg_notify('rating_engine', CASE
            WHEN TG_TABLE_NAME LIKE 'route%' THEN 'routes'
            WHEN TG_TABLE_NAME LIKE 'numbering%' OR TG_TABLE_NAME = 'aliases' THEN 'numbering'
            ELSE TG_TABLE_NAME END);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce AFTER UPDATE OR DELETE ON subscribers FOR EACH ROW EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER UPDATE OR DELETE ON tariffs FOR EACH ROW EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON routes
    FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON directions
    FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_prefixes FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_windows FOR EACH STATEMENT EXECUTE FUNCTION announce();
-- By row: a measurement that changes none announces nothing.
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_quality FOR EACH ROW EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON engine_secrets FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON exchange_rates FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON numbering_plans FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON numbering_rewrites FOR EACH STATEMENT EXECUTE FUNCTION announce();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON aliases FOR EACH STATEMENT EXECUTE FUNCTION announce();

CREATE OR REPLACE FUNCTION next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER next_version BEFORE UPDATE ON subscribers FOR EACH ROW EXECUTE FUNCTION next_version();
CREATE OR REPLACE TRIGGER next_version BEFORE UPDATE ON tariffs FOR EACH ROW EXECUTE FUNCTION next_version();

-- What belongs to a tariff changes its version.
CREATE OR REPLACE FUNCTION touch_tariff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tariffs SET version = version WHERE tariff_id IN (OLD.tariff_id, NEW.tariff_id);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER touch_tariff AFTER INSERT OR UPDATE OR DELETE ON tariff_bands
    FOR EACH ROW EXECUTE FUNCTION touch_tariff();
CREATE OR REPLACE TRIGGER touch_tariff AFTER INSERT OR UPDATE OR DELETE ON packages
    FOR EACH ROW EXECUTE FUNCTION touch_tariff();
CREATE OR REPLACE TRIGGER touch_tariff AFTER INSERT OR UPDATE OR DELETE ON tariff_routes
    FOR EACH ROW EXECUTE FUNCTION touch_tariff();
-- A deck changes nothing while it is loaded.
CREATE OR REPLACE TRIGGER touch_tariff AFTER INSERT OR UPDATE OF state, effective_from ON rate_decks
    FOR EACH ROW WHEN (NEW.state <> 'loading') EXECUTE FUNCTION touch_tariff();

CREATE OR REPLACE FUNCTION touch_tariffs_of_package() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tariffs t SET version = version FROM packages p
      WHERE p.package_id IN (OLD.package_id, NEW.package_id) AND t.tariff_id = p.tariff_id;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER touch_tariffs AFTER INSERT OR UPDATE OR DELETE ON package_steps
    FOR EACH ROW EXECUTE FUNCTION touch_tariffs_of_package();

CREATE OR REPLACE FUNCTION touch_tariffs_of_calendar() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tariffs SET version = version WHERE holiday_calendar IN (OLD.calendar, NEW.calendar);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER touch_tariffs AFTER INSERT OR UPDATE OR DELETE ON holidays
    FOR EACH ROW EXECUTE FUNCTION touch_tariffs_of_calendar();

CREATE OR REPLACE FUNCTION touch_tariffs_of_group() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tariffs t SET version = version FROM packages p
      WHERE p.direction_group IN (OLD.name, NEW.name) AND t.tariff_id = p.tariff_id;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER touch_tariffs AFTER INSERT OR UPDATE OR DELETE ON direction_groups
    FOR EACH ROW EXECUTE FUNCTION touch_tariffs_of_group();

-- What belongs to a subscriber changes its version.
CREATE OR REPLACE FUNCTION touch_subscriber() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE subscribers SET version = version WHERE subscriber_id IN (OLD.subscriber_id, NEW.subscriber_id);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER touch_subscriber AFTER INSERT OR UPDATE OR DELETE ON subscriber_options
    FOR EACH ROW EXECUTE FUNCTION touch_subscriber();
CREATE OR REPLACE TRIGGER touch_subscriber AFTER INSERT OR UPDATE OR DELETE ON aliases
    FOR EACH ROW EXECUTE FUNCTION touch_subscriber();

-- A cached subscriber carries these settings of its account. Money columns are not among them: a call's own updates
-- don't come here.
CREATE OR REPLACE FUNCTION touch_subscribers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE subscribers SET version = version WHERE bucket = NEW.bucket AND account_id = NEW.account_id;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER touch_subscribers AFTER UPDATE OF max_call_seconds, quota, numbering_plan ON accounts
    FOR EACH ROW EXECUTE FUNCTION touch_subscribers();

---------------------------------------------------------------------------------------------------------------
-- What an account may still commit, besides its balance

-- The account's own date. A time zone is checked when it is set.
CREATE OR REPLACE FUNCTION local_date(p_time_zone text) RETURNS date LANGUAGE sql STABLE AS $$
    SELECT (now() AT TIME ZONE p_time_zone)::date
$$;
CREATE OR REPLACE FUNCTION check_time_zone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM local_date(NEW.time_zone);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER check_time_zone BEFORE INSERT OR UPDATE OF time_zone ON accounts
    FOR EACH ROW EXECUTE FUNCTION check_time_zone();
CREATE OR REPLACE TRIGGER check_time_zone BEFORE INSERT OR UPDATE OF time_zone ON tariffs
    FOR EACH ROW EXECUTE FUNCTION check_time_zone();

-- NULL: no limit. What open calls hold counts as spent: they may cost that much today.
CREATE OR REPLACE FUNCTION day_left(a accounts) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT a.daily_limit - a.reserved - CASE WHEN a.spent_on = local_date(a.time_zone) THEN a.day_spent ELSE 0 END
$$;
CREATE OR REPLACE FUNCTION unlimited(a accounts) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT a.overdraft IS NULL AND a.daily_limit IS NULL AND a.monthly_limit IS NULL
$$;
CREATE OR REPLACE FUNCTION month_left(a accounts) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT a.monthly_limit - a.reserved
           - CASE WHEN date_trunc('month', a.spent_on) = date_trunc('month', local_date(a.time_zone))
                  THEN a.month_spent ELSE 0 END
$$;

---------------------------------------------------------------------------------------------------------------
-- What calls use up besides money: packages, under the lock of their account, and routes, under the lock of their load

-- Whether what was left of a package in a period has been carried into a later one: then nothing more of it can be had.
CREATE OR REPLACE FUNCTION is_carried(p_bucket smallint, p_subscriber_id bigint, p_package_id bigint, p_period_start date)
RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM package_usage WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id
          AND package_id = p_package_id AND period_start > p_period_start
    ) AND EXISTS (SELECT FROM packages WHERE package_id = p_package_id AND carry_over <> 'none')
$$;

-- Hold exactly so many seconds of each package, or nothing; whether there were so many left. Opens the period.
CREATE OR REPLACE FUNCTION hold_packages(p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_packages package_use[])
RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO package_usage (bucket, account_id, subscriber_id, package_id, period_start, allowance)
      SELECT p_bucket, p_account_id, p_subscriber_id, u.package_id, u.period_start,
             package_allowance(p_bucket, p_subscriber_id, u.package_id, u.period_start)
      FROM unnest(p_packages) u
      WHERE NOT EXISTS (
          SELECT FROM package_usage p WHERE p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id
            AND p.package_id = u.package_id AND p.period_start = u.period_start)
      ON CONFLICT DO NOTHING;
    IF EXISTS (
        SELECT FROM unnest(p_packages) u JOIN package_usage p ON p.bucket = p_bucket
          AND p.subscriber_id = p_subscriber_id AND p.package_id = u.package_id AND p.period_start = u.period_start
        WHERE p.allowance - p.used - p.held < u.seconds
           OR p.allowance IS NOT NULL AND u.seconds > 0
              AND is_carried(p_bucket, p_subscriber_id, u.package_id, u.period_start)
    ) THEN
        RETURN false;
    END IF;
    UPDATE package_usage p SET held = held + u.seconds FROM unnest(p_packages) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start AND u.seconds > 0;
    RETURN true;
END $$;

CREATE OR REPLACE FUNCTION free_packages(p_bucket smallint, p_subscriber_id bigint, p_packages package_use[])
RETURNS void LANGUAGE sql AS $$
    UPDATE package_usage p SET held = held - u.seconds FROM unnest(p_packages) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start AND u.seconds > 0
$$;

-- Which seconds of a call each package paid: the first `p_covered` billed ones, out of `p_packages` in their order. A
-- volume (no allowance) counts all that were billed.
CREATE OR REPLACE FUNCTION share_packages(
    p_bucket smallint, p_subscriber_id bigint, p_packages package_use[], p_covered integer, p_billed integer
) RETURNS package_use[] LANGUAGE sql STABLE AS $$
    SELECT COALESCE(array_agg((package_id, period_start, CASE
               WHEN allowance IS NULL THEN p_billed
               ELSE GREATEST(LEAST(seconds, p_covered - before), 0)
           END)::package_use ORDER BY ord), '{}')
    FROM (
        SELECT u.*, p.allowance,
               COALESCE(sum(u.seconds) FILTER (WHERE p.allowance IS NOT NULL)
                        OVER (ORDER BY u.ord ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before
        FROM unnest(p_packages) WITH ORDINALITY AS u(package_id, period_start, seconds, ord)
        LEFT JOIN package_usage p ON p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id
          AND p.package_id = u.package_id AND p.period_start = u.period_start
    ) AS shared
$$;

-- What a call used of packages takes the place of what it held, or had used by an earlier account of its end. There is
-- room: settle_v2() saw to it.
CREATE TYPE package_settlement_v2 AS (
    account_id bigint, subscriber_id bigint, held package_use[], used_before package_use[], used package_use[]
);
CREATE OR REPLACE FUNCTION use_packages(p_bucket smallint, p_call package_settlement_v2) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM free_packages(p_bucket, p_call.subscriber_id, p_call.held);
    UPDATE package_usage p SET used = used - u.seconds FROM unnest(p_call.used_before) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_call.subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start;
    UPDATE package_usage p SET used = used + u.seconds FROM unnest(p_call.used) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_call.subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start;
END $$;

-- One more call by a route that is limited and locked; whether it may. The second is that of the lock, not of the
-- transaction's begin: who waited would count in a second that is over. A second of the future, left by a clock that was
-- ahead, is as any other that is not this one.
CREATE OR REPLACE FUNCTION take_route(p_route_id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    this_second  timestamptz := date_trunc('second', clock_timestamp());
BEGIN
    UPDATE route_load l
      SET open_calls = l.open_calls + 1, started_in = this_second,
          started = 1 + CASE WHEN l.started_in = this_second THEN l.started ELSE 0 END
      FROM routes r
      WHERE l.route_id = p_route_id AND r.route_id = p_route_id AND r.enabled
        AND (l.open_calls < r.max_calls) IS NOT FALSE
        AND (l.started_in <> this_second OR l.started < r.max_calls_per_second) IS NOT FALSE;
    RETURN FOUND;
END $$;

---------------------------------------------------------------------------------------------------------------
-- reserve_v2: (nothing) -> reserved

CREATE TYPE reserve_request_v2 AS (
    call_key text, account_id bigint, subscriber_id bigint, subscriber_version integer,
    tariffs bigint[], tariff_versions integer[],  -- every tariff it was planned from, and as of which version
    minimum numeric,            -- decline below this: what the shortest charged call costs
    maximum numeric,            -- hold at most this: what the longest allowed call, or its first slice, costs
    price_per_minute numeric, quota boolean, cap_seconds integer, lifetime_seconds integer,
    exchange text, attempt smallint, callerid text, destination text, direction text, prefix text,
    tariff_id bigint, deck_id bigint, rate text, route_name text, route_prefix text,
    prepared_at timestamptz,    -- the instant whose prices it was planned by
    routing_number text, carrier_rate text, carrier_currency text, carrier_exchange numeric,
    packages package_use[],     -- to be held, exactly
    route_id bigint,            -- to be counted in route_load; NULL: the route has no limit
    claim bigint                -- any number that tells this request from a repetition of it
);
CREATE TYPE reserve_answer_v2 AS (
    outcome text,               -- reserved, or why not: the values of ReserveOutcome
    granted numeric
);

-- One account may prepare a call whose key another one is finishing, unprepared: no row lock keeps them apart, and the
-- key would be open and ended for ever. So who makes a call locks its key, before accounts and in one order.
CREATE OR REPLACE FUNCTION lock_call_keys(p_call_keys text[]) RETURNS void LANGUAGE sql AS $$
    SELECT pg_advisory_xact_lock(hash)
    FROM (SELECT DISTINCT hashtextextended(call_key, 0) AS hash FROM unnest(p_call_keys) AS call_key ORDER BY 1) AS keys
$$;

-- How both functions are written. Accounts are locked in the order of their ids, so that two batches cannot deadlock,
-- and each account once, however many of the batch's calls share it. Rows are looked up by LATERAL (... OFFSET 0), and
-- accounts updated one by one, each by its primary key: a join would leave the planner a choice, and on the statistics
-- of a table that was empty last night it chooses to read the whole bucket (measured: a tenth of the speed).
--
-- Order of reserve's checks: idempotency, freshness, account, packages, money, route. What is asked of packages is
-- exact, since the prices depend on it: where less is left, the call is planned again ('package_taken').
CREATE OR REPLACE FUNCTION reserve_v2(p_bucket smallint, p_requests reserve_request_v2[]) RETURNS reserve_answer_v2[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    answers    reserve_answer_v2[] := array_fill(NULL::reserve_answer_v2, ARRAY[cardinality(p_requests)]);
    held       numeric[] := array_fill(0::numeric, ARRAY[cardinality(p_requests)]);
    item       record;
    account    bigint;          -- whose running sums the next two are
    new_held   numeric;
    new_calls  integer;
    room       numeric;         -- what the account may commit; NULL: unlimited
    repeated   boolean := false;
    wanted     integer := 0;
    written    integer;
    limited    bigint[] := ARRAY(SELECT DISTINCT r.route_id FROM unnest(p_requests) r WHERE r.route_id IS NOT NULL ORDER BY 1);
BEGIN
    PERFORM lock_call_keys(ARRAY(SELECT r.call_key FROM unnest(p_requests) r));
    PERFORM FROM accounts a
      WHERE a.bucket = p_bucket AND a.account_id = ANY (ARRAY(SELECT r.account_id FROM unnest(p_requests) r))
      ORDER BY a.account_id FOR NO KEY UPDATE;
    IF cardinality(limited) > 0 THEN
        INSERT INTO route_load (route_id) SELECT unnest(limited) ON CONFLICT DO NOTHING;
        PERFORM FROM route_load WHERE route_id = ANY (limited) ORDER BY route_id FOR NO KEY UPDATE;
    END IF;

    FOR item IN
        SELECT r.ord, r.account_id, r.subscriber_id, r.minimum, r.maximum, r.packages, r.route_id,
               a.available, a.day_left, a.month_left, a.open_calls, a.max_calls, s.max_calls AS subscriber_max_calls,
               COALESCE(rule.allowed, a.default_allowed) AS allowed, r.price_per_minute > a.max_price AS too_dear,
               a.status = 'active' AND s.status = 'active' AS active,
               s.version = r.subscriber_version AND s.account_id = r.account_id AND t.fresh AS fresh,
               old.account_id IS NOT NULL OR cdr.account_id IS NOT NULL AS known,
               COALESCE(old.account_id, cdr.account_id) = r.account_id
                   AND COALESCE(old.destination, cdr.destination) = r.destination AS same
        FROM unnest(p_requests) WITH ORDINALITY AS r(
                call_key, account_id, subscriber_id, subscriber_version, tariffs, tariff_versions, minimum, maximum,
                price_per_minute, quota, cap_seconds, lifetime_seconds, exchange, attempt, callerid, destination,
                direction, prefix, tariff_id, deck_id, rate, route_name, route_prefix, prepared_at, routing_number,
                carrier_rate, carrier_currency, carrier_exchange, packages, route_id, claim, ord)
        LEFT JOIN LATERAL (
            SELECT status, open_calls, max_calls, max_price, default_allowed, balance + overdraft - reserved AS available,
                   CASE WHEN daily_limit IS NOT NULL THEN day_left(accounts) END AS day_left,
                   CASE WHEN monthly_limit IS NOT NULL THEN month_left(accounts) END AS month_left
            FROM accounts WHERE bucket = p_bucket AND account_id = r.account_id OFFSET 0
        ) a ON true
        LEFT JOIN LATERAL (
            SELECT status, version, account_id, max_calls FROM subscribers
            WHERE subscriber_id = r.subscriber_id OFFSET 0
        ) s ON true
        LEFT JOIN LATERAL (
            SELECT allowed FROM account_prefixes
            WHERE bucket = p_bucket AND account_id = r.account_id AND starts_with(r.destination, prefix)
            ORDER BY length(prefix) DESC LIMIT 1
        ) rule ON true
        LEFT JOIN LATERAL (
            -- NULL, which bool_and passes over, would be a tariff that is gone.
            SELECT bool_and(COALESCE((SELECT version FROM tariffs WHERE tariff_id = planned.id) = planned.version, false))
                   AS fresh
            FROM unnest(r.tariffs, r.tariff_versions) AS planned(id, version)
        ) t ON true
        LEFT JOIN LATERAL (
            SELECT account_id, destination FROM reservations
            WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
        ) old ON true
        LEFT JOIN LATERAL (
            SELECT account_id, destination FROM cdrs WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
        ) cdr ON true
        ORDER BY r.account_id, r.ord
    LOOP
        IF account IS DISTINCT FROM item.account_id THEN
            IF new_calls > 0 THEN
                UPDATE accounts SET reserved = reserved + new_held, open_calls = open_calls + new_calls
                  WHERE bucket = p_bucket AND account_id = account;
            END IF;
            account := item.account_id;
            new_held := 0;
            new_calls := 0;
        END IF;
        IF item.known THEN
            answers[item.ord] := (CASE WHEN item.same THEN 'exists' ELSE 'conflict' END, 0);
            repeated := repeated OR item.same;
        ELSIF item.fresh IS NOT TRUE THEN
            answers[item.ord] := ('stale', 0);
        ELSIF item.active IS NOT TRUE THEN
            answers[item.ord] := ('inactive', 0);
        ELSIF item.allowed IS NOT TRUE THEN
            answers[item.ord] := ('blocked_destination', 0);
        ELSIF item.too_dear THEN
            answers[item.ord] := ('price_too_high', 0);
        ELSIF item.open_calls + new_calls >= item.max_calls THEN
            answers[item.ord] := ('too_many_calls', 0);
        ELSIF item.subscriber_max_calls <= (
            SELECT count(*) FROM reservations
            WHERE bucket = p_bucket AND account_id = item.account_id AND subscriber_id = item.subscriber_id
        ) + (
            SELECT count(*) FROM unnest(p_requests, answers) AS r
            WHERE r.subscriber_id = item.subscriber_id AND r.outcome = 'reserved'
        ) THEN
            answers[item.ord] := ('too_many_calls', 0);
        ELSIF cardinality(item.packages) > 0 AND NOT hold_packages(p_bucket, item.account_id, item.subscriber_id, item.packages) THEN
            answers[item.ord] := ('package_taken', 0);
        -- What costs nothing needs no money.
        ELSIF item.minimum > 0 AND item.available - new_held < item.minimum THEN
            answers[item.ord] := ('insufficient_funds', 0);
        ELSIF item.minimum > 0 AND item.day_left - new_held < item.minimum THEN
            answers[item.ord] := ('daily_limit', 0);
        ELSIF item.minimum > 0 AND item.month_left - new_held < item.minimum THEN
            answers[item.ord] := ('monthly_limit', 0);
        ELSIF item.route_id IS NOT NULL AND NOT take_route(item.route_id) THEN
            answers[item.ord] := ('route_full', 0);
        ELSE
            -- LEAST passes over what is NULL: no limit.
            room := LEAST(item.available, item.day_left, item.month_left);
            answers[item.ord] := ('reserved', GREATEST(LEAST(item.maximum, room - new_held), 0));
            IF room IS NOT NULL THEN
                held[item.ord] := (answers[item.ord]).granted;
                new_held := new_held + held[item.ord];
            END IF;
            new_calls := new_calls + 1;
            wanted := wanted + 1;
        END IF;
        IF cardinality(item.packages) > 0 AND (answers[item.ord]).outcome IN (
            'insufficient_funds', 'daily_limit', 'monthly_limit', 'route_full') THEN
            PERFORM free_packages(p_bucket, item.subscriber_id, item.packages);
        END IF;
    END LOOP;
    IF repeated THEN
        UPDATE reservations SET claim = NULL
          WHERE bucket = p_bucket AND call_key = ANY (ARRAY(
              SELECT r.call_key FROM unnest(p_requests, answers) AS r WHERE r.outcome = 'exists'));
    END IF;
    IF wanted = 0 THEN
        RETURN answers;
    END IF;
    IF new_calls > 0 THEN
        UPDATE accounts SET reserved = reserved + new_held, open_calls = open_calls + new_calls
          WHERE bucket = p_bucket AND account_id = account;
    END IF;

    INSERT INTO reservations
    SELECT p_bucket, r.call_key, r.account_id, r.subscriber_id, held[r.ord], (answers[r.ord]).granted, r.cap_seconds,
           r.exchange, r.attempt, r.callerid, r.destination, r.direction, r.prefix, r.tariff_id, r.deck_id, r.rate,
           r.route_name, r.route_prefix, r.quota, r.prepared_at, now() + make_interval(secs => r.lifetime_seconds),
           NULL, NULL, r.claim, r.routing_number, r.carrier_rate, r.carrier_currency, r.carrier_exchange, r.packages,
           r.route_id
    FROM unnest(p_requests) WITH ORDINALITY AS r(
            call_key, account_id, subscriber_id, subscriber_version, tariffs, tariff_versions, minimum, maximum,
            price_per_minute, quota, cap_seconds, lifetime_seconds, exchange, attempt, callerid, destination, direction,
            prefix, tariff_id, deck_id, rate, route_name, route_prefix, prepared_at, routing_number, carrier_rate,
            carrier_currency, carrier_exchange, packages, route_id, claim, ord)
    WHERE (answers[r.ord]).outcome = 'reserved'
    ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> wanted THEN
        -- Another transaction took one of these keys for another account since we looked: look again.
        RAISE SQLSTATE '40001' USING MESSAGE = 'a call key was taken meanwhile';
    END IF;
    RETURN answers;
END $$;

---------------------------------------------------------------------------------------------------------------
-- extend_v2: reserved -> extended. Raises what a call in quota mode may cost, as far as there is money; or gives back
-- what it holds beyond `maximum`, for the other calls of its account

CREATE TYPE extend_request_v2 AS (
    call_key text, account_id bigint,
    maximum numeric,            -- what the call may cost to the end of its next slice
    give_back boolean,          -- lower to maximum; the exchange has been told before
    lifetime_seconds integer, answered_at timestamptz
);
CREATE TYPE extend_answer_v2 AS (
    outcome text,               -- extended (granted may be as it was: no money), unknown (ended, or never was), inactive
    granted numeric
);

CREATE OR REPLACE FUNCTION extend_v2(p_bucket smallint, p_requests extend_request_v2[]) RETURNS extend_answer_v2[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    answers  extend_answer_v2[] := array_fill(NULL::extend_answer_v2, ARRAY[cardinality(p_requests)]);
    item     record;
    account  accounts;
    more     numeric;
BEGIN
    PERFORM FROM accounts a
      WHERE a.bucket = p_bucket AND a.account_id = ANY (ARRAY(SELECT r.account_id FROM unnest(p_requests) r))
      ORDER BY a.account_id FOR NO KEY UPDATE;
    FOR item IN
        SELECT r.*, old.granted, old.held FROM unnest(p_requests) WITH ORDINALITY AS r(
            call_key, account_id, maximum, give_back, lifetime_seconds, answered_at, ord)
        LEFT JOIN LATERAL (
            SELECT granted, held FROM reservations
            WHERE bucket = p_bucket AND call_key = r.call_key AND account_id = r.account_id OFFSET 0
        ) old ON true
        ORDER BY r.account_id, r.ord
    LOOP
        SELECT * INTO account FROM accounts WHERE bucket = p_bucket AND account_id = item.account_id;
        IF item.granted IS NULL THEN
            answers[item.ord] := ('unknown', 0);
            CONTINUE;
        ELSIF item.give_back THEN
            more := GREATEST(LEAST(item.maximum - item.granted, 0), -item.held);
        ELSIF account.status <> 'active' THEN
            answers[item.ord] := ('inactive', item.granted);
            CONTINUE;
        ELSE
            -- LEAST passes over what is NULL: no limit.
            more := GREATEST(LEAST(item.maximum - item.granted, account.balance + account.overdraft - account.reserved,
                                   day_left(account), month_left(account)), 0);
        END IF;
        UPDATE reservations
        SET granted = granted + more, held = held + CASE WHEN unlimited(account) THEN 0 ELSE more END,
            expires_at = GREATEST(expires_at, now() + make_interval(secs => item.lifetime_seconds)),
            answered_at = COALESCE(answered_at, item.answered_at)
        WHERE bucket = p_bucket AND call_key = item.call_key;
        IF more <> 0 AND NOT unlimited(account) THEN
            UPDATE accounts SET reserved = reserved + more WHERE bucket = p_bucket AND account_id = item.account_id;
        END IF;
        answers[item.ord] := ('extended', item.granted + more);
    END LOOP;
    RETURN answers;
END $$;

---------------------------------------------------------------------------------------------------------------
-- settle_v2: reserved -> settled (answered) | voided (never answered) | expired;
-- expired, reconciled or abandoned -> settled | voided (a finish that comes late knows better: the difference is posted);
-- (nothing) -> settled | voided (a finish whose prepare never reached us: charged all the same, and marked)

CREATE TYPE settle_request_v2 AS (
    call_key text, account_id bigint, seconds integer, billed_seconds integer, cost numeric, disposition text,
    cause smallint, source text,
    ended_at timestamptz,       -- NULL: now
    -- What the CDR says when there is no reservation to take it from; rate NULL: then there is nothing to settle
    subscriber_id bigint, exchange text, attempt smallint, callerid text, destination text, direction text, prefix text,
    tariff_id bigint, deck_id bigint, rate text, route_name text,
    routing_number text, carrier_rate text, carrier_currency text, carrier_exchange numeric,
    carrier_cost numeric, margin numeric,  -- of this end, NULL: not known
    covered_seconds integer,    -- billed ones that packages paid
    packages package_use[],     -- exactly what it used of them; empty: covered_seconds, out of what the reservation holds
    claim bigint,               -- source abandoned: of the request whose reservation it is
    rerate_id bigint            -- of the CDR whose rate it is charged by; NULL: it was not corrected, or is not there
);
CREATE TYPE settle_answer_v2 AS (
    outcome text,               -- settled, repeated, conflict, still_open, unknown, package_taken (ask for less of it)
    overrun numeric             -- what was charged beyond what was held for this call
);

-- What requests ask of packages by name, beyond what their calls hold or have used before. Nothing for a call of another
-- account, under whose lock its packages are.
CREATE TYPE package_demand_v2 AS (ord bigint, account_id bigint, subscriber_id bigint, more package_use[]);
CREATE OR REPLACE FUNCTION demands_of(p_bucket smallint, p_requests settle_request_v2[]) RETURNS SETOF package_demand_v2
LANGUAGE sql STABLE AS $$
    SELECT r.ord, r.account_id, COALESCE(old.subscriber_id, cdr.subscriber_id, r.subscriber_id),
           ARRAY(
               SELECT (u.package_id, u.period_start, GREATEST(u.seconds - COALESCE(had.seconds, 0), 0))::package_use
               FROM unnest(r.packages) u
               LEFT JOIN unnest(COALESCE(old.packages, cdr.packages)) had
                 ON had.package_id = u.package_id AND had.period_start = u.period_start)
    FROM (
        SELECT n.ord, (p_requests[n.ord]).call_key, (p_requests[n.ord]).account_id, (p_requests[n.ord]).subscriber_id,
               (p_requests[n.ord]).packages
        FROM generate_subscripts(p_requests, 1) AS n(ord)
    ) AS r
    LEFT JOIN LATERAL (
        SELECT account_id, subscriber_id, packages FROM reservations
        WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
    ) old ON true
    LEFT JOIN LATERAL (
        SELECT account_id, subscriber_id, packages FROM cdrs WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
    ) cdr ON true
    WHERE cardinality(r.packages) > 0 AND COALESCE(old.account_id, cdr.account_id, r.account_id) = r.account_id
    ORDER BY 2, 1
$$;

-- A batch names a call key at most once (storage/calls/ledger sees to it).
CREATE OR REPLACE FUNCTION settle_v2(p_bucket smallint, p_requests settle_request_v2[]) RETURNS settle_answer_v2[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    answers  settle_answer_v2[];
    wanted   bigint;
    written  bigint;
    changed  bigint[];          -- accounts, and what each gets back and pays
    dues     numeric[];
    freed    numeric[];
    ended    integer[];
    routes   bigint[];          -- that are limited, and how many calls fewer they carry
    fewer    integer[];
    refused  bigint[] := '{}';  -- items that asked for more of a package than is left
    demand   package_demand_v2;
    granted_demands  package_demand_v2[] := '{}';
    settlement   package_settlement_v2;
    settlements  package_settlement_v2[];
BEGIN
    PERFORM lock_call_keys(ARRAY(SELECT r.call_key FROM unnest(p_requests) r WHERE r.rate IS NOT NULL));
    PERFORM FROM accounts a
      WHERE a.bucket = p_bucket AND a.account_id = ANY (ARRAY(SELECT r.account_id FROM unnest(p_requests) r))
      ORDER BY a.account_id FOR NO KEY UPDATE;

    -- What is asked of packages beyond what a call holds, or had used, is held for it first, so that the calls of one
    -- batch don't use the same seconds.
    IF EXISTS (SELECT FROM unnest(p_requests) r WHERE cardinality(r.packages) > 0) THEN
        FOR demand IN SELECT * FROM demands_of(p_bucket, p_requests) LOOP
            IF hold_packages(p_bucket, demand.account_id, demand.subscriber_id, demand.more) THEN
                granted_demands := granted_demands || demand;
            ELSE
                refused := refused || demand.ord;
            END IF;
        END LOOP;
    END IF;

    WITH request AS MATERIALIZED (
        SELECT r.ord, r.call_key, r.account_id, r.seconds, r.billed_seconds, r.cost, r.disposition, r.cause,
               COALESCE(r.ended_at, now()) AS ended_at, a.balance, a.currency, a.unlimited,
               old.account_id IS NOT NULL AS was_open, COALESCE(old.held, 0) AS held, COALESCE(old.granted, 0) AS granted,
               COALESCE(old.prepared_at, COALESCE(r.ended_at, now()) - make_interval(secs => r.seconds)) AS prepared_at,
               COALESCE(old.subscriber_id, r.subscriber_id, cdr.subscriber_id) AS subscriber_id,
               COALESCE(old.exchange, r.exchange) AS exchange,
               COALESCE(old.attempt, r.attempt) AS attempt, COALESCE(old.callerid, r.callerid) AS callerid,
               COALESCE(old.destination, r.destination) AS destination,
               COALESCE(old.direction, r.direction) AS direction, COALESCE(old.prefix, r.prefix) AS prefix,
               COALESCE(old.tariff_id, r.tariff_id) AS tariff_id, COALESCE(old.deck_id, r.deck_id) AS deck_id,
               COALESCE(old.rate, r.rate) AS rate, COALESCE(old.route_name, r.route_name) AS route_name,
               COALESCE(old.routing_number, r.routing_number, '') AS routing_number,
               COALESCE(old.carrier_rate, r.carrier_rate, '') AS carrier_rate,
               COALESCE(old.carrier_currency, r.carrier_currency, '') AS carrier_currency,
               COALESCE(old.carrier_exchange, r.carrier_exchange) AS carrier_exchange, r.carrier_cost, r.margin,
               old.route_id, COALESCE(old.packages, '{}') AS packages_held, COALESCE(cdr.packages, '{}') AS packages_before,
               CASE WHEN cardinality(COALESCE(NULLIF(r.packages, '{}'), old.packages)) > 0 THEN share_packages(
                   p_bucket, COALESCE(old.subscriber_id, r.subscriber_id, cdr.subscriber_id),
                   COALESCE(NULLIF(r.packages, '{}'), old.packages), r.covered_seconds, r.billed_seconds)
                   ELSE '{}' END AS packages_used,
               CASE
                   WHEN r.source = 'expired' THEN 'expired'
                   WHEN r.seconds > 0 THEN 'settled'
                   ELSE 'voided'
               END::cdr_state AS state,
               CASE
                   WHEN cdr.account_id IS NOT NULL THEN 'late'
                   WHEN old.account_id IS NULL AND r.rate = '' AND r.seconds > 0 THEN 'unrated'
                   WHEN old.account_id IS NULL THEN 'unreserved'
                   ELSE r.source
               END AS source,
               COALESCE(cdr.cost, 0) AS charged_before,
               cdr.seconds > 0 AS was_charged,  -- if it cost anything then: a correction may have made that nothing
               CASE WHEN a.unlimited THEN 0
                    ELSE GREATEST(r.cost - COALESCE(old.held, 0) - COALESCE(cdr.cost, 0), 0) END AS overrun,
               CASE
                   WHEN a.currency IS NULL THEN 'unknown'
                   WHEN COALESCE(old.account_id, cdr.account_id) <> r.account_id THEN 'conflict'
                   -- Rated anew, but there is a call after all, whose rate was frozen: look again.
                   WHEN r.rate IS NOT NULL AND COALESCE(old.account_id, cdr.account_id) IS NOT NULL THEN 'unknown'
                   WHEN r.source = 'expired' AND (old.expires_at > now()) IS NOT FALSE THEN 'still_open'
                   WHEN r.source = 'abandoned' AND old.account_id IS NOT NULL AND old.claim IS DISTINCT FROM r.claim THEN 'still_open'
                   WHEN r.ord = ANY (refused) THEN 'package_taken'
                   WHEN old.account_id IS NOT NULL THEN 'settled'
                   WHEN cdr.account_id IS NULL THEN CASE WHEN r.rate IS NULL THEN 'unknown' ELSE 'settled' END
                   WHEN r.source <> 'finish' THEN 'repeated'
                   -- Another rate is frozen since it was looked up: look again.
                   WHEN cdr.source IN ('expired', 'reconciled', 'abandoned') AND cdr.rerate_id IS DISTINCT FROM r.rerate_id
                        THEN 'unknown'
                   -- It counts on what a reservation held of packages, which was freed: look again.
                   WHEN cdr.source IN ('expired', 'reconciled', 'abandoned') AND r.covered_seconds > 0
                        AND cardinality(r.packages) = 0 THEN 'unknown'
                   WHEN cdr.source = 'expired' THEN 'settled'
                   WHEN cdr.seconds = r.seconds THEN 'repeated'
                   WHEN cdr.source IN ('reconciled', 'abandoned') THEN 'settled'
                   ELSE 'conflict'
               END AS outcome
        FROM unnest(p_requests) WITH ORDINALITY AS r(
                call_key, account_id, seconds, billed_seconds, cost, disposition, cause, source, ended_at, subscriber_id,
                exchange, attempt, callerid, destination, direction, prefix, tariff_id, deck_id, rate, route_name,
                routing_number, carrier_rate, carrier_currency, carrier_exchange, carrier_cost, margin, covered_seconds,
                packages, claim, rerate_id, ord)
        LEFT JOIN LATERAL (
            SELECT balance, currency, unlimited(accounts) AS unlimited FROM accounts
            WHERE bucket = p_bucket AND account_id = r.account_id OFFSET 0
        ) a ON true
        LEFT JOIN LATERAL (
            SELECT * FROM reservations WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
        ) old ON true
        LEFT JOIN LATERAL (
            SELECT account_id, subscriber_id, state, source, seconds, cost, packages, rerate_id FROM cdrs
            WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
        ) cdr ON true
    ), done AS (
        SELECT *, cost - charged_before AS due FROM request WHERE outcome = 'settled'
    ), cleared AS (
        DELETE FROM reservations
        WHERE bucket = p_bucket AND call_key = ANY (ARRAY(SELECT call_key FROM done WHERE was_open))
    ), cdr AS (
        INSERT INTO cdrs
        SELECT p_bucket, call_key, account_id, subscriber_id, state, source, exchange, attempt, callerid, destination,
               direction, prefix, tariff_id, deck_id, rate, route_name, currency, granted, seconds, billed_seconds, cost,
               overrun, disposition, cause, prepared_at,
               CASE WHEN seconds > 0 THEN ended_at - make_interval(secs => seconds) END, ended_at, routing_number,
               carrier_rate, carrier_currency, carrier_exchange, carrier_cost, margin, packages_used
        FROM done WHERE source <> 'late'
        ON CONFLICT DO NOTHING
        RETURNING call_key
    ), late AS (
        -- What is given back lowers the overrun that was assumed; what is charged on top was held by nobody.
        UPDATE cdrs SET
            state = d.state, source = d.source, seconds = d.seconds, billed_seconds = d.billed_seconds, cost = d.cost,
            overrun = GREATEST(cdrs.overrun + CASE WHEN d.unlimited THEN 0 ELSE d.due END, 0),
            disposition = d.disposition, cause = d.cause, ended_at = d.ended_at,
            carrier_cost = d.carrier_cost, margin = d.margin, packages = d.packages_used,
            answered_at = CASE WHEN d.seconds > 0 THEN d.ended_at - make_interval(secs => d.seconds) END
        FROM done d
        WHERE cdrs.bucket = p_bucket AND cdrs.call_key = d.call_key
          AND cdrs.call_key = ANY (ARRAY(SELECT call_key FROM done WHERE source = 'late'))
        RETURNING cdrs.call_key
    ), entry AS (
        INSERT INTO ledger_entries (bucket, account_id, kind, amount, balance_after, call_key)
        SELECT p_bucket, account_id, (CASE WHEN was_charged THEN 'correction' ELSE 'charge' END)::ledger_entry_kind,
               -due, balance - sum(due) OVER (PARTITION BY account_id ORDER BY ord), call_key
        FROM done WHERE due <> 0 ORDER BY account_id, ord
    ), change AS (
        SELECT account_id, sum(due) AS due, sum(held) AS held, count(*) FILTER (WHERE was_open) AS calls
        FROM done GROUP BY account_id
    ), route AS (
        SELECT route_id, count(*) AS calls FROM done WHERE was_open AND route_id IS NOT NULL GROUP BY route_id
    )
    SELECT array_agg((outcome, CASE WHEN outcome = 'settled' THEN overrun ELSE 0 END)::settle_answer_v2 ORDER BY ord),
           count(*) FILTER (WHERE outcome = 'settled'), (SELECT count(*) FROM cdr) + (SELECT count(*) FROM late),
           (SELECT array_agg(account_id ORDER BY account_id) FROM change),
           (SELECT array_agg(due ORDER BY account_id) FROM change),
           (SELECT array_agg(held ORDER BY account_id) FROM change),
           (SELECT array_agg(calls ORDER BY account_id) FROM change),
           (SELECT array_agg(route_id ORDER BY route_id) FROM route), (SELECT array_agg(calls ORDER BY route_id) FROM route),
           (SELECT array_agg((account_id, subscriber_id, packages_held, packages_before, packages_used)::package_settlement_v2)
            FROM done WHERE cardinality(packages_held) + cardinality(packages_before) + cardinality(packages_used) > 0)
      INTO answers, wanted, written, changed, dues, freed, ended, routes, fewer, settlements
      FROM request;
    IF written <> wanted THEN
        -- Another transaction wrote a CDR of one of these keys under another account since we looked: look again.
        RAISE SQLSTATE '40001' USING MESSAGE = 'a call key was taken meanwhile';
    END IF;
    FOREACH demand IN ARRAY granted_demands LOOP
        PERFORM free_packages(p_bucket, demand.subscriber_id, demand.more);
    END LOOP;
    FOREACH settlement IN ARRAY COALESCE(settlements, '{}') LOOP
        PERFORM use_packages(p_bucket, settlement);
    END LOOP;
    FOR i IN 1 .. COALESCE(cardinality(changed), 0) LOOP
        UPDATE accounts
        SET balance = balance - dues[i], reserved = reserved - freed[i], open_calls = open_calls - ended[i],
            day_spent = dues[i] + CASE WHEN spent_on = local_date(time_zone) THEN day_spent ELSE 0 END,
            month_spent = dues[i] + CASE WHEN date_trunc('month', spent_on) = date_trunc('month', local_date(time_zone))
                                          THEN month_spent ELSE 0 END,
            spent_on = local_date(time_zone)
        WHERE bucket = p_bucket AND account_id = changed[i];
    END LOOP;
    FOR i IN 1 .. COALESCE(cardinality(routes), 0) LOOP
        -- A counter that was mended wrong is for the doctor to find: no end of a call may fail by it.
        UPDATE route_load SET open_calls = GREATEST(open_calls - fewer[i], 0) WHERE route_id = routes[i];
    END LOOP;
    RETURN answers;
END $$;

-- Reservations whose finish never came, oldest first: their money is freed, and the CDR says so. Answers how many.
-- A call that was seen answered is not among them: what it cost is known, and services/calls/charging settles it.
CREATE OR REPLACE FUNCTION expire_v2(p_bucket smallint, p_limit integer) RETURNS integer
LANGUAGE sql AS $$
    SELECT count(*) FILTER (WHERE (answer).outcome = 'settled')::integer
    FROM unnest(settle_v2(p_bucket, ARRAY(
        SELECT (call_key, account_id, 0, 0, 0, 'EXPIRED', 0, 'expired', NULL,
                NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
                CASE WHEN carrier_rate <> '' THEN 0 END, CASE WHEN carrier_rate <> '' AND carrier_exchange IS NOT NULL THEN 0 END,
                0, '{}', NULL, NULL)::settle_request_v2
        FROM reservations
        WHERE bucket = p_bucket AND expires_at <= now() AND answered_at IS NULL
        ORDER BY expires_at LIMIT p_limit
    ))) AS answer
$$;

---------------------------------------------------------------------------------------------------------------
-- post_entry_v2: every change of a balance that is not a call. A reference is an idempotency key: the same one with the
-- same amount is posted once, with another amount it is a conflict.

CREATE TYPE post_entry_answer_v2 AS (
    outcome text,               -- posted, repeated, conflict, unknown
    balance numeric
);

CREATE OR REPLACE FUNCTION post_entry_v2(
    p_bucket smallint, p_account_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_reference text
) RETURNS post_entry_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    account  accounts;
    earlier  ledger_entries;
BEGIN
    SELECT * INTO account FROM accounts WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ROW('unknown', NULL)::post_entry_answer_v2;
    END IF;
    SELECT * INTO earlier FROM ledger_entries
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_reference;
    IF FOUND THEN
        RETURN ROW(CASE WHEN earlier.amount = p_amount AND earlier.kind = p_kind THEN 'repeated' ELSE 'conflict' END,
                   account.balance)::post_entry_answer_v2;
    END IF;
    INSERT INTO ledger_entries (bucket, account_id, kind, amount, balance_after, reference)
      VALUES (p_bucket, p_account_id, p_kind, p_amount, account.balance + p_amount, p_reference);
    UPDATE accounts SET balance = balance + p_amount WHERE bucket = p_bucket AND account_id = p_account_id;
    RETURN ROW('posted', account.balance + p_amount)::post_entry_answer_v2;
END $$;

---------------------------------------------------------------------------------------------------------------
-- switch_tariff_v2: a subscriber changes to another tariff or takes an option, and its account pays what that costs, in
-- one transaction. A reference is an idempotency key, as in post_entry: with one, even what costs nothing has its entry.
-- The price was worked out from `p_tariff_version` (stale: look again), in the account's currency. Limits of what may
-- be spent a day or month are for calls; a fee doesn't count there.

CREATE TYPE switch_answer_v2 AS (
    outcome text,               -- switched, unchanged (has it already), repeated, conflict (the reference was used for
                                -- something else), stale, wrong_kind (an option as tariff, or the other way round),
                                -- begins_past, ends_past (of an option), too_many (options), insufficient_funds,
                                -- unknown
    balance numeric
);

CREATE OR REPLACE FUNCTION switch_tariff_v2(
    p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_tariff_id bigint, p_tariff_version integer,
    p_is_option boolean, p_max_options integer,
    p_from timestamptz, p_to timestamptz,      -- of an option; NULL: from now on, for ever
    p_position integer,                        -- of an option; NULL: after those the subscriber has
    p_price numeric, p_reference text
) RETURNS switch_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    account  accounts;
    party    subscribers;
    tariff   tariffs;
    earlier  ledger_entries;
    begins   timestamptz := COALESCE(p_from, now());
    ends     timestamptz := COALESCE(p_to, 'infinity');
    label    text;
BEGIN
    SELECT * INTO account FROM accounts WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    SELECT * INTO party FROM subscribers
      WHERE subscriber_id = p_subscriber_id AND bucket = p_bucket AND account_id = p_account_id;
    -- Locked against becoming an option, or none; an import into it goes on beside this.
    SELECT * INTO tariff FROM tariffs WHERE tariff_id = p_tariff_id FOR KEY SHARE;
    IF account IS NULL OR party IS NULL OR tariff IS NULL THEN
        RETURN ROW('unknown', NULL)::switch_answer_v2;
    END IF;
    label := format('%s %s for %s', CASE WHEN p_is_option THEN 'option' ELSE 'tariff' END, tariff.name, party.login);
    SELECT * INTO earlier FROM ledger_entries
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_reference;
    IF FOUND THEN
        RETURN ROW(CASE WHEN earlier.kind = 'fee' AND earlier.subject = label THEN 'repeated' ELSE 'conflict' END,
                   account.balance)::switch_answer_v2;
    ELSIF tariff.is_option <> p_is_option THEN
        RETURN ROW('wrong_kind', account.balance)::switch_answer_v2;
    ELSIF tariff.version <> p_tariff_version THEN
        RETURN ROW('stale', account.balance)::switch_answer_v2;
    ELSIF begins < now() THEN
        RETURN ROW('begins_past', account.balance)::switch_answer_v2;
    ELSIF ends <= begins THEN
        RETURN ROW('ends_past', account.balance)::switch_answer_v2;
    ELSIF party.tariff_id = p_tariff_id OR p_is_option AND EXISTS (
        SELECT FROM subscriber_options
        WHERE subscriber_id = p_subscriber_id AND tariff_id = p_tariff_id
          AND effective_from < ends AND effective_to > begins
    ) THEN
        RETURN ROW('unchanged', account.balance)::switch_answer_v2;
    ELSIF p_is_option AND p_max_options <= (
        SELECT count(*) FROM subscriber_options WHERE subscriber_id = p_subscriber_id AND effective_to > now()
    ) THEN
        RETURN ROW('too_many', account.balance)::switch_answer_v2;
    -- Credit without a limit has no overdraft (NULL), and what costs nothing needs no money.
    ELSIF p_price > 0 AND account.balance + account.overdraft - account.reserved < p_price THEN
        RETURN ROW('insufficient_funds', account.balance)::switch_answer_v2;
    END IF;
    IF p_is_option THEN
        INSERT INTO subscriber_options (subscriber_id, tariff_id, position, effective_from, effective_to)
        SELECT p_subscriber_id, p_tariff_id, COALESCE(p_position, max(position) + 1, 1), begins, ends
        FROM subscriber_options WHERE subscriber_id = p_subscriber_id AND effective_to > now();
    ELSE
        UPDATE subscribers SET tariff_id = p_tariff_id, tariff_since = now() WHERE subscriber_id = p_subscriber_id;
    END IF;
    IF p_price > 0 OR p_reference IS NOT NULL THEN
        INSERT INTO ledger_entries (bucket, account_id, kind, amount, balance_after, reference, subject)
          VALUES (p_bucket, p_account_id, 'fee', -p_price, account.balance - p_price, p_reference, label);
        UPDATE accounts SET balance = balance - p_price WHERE bucket = p_bucket AND account_id = p_account_id;
    END IF;
    RETURN ROW('switched', account.balance - p_price)::switch_answer_v2;
END $$;

---------------------------------------------------------------------------------------------------------------
-- correct_calls_v2: posts what a re-rating found of some calls. A call is corrected at most once by a re-rating, however
-- often it is asked for: its item is marked in the transaction that posts its entry, and the entry's reference is of
-- this re-rating and call. What calls held and what limits count as spent is not touched: these calls are of the past.
-- A batch names a call key at most once. Locks as in settle_v2().

CREATE TYPE correction_answer_v2 AS (
    outcome text,               -- corrected, repeated (before), changed (its CDR is not as it was read: left alone),
                                -- unpriced, closed (the re-rating is not open), unknown
    amount numeric              -- what the account got; below zero what it paid
);

CREATE OR REPLACE FUNCTION correct_calls_v2(p_bucket smallint, p_rerate_id bigint, p_call_keys text[]) RETURNS correction_answer_v2[]
LANGUAGE plpgsql SET enable_seqscan = off AS $$
DECLARE
    answers  correction_answer_v2[];
    wanted   bigint;
    written  bigint;
    changed  bigint[];          -- accounts, and what each gets
    amounts  numeric[];
    is_open  boolean;
BEGIN
    PERFORM FROM accounts a
      WHERE a.bucket = p_bucket AND a.account_id = ANY (ARRAY(
          SELECT i.account_id FROM rerate_items i
          WHERE i.bucket = p_bucket AND i.rerate_id = p_rerate_id AND i.call_key = ANY (p_call_keys)))
      ORDER BY a.account_id FOR NO KEY UPDATE;
    -- It is not discarded while this runs.
    PERFORM FROM rerates WHERE rerate_id = p_rerate_id AND state = 'open' FOR SHARE;
    is_open := FOUND;

    WITH item AS MATERIALIZED (
        SELECT k.ord, k.call_key, i.account_id, i.old_cost, i.new_cost, i.billed_seconds, i.rate, i.deck_id, i.prefix,
               i.direction, i.old_cost - i.new_cost AS amount, a.balance, a.unlimited,
               CASE
                   WHEN i.account_id IS NULL OR a.balance IS NULL THEN 'unknown'
                   WHEN i.posted_at IS NOT NULL THEN 'repeated'
                   WHEN NOT is_open THEN 'closed'
                   WHEN i.new_cost IS NULL THEN 'unpriced'
                   WHEN (cdr.account_id, cdr.seconds, cdr.cost) IS DISTINCT FROM (i.account_id, i.seconds, i.old_cost)
                        THEN 'changed'
                   ELSE 'corrected'
               END AS outcome
        FROM unnest(p_call_keys) WITH ORDINALITY AS k(call_key, ord)
        LEFT JOIN LATERAL (
            SELECT * FROM rerate_items
            WHERE bucket = p_bucket AND rerate_id = p_rerate_id AND call_key = k.call_key OFFSET 0
        ) i ON true
        LEFT JOIN LATERAL (
            SELECT account_id, seconds, cost FROM cdrs WHERE bucket = p_bucket AND call_key = k.call_key OFFSET 0
        ) cdr ON true
        LEFT JOIN LATERAL (
            SELECT balance, unlimited(accounts) AS unlimited FROM accounts
            WHERE bucket = p_bucket AND account_id = i.account_id OFFSET 0
        ) a ON true
    ), done AS (
        SELECT * FROM item WHERE outcome = 'corrected'
    ), cdr AS (
        -- The overrun as settle_v2() has it of a late end. What had no rate has one now.
        UPDATE cdrs SET
            cost = d.new_cost, billed_seconds = d.billed_seconds, rate = d.rate, deck_id = d.deck_id, prefix = d.prefix,
            direction = d.direction, margin = cdrs.margin - d.amount, rerate_id = p_rerate_id,
            overrun = GREATEST(cdrs.overrun - CASE WHEN d.unlimited THEN 0 ELSE d.amount END, 0),
            source = CASE WHEN cdrs.source = 'unrated' THEN 'unreserved' ELSE cdrs.source END
        FROM done d
        WHERE cdrs.bucket = p_bucket AND cdrs.call_key = d.call_key
          AND cdrs.call_key = ANY (ARRAY(SELECT call_key FROM done))
        RETURNING cdrs.call_key
    ), marked AS (
        UPDATE rerate_items i SET
            posted_at = CASE WHEN item.outcome = 'corrected' THEN now() END, changed = item.outcome = 'changed'
        FROM item
        WHERE i.bucket = p_bucket AND i.rerate_id = p_rerate_id AND i.call_key = item.call_key
          AND i.call_key = ANY (p_call_keys) AND item.outcome IN ('corrected', 'changed')
    ), entry AS (
        INSERT INTO ledger_entries (bucket, account_id, kind, amount, balance_after, call_key, reference)
        SELECT p_bucket, account_id, 'correction', amount,
               balance + sum(amount) OVER (PARTITION BY account_id ORDER BY ord), call_key,
               'rerate ' || p_rerate_id || ' ' || CASE WHEN length(call_key) <= 160 THEN call_key
                                                       ELSE encode(sha256(convert_to(call_key, 'UTF8')), 'hex') END
        FROM done WHERE amount <> 0 ORDER BY account_id, ord
    ), change AS (
        SELECT account_id, sum(amount) AS amount FROM done GROUP BY account_id
    )
    SELECT array_agg((outcome, CASE WHEN outcome = 'corrected' THEN amount ELSE 0 END)::correction_answer_v2 ORDER BY ord),
           count(*) FILTER (WHERE outcome = 'corrected'), (SELECT count(*) FROM cdr),
           (SELECT array_agg(account_id ORDER BY account_id) FROM change),
           (SELECT array_agg(amount ORDER BY account_id) FROM change)
      INTO answers, wanted, written, changed, amounts
      FROM item;
    IF written <> wanted THEN
        RAISE SQLSTATE '40001' USING MESSAGE = 'a CDR was changed meanwhile';
    END IF;
    FOR i IN 1 .. COALESCE(cardinality(changed), 0) LOOP
        UPDATE accounts SET balance = balance + amounts[i] WHERE bucket = p_bucket AND account_id = changed[i];
    END LOOP;
    RETURN answers;
END $$;
