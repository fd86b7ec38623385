-- The whole database of the rating engine: types, tables, and one set-based function for every money transition.
--
-- Laws kept here (and proved over live data by `rating-engine doctor`):
--   1. accounts.reserved   = the sum of `held` over the account's open reservations, of its own calls and of those it
--      pays for as a reseller's
--   2. accounts.balance    = the sum of its ledger entries; every change of a balance is one append-only entry
--   3. a call key is settled at most once (primary keys of reservations and cdrs), on every account that it is charged to
--   4. balance + overdraft - reserved >= 0, but for an overrun counted in its CDR
--   5. of a package no second is spent twice: used + held <= allowance, held = what open reservations hold, used = what
--      CDRs used
--   6. route_load.open_calls = the open calls of that bucket by that route; it never exceeds what the bucket may have of
--      the route's max_calls, and the buckets together never exceed max_calls
--   7. subscriber_load.open_calls = the open calls of that subscriber
--
-- Three kinds of tables, in this order. The CATALOGUE (tariffs, decks, routes, numbering, who has which login) are plain
-- tables with foreign keys and triggers. FACTS OF THE CATALOGUE are the few columns of it that money functions ask, kept
-- by triggers, never locked by them: versions are compared. ACCOUNT-SCOPED tables have `bucket` first in every unique
-- key, and no foreign key to another bucket or to the catalogue. A money function takes the bucket first, asks scoped
-- tables of that bucket and facts alone, answers ONE array in the order of its input, and is called in the form
-- SELECT reserve_v5($1, $2) outside of a transaction. So the scoped tables can be distributed by bucket (Citus), with the
-- facts on every node: a money call is then handed whole to the node that has the bucket. What is asked for that and a
-- single server would not need: arrays read by one query and written by single statements FROM unnest without ON
-- CONFLICT, plpgsql instead of LANGUAGE sql where a scoped table is asked, scalar arguments instead of row types.

CREATE TYPE account_kind      AS ENUM ('prepaid', 'postpaid');
CREATE TYPE party_status      AS ENUM ('active', 'blocked');
-- A person or firm: how it stands, and what its lines may call by it, the least first.
CREATE TYPE party_state       AS ENUM ('locked', 'deactivated', 'active', 'external_blocked', 'all_blocked', 'protected');
CREATE TYPE allowed_calls     AS ENUM ('none', 'internal', 'all');
CREATE TYPE deck_state        AS ENUM ('loading', 'published', 'withdrawn');  -- loading -> published (-> withdrawn)
CREATE TYPE ledger_entry_kind AS ENUM ('opening', 'topup', 'charge', 'correction', 'fee', 'adjustment', 'transfer');
-- How a call ended for its money. An expired call may still become settled or voided by a late finish.
CREATE TYPE cdr_state         AS ENUM ('settled', 'voided', 'expired');

-- What engines share and nobody else may know: 32 random bytes each. `rate_cache` seals the answers that they keep in
-- Redis, `signed_links` the links to recordings. One that is changed counts at once, and what the old one sealed counts as
-- not there.
CREATE TABLE engine_secrets (
    name    text PRIMARY KEY,
    secret  bytea NOT NULL CHECK (length(secret) = 32)
);
INSERT INTO engine_secrets SELECT name, sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()))
  FROM unnest(ARRAY['rate_cache', 'signed_links']) AS name;

---------------------------------------------------------------------------------------------------------------
-- The catalogue: tariffs, rate decks, directions, routes, logins

-- How calls of a tariff that is priced by directions are counted: shorter ones than the threshold cost nothing, others go
-- by steps.
CREATE TABLE bill_types (
    name            text PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_.-]{1,64}$'),
    free_threshold  integer NOT NULL DEFAULT 0 CHECK (free_threshold BETWEEN 0 AND 86400),  -- seconds
    step            integer NOT NULL CHECK (step BETWEEN 1 AND 86400)                       -- seconds
);
INSERT INTO bill_types (name, step) VALUES ('byminute', 60), ('by_second', 1);

-- Named lists of routes, each with the order in which they are tried. Who points to one (a tariff, a party, a group of
-- cards) goes by it alone, in place of the tariff's own list and order. 1 is what MOR calls the order that there is without.
CREATE TABLE route_plans (
    plan_id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 2) PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name <> ''),
    route_order  text NOT NULL DEFAULT 'manual' CHECK (route_order IN ('priority', 'cost', 'quality', 'manual')),
    description  text NOT NULL DEFAULT ''
);

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
    created_at          timestamptz NOT NULL DEFAULT now(),
    owner_id            bigint NOT NULL DEFAULT 1,           -- the party whose it is; 1: the system's
    label               text NOT NULL DEFAULT '',            -- what other systems call it; it means nothing here
    is_public           boolean NOT NULL DEFAULT false,      -- whom its owner owns may see it and change to it
    bill_type           text REFERENCES bill_types,          -- of prices by direction; NULL: by the second
    did_multiplier      numeric(12, 6) NOT NULL DEFAULT 1 CHECK (did_multiplier > 0),  -- of what direct numbers cost
    removed_at          timestamptz,                         -- nobody may take it any more; its calls stay
    route_plan_id       bigint REFERENCES route_plans        -- by which its calls go; NULL: by tariff_routes
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

-- What is said of a currency beside its rates. Amounts are in the system's currency; NULL, or no row: nobody said.
CREATE TABLE currencies (
    code             text PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
    sign             text NOT NULL DEFAULT '' CHECK (length(sign) <= 8),
    enabled          boolean NOT NULL DEFAULT true,
    transfer_fee     numeric(20, 6) NOT NULL DEFAULT 0 CHECK (transfer_fee >= 0),     -- of a transfer between accounts
    referral_reward  numeric(20, 6) NOT NULL DEFAULT 0 CHECK (referral_reward >= 0)   -- of an invitation
);

-- How the phones of an account write numbers. A rewrite replaces the leading digits `prefix`, before anything else is
-- looked at; the longest one counts. What is dialled with a technical prefix loses it first. A number of exactly
-- national_length digits, dialled without any prefix, is one of the country; 0: none is.
CREATE TABLE numbering_plans (
    name                  text PRIMARY KEY CHECK (name <> ''),
    international_prefix  text NOT NULL DEFAULT '00' CHECK (international_prefix ~ '^[0-9]{0,8}$'),
    national_prefix       text NOT NULL DEFAULT '' CHECK (national_prefix ~ '^[0-9]{0,8}$'),
    country_code          text NOT NULL DEFAULT '' CHECK (country_code ~ '^[0-9]{0,4}$'),
    technical_prefixes    text[] NOT NULL DEFAULT '{}',
    national_length       smallint NOT NULL DEFAULT 0 CHECK (national_length BETWEEN 0 AND 15),
    location_id           bigint GENERATED ALWAYS AS IDENTITY UNIQUE,  -- what MOR calls it by
    CHECK (national_prefix = '' OR country_code <> ''),
    CHECK (national_length = 0 OR country_code <> '')
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
    max_len  smallint CHECK (max_len >= min_len),
    direction_id  bigint GENERATED BY DEFAULT AS IDENTITY UNIQUE
);

-- The directory: which direction a number belongs to, by its longest prefix. A deck of ours that names a prefix first
-- says where it belongs. No foreign key: a deck of a million rates puts in as many at once.
CREATE TABLE direction_prefixes (
    prefix     text COLLATE "C" PRIMARY KEY CHECK (prefix ~ '^[0-9]{1,32}$'),
    direction  text NOT NULL
);
CREATE INDEX direction_prefixes_by_direction ON direction_prefixes (direction);

-- A published deck never changes: what a cache holds under its deck_id stays true for ever. A rate counts for a call
-- that starts in [effective_from, effective_to), whose caller's number begins with `origin` and whose band it is.
-- No foreign keys: a deck of a million rates is loaded by COPY and removed whole with its deck.
CREATE TABLE rates (
    deck_id             bigint NOT NULL,
    prefix              text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{1,32}$'),
    origin              text COLLATE "C" NOT NULL DEFAULT ''  -- '': any caller; inter, intra: calls of that jurisdiction
                        CHECK (origin ~ '^([0-9]{0,32}|inter|intra)$'),
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
    owner_id         bigint NOT NULL DEFAULT 1,    -- the party whose it is; 1: the system's
    kind             text NOT NULL DEFAULT 'sip' CHECK (kind IN ('sip', 'sms')),
    shared           boolean NOT NULL DEFAULT true,  -- any tariff may use it; false: those that name it
    CHECK (callerid_policy <> 1 OR country_code <> '')
);

-- How a route is reached: a trunk of an exchange, or who sends SMS. Secrets are encrypted with a key of the settings.
CREATE TABLE gateways (
    route_id            bigint PRIMARY KEY REFERENCES routes ON DELETE CASCADE,
    exchange            text NOT NULL CHECK (exchange <> ''),
    host                text NOT NULL DEFAULT '' CHECK (host !~ '[[:space:][:cntrl:]]' AND length(host) <= 255),
    username            text NOT NULL DEFAULT '' CHECK (username !~ '[[:cntrl:]]' AND length(username) <= 128),
    secret              bytea,
    from_user           boolean NOT NULL DEFAULT false,  -- the user name goes into From
    balance_handler     text NOT NULL DEFAULT '',
    balance_username    text NOT NULL DEFAULT '',
    balance_secret      bytea,
    balance             numeric(20, 6),
    balance_updated_at  timestamptz
);

-- What calls to a direction cost by a tariff, and by which route they go, attempt by attempt: the source that decks are
-- compiled from. An attempt that has no row has no route.
CREATE TABLE direction_prices (
    tariff_id  bigint NOT NULL REFERENCES tariffs,
    direction  text NOT NULL REFERENCES directions,
    attempt    smallint NOT NULL CHECK (attempt BETWEEN 1 AND 99),
    cost       numeric(18, 8) NOT NULL CHECK (cost >= 0),  -- of a minute
    route_id   bigint NOT NULL REFERENCES routes,
    PRIMARY KEY (tariff_id, direction, attempt)
);
CREATE INDEX direction_prices_by_route ON direction_prices (route_id);

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

-- The routes of a plan, in their manual order; a plan without rows has none, and no call goes by it.
CREATE TABLE route_plan_routes (
    plan_id   bigint NOT NULL REFERENCES route_plans ON DELETE CASCADE,
    route_id  bigint NOT NULL REFERENCES routes ON DELETE CASCADE,
    position  integer NOT NULL,
    PRIMARY KEY (plan_id, route_id)
);

-- How much a number (digits) or an address is to be suspected. Calls whose caller, destination and address have more than
-- a threshold together go by another plan: by whose threshold and plan, parties say, or this one row for all.
CREATE TABLE number_scores (
    subject  text COLLATE "C" PRIMARY KEY CHECK (subject ~ '^[0-9]{1,32}$' OR subject ~ '[.:]' AND length(subject) <= 45),
    score    integer NOT NULL CHECK (score BETWEEN 1 AND 1000000)
);
CREATE TABLE dynamic_blacklist (
    only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    enabled          boolean NOT NULL DEFAULT false,
    score_threshold  integer CHECK (score_threshold BETWEEN 0 AND 3000000),
    route_plan_id    bigint REFERENCES route_plans,
    CONSTRAINT dynamic_blacklist_whole CHECK (NOT enabled OR score_threshold IS NOT NULL AND route_plan_id IS NOT NULL)
);
INSERT INTO dynamic_blacklist DEFAULT VALUES;

-- How calls went by a route lately, measured again and again from the CDRs.
CREATE TABLE route_quality (
    route_id     bigint PRIMARY KEY REFERENCES routes ON DELETE CASCADE,
    attempts     integer NOT NULL,
    answered     integer NOT NULL,
    seconds      bigint NOT NULL,
    measured_at  timestamptz NOT NULL DEFAULT now()
);

-- The engine that watches an exchange (AMI) says so again and again. Calls are granted in slices only where it does.
CREATE TABLE exchange_watch (
    exchange       text PRIMARY KEY,
    watched_until  timestamptz NOT NULL,
    phones_read_at timestamptz  -- when all its registered phones were read; NULL: never
);

-- Which lines' phones are registered where, as the watched exchange says it. What is not watched is not known.
CREATE TABLE phone_states (
    exchange       text NOT NULL,
    login          text NOT NULL,
    online         boolean NOT NULL,
    contact        text NOT NULL,  -- the last known, as is the next
    user_agent     text NOT NULL,
    contacts       integer NOT NULL,
    expires_at     timestamptz,
    registered_at  timestamptz NOT NULL DEFAULT now(),
    changed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, login)
) WITH (fillfactor = 70);

-- Calls that were declined since another call had their key, by the name of their exchange, for the doctor: two exchanges
-- may go by it. Counted anew after a day without any.
CREATE TABLE exchange_conflicts (
    exchange   text PRIMARY KEY,
    conflicts  bigint NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    last_at    timestamptz NOT NULL DEFAULT now()
);

-- Calls that a black or white list has kept out, the last of a month: no call was made, so there is no CDR of them.
CREATE TABLE refused_calls (
    refused_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    call_key    text NOT NULL,
    login       text NOT NULL,                     -- '': it came in
    callerid    text NOT NULL,
    number      text NOT NULL,
    reason      text NOT NULL,
    cause       integer NOT NULL                   -- as MOR documents it: 255, 256, 262, 263
);
CREATE INDEX refused_calls_by_time ON refused_calls (at);

-- The Asterisk servers whose phones the engine knows. `name`: of its calls too (RATING_QUERY), of its AMI in the settings and
-- of its key. `realm`: what passwords of its phones are hashed with. `database_role`: who reads its phones by the views
-- ps_*, and nothing else; NULL: it has none, its phones are in a file.
CREATE TABLE exchanges (
    exchange_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z0-9._-]{1,64}$'),
    address           text NOT NULL DEFAULT '',
    dns_name          text NOT NULL DEFAULT '',
    realm             text NOT NULL CHECK (realm ~ '^[A-Za-z0-9._@-]{1,64}$'),
    context           text NOT NULL DEFAULT 'phones' CHECK (context ~ '^[A-Za-z0-9_-]{1,79}$'),
    config_directory  text NOT NULL DEFAULT '',
    database_role     text UNIQUE,
    enabled           boolean NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL DEFAULT now()
);

-- Versions of the dialplans of exchanges. `url` '': it stood there before somebody fetched one. `before_id`: what was in
-- place when it came, which is put back when it is taken back.
CREATE TABLE exchange_files (
    file_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange_id  bigint NOT NULL REFERENCES exchanges,
    kind         text NOT NULL CHECK (kind IN ('dialplan', 'interface')),
    version      text NOT NULL,
    sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    url          text NOT NULL DEFAULT '',
    body         text NOT NULL CHECK (octet_length(body) <= 4194304),
    before_id    bigint,
    is_current   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX exchange_files_by_exchange ON exchange_files (exchange_id, kind, file_id);
CREATE UNIQUE INDEX exchange_files_in_place ON exchange_files (exchange_id, kind) WHERE is_current;

-- Sound files of the exchanges that callers hear where their balance is low; users have one by its number.
CREATE TABLE warning_sounds (
    sound_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file      text NOT NULL UNIQUE CHECK (file ~ '^[A-Za-z0-9_./-]{1,100}$')
);

-- Who asks and whose all else is: users, resellers and those who manage, in one tree. The root is the system itself, to
-- which belongs what nobody else has. An owner is older than what it owns and never another one, so there is no circle.
-- `access_level`: 10 and 11 users, 22 resellers, 25 partners, 33 who manage what is their owner's, 44 the same and who may
-- do what. Nobody is deleted: who is `hidden` is closed, and keeps its money and its name.
CREATE TABLE parties (
    party_id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 2) PRIMARY KEY,
    owner_id      bigint REFERENCES parties CHECK (owner_id < party_id),
    kind          text NOT NULL CHECK (kind IN ('system', 'admin', 'accountant', 'reseller', 'user', 'tenant')),
    access_level  smallint NOT NULL CHECK (access_level IN (10, 11, 22, 25, 33, 44)),
    login         text NOT NULL CHECK (login ~ '^[^\s,]{1,64}$'),
    name          text NOT NULL DEFAULT '',
    status        party_state NOT NULL DEFAULT 'active',
    hidden        boolean NOT NULL DEFAULT false,
    language      text NOT NULL DEFAULT '' CHECK (language ~ '^[a-z]{0,3}$'),             -- '': as the engine has it
    utc_offset    smallint NOT NULL DEFAULT 0 CHECK (utc_offset BETWEEN -720 AND 840),    -- minutes
    currency      text NOT NULL DEFAULT '' CHECK (currency ~ '^([A-Z]{3})?$'),            -- in which it is shown amounts
    tariff_id     bigint REFERENCES tariffs,       -- what its new lines get; NULL: it is said of each
    comment       text NOT NULL DEFAULT '',
    created_at    timestamptz NOT NULL DEFAULT now(),
    logs_hidden_before  timestamptz,               -- its calls that ended before are shown in no event log; NULL: all are
    notify_email  text NOT NULL DEFAULT '',        -- where its mail goes; '': nowhere
    notify_ticket boolean NOT NULL DEFAULT false,  -- whether messages of tickets go there
    notify_balance        boolean NOT NULL DEFAULT false,  -- whether a balance below the limit does (in the system's currency)
    notify_balance_limit  numeric(20, 6) NOT NULL DEFAULT 0,
    warn_calls    boolean NOT NULL DEFAULT false,  -- whether its callers hear so before a call
    warn_sound_id         bigint REFERENCES warning_sounds,  -- what they hear; NULL: what the exchange has for it
    notify_hour           smallint CHECK (notify_hour BETWEEN 0 AND 23),  -- by its clock, when it is told; NULL: at once
    unlisted              boolean NOT NULL DEFAULT false,  -- shown in lists to whom asks for such ones alone
    notify_did            smallint NOT NULL DEFAULT 0 CHECK (notify_did BETWEEN 0 AND 90),  -- days before a number ends; 0: no mail
    balance_low           boolean NOT NULL DEFAULT false,  -- it was told so, and has not risen since
    invites       integer NOT NULL DEFAULT 0 CHECK (invites >= 0),  -- how many codes it may still make
    account_bucket  smallint,                      -- what it is charged on, by its tariff, for the calls of all below it;
    account_id      bigint,                        -- NULL: it is not
    route_plan_id         bigint REFERENCES route_plans,  -- by which calls of it and of all below it go; NULL: none of its own
    dynamic_blacklist     text NOT NULL DEFAULT 'global' CHECK (dynamic_blacklist IN ('off', 'on', 'global')),
    score_threshold       integer CHECK (score_threshold BETWEEN 0 AND 3000000),  -- where it is on, as the next
    blacklist_plan_id     bigint REFERENCES route_plans,
    CONSTRAINT parties_blacklist CHECK (dynamic_blacklist <> 'on'
                                        OR score_threshold IS NOT NULL AND blacklist_plan_id IS NOT NULL),
    CHECK ((owner_id IS NULL) = (kind = 'system')),
    CONSTRAINT parties_charged CHECK ((account_id IS NULL) = (account_bucket IS NULL)
                                      AND (account_id IS NULL OR tariff_id IS NOT NULL AND kind = 'reseller')),
    CHECK (kind <> 'system' OR party_id = 1 AND status = 'protected' AND NOT hidden)
);
CREATE UNIQUE INDEX parties_by_login ON parties (lower(login));
CREATE INDEX parties_by_owner ON parties (owner_id, party_id);
CREATE INDEX parties_by_mail ON parties (lower(notify_email)) WHERE notify_email <> '';
CREATE UNIQUE INDEX parties_by_account ON parties (account_bucket, account_id) WHERE account_id IS NOT NULL;
INSERT INTO parties (party_id, kind, access_level, login, status)
  OVERRIDING SYSTEM VALUE VALUES (1, 'system', 44, 'system', 'protected');

-- Tariffs that a user may change to beside the public ones of its owner.
CREATE TABLE party_tariffs (
    party_id   bigint NOT NULL REFERENCES parties,
    tariff_id  bigint NOT NULL REFERENCES tariffs,
    PRIMARY KEY (party_id, tariff_id)
);

-- The password of a party: argon2id over the MD5 of it in hex, which is what one surface is given in its place.
CREATE TABLE party_credentials (
    party_id       bigint PRIMARY KEY REFERENCES parties,
    password_hash  text NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    is_weak        boolean NOT NULL DEFAULT false    -- it is common, or made of the login
);

-- Taxes by their percent of the price without them.
CREATE TABLE taxes (
    tax_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL UNIQUE CHECK (name <> ''),
    percent  numeric(7, 4) NOT NULL CHECK (percent BETWEEN 0 AND 100)
);

-- What a party has written on what it has to pay.
CREATE TABLE party_details (
    party_id              bigint PRIMARY KEY REFERENCES parties,
    billing_name          text NOT NULL DEFAULT '',
    billing_address       text NOT NULL DEFAULT '',
    billing_email         text NOT NULL DEFAULT '',
    billing_bank_account  text NOT NULL DEFAULT '',
    first_name            text NOT NULL DEFAULT '',
    last_name             text NOT NULL DEFAULT '',
    personal_id           text NOT NULL DEFAULT '',
    client_id             text NOT NULL DEFAULT '',
    agreement_number      text NOT NULL DEFAULT '',
    accounting_number     text NOT NULL DEFAULT '',
    taxation_country      text NOT NULL DEFAULT '',
    address               text NOT NULL DEFAULT '',
    postcode              text NOT NULL DEFAULT '',
    city                  text NOT NULL DEFAULT '',
    county                text NOT NULL DEFAULT '',
    state                 text NOT NULL DEFAULT '',
    country               text NOT NULL DEFAULT '',
    phone                 text NOT NULL DEFAULT '',
    mobile_phone          text NOT NULL DEFAULT '',
    fax                   text NOT NULL DEFAULT '',
    email                 text NOT NULL DEFAULT '',
    agreement_date        date,
    tax_number            text NOT NULL DEFAULT '',
    tax_id                bigint REFERENCES taxes    -- put on what it pays; NULL: none
);

-- Several taxes of a party, in place of the one of its details: each is put on what it pays, and has its own line.
CREATE TABLE party_taxes (
    party_id  bigint NOT NULL REFERENCES parties,
    position  smallint NOT NULL CHECK (position BETWEEN 1 AND 4),
    name      text NOT NULL CHECK (name <> ''),
    percent   numeric(7, 4) NOT NULL CHECK (percent > 0 AND percent <= 100),
    PRIMARY KEY (party_id, position)
);

-- What new users and devices begin with where nobody says otherwise; what is not there is as the engine has it.
CREATE TABLE defaults (
    name        text PRIMARY KEY,
    value       text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now()
);

-- The last number of each issuer's papers. A number is taken in the transaction that writes its paper: there are no gaps.
CREATE TABLE paper_numbers (
    issuer_id    bigint NOT NULL REFERENCES parties,
    series       text NOT NULL CHECK (series IN ('monthly', 'request', 'credit_note')),
    last_number  bigint NOT NULL DEFAULT 0 CHECK (last_number >= 0),
    PRIMARY KEY (issuer_id, series)
);

-- Months of which every account has its invoice: they are looked through no more.
CREATE TABLE invoiced_months (
    month     date PRIMARY KEY,
    ended_at  timestamptz NOT NULL DEFAULT now()
);

-- Cards of one kind. `is_codes`: the vouchers and invitations that users make: they have no PIN, and nobody calls by them.
-- All others have a tariff, in whose currency their amounts are. What is told of a card's money and minutes is not what it
-- has: a share of the balance (ghost_balance_percent), in whole units or with cents, in tell_currency ('': its own), and
-- ghost_min_percent more of the minutes. `solo_pinless`: a caller's number opens one of its cards only.
CREATE TABLE card_groups (
    group_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL CHECK (name <> ''),
    number_length  smallint NOT NULL DEFAULT 10 CHECK (number_length BETWEEN 6 AND 20),
    pin_length     smallint NOT NULL DEFAULT 4 CHECK (pin_length BETWEEN 0 AND 10),
    is_codes       boolean NOT NULL DEFAULT false,
    owner_id       bigint NOT NULL DEFAULT 1 REFERENCES parties,
    tariff_id      bigint REFERENCES tariffs,
    description    text NOT NULL DEFAULT '',
    image          text NOT NULL DEFAULT '',
    price_with_tax         numeric(20, 6) NOT NULL DEFAULT 0 CHECK (price_with_tax >= 0),
    tax_id                 bigint REFERENCES taxes,
    setup_fee              numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_fee >= 0),
    daily_charge           numeric(20, 6) NOT NULL DEFAULT 0 CHECK (daily_charge >= 0),
    numbering_plan         text,                   -- how callers by its cards write numbers; NULL: as the settings say
    dialplan               text NOT NULL DEFAULT '',  -- where the exchange's menu goes on; '': in its own
    valid_from             timestamptz NOT NULL DEFAULT now(),
    valid_to               timestamptz CHECK (valid_to >= valid_from),
    days_after_first_use   integer NOT NULL DEFAULT 0 CHECK (days_after_first_use >= 0),  -- 0: no such limit
    ghost_balance_percent  numeric(9, 4) NOT NULL DEFAULT 100 CHECK (ghost_balance_percent >= 0),
    ghost_min_percent      numeric(9, 4) NOT NULL DEFAULT 0 CHECK (ghost_min_percent >= -100),
    tell_cents             boolean NOT NULL DEFAULT false,
    tell_currency          text NOT NULL DEFAULT '' CHECK (tell_currency ~ '^([A-Z]{3})?$'),
    max_calls              integer DEFAULT 1 CHECK (max_calls >= 0),  -- of one card at a time; NULL: no limit
    external_function      boolean NOT NULL DEFAULT false,
    allow_loss             boolean NOT NULL DEFAULT false,
    solo_pinless           boolean NOT NULL DEFAULT false,
    disable_voucher        boolean NOT NULL DEFAULT false,
    callerid_leave         boolean NOT NULL DEFAULT false,
    hidden                 boolean NOT NULL DEFAULT false,
    route_plan_id          bigint REFERENCES route_plans,  -- by which calls by its cards go; NULL: by its owner's, or the tariff's
    created_at             timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT card_groups_codes CHECK (is_codes = (tariff_id IS NULL))
);
CREATE UNIQUE INDEX card_groups_of_codes ON card_groups (is_codes) WHERE is_codes;
CREATE INDEX card_groups_by_owner ON card_groups (owner_id, group_id);
INSERT INTO card_groups (group_id, name, number_length, pin_length, is_codes)
  OVERRIDING SYSTEM VALUE VALUES (0, 'codes', 16, 0, true);

-- Cards sold together. Of each card `price` was to be paid, tax of tax_percent included, and `net` is what it was given.
-- They are given it one after the other; `ended_at` NULL: not all have it yet, and whoever looks next goes on. `cancelled`:
-- the seller's account had it no more. `reference`: whoever says it again sells nothing more.
CREATE TABLE card_sales (
    sale_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id     bigint NOT NULL REFERENCES card_groups,
    owner_id     bigint NOT NULL REFERENCES parties,
    cards        integer NOT NULL CHECK (cards > 0),
    price        numeric(20, 6) NOT NULL CHECK (price >= 0),
    net          numeric(20, 6) NOT NULL CHECK (net >= 0),
    tax_percent  numeric(7, 4) NOT NULL,
    currency     text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    email        text NOT NULL DEFAULT '',
    reference    text,
    sold_by      text NOT NULL,
    sold_at      timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    cancelled    boolean NOT NULL DEFAULT false,
    UNIQUE (owner_id, reference)
);
CREATE INDEX card_sales_open ON card_sales (sale_id) WHERE ended_at IS NULL;

-- Each card. Number and PIN are kept encrypted with a key of the settings, and found by hashes that are keyed with it, so
-- that who reads the database has none. Its money is an account of its own (purpose `card`); NULL: it carries none. That
-- money goes back to from_account_id where nobody wanted it; NULL: nobody's account paid, an administrator made it.
-- A card to call by is given its money when it is sold, and a line (card-N) on its account at its first use; `line_open`: as
-- that line was told last. Days up to daily_paid_to, midnights in UTC, need no daily charge any more.
CREATE TABLE calling_cards (
    card_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id         bigint NOT NULL REFERENCES card_groups,
    number_hash      bytea NOT NULL UNIQUE CHECK (length(number_hash) = 32),
    number_sealed    bytea NOT NULL,
    owner_id         bigint NOT NULL REFERENCES parties,  -- below whom it registers a user
    created_by       bigint REFERENCES parties,           -- NULL: anybody, who asked to be registered
    target_id        bigint REFERENCES parties,           -- who alone may have it; NULL: whoever knows it
    access_level     smallint NOT NULL DEFAULT 10 CHECK (access_level IN (10, 11, 22, 25)),  -- of who registers by it
    bucket           smallint,
    account_id       bigint,
    from_account_id  bigint,
    created_at       timestamptz NOT NULL DEFAULT now(),
    activated_by     bigint REFERENCES parties,           -- whose it is from then on, and nobody else's
    activated_at     timestamptz,
    deleted_at       timestamptz,
    pin_hash         bytea CHECK (length(pin_hash) = 32),
    pin_sealed       bytea,
    name             text NOT NULL DEFAULT '',
    batch            text NOT NULL DEFAULT '',
    min_balance      numeric(20, 6) NOT NULL DEFAULT 0,   -- with less nobody calls by it
    distributor_id   bigint REFERENCES parties,
    language         text NOT NULL DEFAULT '' CHECK (language ~ '^[A-Za-z_-]{0,20}$'),
    callerid         text NOT NULL DEFAULT '' CHECK (callerid ~ '^[0-9]{0,20}$'),  -- whose calls need no number and no PIN
    sale_id          bigint REFERENCES card_sales,
    sold_at          timestamptz,
    funded_at        timestamptz,
    first_used_at    timestamptz,
    setup_due        numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_due >= 0),  -- of its first use, and not taken yet
    daily_paid_to    timestamptz NOT NULL DEFAULT date_trunc('day', now(), 'UTC'),
    blocked          boolean NOT NULL DEFAULT false,
    line             text UNIQUE,
    line_open        boolean NOT NULL DEFAULT true,
    CHECK ((bucket IS NULL) = (account_id IS NULL)),
    CHECK ((activated_by IS NULL) = (activated_at IS NULL)),
    CHECK (activated_by IS NULL OR deleted_at IS NULL),
    CONSTRAINT calling_cards_pin CHECK ((pin_hash IS NULL) = (pin_sealed IS NULL)),
    CONSTRAINT calling_cards_funded CHECK (funded_at IS NULL OR sold_at IS NOT NULL),
    CONSTRAINT calling_cards_line CHECK ((line IS NULL) = (first_used_at IS NULL))
);
CREATE INDEX calling_cards_by_creator ON calling_cards (created_by, card_id);
CREATE INDEX calling_cards_deleted ON calling_cards (card_id) WHERE deleted_at IS NOT NULL AND account_id IS NOT NULL;
CREATE INDEX calling_cards_by_group ON calling_cards (group_id, card_id);
CREATE INDEX calling_cards_free ON calling_cards (group_id, card_id) WHERE sold_at IS NULL AND deleted_at IS NULL;
CREATE INDEX calling_cards_by_sale ON calling_cards (sale_id) WHERE sale_id IS NOT NULL;
CREATE INDEX calling_cards_by_callerid ON calling_cards (callerid) WHERE callerid <> '';

-- Who tried what lately: registrations of an address, wrong codes. Forgotten after an hour.
CREATE TABLE code_tries (
    who   text NOT NULL,
    what  text NOT NULL CHECK (what IN ('request', 'register', 'guess')),
    at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX code_tries_by_who ON code_tries (who, what, at);

-- What programs prove themselves by: 32 random bytes that are shown once, and kept as their SHA-256. `server` keys have a
-- level of their own (kind, access_level) and name the party they ask for at each request; `client` keys have that of
-- the party. Where from and by what: empty arrays allow all.
CREATE TABLE api_keys (
    key_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name              text NOT NULL UNIQUE CHECK (name <> ''),
    secret_hash       bytea NOT NULL UNIQUE CHECK (length(secret_hash) = 32),
    shown             text NOT NULL,               -- its first characters, by which people tell it from others
    kind              text NOT NULL CHECK (kind IN ('client', 'server')),
    access_level      smallint NOT NULL DEFAULT 0 CHECK ((kind = 'server') = (access_level > 0)),
    auth_by           text NOT NULL DEFAULT 'username'
                      CHECK (auth_by IN ('username', 'sip_extension', 'id', 'msisdn', 'iccid', 'custom')),
    owner_id          bigint NOT NULL REFERENCES parties,
    default_party_id  bigint REFERENCES parties,   -- who asks where a request names nobody
    default_value     text NOT NULL DEFAULT '',    -- by what it is named, as auth_by has it; '': by its login
    allowed_sources   cidr[] NOT NULL DEFAULT '{}',
    allowed_methods   text[] NOT NULL DEFAULT '{}',
    scopes            text[] NOT NULL DEFAULT '{}',
    secure_only       boolean NOT NULL DEFAULT false,
    enabled           boolean NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL DEFAULT now(),
    rate_limit        integer CHECK (rate_limit >= 0),  -- requests a minute; 0: any number; NULL: as the settings have it
    revoked_at        timestamptz,                 -- for good; its name may not be used again
    maintained_at     timestamptz                  -- when maintenance was last asked for with it
);
CREATE INDEX api_keys_by_owner ON api_keys (owner_id);

-- Who has shown its password and need not again for a while: a random token, kept as its SHA-256. Each use moves the end.
CREATE TABLE sessions (
    token_hash    bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    party_id      bigint NOT NULL REFERENCES parties,
    surface       text NOT NULL,
    address       text NOT NULL DEFAULT '',
    idle_seconds  integer NOT NULL CHECK (idle_seconds > 0),
    created_at    timestamptz NOT NULL DEFAULT now(),
    expires_at    timestamptz NOT NULL
);
CREATE INDEX sessions_by_party ON sessions (party_id);
CREATE INDEX sessions_by_end ON sessions (expires_at);

-- What requests that are signed by a hash are signed with: of the system by its administrators and accountants, of a
-- reseller by itself and its users. Encrypted with secret_keys, since a hash is worked out of the text itself.
CREATE TABLE hash_secrets (
    party_id         bigint PRIMARY KEY REFERENCES parties,
    secret           bytea NOT NULL,
    is_short         boolean NOT NULL,               -- it is guessed from one request that somebody has seen
    enabled          boolean NOT NULL DEFAULT true,
    allowed_sources  cidr[] NOT NULL DEFAULT '{}',
    blocked          text[] NOT NULL DEFAULT '{}',   -- functions that it is not good for
    changed_at       timestamptz NOT NULL DEFAULT now(),
    hide_usernames   boolean NOT NULL DEFAULT false  -- users who sign with it are not shown the names of their phones
);

-- What accountants and resellers of a group may manage beyond what everybody of their kind may; who is in which.
CREATE TABLE permission_groups (
    group_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name <> ''),
    kind         text NOT NULL CHECK (kind IN ('accountant', 'reseller')),
    permissions  text[] NOT NULL DEFAULT '{}',
    description  text NOT NULL DEFAULT ''
);
CREATE TABLE permission_members (
    party_id  bigint PRIMARY KEY REFERENCES parties,
    group_id  bigint NOT NULL REFERENCES permission_groups
);
CREATE INDEX permission_members_by_group ON permission_members (group_id);

-- The least that users' calls cost in a month; what they cost less is a fee when it has ended.
CREATE TABLE minimum_spends (
    party_id    bigint PRIMARY KEY REFERENCES parties,
    amount      numeric(20, 6) NOT NULL CHECK (amount > 0),  -- of a month, in the system's currency
    since       date NOT NULL,
    next_month  date NOT NULL CHECK (extract(day FROM next_month) = 1)  -- the month that is settled next
);

-- Users whose calls are added up each minute: who spends more than `amount` within `minutes` is told, and blocked where
-- `block` says so; whom each has caught, and up to which call.
CREATE TABLE monitorings (
    monitoring_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    amount         numeric(20, 6) NOT NULL CHECK (amount > 0),  -- in the system's currency
    minutes        integer NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    watched        text NOT NULL CHECK (watched IN ('all', 'prepaid', 'postpaid')),
    block          boolean NOT NULL DEFAULT false,
    users          bigint[] NOT NULL DEFAULT '{}',              -- by number; empty: everybody
    enabled        boolean NOT NULL DEFAULT true
);
CREATE TABLE monitoring_catches (
    monitoring_id  bigint NOT NULL REFERENCES monitorings,
    party_id       bigint NOT NULL REFERENCES parties,
    counted_to     timestamptz NOT NULL,                        -- the end of the last call that has been counted against it
    PRIMARY KEY (monitoring_id, party_id)
);

-- Numbers that belong together: each alone (`whole`), or all that begin so.
CREATE TABLE number_pools (
    pool_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name <> ''),
    description  text NOT NULL DEFAULT ''
);
CREATE TABLE number_pool_entries (
    pool_id  bigint NOT NULL REFERENCES number_pools ON DELETE CASCADE,
    number   text COLLATE "C" NOT NULL CHECK (number ~ '^[0-9]{1,32}$'),
    whole    boolean NOT NULL,
    PRIMARY KEY (pool_id, number, whole)
);
-- What a party makes of a pool: whom its lines may call (destination), by whom it may be called (source). No row: no list.
CREATE TABLE party_number_lists (
    party_id  bigint NOT NULL REFERENCES parties,
    side      text NOT NULL CHECK (side IN ('source', 'destination')),
    kind      text NOT NULL CHECK (kind IN ('blacklist', 'whitelist')),
    pool_id   bigint NOT NULL REFERENCES number_pools,
    PRIMARY KEY (party_id, side)
);
CREATE INDEX party_number_lists_by_pool ON party_number_lists (pool_id);

-- Numbers that are known to ring from a line: a call that names no login is of that line.
CREATE TABLE known_callers (
    caller_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number         text COLLATE "C" NOT NULL UNIQUE CHECK (number ~ '^[0-9]{1,32}$'),
    bucket         smallint NOT NULL,
    subscriber_id  bigint NOT NULL,
    domain         text NOT NULL DEFAULT '',         -- where it rings from; '': from anywhere
    description    text NOT NULL DEFAULT '',
    comment        text NOT NULL DEFAULT '',
    banned         boolean NOT NULL DEFAULT false,
    added_at       timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX known_callers_by_line ON known_callers (subscriber_id);

-- Users who may send messages by surfaces that ask for it first.
CREATE TABLE sms_users (
    party_id  bigint PRIMARY KEY REFERENCES parties
);

-- Mails that are sent again and again; {words} in them stand for what is said of whom they go to.
CREATE TABLE mail_templates (
    name     text PRIMARY KEY,
    subject  text NOT NULL,
    body     text NOT NULL
);

-- How the calls of a tenant are charged, and what it was given for that: its company's account, the tariff that its call
-- rates are compiled into. Until it says otherwise its calls cost nothing.
CREATE TABLE tenant_billing (
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
-- What a tenant charges for calls. Each is compiled into its tariff's deck as it is set, but for prefixes that are longer
-- than any number. `rate_id`: of 18 digits, so that what clients are shown of it always has the same length.
CREATE TABLE call_rates (
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

-- What users are told: by the least level of who may read it, their language ('': any), or one of them alone.
CREATE TABLE news (
    news_id       text PRIMARY KEY CHECK (news_id <> ''),
    serial        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    header        text NOT NULL,
    message       text NOT NULL,
    broadcast     text NOT NULL DEFAULT '',
    is_broadcast  boolean NOT NULL DEFAULT false,  -- shown with the user itself
    access        smallint NOT NULL DEFAULT 0 CHECK (access BETWEEN 0 AND 44),
    language      text NOT NULL DEFAULT '' CHECK (language ~ '^[a-z]{0,3}$'),
    party_id      bigint REFERENCES parties,
    type          text NOT NULL DEFAULT 'info' CHECK (type IN ('info', 'warning', 'error', 'success')),
    author        text NOT NULL,
    updated_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

-- Questions of users, and what their desk (the party above, and who manages for it) answers. Each side has a mark for
-- what it has not read. `assigned`: who of the desk cares for it; empty: all of them.
CREATE TABLE tickets (
    ticket_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    party_id         bigint NOT NULL REFERENCES parties,
    desk_id          bigint NOT NULL REFERENCES parties,
    subject          text NOT NULL DEFAULT '',
    closed           boolean NOT NULL DEFAULT false,
    unread_by_party  boolean NOT NULL DEFAULT false,
    unread_by_desk   boolean NOT NULL DEFAULT false,
    assigned         bigint[] NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tickets_by_party ON tickets (party_id, ticket_id);
CREATE INDEX tickets_by_desk ON tickets (desk_id, ticket_id);
CREATE TABLE ticket_messages (
    message_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id   bigint NOT NULL REFERENCES tickets,
    sender      text NOT NULL,                     -- who wrote it, by login
    from_desk   boolean NOT NULL,
    message     text NOT NULL,
    comment     text NOT NULL DEFAULT '',          -- for administrators
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ticket_messages_by_ticket ON ticket_messages (ticket_id, message_id);

-- Mail that waits to be sent (queued), and for a month what became of it. `due_at`: when it is tried (again).
CREATE TABLE mails (
    mail_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token       uuid NOT NULL DEFAULT gen_random_uuid(),  -- of its Message-ID
    party_id    bigint REFERENCES parties,
    recipient   text NOT NULL,
    subject     text NOT NULL,
    body        text NOT NULL,
    attachment  bytea,                                    -- a PDF; NULL: none
    attachment_name  text NOT NULL DEFAULT '',
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed')),
    attempts    smallint NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    error       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz
);
CREATE INDEX mails_by_due ON mails (due_at) WHERE state = 'queued';

-- Where a party has its events sent (services/webhooks), how far its ledgers were read for that, and what is on its way.
-- Secrets are encrypted with secret_keys; the previous one signs too for a day.
CREATE TABLE webhooks (
    webhook_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    party_id         bigint NOT NULL REFERENCES parties,
    url              text NOT NULL,
    events           text[] NOT NULL,
    low_balance      numeric(20, 6) NOT NULL DEFAULT 0,
    secret           bytea NOT NULL,
    previous_secret  bytea,
    rotated_at       timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_by_party ON webhooks (party_id);
CREATE TABLE webhook_places (
    webhook_id  bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    bucket      smallint NOT NULL,
    account_id  bigint NOT NULL,
    entry_id    bigint NOT NULL,
    PRIMARY KEY (webhook_id, bucket, account_id)
);
CREATE TABLE webhook_deliveries (
    delivery_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id   bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id     text NOT NULL,
    body         text NOT NULL,
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed')),
    attempts     smallint NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL DEFAULT now(),
    error        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'queued';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;

-- SIM cards. `line`: which of its owner's lines it calls by; '': the first one. `puk1`, `puk2`: encrypted with secret_keys;
-- NULL: there are none, and nobody binds the card by them. `locked_until`: after too many wrong ones none is looked at.
CREATE TABLE sim_cards (
    sim_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    iccid             text NOT NULL UNIQUE CHECK (iccid ~ '^[0-9]{1,22}$'),
    msisdn            text NOT NULL DEFAULT '' CHECK (msisdn ~ '^([0-9]{3,15})?$'),
    provider          text NOT NULL,
    party_id          bigint REFERENCES parties,
    line              text NOT NULL DEFAULT '',
    callback_cid      text NOT NULL DEFAULT '',
    allow_direct_sms  boolean NOT NULL DEFAULT false,
    enabled           boolean NOT NULL DEFAULT true,
    last_network      text NOT NULL DEFAULT '',
    last_network_at   timestamptz,
    puk1              bytea,
    puk2              bytea,
    wrong_puks        smallint NOT NULL DEFAULT 0,
    locked_until      timestamptz
);
CREATE UNIQUE INDEX sim_cards_by_msisdn ON sim_cards (msisdn) WHERE msisdn <> '';
CREATE INDEX sim_cards_by_party ON sim_cards (party_id);

-- Addresses that are not served, and by `whitelist` those that nothing bans by itself. `source`: the exchange that it
-- was said for; 'engine': this one's own ports.
CREATE TABLE bans (
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

-- Where a number is of, and what kind it is (plain, golden), as they are offered: a pool has numbers of one of each.
CREATE TABLE number_regions (
    region_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (name <> '')
);
CREATE TABLE number_kinds (
    kind_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL UNIQUE CHECK (name <> '')
);

-- Where telephone numbers come from: a stock of ours (`local`), or somebody who is asked for each of them.
CREATE TABLE did_pools (
    pool_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    country        text NOT NULL CHECK (country <> ''),
    area           text NOT NULL CHECK (area <> ''),
    monthly_price  numeric(20, 6) NOT NULL DEFAULT 0 CHECK (monthly_price >= 0),
    setup_price    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_price >= 0),
    currency       text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    provider       text NOT NULL DEFAULT 'local' CHECK (provider ~ '^[a-z0-9_-]{1,32}$'),
    username       text NOT NULL DEFAULT '',
    params         text[] NOT NULL DEFAULT '{"","",""}' CHECK (cardinality(params) = 3),
    quantity       integer NOT NULL DEFAULT 100 CHECK (quantity BETWEEN 1 AND 1000),  -- numbers shown at a time
    region_id      bigint REFERENCES number_regions,
    kind_id        bigint REFERENCES number_kinds
);

-- Numbers that calls come in by. free: in a pool, nobody's; ordered: its first rent is being paid; active: its owner's, and
-- rented to `paid_to`; unpaid: the rent of the next month could not be had, it takes no calls; closed: for good, until
-- somebody gives it anew. `enabled`: as its owner wants it. `orders`: how often it was ordered, which is part of the
-- reference of its first rent. `max_calls` 0: any number at a time. `line`: who pays and what rings; NULL: the owner's first.
CREATE TABLE dids (
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
    route_id       bigint REFERENCES routes ON DELETE SET NULL,  -- of the provider that it is had from, where that is said
    CHECK ((party_id IS NULL) = (state IN ('free', 'closed'))),
    CHECK ((paid_to IS NOT NULL) = (state IN ('active', 'unpaid')))
);
CREATE INDEX dids_by_party ON dids (party_id, did_id) WHERE party_id IS NOT NULL;
CREATE INDEX dids_by_pool ON dids (pool_id, number) WHERE state = 'free';
CREATE INDEX dids_by_rent ON dids (paid_to) WHERE state IN ('active', 'unpaid');

-- What happens to calls of a number or of a line, in the order of `position`; every surface writes the columns that it has
-- words for. `subscriber_id`: the line's, in whichever bucket it is. `time_zone` '': that of the owner.
CREATE TABLE call_rules (
    rule_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    did_id           bigint REFERENCES dids,
    subscriber_id    bigint,
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
    time_zone        text NOT NULL DEFAULT '',
    music            text NOT NULL DEFAULT '',
    record           boolean NOT NULL DEFAULT false,
    description      text NOT NULL DEFAULT '',
    UNIQUE (did_id, position) DEFERRABLE INITIALLY DEFERRED,
    UNIQUE (subscriber_id, position) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT call_rules_of_one CHECK ((did_id IS NULL) <> (subscriber_id IS NULL))
);
-- When a rule counts; none: always. Days 1 Monday to 7 Sunday, [starts, ends); half-open and over midnight as tariff_bands.
CREATE TABLE call_rule_times (
    rule_id    bigint NOT NULL REFERENCES call_rules ON DELETE CASCADE,
    first_day  smallint NOT NULL CHECK (first_day BETWEEN 1 AND 7),
    last_day   smallint NOT NULL CHECK (last_day BETWEEN 1 AND 7),
    starts     time NOT NULL,
    ends       time NOT NULL,
    PRIMARY KEY (rule_id, first_day, last_day, starts, ends)
);

-- Conversations, messages and faxes that rules want kept: whose they are. The files are the exchange's, `name` and an
-- ending below the directory of recordings; one whose file is gone is there no more. `mail_to`: who is sent a link.
CREATE TABLE recordings (
    name       text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$'),
    kind       text NOT NULL CHECK (kind IN ('call', 'message', 'fax')),
    party_id   bigint NOT NULL REFERENCES parties,
    caller     text NOT NULL DEFAULT '',
    called     text NOT NULL DEFAULT '',
    begun_at   timestamptz NOT NULL DEFAULT now(),
    mail_to    text NOT NULL DEFAULT '',
    mailed_at  timestamptz
);
CREATE INDEX recordings_by_party ON recordings (party_id, begun_at);
CREATE INDEX recordings_to_mail ON recordings (begun_at) WHERE mail_to <> '' AND mailed_at IS NULL;

-- What is paid for besides calls: `price` times `quantity` a period (once, if one_time), `setup_price` to begin with.
-- flat_rate: a line has the option while it is paid. `grace_days`: so long unpaid a subscription ends; NULL: it waits, and
-- owes. `is_public`: users may take it themselves. What is removed is kept for what was charged by it.
CREATE TABLE services (
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
CREATE UNIQUE INDEX services_by_name ON services (party_id, lower(name)) WHERE NOT is_removed;

-- What users connect by themselves: a service that they pay for, perhaps with a number of a region or a kind, and a tariff
-- that their calls are priced by from then on. `names`: in other languages, by their codes.
CREATE TABLE tariff_groups (
    group_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL UNIQUE CHECK (name <> '')
);
CREATE TABLE tariff_offers (
    offer_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id     bigint NOT NULL REFERENCES tariff_groups,
    service_id   bigint NOT NULL UNIQUE REFERENCES services,
    tariff_id    bigint REFERENCES tariffs,
    name         text NOT NULL CHECK (name <> ''),
    names        jsonb NOT NULL DEFAULT '{}',
    description  text NOT NULL DEFAULT '',
    has_number   boolean NOT NULL DEFAULT false,
    region_id    bigint REFERENCES number_regions,
    kind_id      bigint REFERENCES number_kinds,
    is_removed   boolean NOT NULL DEFAULT false,
    CHECK (has_number OR (region_id IS NULL AND kind_id IS NULL))
);

-- By which tariff's rates the calls are priced that come in to who has the other: a rate is that of the number called.
-- Without a row they cost nothing.
CREATE TABLE inbound_tariffs (
    tariff_id          bigint PRIMARY KEY REFERENCES tariffs,
    inbound_tariff_id  bigint NOT NULL REFERENCES tariffs
);

-- What messages cost: by the longest prefix of the number that they go to, in the tariff's currency; of an SMS each part, of
-- a query (hlr) the whole. A tariff that has none for a number sends none there.
CREATE TABLE message_prices (
    tariff_id  bigint NOT NULL REFERENCES tariffs,
    kind       text NOT NULL CHECK (kind IN ('sms', 'hlr')),
    prefix     text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{0,32}$'),  -- '': every number
    price      numeric(18, 8) NOT NULL CHECK (price >= 0),
    PRIMARY KEY (tariff_id, kind, prefix)
);

-- Delivery reports that came before it was known what their carrier calls the message. Forgotten after a day.
CREATE TABLE early_reports (
    carrier     text NOT NULL,
    carrier_id  text NOT NULL,
    delivered   boolean NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (carrier, carrier_id)
);

-- Where a login's account stands. A row is here before its subscriber is.
CREATE TABLE logins (
    login   text PRIMARY KEY CHECK (login ~ '^[^\s,]{1,64}$'),
    bucket  smallint NOT NULL
);
CREATE INDEX logins_elsewhere ON logins (bucket) WHERE bucket <> 0;

-- Re-ratings: past calls priced by another deck, shown first, posted then.
-- `tariff_version`: of the tariff when it was begun. The last three say how far reading has come: by the primary key of call_records.
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

-- Who changed what in the catalogue: one row a management call, written in the transaction of the change. What was changed
-- of an account stands in account_audit, on the account's node; people read both as audit_log.
CREATE TABLE catalogue_audit (
    audit_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    party       text NOT NULL,
    level       text NOT NULL,
    surface     text NOT NULL,
    key         text,
    address     text,
    action      text NOT NULL,
    subject     text NOT NULL,
    detail      jsonb NOT NULL DEFAULT '{}',
    party_id    bigint                   -- of `party`; NULL: nobody of the parties, as the engine and who works at it
);
CREATE INDEX catalogue_audit_by_party ON catalogue_audit (party_id, audit_id) WHERE party_id IS NOT NULL;
CREATE INDEX catalogue_audit_by_subject ON catalogue_audit (subject, audit_id);
CREATE INDEX catalogue_audit_by_time ON catalogue_audit (at, audit_id);

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

-- A callback that the engine which follows an exchange is asked to begin there, and what became of it.
CREATE TABLE callbacks (
    callback_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange       text NOT NULL,
    uniqueid       text NOT NULL,               -- of its two channels, without their last digit
    login          text NOT NULL,               -- pays for both legs
    first_number   text NOT NULL,
    second_number  text NOT NULL,
    callerid       text,                        -- NULL: the login's
    pitch          smallint,
    party          text NOT NULL,
    asked_at       timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,        -- what was not taken until then is not done any more
    taken_at       timestamptz,
    outcome        text,                        -- CallbackOutcome of domain/callback; NULL: none yet
    reason         text NOT NULL DEFAULT '',
    detail         text NOT NULL DEFAULT '',
    sound          text NOT NULL DEFAULT ''     -- played to the first number in the place of a second one; '': there is one
);
CREATE INDEX callbacks_waiting ON callbacks (exchange, callback_id) WHERE outcome IS NULL;

-- How often a wrong PIN of a line was given since then, and until when every one is refused.
CREATE TABLE pin_tries (
    login         text PRIMARY KEY,
    wrong         integer NOT NULL DEFAULT 0,
    since         timestamptz NOT NULL DEFAULT now(),
    locked_until  timestamptz
);

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
-- Facts of the catalogue

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
-- `shared`: there are accounts outside bucket 0; then a bucket may have of a limit what it was leased (route_load).
CREATE TABLE route_limits (
    route_id              bigint PRIMARY KEY,
    enabled               boolean NOT NULL,
    max_calls             integer,
    max_calls_per_second  integer,
    shared                boolean NOT NULL
);

---------------------------------------------------------------------------------------------------------------
-- Account-scoped tables

CREATE SEQUENCE account_ids;
CREATE SEQUENCE transfer_ids;
CREATE SEQUENCE payment_ids;
CREATE SEQUENCE invoice_ids;
CREATE SEQUENCE credit_note_ids;
CREATE SEQUENCE message_ids;
CREATE SEQUENCE subscription_ids;

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
    numbering_plan    text,                                       -- how its phones write numbers; NULL: as the settings say
    -- What was charged on the local day spent_on, and in its month
    spent_on     date NOT NULL DEFAULT '-infinity',
    day_spent    numeric(20, 6) NOT NULL DEFAULT 0,
    month_spent  numeric(20, 6) NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_entry     bigint DEFAULT 0,               -- of its ledger entries; NULL: to be looked up there (an older release's)
    counts_logins  boolean NOT NULL DEFAULT false, -- some subscriber of it has a row in subscriber_load
    party_id       bigint NOT NULL DEFAULT 1,      -- whose it is; 1: the system's
    closed_at      timestamptz,                    -- for good: it is blocked then too, and nothing is paid into it; NULL: it is not
    -- Whose money may move but by calls: 0 nobody moves any, 1 codes and payments alone, 2 transfers too
    refill_allowed  smallint NOT NULL DEFAULT 2 CHECK (refill_allowed BETWEEN 0 AND 2),
    purpose         text NOT NULL DEFAULT 'party' CHECK (purpose IN ('party', 'card')),  -- a card's money is nobody's purse
    allow_loss      boolean,                       -- calls by routes that cost more than they bring; NULL: as the tariff has it
    PRIMARY KEY (bucket, account_id),
    CHECK (overdraft IS NOT NULL OR kind = 'postpaid')
) WITH (fillfactor = 70);  -- room for HOT updates: a call updates its account twice, and no index changes
CREATE INDEX accounts_by_party ON accounts (party_id) WHERE party_id <> 1;

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
    subscriber_id  bigint GENERATED ALWAYS AS IDENTITY,
    login          text NOT NULL CHECK (login ~ '^[^\s,]{1,64}$'),
    bucket         smallint NOT NULL,
    account_id     bigint NOT NULL,
    tariff_id      bigint NOT NULL,
    tariff_since   timestamptz NOT NULL DEFAULT now(),   -- packages carry nothing over from before
    status         party_status NOT NULL DEFAULT 'active',
    callerid       text NOT NULL DEFAULT '',
    max_seconds    integer CHECK (max_seconds > 0),  -- the longest call; NULL: max_reserve_seconds alone
    max_calls      integer CHECK (max_calls >= 0),   -- open calls at a time; NULL: no limit of its own
    version        integer NOT NULL DEFAULT 1,       -- grows with every change, so that a cached copy is told stale
    created_at     timestamptz NOT NULL DEFAULT now(),
    party_id       bigint NOT NULL DEFAULT 1,        -- whose line it is; 1: the system's
    calls          allowed_calls NOT NULL DEFAULT 'all',  -- by how its party and those above it stand; kept by a trigger
    private_account_id  bigint,                      -- of a tenant's line: its own, whichever is charged; NULL: it has none
    -- The accounts of the resellers above its party that pay for its calls too, the nearest first, and their tariffs; NULL:
    -- none does. Kept by a trigger, as `calls`. All are of this bucket.
    reseller_accounts   bigint[],
    reseller_tariffs    bigint[],
    numbering_plan      text,                        -- how its phone writes numbers; NULL: as its account has it
    has_destination_list  boolean NOT NULL DEFAULT false,  -- its party has one; kept by a trigger, as `calls`
    warn_below     numeric(20, 6),                   -- callers hear that there is less (in the system's currency); kept so too
    warn_sound     text NOT NULL DEFAULT '',         -- which sound file they hear; '': what the exchange has for it
    route_plan_id      bigint,                       -- by which its calls go; NULL: as its tariff has it. Kept so too, as are
    dynamic_blacklist  text NOT NULL DEFAULT 'global',  -- whether calls that are suspected go by another, from which score on
    score_threshold    integer,
    blacklist_plan_id  bigint,
    PRIMARY KEY (bucket, subscriber_id),
    UNIQUE (bucket, login)
);
CREATE INDEX subscribers_by_account ON subscribers (bucket, account_id);
CREATE INDEX subscribers_by_number ON subscribers (subscriber_id);  -- of a device, as MOR names it
CREATE INDEX subscribers_by_party ON subscribers (party_id) WHERE party_id <> 1;

-- Options a subscriber has beside its tariff. Of rates with equal prefixes an option's counts, the lowest position first.
CREATE TABLE subscriber_options (
    bucket          smallint NOT NULL DEFAULT 0,
    subscriber_id   bigint NOT NULL,
    tariff_id       bigint NOT NULL,
    position        integer NOT NULL DEFAULT 0,
    effective_from  timestamptz NOT NULL DEFAULT now(),
    effective_to    timestamptz NOT NULL DEFAULT 'infinity' CHECK (effective_to > effective_from),
    PRIMARY KEY (bucket, subscriber_id, tariff_id, effective_from),
    FOREIGN KEY (bucket, subscriber_id) REFERENCES subscribers ON DELETE CASCADE
);

-- Short numbers; subscriber_id NULL: everybody's, in bucket 0. A subscriber's own counts before it.
CREATE TABLE aliases (
    bucket         smallint NOT NULL DEFAULT 0,
    alias_id       bigint GENERATED ALWAYS AS IDENTITY,
    subscriber_id  bigint,
    alias          text NOT NULL CHECK (alias ~ '^[0-9*#+]{1,32}$'),
    destination    text NOT NULL CHECK (destination ~ '^[0-9+]{1,32}$'),
    PRIMARY KEY (bucket, alias_id),
    UNIQUE NULLS NOT DISTINCT (bucket, subscriber_id, alias),
    FOREIGN KEY (bucket, subscriber_id) REFERENCES subscribers ON DELETE CASCADE
);

-- The phone of a subscriber: by what it registers at its exchange, and how it is reached. `secret` is its password, encrypted
-- with a key of the settings; `md5_cred` = md5(login:realm:password), all that an exchange is told of it. `host`: where a
-- phone without a password calls from. `deleted_at`: nobody's phone any more; its calls and its number stay.
CREATE TABLE sip_accounts (
    bucket            smallint NOT NULL,
    subscriber_id     bigint NOT NULL,
    exchange_id       bigint NOT NULL,
    technology        text NOT NULL DEFAULT 'SIP',
    secret            bytea,
    md5_cred          text CHECK (md5_cred ~ '^[0-9a-f]{32}$'),
    label             text NOT NULL DEFAULT '',
    email             text NOT NULL DEFAULT '',
    is_primary        boolean NOT NULL DEFAULT false,
    transport         text NOT NULL DEFAULT 'udp,tcp,tls' CHECK (transport IN ('udp,tcp,tls', 'udp,tcp', 'tls', 'udp', 'tcp')),
    srtp              boolean NOT NULL DEFAULT false,
    reachable         boolean NOT NULL DEFAULT true,             -- takes calls
    redirect_to       text NOT NULL DEFAULT '' CHECK (redirect_to ~ '^\+?[0-9]{0,32}$'),  -- where they go instead; '': nowhere
    host              text NOT NULL DEFAULT '',
    disa_pin          text NOT NULL DEFAULT '' CHECK (disa_pin ~ '^[0-9]{0,16}$'),
    trusted_cli       text NOT NULL DEFAULT '' CHECK (trusted_cli ~ '^\+?[0-9]{0,32}$'),
    trust_is_given    boolean NOT NULL DEFAULT false,            -- by whoever owns the user, not by itself
    force_callback    boolean NOT NULL DEFAULT false,
    pitch_shift       smallint NOT NULL DEFAULT -1 CHECK (pitch_shift BETWEEN -1 AND 100),  -- -1: off
    language          text NOT NULL DEFAULT '' CHECK (language ~ '^[A-Za-z_-]{0,20}$'),    -- of what it is told
    context           text NOT NULL DEFAULT '' CHECK (context ~ '^[A-Za-z0-9_-]{0,79}$'),  -- '': its exchange's
    max_contacts      smallint NOT NULL DEFAULT 1 CHECK (max_contacts BETWEEN 1 AND 10),   -- telephones at a time
    dtmf_mode         text NOT NULL DEFAULT 'rfc4733' CHECK (dtmf_mode IN ('rfc4733', 'inband', 'info', 'auto', 'auto_info')),
    allow             text NOT NULL DEFAULT 'alaw,ulaw,g722' CHECK (allow ~ '^[a-z0-9_,]{1,200}$'),
    endpoint_options  jsonb NOT NULL DEFAULT '{}',
    created_at        timestamptz NOT NULL DEFAULT now(),
    updated_at        timestamptz NOT NULL DEFAULT now(),
    deleted_at        timestamptz,
    secret_hash       bytea,                                     -- by which a line is found by its password alone; keyed
    PRIMARY KEY (bucket, subscriber_id),
    CHECK (deleted_at IS NULL OR (secret IS NULL AND md5_cred IS NULL AND host = '')),
    FOREIGN KEY (bucket, subscriber_id) REFERENCES subscribers ON DELETE CASCADE
);
CREATE INDEX sip_accounts_by_secret ON sip_accounts (secret_hash) WHERE secret_hash IS NOT NULL;

-- What lines of a user dial besides by short numbers: entries of its phonebook; one without speeddial is looked up alone.
CREATE TABLE phonebook_entries (
    bucket     smallint NOT NULL,
    entry_id   bigint GENERATED ALWAYS AS IDENTITY,
    party_id   bigint NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    number     text NOT NULL CHECK (number ~ '^[0-9+]{1,32}$'),
    speeddial  text NOT NULL DEFAULT '' CHECK (speeddial ~ '^[0-9*#+]{0,32}$'),
    PRIMARY KEY (bucket, entry_id)
);
CREATE UNIQUE INDEX phonebook_by_speeddial ON phonebook_entries (bucket, party_id, speeddial) WHERE speeddial <> '';
CREATE INDEX phonebook_by_party ON phonebook_entries (party_id);

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

-- A reseller that pays for a call of one of its users, by its own price, which is frozen as the user's is. `exchange`: one
-- of its account's currency in that of whom it sells to.
CREATE TYPE call_reseller AS (
    account_id bigint, tariff_id bigint, deck_id bigint, prefix text, rate_key bigint, exchange numeric
);

-- The open calls of a subscriber that has a limit of its own; made when one is first asked for, and then kept for all
-- its calls. Under the lock of its account.
CREATE TABLE subscriber_load (
    bucket         smallint NOT NULL,
    subscriber_id  bigint NOT NULL,
    open_calls     integer NOT NULL CHECK (open_calls >= 0),
    PRIMARY KEY (bucket, subscriber_id)
) WITH (fillfactor = 50);

-- How many open calls of a bucket a route with a limit carries, and how many it was given in the second `started_in`. A
-- row is locked after the accounts of a batch, in the order of route ids. The leases are what the bucket may have of the
-- limits of a route that is shared; NULL: nothing yet.
CREATE TABLE route_load (
    bucket      smallint NOT NULL DEFAULT 0,
    route_id    bigint NOT NULL,
    open_calls  integer NOT NULL DEFAULT 0 CHECK (open_calls >= 0),
    started_in  timestamptz NOT NULL DEFAULT '-infinity',
    started     integer NOT NULL DEFAULT 0,
    lease_calls       integer CHECK (lease_calls >= 0),
    lease_per_second  integer CHECK (lease_per_second >= 0),
    PRIMARY KEY (bucket, route_id)
);

-- Each text of a frozen rate once, however many calls go by it. The key is a hash of the text, and the next one where two
-- texts have the same (freeze_rates).
CREATE TABLE frozen_rates (
    bucket    smallint NOT NULL,
    rate_key  bigint NOT NULL,
    rate      text NOT NULL CHECK (rate <> ''),
    PRIMARY KEY (bucket, rate_key)
);

-- Calls whose money is held. A row leaves when its call is settled, voided or expired, and its CDR takes its place
-- in the same transaction: the table stays as small as the traffic. The columns from subscriber_id to channel, and those
-- from from_originate to resellers, are those of call_details, in its order and in call_records too; the rates are the keys of
-- their texts (NULL: none).
CREATE TABLE open_calls (
    bucket            smallint NOT NULL,
    call_key          text COLLATE "C" NOT NULL CHECK (length(call_key) <= 200),
    account_id        bigint NOT NULL,
    subscriber_id     bigint NOT NULL,
    exchange          text NOT NULL,
    attempt           smallint NOT NULL,
    callerid          text NOT NULL,
    destination       text NOT NULL,
    direction         text NOT NULL,
    prefix            text NOT NULL,
    tariff_id         bigint NOT NULL,
    deck_id           bigint NOT NULL,
    rate_key          bigint,                          -- frozen: the settle charges by this, whatever is published since
    route_name        text NOT NULL,
    routing_number    text NOT NULL DEFAULT '',        -- as translated (LRN); '': the destination
    carrier_rate_key  bigint,                          -- what the route costs, frozen; NULL: not known
    carrier_currency  text NOT NULL DEFAULT '',
    carrier_exchange  numeric(20, 10),                 -- one of the carrier's currency in the account's; NULL: not known
    packages          package_use[] NOT NULL DEFAULT '{}',  -- what it holds of packages, first used first
    channel           text NOT NULL DEFAULT '',        -- the exchange's name of the caller's; '': not known
    held              numeric(20, 6) NOT NULL CHECK (held >= 0),     -- part of accounts.reserved; 0 where credit is unlimited
    granted           numeric(20, 6) NOT NULL CHECK (granted >= 0),  -- what the call may cost
    cap_seconds       integer NOT NULL CHECK (cap_seconds > 0),
    route_prefix      text NOT NULL,
    route_id          bigint,                          -- counted in route_load; NULL: its route has no limit
    quota             boolean NOT NULL,                -- granted in slices, and shares what it holds when the money ends
    prepared_at       timestamptz NOT NULL DEFAULT now(),
    expires_at        timestamptz NOT NULL,
    answered_at       timestamptz,                     -- as the exchange was seen to say; NULL: not seen
    last_seen_at      timestamptz,                     -- when its channel was last seen alive
    -- Of every request that was told of it, or may have been: it is taken back when each of them has said that it went
    -- unheard. A NULL among them is one that nobody takes back.
    claims            bigint[] NOT NULL DEFAULT '{}',
    steered           boolean NOT NULL DEFAULT false,  -- its exchange is told how long it lasts: extend() may lengthen it
    from_originate    text NOT NULL DEFAULT '',        -- how it began, as its exchange said: CallDetails of domain/reservation
    source_address    text NOT NULL DEFAULT '',
    originated_by     text NOT NULL DEFAULT '',
    is_did            text NOT NULL DEFAULT '',
    -- Who pays for it besides, the nearest reseller first, with what is held of each and what it may cost each; NULL: nobody
    resellers          call_reseller[],
    resellers_held     numeric[],
    resellers_granted  numeric[],
    PRIMARY KEY (bucket, call_key)
);
-- Not by bucket first, here and below: on a table without statistics the planner finds such an index as good as the
-- primary key for looking a call up, and reads the whole bucket (measured: ten times slower after a thousand calls).
CREATE INDEX open_calls_by_account ON open_calls (account_id, subscriber_id);

CREATE TABLE call_records (
    bucket            smallint NOT NULL,
    call_key          text COLLATE "C" NOT NULL,
    account_id        bigint NOT NULL,
    subscriber_id     bigint NOT NULL,
    exchange          text NOT NULL,
    attempt           smallint NOT NULL,
    callerid          text NOT NULL,
    destination       text NOT NULL,
    direction         text NOT NULL,
    prefix            text NOT NULL,
    tariff_id         bigint NOT NULL,
    deck_id           bigint NOT NULL,
    rate_key          bigint,
    route_name        text NOT NULL,
    routing_number    text NOT NULL DEFAULT '',
    carrier_rate_key  bigint,
    carrier_currency  text NOT NULL DEFAULT '',
    carrier_exchange  numeric(20, 10),
    packages          package_use[] NOT NULL DEFAULT '{}',  -- what it used of packages
    channel           text NOT NULL DEFAULT '',
    state             cdr_state NOT NULL,
    source            text NOT NULL,  -- who said how it ended: finish, late, unreserved, unrated, expired, abandoned,
                                      -- reconciled (its channel was gone, and no finish had come)
    currency          text NOT NULL,
    granted           numeric(20, 6) NOT NULL,
    seconds           integer NOT NULL CHECK (seconds >= 0),
    billed_seconds    integer NOT NULL CHECK (billed_seconds >= 0),
    cost              numeric(20, 6) NOT NULL CHECK (cost >= 0),
    overrun           numeric(20, 6) NOT NULL DEFAULT 0 CHECK (overrun >= 0),  -- charged beyond what was granted
    uncharged         numeric NOT NULL DEFAULT 0 CHECK (uncharged >= 0),  -- what no amount or balance could hold of its cost
    charged_on        date,                 -- the account's own day in whose spending it counts; NULL: that of its end
    disposition       text NOT NULL,
    cause             smallint NOT NULL,
    prepared_at       timestamptz NOT NULL,
    answered_at       timestamptz,
    ended_at          timestamptz NOT NULL,
    carrier_cost      numeric(20, 6),       -- in the carrier's currency; NULL: not known
    margin            numeric(20, 6),       -- cost less the carrier's cost, in the account's currency; NULL: not known
    rerate_id         bigint,               -- the re-rating that corrected it last; NULL: none did
    seen_seconds      integer,              -- from its answer to its hangup, as its exchange was seen to say; NULL: not seen
    said_seconds      integer,              -- as its finish said, where what was seen is believed against it; NULL: `seconds`
    suspicion         text NOT NULL DEFAULT '' CHECK (suspicion IN ('', 'too_long', 'unseen')),  -- see end_of_call
    from_originate    text NOT NULL DEFAULT '',        -- how it began, as its exchange said: CallDetails of domain/reservation
    source_address    text NOT NULL DEFAULT '',
    originated_by     text NOT NULL DEFAULT '',
    is_did            text NOT NULL DEFAULT '',
    resellers         call_reseller[],      -- who paid for it besides, the nearest first: reseller_records; NULL: nobody
    PRIMARY KEY (bucket, call_key)
);
CREATE INDEX call_records_by_account ON call_records (account_id, ended_at);
-- The calls of the last hour, which stand together at the end of the table; a few kB for millions of calls.
CREATE INDEX call_records_by_end ON call_records USING brin (ended_at) WITH (autosummarize = on);
-- What nobody finished: few rows, listed newest first by `rating-engine calls --reconciled`.
CREATE INDEX call_records_unfinished ON call_records (bucket, ended_at) WHERE source IN ('reconciled', 'expired');
-- What a person should look at: `rating-engine calls --suspicious`, and the doctor.
CREATE INDEX call_records_suspicious ON call_records (bucket, ended_at) WHERE suspicion <> '';

-- What a call cost the resellers above who made it: a line of its CDR each. `level`: 1 is the nearest. Where a call has
-- such lines, its own margin and theirs are what each got from whom it sold to (of the last, from the carrier).
CREATE TABLE reseller_records (
    bucket          smallint NOT NULL,
    call_key        text COLLATE "C" NOT NULL,
    level           smallint NOT NULL CHECK (level > 0),
    account_id      bigint NOT NULL,
    tariff_id       bigint NOT NULL,
    deck_id         bigint NOT NULL,
    prefix          text NOT NULL,
    rate_key        bigint,
    currency        text NOT NULL,
    granted         numeric(20, 6) NOT NULL,
    billed_seconds  integer NOT NULL CHECK (billed_seconds >= 0),
    cost            numeric(20, 6) NOT NULL CHECK (cost >= 0),
    overrun         numeric(20, 6) NOT NULL DEFAULT 0 CHECK (overrun >= 0),
    uncharged       numeric NOT NULL DEFAULT 0 CHECK (uncharged >= 0),
    charged_on      date,
    margin          numeric(20, 6),
    ended_at        timestamptz NOT NULL,             -- as the call's
    PRIMARY KEY (bucket, call_key, level)
);
CREATE INDEX reseller_records_by_account ON reseller_records (account_id, ended_at);

CREATE TABLE ledger_entries (
    bucket         smallint NOT NULL,
    account_id     bigint NOT NULL,
    entry_id       bigint NOT NULL,                  -- the account's own number, given under its lock: grows entry by entry
    kind           ledger_entry_kind NOT NULL,
    amount         numeric(20, 6) NOT NULL,          -- signed: a charge is negative
    balance_after  numeric(20, 6) NOT NULL,
    call_key       text COLLATE "C",
    reference      text CHECK (length(reference) BETWEEN 1 AND 200),  -- the idempotency key of a top-up, a fee, an adjustment
    subject        text NOT NULL DEFAULT '',         -- what a fee was for, why an adjustment was made
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, account_id, entry_id)
);
CREATE UNIQUE INDEX ledger_entries_once ON ledger_entries (bucket, account_id, reference) WHERE reference IS NOT NULL;

-- Money on its way from one account to another. The row is written in the transaction that takes `amount` and `fee` from the
-- sender, in whose bucket it stands; the other one is given amount_to = trunc(amount * exchange_rate, 6) in its currency. In
-- one bucket both happen at once. Between two it is `sent` until it was given (`done`), or the sender has all of it back since
-- the account was closed meanwhile (`returned`). Entries: transfer:ID:out, transfer:ID:in, transfer:ID:back.
CREATE TABLE transfers (
    bucket         smallint NOT NULL,
    transfer_id    bigint NOT NULL DEFAULT nextval('transfer_ids'),
    account_id     bigint NOT NULL,
    to_bucket      smallint NOT NULL,
    to_account_id  bigint NOT NULL,
    amount         numeric(20, 6) NOT NULL CHECK (amount > 0),
    fee            numeric(20, 6) NOT NULL CHECK (fee >= 0),
    exchange_rate  numeric(20, 10) NOT NULL CHECK (exchange_rate > 0),
    amount_to      numeric(20, 6) NOT NULL CHECK (amount_to > 0),
    state          text NOT NULL CHECK (state IN ('sent', 'done', 'returned')),
    reference      text CHECK (length(reference) BETWEEN 1 AND 200),  -- the idempotency key of the sender
    subject        text NOT NULL DEFAULT '',
    sent_at        timestamptz NOT NULL DEFAULT now(),
    ended_at       timestamptz,
    PRIMARY KEY (bucket, transfer_id),
    CHECK ((state = 'sent') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX transfers_once ON transfers (bucket, account_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX transfers_on_their_way ON transfers (bucket, sent_at) WHERE state = 'sent';

-- Money that somebody pays from outside. `amount`, `tax` on it and the handler's `commission` are what is paid, in `currency`;
-- `credited` is what `amount` is in the account's. It is confirmed once, by confirm_payment_v1: one top-up, whose reference
-- is payment:METHOD:TRANSACTION. A reseller confirms with money of its own account (payer_id; NULL: it came from outside).
CREATE TABLE payments (
    bucket        smallint NOT NULL,
    payment_id    bigint NOT NULL DEFAULT nextval('payment_ids'),
    account_id    bigint NOT NULL,
    party_id      bigint NOT NULL,
    invoice_id    bigint,                              -- what is paid by it; NULL: nothing in particular
    method        text NOT NULL,                       -- the handler: manual, or one of the settings
    kind          text NOT NULL DEFAULT '',            -- by what the handler is paid: bank, cash, card
    transaction   text NOT NULL CHECK (length(transaction) BETWEEN 1 AND 120),
    amount        numeric(20, 6) NOT NULL CHECK (amount > 0),
    tax           numeric(20, 6) NOT NULL DEFAULT 0 CHECK (tax >= 0),
    commission    numeric(20, 6) NOT NULL DEFAULT 0 CHECK (commission >= 0),
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    credited      numeric(20, 6) NOT NULL CHECK (credited > 0),
    payer         text NOT NULL DEFAULT '',
    comment       text NOT NULL DEFAULT '',
    state         text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'confirmed', 'cancelled')),
    payer_id      bigint,
    taken         numeric(20, 6),                      -- of it, in its currency
    created_at    timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz,
    PRIMARY KEY (bucket, payment_id),
    CHECK ((state = 'pending') = (ended_at IS NULL))
);
CREATE UNIQUE INDEX payments_once ON payments (bucket, account_id, method, transaction);
CREATE INDEX payments_by_party ON payments (party_id, payment_id);

-- What somebody is asked to pay (`request`), or a month of an account (`monthly`): its entries after from_entry up to to_entry,
-- so that months lie end to end and no entry is in two. What stands on it is frozen, names and addresses too; who is to have
-- another one cancels it and keeps its number.
CREATE TABLE invoices (
    bucket        smallint NOT NULL,
    invoice_id    bigint NOT NULL DEFAULT nextval('invoice_ids'),
    account_id    bigint NOT NULL,
    party_id      bigint NOT NULL,
    issuer_id     bigint NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('monthly', 'request')),
    number        bigint NOT NULL CHECK (number > 0),
    state         text NOT NULL CHECK (state IN ('open', 'paid', 'cancelled')),
    issued_at     timestamptz NOT NULL DEFAULT now(),
    valid_to      timestamptz NOT NULL,
    ended_at      timestamptz,                         -- when it was paid or cancelled
    period_start  date,                                -- by the account's calendar
    period_end    date,                                -- the first day after it
    from_entry    bigint,
    to_entry      bigint,
    currency      text NOT NULL,
    net           numeric(20, 6) NOT NULL,
    tax_percent   numeric(7, 4) NOT NULL,
    tax           numeric(20, 6) NOT NULL,
    commission    numeric(20, 6) NOT NULL DEFAULT 0,
    commission_percent numeric(7, 4) NOT NULL DEFAULT 0,  -- by which it came to that
    opening       numeric(20, 6),
    closing       numeric(20, 6),
    due           numeric(20, 6) NOT NULL,
    issuer        jsonb NOT NULL,                      -- name, address, email, bank_account, tax_number
    billed        jsonb NOT NULL,
    taxes         jsonb NOT NULL DEFAULT '[]',         -- name, percent, amount of each; their sums are the two above
    to_mail       boolean NOT NULL DEFAULT false,      -- of a postpaid account's month, until it was mailed
    PRIMARY KEY (bucket, invoice_id),
    CHECK ((kind = 'monthly') = (period_start IS NOT NULL AND period_end IS NOT NULL AND from_entry IS NOT NULL
                                 AND to_entry IS NOT NULL AND opening IS NOT NULL AND closing IS NOT NULL)),
    CHECK (state <> 'cancelled' OR ended_at IS NOT NULL)
);
CREATE UNIQUE INDEX invoices_numbered ON invoices (bucket, issuer_id, kind, number);
CREATE UNIQUE INDEX invoices_once ON invoices (bucket, account_id, period_start)
  WHERE kind = 'monthly' AND state <> 'cancelled';
CREATE INDEX invoices_by_party ON invoices (party_id, invoice_id);
CREATE INDEX invoices_to_mail ON invoices (issued_at) WHERE to_mail;

-- `amount` is what it adds to the invoice or, of a movement (payments, transfers, corrections of the balance), to the balance.
CREATE TABLE invoice_lines (
    bucket      smallint NOT NULL,
    invoice_id  bigint NOT NULL,
    position    integer NOT NULL,
    kind        text NOT NULL,                         -- LineKind of domain/invoice
    name        text NOT NULL,
    quantity    bigint NOT NULL CHECK (quantity >= 0),
    seconds     bigint NOT NULL DEFAULT 0 CHECK (seconds >= 0),
    amount      numeric(20, 6) NOT NULL,
    PRIMARY KEY (bucket, invoice_id, position)
);

-- Money that somebody is given back. Paid: it was credited to the account by an adjustment; `turns` counts how often it was
-- paid or taken back, each an entry credit_note:ID:TURN. One that is deleted is unpaid, and keeps its number.
CREATE TABLE credit_notes (
    bucket          smallint NOT NULL,
    credit_note_id  bigint NOT NULL DEFAULT nextval('credit_note_ids'),
    account_id      bigint NOT NULL,
    party_id        bigint NOT NULL,
    issuer_id       bigint NOT NULL,
    number          bigint NOT NULL CHECK (number > 0),
    label           text NOT NULL DEFAULT '',          -- what its maker numbers it by; '': by `number`
    amount          numeric(20, 6) NOT NULL CHECK (amount > 0),
    tax             numeric(20, 6) NOT NULL DEFAULT 0 CHECK (tax >= 0),
    currency        text NOT NULL,
    credited        numeric(20, 6) NOT NULL CHECK (credited > 0),
    comment         text NOT NULL DEFAULT '',
    state           text NOT NULL DEFAULT 'unpaid' CHECK (state IN ('unpaid', 'paid', 'deleted')),
    turns           integer NOT NULL DEFAULT 0,
    payer_id        bigint,                            -- whose money it is while it is paid; NULL: it came from outside
    taken           numeric(20, 6),
    issued_at       timestamptz NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (bucket, credit_note_id)
);
CREATE UNIQUE INDEX credit_notes_numbered ON credit_notes (bucket, issuer_id, number);
CREATE INDEX credit_notes_by_party ON credit_notes (party_id, credit_note_id);
-- Who takes a service, and up to when it is charged: `paid_to` NULL: for good; `paid_from` and `last_reference` are of the
-- period charged last. `missing`: what its account had not for the next one, asked for again when it has. `calendar`: its
-- periods are those of the calendar. A line has the service's option up to `paid_to`.
CREATE TABLE service_subscriptions (
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
CREATE UNIQUE INDEX service_subscriptions_once ON service_subscriptions (bucket, account_id, reference)
    WHERE reference IS NOT NULL;
CREATE INDEX service_subscriptions_due ON service_subscriptions (paid_to) WHERE state IN ('active', 'unpaid');
CREATE INDEX service_subscriptions_by_party ON service_subscriptions (party_id, subscription_id);

-- What a carrier takes for a message, in its cost tariff's currency, and what that leaves; NULL: nobody has said.
CREATE TYPE message_offer AS (carrier text, cost numeric, currency text, margin numeric);

-- Messages: sms, hlr (a query of where a number is), sip and voice. Those that cost something take their money when they are
-- written (`accounts`: the payer and the resellers above it, each its own of `prices`), by fees message:ID; one that was not
-- sent gives it back by message:ID:back. queued: waits for its carrier; sending: handed over until lease_until by whoever
-- took it; sent, and then delivered or undelivered, as its carrier has said; failed: not sent, or nobody knows; received.
CREATE TABLE messages (
    bucket         smallint NOT NULL,
    message_id     bigint NOT NULL DEFAULT nextval('message_ids'),
    kind           text NOT NULL CHECK (kind IN ('sms', 'hlr', 'sip', 'voice')),
    direction      text NOT NULL CHECK (direction IN ('in', 'out')),
    state          text NOT NULL
                   CHECK (state IN ('queued', 'sending', 'sent', 'delivered', 'undelivered', 'failed', 'received')),
    party_id       bigint NOT NULL,                -- whose it is
    account_id     bigint,                         -- pays; NULL: nobody has to
    login          text NOT NULL DEFAULT '',       -- the line that sends it, or whose number was written to
    did            text NOT NULL DEFAULT '',       -- the number of ours that was written to
    sender         text NOT NULL,
    recipient      text NOT NULL,
    content        text NOT NULL,
    encoding       text NOT NULL DEFAULT '',
    parts          smallint NOT NULL DEFAULT 1 CHECK (parts > 0),
    accounts       bigint[] NOT NULL DEFAULT '{}',
    prices         numeric[] NOT NULL DEFAULT '{}',
    currency       text NOT NULL DEFAULT '',       -- of the first of prices
    carrier        text NOT NULL DEFAULT '',
    carrier_id     text NOT NULL DEFAULT '',       -- what it calls the message
    offers         message_offer[] NOT NULL DEFAULT '{}',  -- of the carriers that may be asked, in their order; '{}': by anyone
    carrier_cost   numeric(20, 6),                 -- what the one that has it takes; NULL: not known, or not sent
    carrier_currency text NOT NULL DEFAULT '',
    margin         numeric(20, 6),                 -- what the last of prices leaves of that, in its currency
    margin_currency text NOT NULL DEFAULT '',      -- of the last of prices
    answer         text NOT NULL DEFAULT '',       -- of a query
    error          text NOT NULL DEFAULT '',
    reference      text CHECK (length(reference) BETWEEN 1 AND 200),  -- the idempotency key of who sends it
    attempts       smallint NOT NULL DEFAULT 0,
    due_at         timestamptz NOT NULL DEFAULT now(),
    lease_until    timestamptz,
    created_at     timestamptz NOT NULL DEFAULT now(),
    sent_at        timestamptz,
    ended_at       timestamptz,                    -- delivered, undelivered or failed
    read_at        timestamptz,
    PRIMARY KEY (bucket, message_id),
    CHECK (cardinality(accounts) = cardinality(prices)),
    CHECK ((lease_until IS NOT NULL) = (state = 'sending'))
);
CREATE UNIQUE INDEX messages_once ON messages (bucket, login, reference) WHERE reference IS NOT NULL;
CREATE INDEX messages_by_id ON messages (message_id);
CREATE INDEX messages_by_party ON messages (party_id, message_id);
CREATE INDEX messages_by_carrier ON messages (carrier, carrier_id) WHERE carrier_id <> '';
CREATE INDEX messages_waiting ON messages (due_at) WHERE state IN ('queued', 'sending');

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

-- The re-ratings whose calls of a bucket may be corrected. Whoever corrects locks the row, and so does who closes it.
CREATE TABLE open_rerates (
    bucket     smallint NOT NULL,
    rerate_id  bigint NOT NULL,
    PRIMARY KEY (bucket, rerate_id)
);

-- Who changed what of an account: as catalogue_audit, for money functions to write in their own transaction.
CREATE TABLE account_audit (
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
CREATE INDEX account_audit_by_party ON account_audit (party_id, audit_id) WHERE party_id IS NOT NULL;
CREATE INDEX account_audit_by_subject ON account_audit (subject, audit_id);
CREATE INDEX account_audit_by_time ON account_audit (at, audit_id);

---------------------------------------------------------------------------------------------------------------
-- ==== functions and types: run whole at every migrate ====
--
-- What holds no data. Everything below may be run again on a live database, while engines of this release and of the one
-- before it call it: functions, views and triggers are replaced in place, and migrate passes over a type that is there.
-- A money function and a type are named by their shape: whoever changes the arguments of one, or a field of the other,
-- gives it the next number and leaves the old one to the engines that still ask it.

---------------------------------------------------------------------------------------------------------------
-- Calls as people and the release before this one read them: the texts of their rates beside the rest

CREATE OR REPLACE VIEW reservations AS
SELECT o.bucket, o.call_key, o.account_id, o.subscriber_id, o.held, o.granted, o.cap_seconds, o.exchange, o.attempt,
       o.callerid, o.destination, o.direction, o.prefix, o.tariff_id, o.deck_id,
       COALESCE((SELECT f.rate FROM frozen_rates f WHERE f.bucket = o.bucket AND f.rate_key = o.rate_key), '') AS rate,
       o.route_name, o.route_prefix, o.quota, o.prepared_at, o.expires_at, o.answered_at, o.last_seen_at,
       o.claims[1] AS claim, o.routing_number,
       COALESCE((SELECT f.rate FROM frozen_rates f WHERE f.bucket = o.bucket AND f.rate_key = o.carrier_rate_key), '')
           AS carrier_rate,
       o.carrier_currency, o.carrier_exchange, o.packages, o.route_id, o.channel, o.steered, o.from_originate,
       o.source_address, o.originated_by, o.is_did
FROM open_calls o;

CREATE OR REPLACE VIEW cdrs AS
SELECT c.bucket, c.call_key, c.account_id, c.subscriber_id, c.state, c.source, c.exchange, c.attempt, c.callerid,
       c.destination, c.direction, c.prefix, c.tariff_id, c.deck_id,
       COALESCE((SELECT f.rate FROM frozen_rates f WHERE f.bucket = c.bucket AND f.rate_key = c.rate_key), '') AS rate,
       c.route_name, c.currency, c.granted, c.seconds, c.billed_seconds, c.cost, c.overrun, c.disposition, c.cause,
       c.prepared_at, c.answered_at, c.ended_at, c.routing_number,
       COALESCE((SELECT f.rate FROM frozen_rates f WHERE f.bucket = c.bucket AND f.rate_key = c.carrier_rate_key), '')
           AS carrier_rate,
       c.carrier_currency, c.carrier_exchange, c.carrier_cost, c.margin, c.packages, c.rerate_id, c.channel,
       c.uncharged, c.charged_on, c.seen_seconds, c.said_seconds, c.suspicion, c.from_originate, c.source_address,
       c.originated_by, c.is_did
FROM call_records c;

-- The same with the lines of resellers, each as the call of its account. What a carrier takes is nobody's but the last one's
-- to know, and in its margin.
CREATE OR REPLACE VIEW cdr_lines AS
SELECT bucket, call_key, account_id, subscriber_id, state, source, attempt, callerid, destination, direction, prefix,
       tariff_id, route_name, seconds, billed_seconds, cost, currency, overrun, carrier_cost, carrier_currency, margin,
       disposition, cause, prepared_at, answered_at, ended_at, from_originate, source_address, originated_by, is_did
FROM call_records
UNION ALL
SELECT r.bucket, r.call_key, r.account_id, c.subscriber_id, c.state, c.source, c.attempt, c.callerid, c.destination,
       c.direction, r.prefix, r.tariff_id, c.route_name, c.seconds, r.billed_seconds, r.cost, r.currency, r.overrun,
       NULL, '', r.margin, c.disposition, c.cause, c.prepared_at, c.answered_at, r.ended_at, c.from_originate,
       c.source_address, c.originated_by, c.is_did
FROM reseller_records r JOIN call_records c ON c.bucket = r.bucket AND c.call_key = r.call_key;

-- Who changed what, of the catalogue and of accounts, for people.
CREATE OR REPLACE VIEW audit_log AS
SELECT audit_id, at, party, level, surface, key, address, action, subject, detail, party_id FROM catalogue_audit
UNION ALL
SELECT audit_id, at, party, level, surface, key, address, action, subject, detail, party_id FROM account_audit;

---------------------------------------------------------------------------------------------------------------
-- Changes are announced, so that a cached copy is dropped at once. The announcement is for speed alone: reserve_v5()
-- checks the version it was asked with, so that a lost one costs a second try and never a wrong price.

-- Triggers of the catalogue announce what changed, in their argument: one name for what is remembered together. A cluster
-- cannot commit a NOTIFY on several nodes at once: its database has the setting rating_engine.announce = 'off', and its
-- engines are told by reserve_v5().
CREATE OR REPLACE FUNCTION announce() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('rating_engine.announce', true) IS DISTINCT FROM 'off' THEN
        PERFORM pg_notify('rating_engine', TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION announce_tariffs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('rating_engine.announce', true) IS DISTINCT FROM 'off' THEN
        PERFORM pg_notify('rating_engine', 'tariff ' || tariff_id) FROM changed;
    END IF;
    RETURN NULL;
END $$;
-- A statement of one bucket, on the node that has it: who wants to hear all listens on every node.
CREATE OR REPLACE FUNCTION announce_subscriber() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('rating_engine', 'subscriber ' || COALESCE(NEW.login, OLD.login));
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER announce AFTER UPDATE OR DELETE ON subscribers FOR EACH ROW EXECUTE FUNCTION announce_subscriber();
CREATE OR REPLACE TRIGGER announce_update AFTER UPDATE ON tariffs
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION announce_tariffs();
CREATE OR REPLACE TRIGGER announce_delete AFTER DELETE ON tariffs
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION announce_tariffs();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON routes
    FOR EACH STATEMENT EXECUTE FUNCTION announce('routes');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_prefixes
    FOR EACH STATEMENT EXECUTE FUNCTION announce('routes');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_windows
    FOR EACH STATEMENT EXECUTE FUNCTION announce('routes');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_plans
    FOR EACH STATEMENT EXECUTE FUNCTION announce('routes');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_plan_routes
    FOR EACH STATEMENT EXECUTE FUNCTION announce('routes');
CREATE OR REPLACE TRIGGER announce AFTER UPDATE ON dynamic_blacklist
    FOR EACH STATEMENT EXECUTE FUNCTION announce('routes');
-- By row: a measurement that changes none announces nothing.
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON route_quality
    FOR EACH ROW EXECUTE FUNCTION announce('routes');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON directions
    FOR EACH STATEMENT EXECUTE FUNCTION announce('directions');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON engine_secrets
    FOR EACH STATEMENT EXECUTE FUNCTION announce('engine_secrets');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON exchange_rates
    FOR EACH STATEMENT EXECUTE FUNCTION announce('exchange_rates');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON numbering_plans
    FOR EACH STATEMENT EXECUTE FUNCTION announce('numbering');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON numbering_rewrites
    FOR EACH STATEMENT EXECUTE FUNCTION announce('numbering');
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON aliases
    FOR EACH STATEMENT EXECUTE FUNCTION announce('numbering');

CREATE OR REPLACE FUNCTION next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.version := OLD.version + 1;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER next_version BEFORE UPDATE ON subscribers FOR EACH ROW EXECUTE FUNCTION next_version();
CREATE OR REPLACE TRIGGER next_version BEFORE UPDATE ON tariffs FOR EACH ROW EXECUTE FUNCTION next_version();

-- What belongs to a tariff changes its version: once a statement, however many rows it has. The argument says which
-- tariffs the rows of `changed` belong to; of an update that is the rows as they were and as they are.
CREATE OR REPLACE FUNCTION touch_tariffs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('UPDATE tariffs SET version = version WHERE tariff_id IN (%s)', TG_ARGV[0]);
    IF TG_OP = 'UPDATE' THEN
        EXECUTE format('UPDATE tariffs SET version = version WHERE tariff_id IN (%s) AND tariff_id NOT IN (%s)',
                       replace(TG_ARGV[0], 'changed', 'was'), TG_ARGV[0]);
    END IF;
    RETURN NULL;
END $$;
DO $$
DECLARE
    member  record;
BEGIN
    FOR member IN SELECT * FROM (VALUES
        ('tariff_bands', 'SELECT tariff_id FROM changed'),
        ('packages', 'SELECT tariff_id FROM changed'),
        ('tariff_routes', 'SELECT tariff_id FROM changed'),
        ('route_plans', 'SELECT t.tariff_id FROM tariffs t JOIN changed ON t.route_plan_id = changed.plan_id'),
        ('route_plan_routes', 'SELECT t.tariff_id FROM tariffs t JOIN changed ON t.route_plan_id = changed.plan_id'),
        ('rate_decks', 'SELECT tariff_id FROM changed WHERE state <> ''loading'''),  -- a deck changes nothing while it is loaded
        ('package_steps', 'SELECT p.tariff_id FROM packages p JOIN changed USING (package_id)'),
        ('holidays', 'SELECT t.tariff_id FROM tariffs t JOIN changed ON t.holiday_calendar = changed.calendar'),
        ('direction_groups', 'SELECT p.tariff_id FROM packages p JOIN changed ON p.direction_group = changed.name')
    ) AS members(name, tariffs) LOOP
        EXECUTE format('CREATE OR REPLACE TRIGGER touch_insert AFTER INSERT ON %I REFERENCING NEW TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION touch_tariffs(%L)', member.name, member.tariffs);
        EXECUTE format('CREATE OR REPLACE TRIGGER touch_update AFTER UPDATE ON %I REFERENCING OLD TABLE AS was '
                       'NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION touch_tariffs(%L)',
                       member.name, member.tariffs);
        EXECUTE format('CREATE OR REPLACE TRIGGER touch_delete AFTER DELETE ON %I REFERENCING OLD TABLE AS changed '
                       'FOR EACH STATEMENT EXECUTE FUNCTION touch_tariffs(%L)', member.name, member.tariffs);
    END LOOP;
END $$;

-- What belongs to a subscriber changes its version.
CREATE OR REPLACE FUNCTION touch_subscriber() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE subscribers SET version = version
      WHERE bucket = COALESCE(NEW.bucket, OLD.bucket) AND subscriber_id IN (OLD.subscriber_id, NEW.subscriber_id);
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
CREATE OR REPLACE TRIGGER touch_subscribers AFTER UPDATE OF max_call_seconds, quota, numbering_plan, kind, allow_loss ON accounts
    FOR EACH ROW EXECUTE FUNCTION touch_subscribers();

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: post a correction instead', TG_TABLE_NAME;
END $$;
CREATE OR REPLACE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

---------------------------------------------------------------------------------------------------------------
-- Whose what is

-- A party and all that it owns, and they own.
CREATE OR REPLACE FUNCTION parties_below(p_party_id bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    WITH RECURSIVE tree AS (
        SELECT party_id FROM parties WHERE party_id = p_party_id
        UNION ALL SELECT p.party_id FROM tree t JOIN parties p ON p.owner_id = t.party_id)
    SELECT COALESCE(array_agg(party_id ORDER BY party_id), '{}') FROM tree
$$;
-- A party, its owner, and so on up to the system.
CREATE OR REPLACE FUNCTION parties_above(p_party_id bigint) RETURNS bigint[] LANGUAGE sql STABLE AS $$
    WITH RECURSIVE chain AS (
        SELECT party_id, owner_id FROM parties WHERE party_id = p_party_id
        UNION ALL SELECT p.party_id, p.owner_id FROM chain c JOIN parties p ON p.party_id = c.owner_id)
    SELECT COALESCE(array_agg(party_id ORDER BY party_id DESC), '{}') FROM chain
$$;
-- What the lines of a party may call: the least of what its own state and those of its owners leave.
CREATE OR REPLACE FUNCTION calls_of_party(p_party_id bigint) RETURNS allowed_calls LANGUAGE sql STABLE AS $$
    SELECT min(CASE WHEN hidden OR status IN ('locked', 'deactivated', 'all_blocked') THEN 'none'
                    WHEN status = 'external_blocked' THEN 'internal' ELSE 'all' END::allowed_calls)
    FROM parties WHERE party_id = ANY (parties_above(p_party_id))
$$;

-- Who pays for the calls of a party's lines besides: those above it that are charged on an account, the nearest first.
-- NULLs: nobody does.
CREATE OR REPLACE FUNCTION resellers_of_party(
    p_party_id bigint, OUT accounts bigint[], OUT tariffs bigint[], OUT buckets smallint[]
) LANGUAGE sql STABLE AS $$
    SELECT array_agg(account_id ORDER BY party_id DESC), array_agg(tariff_id ORDER BY party_id DESC),
           array_agg(DISTINCT account_bucket)
    FROM parties
    WHERE party_id = ANY (parties_above(p_party_id)) AND party_id <> p_party_id AND account_id IS NOT NULL
$$;

-- The same of its cards: it pays for their calls itself, as for those of its users.
CREATE OR REPLACE FUNCTION resellers_of_cards(
    p_party_id bigint, OUT accounts bigint[], OUT tariffs bigint[], OUT buckets smallint[]
) LANGUAGE sql STABLE AS $$
    SELECT array_agg(account_id ORDER BY party_id DESC), array_agg(tariff_id ORDER BY party_id DESC),
           array_agg(DISTINCT account_bucket)
    FROM parties WHERE party_id = ANY (parties_above(p_party_id)) AND account_id IS NOT NULL
$$;

-- Subscribers carry what their party leaves them, so that a call asks nobody else; a change makes a cached copy stale.
CREATE OR REPLACE FUNCTION keep_allowed_calls() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_bucket  smallint := COALESCE((SELECT max(bucket) FROM logins WHERE bucket <> 0), 0);
    ids          bigint[] := parties_below(NEW.party_id);
    allowed      allowed_calls[];
BEGIN
    -- Of two that change at once, one above the other, the second one sees the first; so it is asked only then.
    PERFORM 1 FROM parties WHERE party_id = ANY (parties_above(NEW.party_id)) AND party_id <> NEW.party_id
      ORDER BY party_id FOR SHARE;
    allowed := ARRAY(SELECT calls_of_party(id) FROM unnest(ids) WITH ORDINALITY AS member(id, ord) ORDER BY ord);
    FOR n IN 0 .. last_bucket LOOP
        UPDATE subscribers s SET calls = member.allowed FROM unnest(ids, allowed) AS member(id, allowed)
          WHERE s.bucket = n AND s.party_id = member.id AND s.party_id <> 1 AND s.calls <> member.allowed;
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_calls AFTER UPDATE OF status, hidden ON parties
    FOR EACH ROW EXECUTE FUNCTION keep_allowed_calls();

-- And whether their party has a list of destinations, so that a call of one that has none asks nobody. What the list says is
-- asked of the list itself, so it counts from the next call on.
CREATE OR REPLACE FUNCTION keep_destination_lists() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_bucket  smallint := COALESCE((SELECT max(bucket) FROM logins WHERE bucket <> 0), 0);
    whose        bigint := CASE WHEN TG_OP = 'DELETE' THEN OLD.party_id ELSE NEW.party_id END;
BEGIN
    FOR n IN 0 .. last_bucket LOOP
        UPDATE subscribers SET has_destination_list = TG_OP <> 'DELETE'
          WHERE bucket = n AND party_id = whose AND party_id <> 1 AND has_destination_list <> (TG_OP <> 'DELETE');
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_inserted AFTER INSERT ON party_number_lists FOR EACH ROW
    WHEN (NEW.side = 'destination') EXECUTE FUNCTION keep_destination_lists();
CREATE OR REPLACE TRIGGER keep_deleted AFTER DELETE ON party_number_lists FOR EACH ROW
    WHEN (OLD.side = 'destination') EXECUTE FUNCTION keep_destination_lists();

-- And below which balance its callers are to hear of it; NULL: they are not.
CREATE OR REPLACE FUNCTION keep_warnings() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_bucket  smallint := COALESCE((SELECT max(bucket) FROM logins WHERE bucket <> 0), 0);
    below        numeric := CASE WHEN NEW.warn_calls THEN NEW.notify_balance_limit END;
    sound        text := COALESCE((SELECT file FROM warning_sounds WHERE sound_id = NEW.warn_sound_id), '');
BEGIN
    FOR n IN 0 .. last_bucket LOOP
        UPDATE subscribers SET warn_below = below, warn_sound = sound
          WHERE bucket = n AND party_id = NEW.party_id AND party_id <> 1
            AND (warn_below, warn_sound) IS DISTINCT FROM (below, sound);
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_warnings AFTER UPDATE OF warn_calls, notify_balance_limit, warn_sound_id ON parties FOR EACH ROW
    WHEN (NEW.warn_calls OR OLD.warn_calls) EXECUTE FUNCTION keep_warnings();

-- The plan by which calls of a party's lines go: its own, or that of the nearest above it. NULL: none.
CREATE OR REPLACE FUNCTION route_plan_of_party(p_party_id bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT route_plan_id FROM parties
    WHERE party_id = ANY (parties_above(p_party_id)) AND party_id <> 1 AND route_plan_id IS NOT NULL
    ORDER BY party_id DESC LIMIT 1
$$;
-- Lines carry it too (those of cards have their group's before it), and whether calls that are suspected go by another.
CREATE OR REPLACE FUNCTION keep_routing() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_bucket  smallint := COALESCE((SELECT max(bucket) FROM logins WHERE bucket <> 0), 0);
    ids          bigint[] := parties_below(NEW.party_id);
    plans        bigint[];
BEGIN
    PERFORM 1 FROM parties WHERE party_id = ANY (parties_above(NEW.party_id)) AND party_id <> NEW.party_id
      ORDER BY party_id FOR SHARE;
    plans := ARRAY(SELECT route_plan_of_party(id) FROM unnest(ids) WITH ORDINALITY AS member(id, ord) ORDER BY ord);
    FOR n IN 0 .. last_bucket LOOP
        UPDATE subscribers s SET route_plan_id = member.plan FROM unnest(ids, plans) AS member(id, plan)
          WHERE s.bucket = n AND s.party_id = member.id AND s.party_id <> 1 AND s.route_plan_id IS DISTINCT FROM member.plan
            AND NOT EXISTS (SELECT 1 FROM calling_cards c JOIN card_groups g USING (group_id)
                            WHERE c.line = s.login AND g.route_plan_id IS NOT NULL);
        UPDATE subscribers SET dynamic_blacklist = NEW.dynamic_blacklist, score_threshold = NEW.score_threshold,
                               blacklist_plan_id = NEW.blacklist_plan_id
          WHERE bucket = n AND party_id = NEW.party_id AND party_id <> 1
            AND (dynamic_blacklist, score_threshold, blacklist_plan_id)
                IS DISTINCT FROM (NEW.dynamic_blacklist, NEW.score_threshold, NEW.blacklist_plan_id);
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_routing
    AFTER UPDATE OF route_plan_id, dynamic_blacklist, score_threshold, blacklist_plan_id ON parties FOR EACH ROW
    WHEN ((OLD.route_plan_id, OLD.dynamic_blacklist, OLD.score_threshold, OLD.blacklist_plan_id) IS DISTINCT FROM
          (NEW.route_plan_id, NEW.dynamic_blacklist, NEW.score_threshold, NEW.blacklist_plan_id))
    EXECUTE FUNCTION keep_routing();

-- They carry who pays for their calls besides, too. A money function sees one bucket, so all accounts of a reseller and of
-- those below it are of one: error RE001, whose message is a login that is not ('': the accounts of two resellers).
CREATE OR REPLACE FUNCTION keep_resellers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_bucket  smallint := COALESCE((SELECT max(bucket) FROM logins WHERE bucket <> 0), 0);
    member       record;
    stranger     text;
BEGIN
    PERFORM 1 FROM parties WHERE party_id = ANY (parties_above(NEW.party_id)) AND party_id <> NEW.party_id
      ORDER BY party_id FOR SHARE;
    FOR member IN
        SELECT id, 'party' AS purpose, r.* FROM unnest(parties_below(NEW.party_id)) AS id, resellers_of_party(id) AS r
          WHERE id <> NEW.party_id
        UNION ALL
        SELECT id, 'card', r.* FROM unnest(parties_below(NEW.party_id)) AS id, resellers_of_cards(id) AS r
    LOOP
        FOR n IN 0 .. last_bucket LOOP
            SELECT s.login INTO stranger FROM subscribers s JOIN accounts a ON a.bucket = n AND a.account_id = s.account_id
              WHERE s.bucket = n AND s.party_id = member.id AND a.purpose = member.purpose
                AND ARRAY[n]::smallint[] <> member.buckets ORDER BY s.login LIMIT 1;
            IF FOUND OR cardinality(member.buckets) > 1 THEN
                RAISE SQLSTATE 'RE001' USING MESSAGE = COALESCE(stranger, '');
            END IF;
            UPDATE subscribers s SET reseller_accounts = member.accounts, reseller_tariffs = member.tariffs FROM accounts a
              WHERE s.bucket = n AND s.party_id = member.id
                AND a.bucket = n AND a.account_id = s.account_id AND a.purpose = member.purpose
                AND (s.reseller_accounts, s.reseller_tariffs) IS DISTINCT FROM (member.accounts, member.tariffs);
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_resellers AFTER UPDATE OF account_id, account_bucket, tariff_id ON parties FOR EACH ROW
    WHEN (NEW.account_id IS NOT NULL OR OLD.account_id IS NOT NULL) EXECUTE FUNCTION keep_resellers();
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OF source, target, expires_at OR DELETE ON bans
    FOR EACH STATEMENT EXECUTE FUNCTION announce('bans');
-- Calls of a banned exchange are declined by its address, whatever name it has.
CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OF address OR DELETE ON exchanges
    FOR EACH STATEMENT EXECUTE FUNCTION announce('bans');

---------------------------------------------------------------------------------------------------------------
-- Phones, as Asterisk asks for them (PJSIP realtime): its names of tables and columns, texts that hold no semicolon

-- The phones that may register and call now: a line that is blocked, or whose account or user is, has none.
CREATE OR REPLACE VIEW phones AS
    SELECT l.login, x.name AS exchange, x.database_role, x.realm, COALESCE(NULLIF(p.context, ''), x.context) AS context,
           s.callerid, p.label, p.md5_cred, p.host, p.reachable, p.redirect_to, p.transport, p.srtp, p.language,
           p.max_contacts, p.dtmf_mode, p.allow, p.endpoint_options AS options
    FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    JOIN sip_accounts p ON p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
    JOIN accounts a ON a.bucket = s.bucket AND a.account_id = s.account_id
    JOIN exchanges x ON x.exchange_id = p.exchange_id
    WHERE x.enabled AND p.technology = 'SIP' AND p.deleted_at IS NULL AND (p.md5_cred IS NOT NULL OR p.host <> '')
      AND s.status = 'active' AND s.calls <> 'none' AND a.status = 'active' AND a.closed_at IS NULL;

-- Who is the database_role of an exchange sees that one's phones, and who is none's sees all. A phone with a host has no
-- password, and is known by where it calls from alone; with a password, by that alone.
CREATE OR REPLACE VIEW ps_endpoints WITH (security_barrier) AS
    SELECT login AS id, CASE WHEN transport IN ('udp', 'tcp', 'tls') THEN 'transport-' || transport END AS transport,
           CASE WHEN reachable THEN login END AS aors, CASE WHEN host = '' THEN login END AS auth, context,
           'all' AS disallow, allow, COALESCE(options ->> 'direct_media', 'no') AS direct_media, dtmf_mode,
           CASE WHEN srtp THEN 'sdes' ELSE 'no' END AS media_encryption,
           CASE WHEN callerid <> '' AND label <> '' THEN format('"%s" <%s>', label, callerid)
                WHEN callerid <> '' THEN format('<%s>', callerid) END AS callerid,
           NULLIF(language, '') AS language, login AS accountcode,
           CASE WHEN host = '' THEN 'username' ELSE 'ip' END AS identify_by,
           CASE WHEN redirect_to <> '' THEN 'RATING_REDIRECT=' || redirect_to END AS set_var,
           COALESCE(options ->> 'rtp_symmetric', 'yes') AS rtp_symmetric,
           COALESCE(options ->> 'force_rport', 'yes') AS force_rport,
           COALESCE(options ->> 'rewrite_contact', 'yes') AS rewrite_contact,
           options ->> 'ice_support' AS ice_support, options ->> 'call_group' AS call_group,
           options ->> 'pickup_group' AS pickup_group
    FROM phones
    WHERE database_role = current_user OR NOT EXISTS (SELECT FROM exchanges r WHERE r.database_role = current_user);
CREATE OR REPLACE VIEW ps_auths WITH (security_barrier) AS
    SELECT login AS id, 'md5' AS auth_type, login AS username, md5_cred, realm
    FROM phones
    WHERE host = '' AND (database_role = current_user
                         OR NOT EXISTS (SELECT FROM exchanges r WHERE r.database_role = current_user));
CREATE OR REPLACE VIEW ps_aors WITH (security_barrier) AS
    SELECT login AS id, max_contacts, 'yes' AS remove_existing, CASE WHEN host <> '' THEN 'sip:' || host END AS contact,
           COALESCE(options ->> 'qualify_frequency', '60') AS qualify_frequency
    FROM phones
    WHERE reachable AND (database_role = current_user
                         OR NOT EXISTS (SELECT FROM exchanges r WHERE r.database_role = current_user));
CREATE OR REPLACE VIEW ps_endpoint_id_ips WITH (security_barrier) AS
    SELECT login AS id, login AS endpoint, host AS match
    FROM phones
    WHERE host <> '' AND (database_role = current_user
                          OR NOT EXISTS (SELECT FROM exchanges r WHERE r.database_role = current_user));

---------------------------------------------------------------------------------------------------------------
-- Facts of the catalogue, kept as it changes

CREATE OR REPLACE FUNCTION keep_tariff_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO tariff_terms VALUES (NEW.tariff_id, NEW.name, NEW.version, NEW.is_option, NEW.time_zone);
    ELSIF TG_OP = 'UPDATE' THEN
        UPDATE tariff_terms SET name = NEW.name, version = NEW.version, is_option = NEW.is_option, time_zone = NEW.time_zone
          WHERE tariff_id = NEW.tariff_id;
    ELSE
        DELETE FROM tariff_terms WHERE tariff_id = OLD.tariff_id;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_terms AFTER INSERT OR UPDATE OR DELETE ON tariffs
    FOR EACH ROW EXECUTE FUNCTION keep_tariff_terms();

CREATE OR REPLACE FUNCTION keep_package_terms() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM package_terms WHERE package_id = OLD.package_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO package_terms
          VALUES (NEW.package_id, NEW.tariff_id, NEW.seconds, NEW.carry_over, NEW.period, NEW.created_at);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_terms AFTER INSERT OR UPDATE OR DELETE ON packages
    FOR EACH ROW EXECUTE FUNCTION keep_package_terms();

CREATE OR REPLACE FUNCTION keep_route_limits() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    is_shared  boolean := EXISTS (SELECT 1 FROM logins WHERE bucket <> 0);
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM route_limits WHERE route_id = OLD.route_id;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO route_limits VALUES (NEW.route_id, NEW.enabled, NEW.max_calls, NEW.max_calls_per_second, is_shared);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_limits AFTER INSERT OR UPDATE OR DELETE ON routes
    FOR EACH ROW EXECUTE FUNCTION keep_route_limits();

-- A number's calls are counted as a route's are, under minus its id. All of them are of its owner's bucket: nothing is
-- shared. One that another owner has got counts in the new bucket from nothing.
CREATE OR REPLACE FUNCTION keep_did_limits() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        DELETE FROM route_limits WHERE route_id = -OLD.did_id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.max_calls > 0 THEN
        INSERT INTO route_limits VALUES (-NEW.did_id, true, NEW.max_calls, NULL, false);
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_limits AFTER INSERT OR UPDATE OR DELETE ON dids
    FOR EACH ROW EXECUTE FUNCTION keep_did_limits();

-- The first login outside bucket 0 makes the limits of routes shared ones, before it can call.
CREATE OR REPLACE FUNCTION share_routes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE route_limits SET shared = true WHERE NOT shared AND route_id > 0;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER share_routes AFTER INSERT ON logins
    FOR EACH ROW WHEN (NEW.bucket <> 0) EXECUTE FUNCTION share_routes();

-- Which re-ratings are open: of each bucket that has calls of it.
CREATE OR REPLACE FUNCTION keep_open_rerates() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last_bucket  smallint := COALESCE((SELECT max(bucket) FROM logins WHERE bucket <> 0), 0);
BEGIN
    IF NEW.state = 'open' THEN
        FOR n IN 0 .. last_bucket LOOP
            IF EXISTS (SELECT 1 FROM rerate_items i WHERE i.bucket = n AND i.rerate_id = NEW.rerate_id) THEN
                INSERT INTO open_rerates VALUES (n, NEW.rerate_id);
            END IF;
        END LOOP;
    ELSE
        DELETE FROM open_rerates WHERE rerate_id = NEW.rerate_id;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER keep_open AFTER INSERT OR UPDATE OF state ON rerates
    FOR EACH ROW EXECUTE FUNCTION keep_open_rerates();

CREATE OR REPLACE FUNCTION deck_at(p_tariff_id bigint, p_at timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT deck_id FROM rate_decks
    WHERE tariff_id = p_tariff_id AND state = 'published' AND effective_from <= p_at
    ORDER BY effective_from DESC, version DESC LIMIT 1
$$;

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
CREATE OR REPLACE FUNCTION day_left(
    p_limit numeric, p_reserved numeric, p_spent_on date, p_day_spent numeric, p_time_zone text
) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_limit IS NOT NULL THEN
        p_limit - p_reserved - CASE WHEN p_spent_on = local_date(p_time_zone) THEN p_day_spent ELSE 0 END END
$$;
CREATE OR REPLACE FUNCTION month_left(
    p_limit numeric, p_reserved numeric, p_spent_on date, p_month_spent numeric, p_time_zone text
) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_limit IS NOT NULL THEN
        p_limit - p_reserved - CASE WHEN date_trunc('month', p_spent_on) = date_trunc('month', local_date(p_time_zone))
                                    THEN p_month_spent ELSE 0 END END
$$;
CREATE OR REPLACE FUNCTION is_unlimited(p_overdraft numeric, p_daily_limit numeric, p_monthly_limit numeric)
RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_overdraft IS NULL AND p_daily_limit IS NULL AND p_monthly_limit IS NULL
$$;
-- The most an amount or a balance can be: numeric(20, 6).
CREATE OR REPLACE FUNCTION max_amount() RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT 99999999999999.999999
$$;

---------------------------------------------------------------------------------------------------------------
-- What calls use up besides money: packages and calls at a time, under the lock of their account; routes, under the lock
-- of their load

-- Since when a subscriber has what a tariff gives: its own tariff since it was changed to it; an option since the first
-- of the grants that go on into one another without a gap up to the last one that begins before p_before. NULL: it had
-- neither.
CREATE OR REPLACE FUNCTION tariff_held_since(
    p_bucket smallint, p_subscriber_id bigint, p_tariff_id bigint, p_before timestamptz
) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN COALESCE(
        (SELECT tariff_since FROM subscribers
         WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND tariff_id = p_tariff_id),
        (SELECT max(o.effective_from) FROM subscriber_options o
         WHERE o.bucket = p_bucket AND o.subscriber_id = p_subscriber_id AND o.tariff_id = p_tariff_id
           AND o.effective_from < p_before
           AND NOT EXISTS (
               SELECT 1 FROM subscriber_options earlier
               WHERE earlier.bucket = p_bucket AND earlier.subscriber_id = p_subscriber_id
                 AND earlier.tariff_id = p_tariff_id
                 AND earlier.effective_from < o.effective_from AND earlier.effective_to >= o.effective_from)));
END $$;

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
      FROM package_terms p JOIN tariff_terms t USING (tariff_id) WHERE p.package_id = p_package_id;
    IF NOT FOUND THEN
        RETURN 0;
    ELSIF package.carry_over = 'none' OR package.seconds IS NULL THEN
        RETURN package.seconds;
    END IF;
    length := ('1 ' || package.period)::interval;
    since := tariff_held_since(p_bucket, p_subscriber_id, package.tariff_id,
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

-- Whether what was left of a package in a period has been carried into a later one: then nothing more of it can be had.
CREATE OR REPLACE FUNCTION is_carried(p_bucket smallint, p_subscriber_id bigint, p_package_id bigint, p_period_start date)
RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN EXISTS (
        SELECT 1 FROM package_usage WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id
          AND package_id = p_package_id AND period_start > p_period_start
    ) AND EXISTS (SELECT 1 FROM package_terms WHERE package_id = p_package_id AND carry_over <> 'none');
END $$;

-- What is left of packages in periods of a subscriber, in the order asked for: `used` by ended calls; `seconds_left` that
-- no call holds or has used, NULL for a volume, of which nothing is free.
CREATE TYPE package_state_v2 AS (package_id bigint, period_start date, used bigint, seconds_left bigint);
CREATE OR REPLACE FUNCTION package_states_v2(
    p_bucket smallint, p_subscriber_id bigint, p_package_ids bigint[], p_period_starts date[]
) RETURNS package_state_v2[] LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
DECLARE
    states        package_state_v2[] := '{}';
    usage         record;
    seconds_left  bigint;
BEGIN
    FOR i IN 1 .. COALESCE(cardinality(p_package_ids), 0) LOOP
        SELECT used, held, allowance INTO usage FROM package_usage
          WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND package_id = p_package_ids[i]
            AND period_start = p_period_starts[i];
        IF NOT FOUND THEN
            seconds_left := package_allowance(p_bucket, p_subscriber_id, p_package_ids[i], p_period_starts[i]);
        ELSIF usage.allowance IS NOT NULL
              AND is_carried(p_bucket, p_subscriber_id, p_package_ids[i], p_period_starts[i]) THEN
            seconds_left := 0;
        ELSE
            seconds_left := usage.allowance - usage.used - usage.held;
        END IF;
        states := states || ROW(p_package_ids[i], p_period_starts[i], COALESCE(usage.used, 0), seconds_left)::package_state_v2;
    END LOOP;
    RETURN states;
END $$;

-- Hold exactly so many seconds of each package, or nothing; whether there were so many left. Opens the period.
CREATE OR REPLACE FUNCTION hold_packages(p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_packages package_use[])
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    use    package_use;
    usage  record;
BEGIN
    FOREACH use IN ARRAY p_packages LOOP
        SELECT allowance, used, held INTO usage FROM package_usage
          WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND package_id = use.package_id
            AND period_start = use.period_start;
        IF NOT FOUND THEN
            INSERT INTO package_usage (bucket, account_id, subscriber_id, package_id, period_start, allowance)
              VALUES (p_bucket, p_account_id, p_subscriber_id, use.package_id, use.period_start,
                      package_allowance(p_bucket, p_subscriber_id, use.package_id, use.period_start))
              RETURNING allowance, used, held INTO usage;
        END IF;
        IF usage.allowance - usage.used - usage.held < use.seconds
           OR usage.allowance IS NOT NULL AND use.seconds > 0
              AND is_carried(p_bucket, p_subscriber_id, use.package_id, use.period_start) THEN
            RETURN false;
        END IF;
    END LOOP;
    PERFORM free_packages(p_bucket, p_subscriber_id, p_packages, -1);
    RETURN true;
END $$;

-- Frees what was held of packages; `p_sign` -1: holds it.
CREATE OR REPLACE FUNCTION free_packages(
    p_bucket smallint, p_subscriber_id bigint, p_packages package_use[], p_sign integer DEFAULT 1
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE package_usage p SET held = p.held - p_sign * u.seconds FROM unnest(p_packages) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start AND u.seconds > 0;
END $$;

-- Which seconds of a call each package paid: the first `p_covered` billed ones, out of `p_packages` in their order. A
-- volume (no allowance) counts all that were billed.
CREATE OR REPLACE FUNCTION share_packages(
    p_bucket smallint, p_subscriber_id bigint, p_packages package_use[], p_covered integer, p_billed integer
) RETURNS package_use[] LANGUAGE plpgsql STABLE AS $$
DECLARE
    use     package_use;
    shared  package_use[] := '{}';
    is_free boolean;
    before  integer := 0;
BEGIN
    FOREACH use IN ARRAY p_packages LOOP
        SELECT allowance IS NOT NULL INTO is_free FROM package_usage
          WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND package_id = use.package_id
            AND period_start = use.period_start;
        IF is_free THEN
            shared := shared || (use.package_id, use.period_start, GREATEST(LEAST(use.seconds, p_covered - before), 0))::package_use;
            before := before + use.seconds;
        ELSE
            shared := shared || (use.package_id, use.period_start, p_billed)::package_use;
        END IF;
    END LOOP;
    RETURN shared;
END $$;

-- What a call used of packages takes the place of what it held, or had used by an earlier account of its end. There is
-- room: settle_v5() saw to it.
CREATE OR REPLACE FUNCTION use_packages(
    p_bucket smallint, p_subscriber_id bigint, p_held package_use[], p_used_before package_use[], p_used package_use[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM free_packages(p_bucket, p_subscriber_id, p_held);
    UPDATE package_usage p SET used = p.used - u.seconds FROM unnest(p_used_before) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start;
    UPDATE package_usage p SET used = p.used + u.seconds FROM unnest(p_used) u
      WHERE p.bucket = p_bucket AND p.subscriber_id = p_subscriber_id AND p.package_id = u.package_id
        AND p.period_start = u.period_start;
END $$;

-- One more call by a route that is limited; whether it may. Of a limit that buckets share this one has its lease. The
-- second is that of the lock, not of the transaction's begin: who waited would count in a second that is over. A second
-- of the future, left by a clock that was ahead, is as any other that is not this one.
CREATE OR REPLACE FUNCTION take_route(p_bucket smallint, p_route_id bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    this_second  timestamptz := date_trunc('second', clock_timestamp());
    limits       route_limits;
BEGIN
    SELECT * INTO limits FROM route_limits WHERE route_id = p_route_id AND enabled;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    UPDATE route_load
      SET open_calls = open_calls + 1, started_in = this_second,
          started = 1 + CASE WHEN started_in = this_second THEN started ELSE 0 END
      WHERE bucket = p_bucket AND route_id = p_route_id
        AND (limits.max_calls IS NULL
             OR open_calls < CASE WHEN limits.shared THEN COALESCE(lease_calls, 0) ELSE limits.max_calls END)
        AND (limits.max_calls_per_second IS NULL
             OR CASE WHEN started_in = this_second THEN started ELSE 0 END
                < CASE WHEN limits.shared THEN COALESCE(lease_per_second, 0) ELSE limits.max_calls_per_second END);
    RETURN FOUND;
END $$;

-- Lock what limited routes carry, in the order of their ids; the first call by a route makes its row.
CREATE OR REPLACE FUNCTION lock_routes(p_bucket smallint, p_route_ids bigint[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    there  integer;
BEGIN
    PERFORM 1 FROM route_load WHERE bucket = p_bucket AND route_id = ANY (p_route_ids) ORDER BY route_id FOR NO KEY UPDATE;
    GET DIAGNOSTICS there = ROW_COUNT;
    IF there < cardinality(p_route_ids) THEN
        INSERT INTO route_load (bucket, route_id)
          SELECT p_bucket, route_id FROM unnest(p_route_ids) AS route_id ORDER BY route_id ON CONFLICT DO NOTHING;
        PERFORM 1 FROM route_load WHERE bucket = p_bucket AND route_id = ANY (p_route_ids) ORDER BY route_id FOR NO KEY UPDATE;
    END IF;
END $$;

-- The key of the text of a frozen rate, which is kept where it is new. Two texts of one hash are not to be expected.
CREATE OR REPLACE FUNCTION freeze_rate(p_bucket smallint, p_rate text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    key   bigint;
    kept  text;
BEGIN
    FOR seed IN 0 .. 9 LOOP
        key := hashtextextended(p_rate, seed);
        SELECT rate INTO kept FROM frozen_rates WHERE bucket = p_bucket AND rate_key = key;
        IF NOT FOUND THEN
            INSERT INTO frozen_rates VALUES (p_bucket, key, p_rate) ON CONFLICT DO NOTHING;
            SELECT rate INTO kept FROM frozen_rates WHERE bucket = p_bucket AND rate_key = key;
        END IF;
        IF kept = p_rate THEN
            RETURN key;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'ten frozen rates have one hash: %', p_rate;
END $$;
-- The keys of several, in their order; '' and NULL have none. New ones are kept in the order of their texts, so that two
-- batches cannot wait for each other.
CREATE OR REPLACE FUNCTION freeze_rates(p_bucket smallint, p_rates text[]) RETURNS bigint[] LANGUAGE plpgsql AS $$
BEGIN
    PERFORM freeze_rate(p_bucket, new.rate)
      FROM (SELECT DISTINCT rate FROM unnest(p_rates) AS rate WHERE rate <> '' ORDER BY rate) AS new;
    RETURN ARRAY(SELECT CASE WHEN rate <> '' THEN freeze_rate(p_bucket, rate) END
                 FROM unnest(p_rates) WITH ORDINALITY AS kept(rate, ord) ORDER BY ord);
END $$;

---------------------------------------------------------------------------------------------------------------
-- The record of a call. What is frozen when it is planned: a field more is one here, in CallDetails (domain/reservation),
-- in the two tables of calls and their views, in kept_details, and where these are written: keep_open_calls and read_ends

CREATE TYPE reseller_price_v1 AS (
    account_id bigint, tariff_id bigint, deck_id bigint, prefix text, rate text, exchange numeric
);
CREATE TYPE call_details_v4 AS (
    subscriber_id bigint, exchange text, attempt smallint, callerid text, destination text, direction text, prefix text,
    tariff_id bigint, deck_id bigint, rate text, route_name text, routing_number text, carrier_rate text,
    carrier_currency text, carrier_exchange numeric, packages package_use[], channel text, from_originate text,
    source_address text, originated_by text, is_did text, resellers reseller_price_v1[]
);
-- The same as the tables keep it, with the keys of the rates.
CREATE TYPE kept_details_v4 AS (
    subscriber_id bigint, exchange text, attempt smallint, callerid text, destination text, direction text, prefix text,
    tariff_id bigint, deck_id bigint, rate_key bigint, route_name text, routing_number text, carrier_rate_key bigint,
    carrier_currency text, carrier_exchange numeric, packages package_use[], channel text, from_originate text,
    source_address text, originated_by text, is_did text, resellers call_reseller[]
);

---------------------------------------------------------------------------------------------------------------
-- reserve_v5: (nothing) -> reserved

-- What a reseller of a call is asked for, as the request is of the caller's account; beside details.resellers.
CREATE TYPE reseller_hold_v1 AS (minimum numeric, maximum numeric, share_least numeric, price_per_minute numeric);
CREATE TYPE reserve_request_v5 AS (
    call_key text, account_id bigint, subscriber_version integer,
    tariffs bigint[], tariff_versions integer[],  -- every tariff it was planned from, once, and as of which version
    minimum numeric,            -- decline below this: what the shortest charged call costs
    maximum numeric,            -- hold at most this: what the longest allowed call, or its first slice, costs
    share numeric,              -- and at most this part of what there is, while others of the account may come; NULL: all
    share_least numeric,        -- but as much as this, as far as there is money
    price_per_minute numeric, quota boolean, steered boolean, cap_seconds integer, lifetime_seconds integer,
    prepared_at timestamptz,    -- the instant whose prices it was planned by
    route_prefix text,
    route_id bigint,            -- to be counted in route_load; NULL: the route has no limit
    claim bigint,               -- any number that tells this request from a repetition of it
    resellers reseller_hold_v1[],  -- NULL: nobody pays besides
    details call_details_v4     -- packages: to be held, exactly
);
CREATE TYPE reserve_answer_v3 AS (
    outcome text,               -- reserved, or why not: the values of ReserveOutcome
    granted numeric,
    resellers_granted numeric[] -- what it may cost each of them; NULL: nobody pays besides
);

-- How the money functions are written. Who makes a call locks its key, before accounts and in one order: one account may
-- prepare a call whose key another one is finishing, unprepared, and no row lock keeps them apart. Accounts are locked in
-- the order of their ids, so that two batches cannot deadlock. Then one query reads all that decides into an array; what
-- follows from it is written by one statement a table, since each statement reads the CHECKs of its table anew. Rows are
-- looked up by LATERAL (... OFFSET 0) in nested loops, and hash and merge joins are off: on the statistics of a table
-- that was empty last night the planner would choose to read the whole bucket (measured: a tenth of the speed). Bitmaps
-- are off since a few rows by their keys are found sooner one by one, and come in order. They name what they need, and the
-- widest comes last: each join above one makes every column of it anew. An expression is made ready in each transaction
-- anew: variables that few calls need begin as NULL, not as '{}' (measured: 2 % of a batch of any size).

-- What is known of a request before those beside it in its batch are looked at. `refusal`: why it is told no already.
CREATE TYPE reserve_fact_v4 AS (
    ord bigint, account_id bigint, subscriber_id bigint, refusal text, minimum numeric, maximum numeric, share numeric,
    share_least numeric,
    available numeric, day_left numeric, month_left numeric,  -- NULL: no limit
    calls_left integer,         -- of the account; NULL: no limit
    login_max_calls integer, login_calls integer,  -- the limit of the subscriber; its open calls, where it has one
    counts_logins boolean,      -- some login of the account has a row in subscriber_load
    packages package_use[], route_id bigint, rate_key bigint, carrier_rate_key bigint,
    is_resold boolean           -- resellers pay besides
);
CREATE TYPE hold_v3 AS (
    held numeric, granted numeric, rate_key bigint, carrier_rate_key bigint, resellers_held numeric[],
    resellers_granted numeric[]
);
-- An account that resellers' calls of a batch are charged on, with what these hold of it so far.
CREATE TYPE reseller_fund_v1 AS (
    account_id bigint, is_active boolean, default_allowed boolean, max_price numeric, rest numeric, calls_left integer,
    held numeric, calls integer
);
-- What a reseller of a call is held; `refusal`: why one of them declines it, then nothing is.
CREATE TYPE resellers_held_v1 AS (refusal text, held numeric[], granted numeric[]);

-- The facts with the keys of rates that are new.
CREATE OR REPLACE FUNCTION freeze_facts(p_bucket smallint, p_requests reserve_request_v5[], p_facts reserve_fact_v4[])
RETURNS reserve_fact_v4[] LANGUAGE plpgsql AS $$
DECLARE
    sold    bigint[] := freeze_rates(p_bucket, ARRAY(SELECT (r.details).rate FROM unnest(p_requests) r));
    bought  bigint[] := freeze_rates(p_bucket, ARRAY(SELECT (r.details).carrier_rate FROM unnest(p_requests) r));
BEGIN
    FOR i IN 1 .. cardinality(p_facts) LOOP
        p_facts[i].rate_key := sold[p_facts[i].ord];
        p_facts[i].carrier_rate_key := bought[p_facts[i].ord];
    END LOOP;
    RETURN p_facts;
END $$;

-- By account, then as they came. The order of the checks: idempotency, freshness, account, destination, price.
CREATE OR REPLACE FUNCTION reserve_facts(p_bucket smallint, p_requests reserve_request_v5[]) RETURNS reserve_fact_v4[]
LANGUAGE plpgsql AS $$
DECLARE
    facts   reserve_fact_v4[];
    frozen  boolean;            -- all rates have keys
BEGIN
    SELECT array_agg(ROW(
        r.ordinality, r.account_id, (r.details).subscriber_id,
        CASE
            WHEN COALESCE(old.same, cdr.same) THEN 'exists'
            WHEN COALESCE(old.same, cdr.same) IS NOT NULL THEN 'conflict'
            -- Who does not know of resellers (the last release) may not call for a line that has some.
            WHEN (r.details).resellers IS NULL AND array_remove(s.reseller_accounts, s.account_id) <> '{}' THEN 'stale'
            -- One tariff is fewer where one is gone; which of none it was planned from nobody can say.
            WHEN (s.version = r.subscriber_version AND s.account_id = r.account_id AND NULLIF(cardinality(r.tariffs), 0) = (
                SELECT count(*) FROM tariff_terms t WHERE t.tariff_id = ANY (r.tariffs)
                  AND t.version = r.tariff_versions[array_position(r.tariffs, t.tariff_id)])) IS NOT TRUE THEN 'stale'
            WHEN (a.status = 'active' AND s.status = 'active') IS NOT TRUE THEN 'inactive'
            WHEN COALESCE((
                SELECT allowed FROM account_prefixes
                WHERE bucket = p_bucket AND account_id = r.account_id AND starts_with((r.details).destination, prefix)
                ORDER BY length(prefix) DESC LIMIT 1), a.default_allowed) IS NOT TRUE THEN 'blocked_destination'
            WHEN r.price_per_minute > a.max_price THEN 'price_too_high'
        END,
        r.minimum, r.maximum, r.share, r.share_least, a.available, a.day_left, a.month_left,
        a.calls_left, s.max_calls, NULL, a.counts_logins, (r.details).packages, r.route_id, sold.rate_key, bought.rate_key,
        r.resellers IS NOT NULL
    )::reserve_fact_v4 ORDER BY r.account_id, r.ordinality),
    bool_and((sold.rate_key IS NOT NULL OR (r.details).rate = '')
             AND (bought.rate_key IS NOT NULL OR (r.details).carrier_rate = '')) INTO facts, frozen
    FROM unnest(p_requests) WITH ORDINALITY AS r
    LEFT JOIN LATERAL (
        SELECT version, account_id, status, max_calls, reseller_accounts FROM subscribers
        WHERE bucket = p_bucket AND subscriber_id = (r.details).subscriber_id OFFSET 0) s ON true
    LEFT JOIN LATERAL (
        SELECT same_call(r.account_id, r.details, account_id, subscriber_id, destination, callerid, channel) AS same
        FROM open_calls WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0) old ON true
    LEFT JOIN LATERAL (
        SELECT same_call(r.account_id, r.details, account_id, subscriber_id, destination, callerid, channel) AS same
        FROM call_records WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0) cdr ON true
    LEFT JOIN LATERAL (
        SELECT rate_key FROM frozen_rates WHERE bucket = p_bucket AND rate_key = hashtextextended((r.details).rate, 0)
          AND rate = (r.details).rate OFFSET 0) sold ON true
    LEFT JOIN LATERAL (
        SELECT rate_key FROM frozen_rates WHERE bucket = p_bucket AND (r.details).carrier_rate <> ''
          AND rate_key = hashtextextended((r.details).carrier_rate, 0) AND rate = (r.details).carrier_rate OFFSET 0
    ) bought ON true
    LEFT JOIN LATERAL (
        SELECT status, default_allowed, max_price, balance + overdraft - reserved AS available,
               day_left(daily_limit, reserved, spent_on, day_spent, time_zone),
               month_left(monthly_limit, reserved, spent_on, month_spent, time_zone),
               max_calls - open_calls AS calls_left, counts_logins
        FROM accounts WHERE bucket = p_bucket AND account_id = r.account_id OFFSET 0) a ON true;
    RETURN CASE WHEN frozen THEN facts ELSE freeze_facts(p_bucket, p_requests, COALESCE(facts, '{}')) END;
END $$;

-- Whether a request is the repetition of one whose call is known by its key: two exchanges that look like one may both
-- have a call of that key. A channel that is not known agrees with every other.
CREATE OR REPLACE FUNCTION same_call(
    p_account_id bigint, p_details call_details_v4, p_known_account_id bigint, p_known_subscriber_id bigint,
    p_known_destination text, p_known_callerid text, p_known_channel text
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT p_account_id = p_known_account_id AND p_details.subscriber_id = p_known_subscriber_id
       AND p_details.destination = p_known_destination AND p_details.callerid = p_known_callerid
       AND (p_details.channel = p_known_channel OR p_details.channel = '' OR p_known_channel = '')
$$;

-- The open calls of a subscriber, counted once and from then on by every call of it.
CREATE OR REPLACE FUNCTION count_login(p_bucket smallint, p_account_id bigint, p_subscriber_id bigint) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    calls  integer;
BEGIN
    SELECT open_calls INTO calls FROM subscriber_load WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id;
    IF NOT FOUND THEN
        SELECT count(*) INTO calls FROM open_calls
          WHERE bucket = p_bucket AND account_id = p_account_id AND subscriber_id = p_subscriber_id;
        INSERT INTO subscriber_load VALUES (p_bucket, p_subscriber_id, calls);
        UPDATE accounts SET counts_logins = true WHERE bucket = p_bucket AND account_id = p_account_id;
    END IF;
    RETURN calls;
END $$;

-- The login of each request by a number: those of one login have the same one.
CREATE OR REPLACE FUNCTION number_logins(p_requests reserve_request_v5[]) RETURNS integer[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(n::integer ORDER BY ordinality) FROM (
        SELECT ordinality, dense_rank() OVER (ORDER BY (details).subscriber_id) AS n
        FROM unnest(p_requests) WITH ORDINALITY) AS numbered
$$;

-- Who is told of a call that is there may take it back as well: when all of them have. Beyond so many nobody can.
CREATE OR REPLACE FUNCTION add_claims(p_bucket smallint, p_requests reserve_request_v5[], p_answers reserve_answer_v3[])
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE open_calls o SET claims = array_append(o.claims, CASE WHEN cardinality(o.claims) < 32 THEN r.claim END)
      FROM unnest(p_requests, p_answers) r
      WHERE o.bucket = p_bucket AND o.call_key = r.call_key AND r.outcome = 'exists' AND cardinality(o.claims) <= 32;
END $$;

-- What calls of a batch hold of their resellers.
CREATE OR REPLACE FUNCTION keep_funds(p_bucket smallint, p_funds reseller_fund_v1[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE accounts a SET reserved = a.reserved + f.held, open_calls = a.open_calls + f.calls
      FROM unnest(p_funds) f WHERE a.bucket = p_bucket AND a.account_id = f.account_id AND f.calls > 0;
END $$;

-- The reseller's prices of a call as they are kept.
CREATE OR REPLACE FUNCTION keep_prices(p_bucket smallint, p_prices reseller_price_v1[]) RETURNS call_reseller[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN ARRAY(
        SELECT (p.account_id, p.tariff_id, p.deck_id, p.prefix,
                CASE WHEN p.rate <> '' THEN freeze_rate(p_bucket, p.rate) END, p.exchange)::call_reseller
        FROM unnest(p_prices) WITH ORDINALITY AS p(account_id, tariff_id, deck_id, prefix, rate, exchange, level)
        ORDER BY level);
END $$;

CREATE OR REPLACE FUNCTION keep_open_calls(
    p_bucket smallint, p_requests reserve_request_v5[], p_holds hold_v3[],
    p_accounts bigint[], p_sums numeric[], p_calls integer[], p_counted boolean, p_funds reseller_fund_v1[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO open_calls (
        bucket, call_key, account_id, subscriber_id, exchange, attempt, callerid, destination, direction, prefix, tariff_id,
        deck_id, rate_key, route_name, routing_number, carrier_rate_key, carrier_currency, carrier_exchange, packages,
        channel, from_originate, source_address, originated_by, is_did, held, granted, cap_seconds, route_prefix, route_id,
        quota, steered, prepared_at, expires_at, claims, resellers, resellers_held, resellers_granted)
    SELECT p_bucket, r.call_key, r.account_id, (r.details).subscriber_id, (r.details).exchange, (r.details).attempt,
           (r.details).callerid, (r.details).destination, (r.details).direction, (r.details).prefix,
           (r.details).tariff_id, (r.details).deck_id, r.rate_key, (r.details).route_name, (r.details).routing_number,
           r.carrier_rate_key, (r.details).carrier_currency, (r.details).carrier_exchange, (r.details).packages,
           (r.details).channel, (r.details).from_originate, (r.details).source_address, (r.details).originated_by,
           (r.details).is_did, r.held, r.granted, r.cap_seconds, r.route_prefix, r.route_id, r.quota, r.steered,
           r.prepared_at, now() + make_interval(secs => r.lifetime_seconds), ARRAY[r.claim],
           CASE WHEN (r.details).resellers IS NOT NULL THEN keep_prices(p_bucket, (r.details).resellers) END,
           r.resellers_held, r.resellers_granted
    FROM unnest(p_requests, p_holds) AS r WHERE r.granted IS NOT NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Not joined with the sums: of few accounts, or many that nobody has analysed, a join reads all of the bucket.
    UPDATE accounts a SET reserved = a.reserved + p_sums[array_position(p_accounts, a.account_id)],
                          open_calls = a.open_calls + p_calls[array_position(p_accounts, a.account_id)]
      WHERE a.bucket = p_bucket AND a.account_id = ANY (p_accounts)
        AND p_calls[array_position(p_accounts, a.account_id)] > 0;
    IF p_funds IS NOT NULL THEN
        PERFORM keep_funds(p_bucket, p_funds);
    END IF;
    IF p_counted THEN
        UPDATE subscriber_load l SET open_calls = l.open_calls + n.calls
          FROM (SELECT (r.details).subscriber_id, count(*) AS calls FROM unnest(p_requests, p_holds) AS r
                WHERE r.granted IS NOT NULL GROUP BY 1) AS n
          WHERE l.bucket = p_bucket AND l.subscriber_id = n.subscriber_id;
    END IF;
END $$;

-- What a call is granted of what there is (p_rest, NULL: no limit, and then nothing is shared); nor does the last call
-- that may come (p_calls_left 1, itself) leave anything to others. LEAST and GREATEST pass over what is NULL. Whole
-- digits of a column: what is answered, held and summed up is the same amount. One expression of scalars, which goes into
-- that of its caller: a query of its own costs more than all else that the loop does for a call.
CREATE OR REPLACE FUNCTION amount_granted(
    p_maximum numeric, p_rest numeric, p_share numeric, p_share_least numeric, p_calls_left integer
) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT GREATEST(LEAST(p_maximum, max_amount(), p_rest, CASE
        WHEN p_rest IS NOT NULL AND p_share IS NOT NULL AND p_calls_left IS DISTINCT FROM 1
        THEN GREATEST(trunc(p_rest * p_share, 6), p_share_least) END), 0)
$$;

-- What the accounts of a batch's resellers have; they are locked. NULL: no request names any.
CREATE OR REPLACE FUNCTION reseller_funds(p_bucket smallint, p_requests reserve_request_v5[]) RETURNS reseller_fund_v1[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM freeze_rates(p_bucket, ARRAY(SELECT p.rate FROM unnest(p_requests) r, unnest((r.details).resellers) p));
    RETURN ARRAY(
        SELECT ROW(ids.account_id, a.status = 'active', a.default_allowed, a.max_price,
                LEAST(a.balance + a.overdraft - a.reserved,
                      day_left(a.daily_limit, a.reserved, a.spent_on, a.day_spent, a.time_zone),
                      month_left(a.monthly_limit, a.reserved, a.spent_on, a.month_spent, a.time_zone)),
                a.max_calls - a.open_calls, 0, 0)::reseller_fund_v1
        FROM (SELECT DISTINCT p.account_id FROM unnest(p_requests) r, unnest((r.details).resellers) p) AS ids
        LEFT JOIN LATERAL (
            SELECT * FROM accounts WHERE bucket = p_bucket AND account_id = ids.account_id OFFSET 0) a ON true);
END $$;

-- What is held of the resellers of one call, or why not: all of them hold or none does. p_ids, p_sums, p_calls: what calls
-- of the batch hold of accounts that are their callers' own.
CREATE OR REPLACE FUNCTION ask_resellers(
    p_bucket smallint, p_request reserve_request_v5, p_funds reseller_fund_v1[],
    p_ids bigint[], p_sums numeric[], p_calls integer[]
) RETURNS resellers_held_v1 LANGUAGE plpgsql AS $$
DECLARE
    answer   resellers_held_v1;
    fund     reseller_fund_v1;
    price    reseller_price_v1;
    asked    reseller_hold_v1;
    own      integer;
    rest     numeric;
    left_    integer;
    granted  numeric;
BEGIN
    FOR level IN 1 .. COALESCE(cardinality(p_request.resellers), 0) LOOP
        price := (p_request.details).resellers[level]; asked := p_request.resellers[level];
        SELECT f.* INTO fund FROM unnest(p_funds) f WHERE f.account_id = price.account_id;
        own := array_position(p_ids, price.account_id);
        rest := fund.rest - fund.held - COALESCE(p_sums[own], 0);
        left_ := fund.calls_left - fund.calls - COALESCE(p_calls[own], 0);
        answer.refusal := CASE
            WHEN fund.is_active IS NOT TRUE THEN 'reseller_inactive'
            WHEN left_ <= 0 OR asked.price_per_minute > fund.max_price OR COALESCE((
                SELECT allowed FROM account_prefixes
                WHERE bucket = p_bucket AND account_id = price.account_id
                  AND starts_with((p_request.details).destination, prefix)
                ORDER BY length(prefix) DESC LIMIT 1), fund.default_allowed) IS NOT TRUE THEN 'reseller_limit'
            WHEN asked.minimum > 0 AND rest < asked.minimum THEN 'reseller_insufficient_funds'
        END;
        EXIT WHEN answer.refusal IS NOT NULL;
        granted := amount_granted(asked.maximum, rest, p_request.share, asked.share_least, left_);
        answer.granted := answer.granted || granted;
        answer.held := answer.held || CASE WHEN rest IS NULL THEN 0 ELSE granted END;
    END LOOP;
    RETURN answer;
END $$;

-- The funds with what one more call holds of them.
CREATE OR REPLACE FUNCTION take_funds(p_funds reseller_fund_v1[], p_prices reseller_price_v1[], p_held numeric[])
RETURNS reseller_fund_v1[] LANGUAGE plpgsql AS $$
BEGIN
    FOR n IN 1 .. cardinality(p_funds) LOOP
        FOR level IN 1 .. cardinality(p_prices) LOOP
            IF p_funds[n].account_id = p_prices[level].account_id THEN
                p_funds[n].held := p_funds[n].held + p_held[level];
                p_funds[n].calls := p_funds[n].calls + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN p_funds;
END $$;

-- A fact less what calls of its batch hold of its account as a reseller's.
CREATE OR REPLACE FUNCTION less_held(p_fact reserve_fact_v4, p_funds reseller_fund_v1[]) RETURNS reserve_fact_v4
LANGUAGE plpgsql AS $$
DECLARE
    fund  reseller_fund_v1;
BEGIN
    SELECT f.* INTO fund FROM unnest(p_funds) f WHERE f.account_id = p_fact.account_id;
    IF FOUND THEN
        p_fact.available := p_fact.available - fund.held;
        p_fact.day_left := p_fact.day_left - fund.held;
        p_fact.month_left := p_fact.month_left - fund.held;
        p_fact.calls_left := p_fact.calls_left - fund.calls;
    END IF;
    RETURN p_fact;
END $$;

-- What a batch locks before it reads what it decides by. It is gathered in a loop: a query over the requests costs more to
-- begin than a batch of eight to go through.
CREATE TYPE batch_locks_v1 AS (
    hashes    bigint[],         -- of the keys of the calls that it may make; NULL: it makes none
    accounts  bigint[],         -- of all who pay
    routes    bigint[],         -- that count their calls; NULL: none
    helped    boolean           -- some end brings rates or packages: help_settle() comes first
);

-- Answers whether each of the accounts is there, and named once.
CREATE OR REPLACE FUNCTION lock_batch(p_bucket smallint, p_hashes bigint[], p_accounts bigint[]) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
    locked  integer;
BEGIN
    IF cardinality(p_hashes) = 1 THEN
        PERFORM pg_advisory_xact_lock(p_hashes[1]);
    ELSIF cardinality(p_hashes) > 1 THEN
        PERFORM pg_advisory_xact_lock(hash) FROM (SELECT DISTINCT hash FROM unnest(p_hashes) AS hash ORDER BY 1) AS keys;
    END IF;
    PERFORM 1 FROM accounts a WHERE a.bucket = p_bucket AND a.account_id = ANY (p_accounts)
      ORDER BY a.account_id FOR NO KEY UPDATE;
    GET DIAGNOSTICS locked = ROW_COUNT;
    RETURN locked = cardinality(p_accounts);
END $$;

CREATE OR REPLACE FUNCTION locks_of_begun(p_bucket smallint, p_requests reserve_request_v5[]) RETURNS batch_locks_v1
LANGUAGE plpgsql AS $$
DECLARE
    request  reserve_request_v5;
    hashes   bigint[]; ids bigint[]; routes bigint[];
BEGIN
    FOREACH request IN ARRAY p_requests LOOP
        hashes := hashes || hashtextextended(request.call_key, p_bucket);
        ids := ids || request.account_id;
        IF request.route_id IS NOT NULL THEN
            routes := routes || request.route_id;
        END IF;
        IF request.resellers IS NOT NULL THEN
            ids := ids || ARRAY(SELECT account_id FROM unnest((request.details).resellers));
        END IF;
    END LOOP;
    RETURN (hashes, ids, routes, NULL)::batch_locks_v1;
END $$;

-- The calls that begin in a batch that has its locks. Order of the checks here: calls at a time, packages, money,
-- resellers, route. What is asked of packages is exact, since the prices depend on it: where less is left, the call is
-- planned again ('package_taken').
CREATE OR REPLACE FUNCTION begin_calls(p_bucket smallint, p_requests reserve_request_v5[]) RETURNS reserve_answer_v3[]
LANGUAGE plpgsql AS $$
DECLARE
    answers   reserve_answer_v3[] := array_fill(NULL::reserve_answer_v3, ARRAY[cardinality(p_requests)]);
    holds     hold_v3[] := array_fill(NULL::hold_v3, ARRAY[cardinality(p_requests)]);
    item      reserve_fact_v4;
    -- The account that is the n-th of `ids`; what its calls of this batch hold, and how many they are.
    n         integer := 0; ids bigint[]; sums numeric[]; calls integer[];
    rest      numeric; granted numeric;  -- of the money of the account, and of that; NULL: no limit
    logins    integer[];        -- the number of each request's login; and in `given` how many calls that was given
    given     integer[];
    counted   boolean;          -- some account of a call that may begin has a row in subscriber_load
    repeated  boolean;
    funds     reseller_fund_v1[]; resold resellers_held_v1;  -- NULL: no call so far is a reseller's
BEGIN
    FOREACH item IN ARRAY reserve_facts(p_bucket, p_requests) LOOP
        IF n = 0 OR ids[n] <> item.account_id THEN
            n := n + 1; ids[n] := item.account_id; sums[n] := 0; calls[n] := 0;
        END IF;
        IF item.refusal IS NULL AND item.login_max_calls IS NOT NULL THEN
            logins := COALESCE(logins, number_logins(p_requests)); counted := true;
            given := COALESCE(given, array_fill(0, ARRAY[cardinality(p_requests)]));
            item.login_calls := count_login(p_bucket, item.account_id, item.subscriber_id) + given[logins[item.ord]];
        END IF;
        IF funds IS NOT NULL OR item.is_resold THEN
            funds := COALESCE(funds, reseller_funds(p_bucket, p_requests));
            item := less_held(item, funds); resold := ask_resellers(p_bucket, p_requests[item.ord], funds, ids, sums, calls);
        END IF;
        item.refusal := CASE  -- what costs nothing needs no money
            WHEN item.refusal IS NOT NULL THEN item.refusal
            WHEN calls[n] >= item.calls_left OR item.login_calls >= item.login_max_calls THEN 'too_many_calls'
            WHEN cardinality(item.packages) > 0
                 AND NOT hold_packages(p_bucket, item.account_id, item.subscriber_id, item.packages) THEN 'package_taken'
            WHEN item.minimum > 0 AND item.available - sums[n] < item.minimum THEN 'insufficient_funds'
            WHEN item.minimum > 0 AND item.day_left - sums[n] < item.minimum THEN 'daily_limit'
            WHEN item.minimum > 0 AND item.month_left - sums[n] < item.minimum THEN 'monthly_limit'
            WHEN resold.refusal IS NOT NULL THEN resold.refusal
            WHEN item.route_id IS NOT NULL AND NOT take_route(p_bucket, item.route_id) THEN 'route_full'
        END;
        IF item.refusal IS NULL THEN
            rest := LEAST(item.available, item.day_left, item.month_left) - sums[n];
            granted := amount_granted(item.maximum, rest, item.share, item.share_least, item.calls_left - calls[n]);
            answers[item.ord] := ('reserved', granted, resold.granted)::reserve_answer_v3;
            holds[item.ord] := ROW(CASE WHEN rest IS NULL THEN 0 ELSE granted END, granted, item.rate_key,
                                   item.carrier_rate_key, resold.held, resold.granted)::hold_v3;
            sums[n] := sums[n] + (holds[item.ord]).held; calls[n] := calls[n] + 1; counted := counted OR item.counts_logins;
            IF item.login_max_calls IS NOT NULL THEN given[logins[item.ord]] := given[logins[item.ord]] + 1; END IF;
            IF item.is_resold THEN funds := take_funds(funds, (p_requests[item.ord].details).resellers, resold.held); END IF;
        ELSE
            answers[item.ord] := (item.refusal, 0, NULL)::reserve_answer_v3; repeated := repeated OR item.refusal = 'exists';
            IF cardinality(item.packages) > 0 AND item.refusal IN ('insufficient_funds', 'daily_limit', 'monthly_limit',
                'route_full', 'reseller_inactive', 'reseller_limit', 'reseller_insufficient_funds') THEN
                PERFORM free_packages(p_bucket, item.subscriber_id, item.packages);
            END IF;
        END IF;
    END LOOP;
    PERFORM keep_open_calls(p_bucket, p_requests, holds, ids, sums, calls, counted, funds);
    IF repeated THEN PERFORM add_claims(p_bucket, p_requests, answers); END IF;
    RETURN answers;
END $$;

CREATE OR REPLACE FUNCTION reserve_v5(p_bucket smallint, p_requests reserve_request_v5[]) RETURNS reserve_answer_v3[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off AS $$
DECLARE
    locks  batch_locks_v1 := locks_of_begun(p_bucket, p_requests);
BEGIN
    PERFORM lock_batch(p_bucket, locks.hashes, locks.accounts);
    IF locks.routes IS NOT NULL THEN
        PERFORM lock_routes(p_bucket, ARRAY(SELECT DISTINCT route_id FROM unnest(locks.routes) AS route_id));
    END IF;
    RETURN begin_calls(p_bucket, p_requests);
END $$;

---------------------------------------------------------------------------------------------------------------
-- extend_v3: reserved -> extended. Raises what a call in quota mode may cost, as far as there is money; or gives back
-- what it holds beyond `maximum`, for the other calls of its account

CREATE TYPE extend_request_v3 AS (
    call_key text, account_id bigint,
    maximum numeric,            -- what the call may cost to the end of its next slice
    give_back boolean,          -- lower to maximum; the exchange has been told before
    lifetime_seconds integer, answered_at timestamptz,
    resellers bigint[], maximums numeric[]  -- who pays besides, and what it may cost each; NULL: nobody
);
CREATE TYPE extend_answer_v3 AS (
    outcome text,               -- extended (granted may be as it was: no money), unknown (ended, or never was), inactive
    granted numeric,
    resellers_granted numeric[]
);
CREATE TYPE raised_v1 AS (granted numeric, held numeric, is_active boolean);

-- How much more of an account a call may have, to cost p_maximum in all; what it is held then. Only asks.
CREATE OR REPLACE FUNCTION raised(
    p_bucket smallint, p_account_id bigint, p_granted numeric, p_held numeric, p_maximum numeric, p_give_back boolean
) RETURNS raised_v1 LANGUAGE plpgsql AS $$
DECLARE
    account  record;
    more     numeric;
BEGIN
    SELECT a.status, a.balance + a.overdraft - a.reserved AS available,
           day_left(a.daily_limit, a.reserved, a.spent_on, a.day_spent, a.time_zone) AS day_left,
           month_left(a.monthly_limit, a.reserved, a.spent_on, a.month_spent, a.time_zone) AS month_left,
           is_unlimited(a.overdraft, a.daily_limit, a.monthly_limit) AS is_unlimited
      INTO account FROM accounts a WHERE a.bucket = p_bucket AND a.account_id = p_account_id;
    IF p_give_back THEN
        more := GREATEST(LEAST(p_maximum - p_granted, 0), -p_held);
    ELSE
        -- LEAST passes over what is NULL: no limit.
        more := GREATEST(LEAST(p_maximum - p_granted, account.available, account.day_left, account.month_left,
                               max_amount() - p_granted), 0);
    END IF;
    RETURN ROW(p_granted + more, p_held + CASE WHEN account.is_unlimited THEN 0 ELSE more END, account.status = 'active');
END $$;

-- The money of a call on each account that it is charged on: all of them stay as they are where one is blocked. Answers
-- what it may cost each, the caller's first; NULL: one is blocked.
CREATE OR REPLACE FUNCTION raise_call(
    p_bucket smallint, p_call_key text, p_accounts bigint[], p_granted numeric[], p_held numeric[], p_maximums numeric[],
    p_give_back boolean
) RETURNS numeric[] LANGUAGE plpgsql AS $$
DECLARE
    one       raised_v1;
    may_cost  numeric[] := '{}';
    holds     numeric[] := '{}';
BEGIN
    FOR n IN 1 .. cardinality(p_accounts) LOOP
        one := raised(p_bucket, p_accounts[n], p_granted[n], p_held[n], p_maximums[n], p_give_back);
        IF NOT one.is_active AND NOT p_give_back THEN
            RETURN NULL;
        END IF;
        may_cost := may_cost || one.granted; holds := holds || one.held;
    END LOOP;
    FOR n IN 1 .. cardinality(p_accounts) LOOP
        IF holds[n] <> p_held[n] THEN
            UPDATE accounts SET reserved = reserved + holds[n] - p_held[n]
              WHERE bucket = p_bucket AND account_id = p_accounts[n];
        END IF;
    END LOOP;
    UPDATE open_calls o
    SET granted = may_cost[1], held = holds[1],
        resellers_granted = CASE WHEN o.resellers IS NOT NULL THEN may_cost[2:] END,
        resellers_held = CASE WHEN o.resellers IS NOT NULL THEN holds[2:] END
    WHERE o.bucket = p_bucket AND o.call_key = p_call_key;
    RETURN may_cost;
END $$;

CREATE OR REPLACE FUNCTION extend_v3(p_bucket smallint, p_requests extend_request_v3[]) RETURNS extend_answer_v3[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off AS $$
DECLARE
    answers  extend_answer_v3[] := array_fill(NULL::extend_answer_v3, ARRAY[cardinality(p_requests)]);
    item     record;
    raised   numeric[];
BEGIN
    PERFORM 1 FROM accounts a
      WHERE a.bucket = p_bucket AND a.account_id = ANY (ARRAY(
          SELECT r.account_id FROM unnest(p_requests) r UNION ALL SELECT unnest(r.resellers) FROM unnest(p_requests) r))
      ORDER BY a.account_id FOR NO KEY UPDATE;
    FOR item IN
        SELECT r.*, old.* FROM unnest(p_requests) WITH ORDINALITY AS r(
            call_key, account_id, maximum, give_back, lifetime_seconds, answered_at, resellers, maximums, ord)
        LEFT JOIN LATERAL (
            SELECT o.granted, o.held, o.resellers_granted, o.resellers_held,
                   ARRAY(SELECT l.account_id FROM unnest(o.resellers) WITH ORDINALITY l ORDER BY l.ordinality) AS paying
            FROM open_calls o WHERE o.bucket = p_bucket AND o.call_key = r.call_key AND o.account_id = r.account_id OFFSET 0
        ) old ON true
        ORDER BY r.account_id, r.ord
    LOOP
        IF item.granted IS NULL THEN
            answers[item.ord] := ('unknown', 0, NULL);
            CONTINUE;
        END IF;
        -- Whoever does not name all who pay (the last release) may not lengthen it.
        raised := CASE WHEN item.paying = COALESCE(item.resellers, '{}') THEN raise_call(
            p_bucket, item.call_key, item.account_id || item.paying, item.granted || item.resellers_granted,
            item.held || item.resellers_held, item.maximum || item.maximums, item.give_back) END;
        answers[item.ord] := CASE WHEN raised IS NULL THEN ('inactive', item.granted, item.resellers_granted)
            ELSE ('extended', raised[1], NULLIF(raised[2:], '{}')) END;
        UPDATE open_calls
        SET expires_at = GREATEST(expires_at, now() + make_interval(secs => item.lifetime_seconds)),
            answered_at = COALESCE(answered_at, item.answered_at)
        WHERE bucket = p_bucket AND call_key = item.call_key AND raised IS NOT NULL;
    END LOOP;
    RETURN answers;
END $$;

---------------------------------------------------------------------------------------------------------------
-- settle_v5: reserved -> settled (answered) | voided (never answered) | expired;
-- expired, reconciled or abandoned -> settled | voided (a finish that comes late knows better: the difference is posted);
-- (nothing) -> settled | voided (a finish whose prepare never reached us: charged all the same, and marked)

-- What a call cost a reseller of it.
CREATE TYPE reseller_charge_v1 AS (account_id bigint, billed_seconds integer, cost numeric, margin numeric);
CREATE TYPE settle_request_v5 AS (
    call_key text, account_id bigint, seconds integer, billed_seconds integer, cost numeric, disposition text,
    cause smallint, source text,
    said_seconds integer,       -- of the finish, where `seconds` is what was seen; NULL: nothing seen was asked yet
    seen_seconds integer,       -- from answer to hangup, where the exchange was seen to say both; NULL: not known
    cost_before numeric,        -- what it cost some seconds earlier, for which no end is suspicious; NULL: its cost
    ended_at timestamptz,       -- NULL: now
    carrier_cost numeric, margin numeric,  -- of this end, NULL: not known
    covered_seconds integer,    -- billed ones that packages paid
    packages package_use[],     -- exactly what it used of them; empty: covered_seconds, out of what the reservation holds
    claim bigint,               -- source abandoned: of the request whose reservation it is
    rerate_id bigint,           -- of the CDR whose rate it is charged by; NULL: it was not corrected, or is not there
    channel text,               -- of the caller, where the call is one of this channel alone; '': of any
    is_did text,                -- as its end says it; '': it does not
    resellers reseller_charge_v1[],  -- all who pay besides, the nearest first; NULL: nobody, or it cost nothing
    details call_details_v4     -- what the CDR says where there is no reservation; rate NULL: then there is nothing to settle
);
CREATE TYPE settle_answer_v3 AS (
    outcome text,               -- settled, repeated, conflict, still_open, unknown, package_taken (ask for less of it),
                                -- unseen (the exchange was seen to say something else: look what, and say both)
    overrun numeric,            -- what was charged beyond what was held for this call
    suspicion text
);

-- What an end means for a call: the state machine of calls, as a function of what is known and what is said, and of
-- nothing else. tests/integration/storage/test_end_of_call.py goes through it. Immutable in all that it calls, so that it
-- goes into the query that asks it: called by itself for each call, it cost an eighth of a settle of 32. A text that is
-- cast to an enum is not immutable, a literal of the enum is.
CREATE TYPE end_of_call_v4 AS (
    outcome text,               -- as in settle_answer; what is not 'settled' changes nothing but claims
    source text,                -- who said how it ended, as the CDR will have it
    state cdr_state,
    drops_claim boolean,        -- still_open, and yet this request takes its claim back
    suspicion text              -- what a person should look at; too_long: it lasted longer than its exchange was told, unseen:
                                -- the exchange was seen to say something else, which is believed; ''
);
-- Whether what a finish says cannot be what was seen: no conversation against one, or so much longer or shorter as no
-- exchange under load is late with its events.
CREATE OR REPLACE FUNCTION contradicts(p_said integer, p_seen integer) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (p_said = 0) <> (p_seen = 0) OR abs(p_said - p_seen) > 10
$$;
CREATE OR REPLACE FUNCTION end_of_call(
    -- what is said
    account_id bigint, seconds integer, source text, claim bigint, rerate_id bigint, covered_seconds integer,
    names_packages boolean,     -- which it uses, instead of leaving it to what the reservation holds
    said_seconds integer, cost_before numeric,
    rate text,                  -- rated anew by whoever found no call ('': there was no price); NULL: it goes by the call's own
    channel text,
    -- what is known: the account, the open call, its CDR; NULL: there is none
    has_account boolean, package_taken boolean,
    open_account bigint, open_claims bigint[], open_is_due boolean, open_channel text,
    open_talked integer,        -- from the answer that was seen to this end; NULL: no answer was seen
    open_granted numeric, open_cap integer, resellers_known boolean,  -- whether all who pay for the call besides are charged
    cdr_account bigint, cdr_source text, cdr_seconds integer, cdr_rerate_id bigint, cdr_channel text,
    cdr_seen integer, cdr_said integer
) RETURNS end_of_call_v4 LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(
        CASE
            WHEN NOT has_account THEN 'unknown'
            WHEN COALESCE(open_account, cdr_account) <> account_id THEN 'conflict'
            WHEN channel <> '' AND COALESCE(NULLIF(open_channel, ''), NULLIF(cdr_channel, '')) <> channel THEN 'conflict'
            -- Rated anew, but there is a call after all, whose rate was frozen: look again.
            WHEN rate IS NOT NULL AND COALESCE(open_account, cdr_account) IS NOT NULL THEN 'unknown'
            WHEN source = 'expired' AND open_is_due IS NOT TRUE THEN 'still_open'
            WHEN source = 'abandoned' AND open_account IS NOT NULL AND array_remove(open_claims, claim) <> '{}' THEN 'still_open'
            WHEN source = 'seen' AND open_account IS NOT NULL THEN 'still_open'  -- its finish, or reconciliation, ends it
            WHEN source = 'finish' AND said_seconds IS NULL AND seconds = 0 AND open_talked > 0 THEN 'unseen'
            WHEN NOT resellers_known THEN 'unknown'
            WHEN package_taken THEN 'package_taken'
            WHEN open_account IS NOT NULL THEN 'settled'
            WHEN cdr_account IS NULL THEN CASE WHEN rate IS NULL THEN 'unknown' ELSE 'settled' END
            WHEN source = 'seen' AND cdr_source NOT IN ('expired', 'reconciled', 'abandoned') AND cdr_seen IS NULL THEN CASE
                WHEN cdr_rerate_id IS DISTINCT FROM rerate_id OR COALESCE(cdr_said, cdr_seconds) <> said_seconds
                     OR covered_seconds > 0 AND NOT names_packages THEN 'unknown'
                WHEN contradicts(cdr_seconds, seconds) THEN 'settled' ELSE 'repeated' END
            WHEN source <> 'finish' THEN 'repeated'
            WHEN said_seconds IS NULL AND cdr_source = 'reconciled' AND contradicts(seconds, cdr_seen) THEN 'unseen'
            -- Another rate is frozen since it was looked up: look again.
            WHEN cdr_source IN ('expired', 'reconciled', 'abandoned') AND cdr_rerate_id IS DISTINCT FROM rerate_id THEN 'unknown'
            -- It counts on what a reservation held of packages, which was freed: look again.
            WHEN cdr_source IN ('expired', 'reconciled', 'abandoned') AND covered_seconds > 0 AND NOT names_packages THEN 'unknown'
            WHEN cdr_source = 'expired' THEN 'settled'
            WHEN cdr_source IN ('reconciled', 'abandoned') AND said_seconds <> seconds THEN 'settled'
            WHEN seconds IN (cdr_seconds, cdr_said) THEN 'repeated'
            WHEN cdr_source IN ('reconciled', 'abandoned') THEN 'settled'
            WHEN cdr_source = 'finish' AND cdr_said IS NOT NULL AND cdr_seen IS NULL THEN 'settled'  -- its end was assumed
            ELSE 'conflict'
        END,
        CASE
            WHEN cdr_account IS NOT NULL THEN 'late'
            WHEN open_account IS NOT NULL THEN source
            WHEN rate = '' AND seconds > 0 THEN 'unrated'
            ELSE 'unreserved'
        END,
        CASE WHEN source = 'expired' THEN cdr_state 'expired' WHEN seconds > 0 THEN cdr_state 'settled' ELSE cdr_state 'voided' END,
        source = 'abandoned' AND open_account = account_id AND claim = ANY (open_claims)
            AND array_remove(open_claims, claim) <> '{}',
        CASE WHEN said_seconds <> seconds THEN 'unseen'
             WHEN source = 'finish' AND (seconds > open_cap + 10 OR cost_before > open_granted) THEN 'too_long' ELSE '' END
    )::end_of_call_v4
$$;

-- What can become due of what is asked: neither a cost nor a balance goes beyond max_amount().
CREATE OR REPLACE FUNCTION amount_due(p_cost numeric, p_charged_before numeric, p_balance numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT GREATEST(LEAST(LEAST(p_cost, max_amount()) - p_charged_before, p_balance + max_amount()), p_balance - max_amount())
$$;

-- What a request needs beforehand: the keys of its own rates, and more of packages than its call holds or has used
-- (`more` of them is held until they are used; `refused`: there is not so much left).
CREATE TYPE settle_help_v2 AS (
    rate_key bigint, carrier_rate_key bigint, subscriber_id bigint, more package_use[], refused boolean
);
-- One request with what it means and all that follows from it.
CREATE TYPE ending_v5 AS (
    ord bigint, call_key text, account_id bigint, outcome text, source text, state cdr_state, drops_claim boolean,
    claim bigint, suspicion text, said_seconds integer, seen_seconds integer, was_open boolean, held numeric, granted numeric,
    details kept_details_v4,    -- packages: what it used of them
    packages_held package_use[], packages_before package_use[], covered_seconds integer,
    seconds integer, billed_seconds integer, cost numeric, due numeric, uncharged numeric,
    was_charged boolean,        -- for seconds, if they cost anything then: a correction may have made that nothing
    overrun numeric, is_unlimited boolean, charged_on date, today date, currency text, disposition text, cause smallint,
    prepared_at timestamptz, ended_at timestamptz, carrier_cost numeric, margin numeric, route_id bigint,
    last_entry bigint, balance numeric,  -- of the account, before this batch
    level smallint,             -- 0: it is the caller's account that is charged, else the level-th reseller's
    resellers_held numeric[], resellers_granted numeric[]
);
-- What the query that reads them knows of all of them at once is not asked of them again by queries of its own.
CREATE TYPE settling_v6 AS (
    ends ending_v5[], answers settle_answer_v3[],
    open_keys text[],           -- of the open calls that end; NULL: none
    late bigint, has_packages boolean, has_routes boolean, has_claims boolean, counts_logins boolean, is_resold boolean
);

CREATE OR REPLACE FUNCTION help_settle(p_bucket smallint, p_requests settle_request_v5[]) RETURNS settle_help_v2[]
LANGUAGE plpgsql AS $$
DECLARE
    helps    settle_help_v2[] := array_fill(NULL::settle_help_v2, ARRAY[cardinality(p_requests)]);
    sold     bigint[] := freeze_rates(p_bucket, ARRAY(SELECT (r.details).rate FROM unnest(p_requests) r));
    bought   bigint[] := freeze_rates(p_bucket, ARRAY(SELECT (r.details).carrier_rate FROM unnest(p_requests) r));
    item     record;
    refused  boolean;
BEGIN
    FOR item IN
        SELECT r.ordinality AS ord, r.account_id,
               COALESCE(old.subscriber_id, cdr.subscriber_id, (r.details).subscriber_id) AS subscriber_id,
               -- Nothing for a call of another account, under whose lock its packages are.
               CASE WHEN COALESCE(old.account_id, cdr.account_id, r.account_id) = r.account_id THEN ARRAY(
                   SELECT (u.package_id, u.period_start, GREATEST(u.seconds - COALESCE(had.seconds, 0), 0))::package_use
                   FROM unnest(r.packages) u
                   LEFT JOIN unnest(COALESCE(old.packages, cdr.packages)) had
                     ON had.package_id = u.package_id AND had.period_start = u.period_start) ELSE '{}' END AS more
        FROM unnest(p_requests) WITH ORDINALITY AS r
        LEFT JOIN LATERAL (
            SELECT account_id, subscriber_id, packages FROM open_calls
            WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
        ) old ON true
        LEFT JOIN LATERAL (
            SELECT account_id, subscriber_id, packages FROM call_records
            WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0
        ) cdr ON true
        ORDER BY r.account_id, r.ordinality
    LOOP
        refused := cardinality(item.more) > 0
            AND NOT hold_packages(p_bucket, item.account_id, item.subscriber_id, item.more);
        helps[item.ord] := (sold[item.ord], bought[item.ord], item.subscriber_id,
                            CASE WHEN refused THEN '{}' ELSE item.more END, refused);
    END LOOP;
    RETURN helps;
END $$;

-- The number of the last entry of an account that has had none since its numbers are its own.
CREATE OR REPLACE FUNCTION last_entry(p_bucket smallint, p_account_id bigint) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN COALESCE((SELECT max(entry_id) FROM ledger_entries WHERE bucket = p_bucket AND account_id = p_account_id), 0);
END $$;

-- Whether an end charges all who are known to pay for its call. Who says nothing of them charges them nothing, which is
-- right where nothing was talked; their accounts have to be locked (p_locked) all the same.
CREATE OR REPLACE FUNCTION charges_all(
    p_said reseller_charge_v1[], p_known call_reseller[], p_seconds integer, p_locked bigint[]
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    known  bigint[] := ARRAY(SELECT l.account_id FROM unnest(p_known) WITH ORDINALITY l ORDER BY l.ordinality);
BEGIN
    RETURN known = ARRAY(SELECT l.account_id FROM unnest(p_said) WITH ORDINALITY l ORDER BY l.ordinality)
        OR p_said IS NULL AND p_seconds = 0 AND known <@ p_locked;
END $$;

-- What the CDR says of a call that is not open: what its end says, if it finds no call at all.
CREATE OR REPLACE FUNCTION details_said(
    p_bucket smallint, p_said call_details_v4, p_rate_key bigint, p_carrier_rate_key bigint, p_packages package_use[],
    p_is_did text, p_subscriber_id bigint, p_resellers call_reseller[]  -- the last two of its CDR, if it has one
) RETURNS kept_details_v4 LANGUAGE plpgsql AS $$
BEGIN
    RETURN ROW(
        COALESCE(p_said.subscriber_id, p_subscriber_id), p_said.exchange, p_said.attempt, p_said.callerid, p_said.destination,
        p_said.direction, p_said.prefix, p_said.tariff_id, p_said.deck_id, p_rate_key, p_said.route_name,
        p_said.routing_number, p_carrier_rate_key, p_said.carrier_currency, p_said.carrier_exchange,
        COALESCE(p_packages, '{}'), p_said.channel, p_said.from_originate, p_said.source_address, p_said.originated_by,
        COALESCE(NULLIF(p_is_did, ''), p_said.is_did, ''),
        COALESCE(p_resellers, CASE WHEN p_said.resellers IS NOT NULL THEN keep_prices(p_bucket, p_said.resellers) END)
    )::kept_details_v4;
END $$;

-- All that settle_v5() does follows from what is read here, in one query.
CREATE OR REPLACE FUNCTION read_ends(
    p_bucket smallint, p_requests settle_request_v5[], p_helps settle_help_v2[], p_locked bigint[]
) RETURNS settling_v6 LANGUAGE plpgsql AS $$
DECLARE
    settling  settling_v6;
BEGIN
    SELECT array_agg(ROW(
        r.ordinality, r.call_key, r.account_id, (e.said).outcome, (e.said).source, (e.said).state, (e.said).drops_claim,
        r.claim, (e.said).suspicion, NULLIF(r.said_seconds, r.seconds), r.seen_seconds, old.account_id IS NOT NULL,
        COALESCE(old.held, 0), COALESCE(old.granted, 0),
        CASE WHEN old.account_id IS NOT NULL THEN old.details ELSE details_said(
            p_bucket, r.details, r.rate_key, r.carrier_rate_key, r.packages, r.is_did, cdr.subscriber_id, cdr.resellers) END,
        COALESCE(old.packages, '{}'), COALESCE(cdr.packages, '{}'), r.covered_seconds, r.seconds, r.billed_seconds,
        COALESCE(cdr.cost, 0) + e.due, e.due, GREATEST(r.cost - COALESCE(cdr.cost, 0) - e.due, 0), cdr.seconds > 0,
        e.overrun, a.is_unlimited, CASE WHEN cdr.cost > 0
            THEN COALESCE(cdr.charged_on, (cdr.ended_at AT TIME ZONE a.time_zone)::date) ELSE a.today END, a.today, a.currency,
        r.disposition, r.cause, COALESCE(old.prepared_at, e.ended_at - make_interval(secs => r.seconds)), e.ended_at,
        r.carrier_cost, r.margin, old.route_id, COALESCE(a.last_entry, last_entry(p_bucket, r.account_id)), a.balance, 0,
        old.resellers_held, old.resellers_granted)::ending_v5 ORDER BY r.ordinality),
        array_agg(ROW((e.said).outcome, e.overrun, (e.said).suspicion)::settle_answer_v3 ORDER BY r.ordinality),
        array_agg(r.call_key) FILTER (WHERE (e.said).outcome = 'settled' AND old.account_id IS NOT NULL),
        count(*) FILTER (WHERE (e.said).outcome = 'settled' AND cdr.account_id IS NOT NULL),
        bool_or(cardinality(r.packages || old.packages || cdr.packages) > 0), bool_or(old.route_id IS NOT NULL),
        bool_or((e.said).drops_claim), bool_or(a.counts_logins), bool_or(COALESCE(old.resellers, cdr.resellers) IS NOT NULL OR r.resellers IS NOT NULL)
      INTO settling
    FROM unnest(p_requests, p_helps) WITH ORDINALITY AS r
    LEFT JOIN LATERAL (
        SELECT account_id, balance, currency, time_zone, last_entry, counts_logins, local_date(time_zone) AS today,
               is_unlimited(overdraft, daily_limit, monthly_limit)
        FROM accounts WHERE bucket = p_bucket AND account_id = r.account_id OFFSET 0) a ON true
    LEFT JOIN LATERAL (  -- its details as one column, which each join above passes on
        SELECT account_id, held, granted, packages, resellers, resellers_held, resellers_granted, route_id, prepared_at,
               claims, expires_at, channel, answered_at, cap_seconds, ROW(
            subscriber_id, exchange, attempt, callerid, destination, direction, prefix, tariff_id, deck_id, rate_key,
            route_name, routing_number, carrier_rate_key, carrier_currency, carrier_exchange,
            COALESCE(NULLIF(r.packages, '{}'), packages), channel, from_originate, source_address, originated_by,
            COALESCE(NULLIF(r.is_did, ''), is_did), resellers)::kept_details_v4 AS details
        FROM open_calls WHERE bucket = p_bucket AND call_key = r.call_key OFFSET 0) old ON true
    LEFT JOIN LATERAL (  -- a call that is open has none
        SELECT account_id, subscriber_id, channel, packages, resellers, source, seconds, seen_seconds, said_seconds, cost,
               charged_on, ended_at, rerate_id
        FROM call_records WHERE bucket = p_bucket AND call_key = r.call_key AND old.account_id IS NULL OFFSET 0) cdr ON true
    CROSS JOIN LATERAL (
        SELECT said, ended_at, due,
               CASE WHEN a.is_unlimited OR (said).outcome <> 'settled' THEN 0
                    ELSE GREATEST(due - COALESCE(old.held, 0), 0) END AS overrun
        FROM (SELECT said, COALESCE(r.ended_at, now()) AS ended_at, CASE WHEN (said).outcome = 'settled'
                     THEN amount_due(r.cost, COALESCE(cdr.cost, 0), a.balance) ELSE 0 END AS due FROM (SELECT end_of_call(
            r.account_id, r.seconds, r.source, r.claim, r.rerate_id, r.covered_seconds, cardinality(r.packages) > 0,
            r.said_seconds, COALESCE(r.cost_before, r.cost), (r.details).rate, r.channel, a.account_id IS NOT NULL, r.refused,
            old.account_id, old.claims, old.expires_at <= now(), old.channel,
            trunc(extract(epoch FROM COALESCE(r.ended_at, now()) - old.answered_at))::integer, old.granted, old.cap_seconds,
            CASE WHEN COALESCE(old.resellers, cdr.resellers) IS NULL AND r.resellers IS NULL THEN true
                 ELSE charges_all(r.resellers, COALESCE(old.resellers, cdr.resellers, CASE
                     WHEN COALESCE(old.account_id, cdr.account_id) IS NULL THEN keep_prices(p_bucket, (r.details).resellers)
                 END), r.seconds, p_locked) END,
            cdr.account_id, cdr.source, cdr.seconds, cdr.rerate_id, cdr.channel, cdr.seen_seconds, cdr.said_seconds
        ) AS said OFFSET 0) s OFFSET 0) d OFFSET 0) e;
    RETURN settling;
END $$;

-- The CDRs take the place of the open calls, or of what earlier CDRs assumed.
CREATE OR REPLACE FUNCTION write_records(p_bucket smallint, p_settling settling_v6) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    written  bigint;
BEGIN
    INSERT INTO call_records (
        bucket, call_key, account_id, subscriber_id, exchange, attempt, callerid, destination, direction, prefix, tariff_id,
        deck_id, rate_key, route_name, routing_number, carrier_rate_key, carrier_currency, carrier_exchange, packages,
        channel, from_originate, source_address, originated_by, is_did, resellers, state, source, currency, granted, seconds, billed_seconds, cost, overrun, uncharged, charged_on,
        disposition, cause, prepared_at, answered_at, ended_at, carrier_cost, margin, seen_seconds, said_seconds, suspicion)
    SELECT p_bucket, e.call_key, e.account_id, (e.details).*, e.state, e.source, e.currency, e.granted, e.seconds,
           e.billed_seconds, e.cost, e.overrun, e.uncharged, e.charged_on, e.disposition, e.cause, e.prepared_at,
           e.ended_at - make_interval(secs => NULLIF(e.seconds, 0)), e.ended_at, e.carrier_cost, e.margin,
           e.seen_seconds, e.said_seconds, e.suspicion
    FROM unnest(p_settling.ends) e WHERE e.outcome = 'settled' AND e.source <> 'late';
    IF p_settling.open_keys IS NOT NULL THEN
        DELETE FROM open_calls WHERE bucket = p_bucket AND call_key = ANY (p_settling.open_keys);
    END IF;
    IF p_settling.late > 0 THEN
        -- What is given back lowers the overrun that was assumed; what is charged on top was held by nobody.
        UPDATE call_records c SET
            state = e.state, source = e.source, seconds = e.seconds, billed_seconds = e.billed_seconds, cost = e.cost,
            overrun = GREATEST(c.overrun + CASE WHEN e.is_unlimited THEN 0 ELSE e.due END, 0),
            uncharged = e.uncharged, charged_on = e.charged_on, disposition = e.disposition, cause = e.cause,
            ended_at = e.ended_at, carrier_cost = e.carrier_cost, margin = e.margin, packages = (e.details).packages,
            answered_at = e.ended_at - make_interval(secs => NULLIF(e.seconds, 0)),
            seen_seconds = COALESCE(e.seen_seconds, c.seen_seconds), said_seconds = COALESCE(e.said_seconds, c.said_seconds),
            suspicion = COALESCE(NULLIF(e.suspicion, ''), c.suspicion),
            is_did = COALESCE(NULLIF((e.details).is_did, ''), c.is_did)
          FROM unnest(p_settling.ends) e
          WHERE c.bucket = p_bucket AND c.call_key = e.call_key AND e.outcome = 'settled' AND e.source = 'late';
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written <> p_settling.late THEN
            RAISE SQLSTATE '40001' USING MESSAGE = 'a CDR was changed meanwhile';
        END IF;
    END IF;
END $$;

-- The entries of the ledger, and what the accounts have now. In most batches each end is of an account of its own (p_alone):
-- then there is nothing to put in order and to sum up, which costs more to begin than a batch of eight to go through.
CREATE OR REPLACE FUNCTION write_money(p_bucket smallint, p_ends ending_v5[], p_alone boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    n  record;  -- what each account is charged and freed in all, each an array
BEGIN
    -- What was charged on another day counts in that one, which is over; in this month, if it was of it.
    IF p_alone THEN
        INSERT INTO ledger_entries (bucket, account_id, entry_id, kind, amount, balance_after, call_key)
        SELECT p_bucket, e.account_id, e.last_entry + 1,
               CASE WHEN e.was_charged THEN 'correction' ELSE 'charge' END::ledger_entry_kind,
               -e.due, e.balance - e.due, e.call_key
        FROM unnest(p_ends) e WHERE e.due <> 0;
        -- Of the same types as below: one statement takes either.
        SELECT array_agg(e.account_id) AS ids, array_agg(e.due) AS due, array_agg(e.held) AS held,
               array_agg(CASE WHEN e.was_open THEN bigint '1' ELSE 0 END) AS calls,
               array_agg(CASE WHEN e.charged_on = e.today THEN e.due ELSE 0 END) AS due_today,
               array_agg(CASE WHEN date_trunc('month', e.charged_on::timestamp) = date_trunc('month', e.today::timestamp)
                              THEN e.due ELSE 0 END) AS due_month,
               array_agg(e.today) AS today,
               array_agg(e.last_entry + CASE WHEN e.due <> 0 THEN 1 ELSE 0 END) AS last_entry INTO n
        FROM unnest(p_ends) e WHERE e.outcome = 'settled';
    ELSE
        INSERT INTO ledger_entries (bucket, account_id, entry_id, kind, amount, balance_after, call_key)
        SELECT p_bucket, e.account_id, e.last_entry + row_number() OVER account,
               CASE WHEN e.was_charged THEN 'correction' ELSE 'charge' END::ledger_entry_kind,
               -e.due, e.balance - sum(e.due) OVER account, e.call_key
        FROM unnest(p_ends) e WHERE e.due <> 0 WINDOW account AS (PARTITION BY e.account_id ORDER BY e.ord);
        SELECT array_agg(account_id) AS ids, array_agg(due) AS due, array_agg(held) AS held, array_agg(calls) AS calls,
               array_agg(due_today) AS due_today, array_agg(due_month) AS due_month, array_agg(today) AS today,
               array_agg(last_entry) AS last_entry INTO n
        FROM (
            SELECT e.account_id, sum(e.due) AS due, sum(e.held) AS held, count(*) FILTER (WHERE e.was_open) AS calls,
                   COALESCE(sum(e.due) FILTER (WHERE e.charged_on = e.today), 0) AS due_today,
                   COALESCE(sum(e.due) FILTER (WHERE date_trunc('month', e.charged_on::timestamp) = date_trunc('month', e.today::timestamp)), 0) AS due_month,
                   max(e.today) AS today, max(e.last_entry) + count(*) FILTER (WHERE e.due <> 0) AS last_entry
            FROM unnest(p_ends) e WHERE e.outcome = 'settled' GROUP BY e.account_id
        ) AS sums;
    END IF;
    UPDATE accounts a SET  -- by arrays, as in keep_open_calls()
        balance = a.balance - n.due[array_position(n.ids, a.account_id)],
        reserved = a.reserved - n.held[array_position(n.ids, a.account_id)],
        open_calls = a.open_calls - n.calls[array_position(n.ids, a.account_id)],
        day_spent = LEAST(n.due_today[array_position(n.ids, a.account_id)] + CASE
            WHEN a.spent_on = n.today[array_position(n.ids, a.account_id)] THEN a.day_spent ELSE 0 END, max_amount()),
        month_spent = LEAST(n.due_month[array_position(n.ids, a.account_id)] + CASE
            WHEN date_trunc('month', a.spent_on::timestamp)
                 = date_trunc('month', n.today[array_position(n.ids, a.account_id)]::timestamp)
            THEN a.month_spent ELSE 0 END, max_amount()),
        spent_on = n.today[array_position(n.ids, a.account_id)],
        last_entry = n.last_entry[array_position(n.ids, a.account_id)]
    WHERE a.bucket = p_bucket AND a.account_id = ANY (n.ids);
END $$;

-- The seconds that packages paid for each call, in its details.
CREATE OR REPLACE FUNCTION share_all_packages(p_bucket smallint, p_ends ending_v5[]) RETURNS ending_v5[]
LANGUAGE plpgsql AS $$
DECLARE
    one      ending_v5;
    details  kept_details_v4;
    shared   ending_v5[] := '{}';
BEGIN
    FOREACH one IN ARRAY p_ends LOOP
        details := one.details;
        details.packages := CASE WHEN one.outcome = 'settled' THEN share_packages(
            p_bucket, details.subscriber_id, details.packages, one.covered_seconds, one.billed_seconds) ELSE '{}' END;
        one.details := details;
        shared := shared || one;
    END LOOP;
    RETURN shared;
END $$;

-- What calls used up besides money is free again, or used.
CREATE OR REPLACE FUNCTION release_calls(p_bucket smallint, p_settling settling_v6, p_helps settle_help_v2[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    help  settle_help_v2;
    one   ending_v5;
BEGIN
    IF p_settling.has_packages THEN
        FOREACH help IN ARRAY COALESCE(p_helps, '{}') LOOP
            PERFORM free_packages(p_bucket, help.subscriber_id, help.more);
        END LOOP;
        FOREACH one IN ARRAY p_settling.ends LOOP
            CONTINUE WHEN one.outcome <> 'settled';
            PERFORM use_packages(p_bucket, (one.details).subscriber_id, one.packages_held, one.packages_before,
                                 (one.details).packages);
        END LOOP;
    END IF;
    IF p_settling.has_routes THEN
        PERFORM lock_routes(p_bucket, ARRAY(
            SELECT DISTINCT e.route_id FROM unnest(p_settling.ends) e WHERE e.outcome = 'settled' AND e.route_id IS NOT NULL));
        -- A counter that was mended wrong is for the doctor to find: no end of a call may fail by it.
        UPDATE route_load l SET open_calls = GREATEST(l.open_calls - n.calls, 0)
          FROM (SELECT e.route_id, count(*) AS calls FROM unnest(p_settling.ends) e
                WHERE e.outcome = 'settled' AND e.route_id IS NOT NULL GROUP BY 1) AS n
          WHERE l.bucket = p_bucket AND l.route_id = n.route_id;
    END IF;
    IF p_settling.counts_logins THEN
        UPDATE subscriber_load l SET open_calls = GREATEST(l.open_calls - n.calls, 0)
          FROM (SELECT (e.details).subscriber_id, count(*) AS calls FROM unnest(p_settling.ends) e
                WHERE e.outcome = 'settled' AND e.was_open GROUP BY 1) AS n
          WHERE l.bucket = p_bucket AND l.subscriber_id = n.subscriber_id;
    END IF;
    IF p_settling.has_claims THEN
        UPDATE open_calls o SET claims = array_remove(o.claims, e.claim) FROM unnest(p_settling.ends) e
          WHERE o.bucket = p_bucket AND o.call_key = e.call_key AND e.drops_claim;
    END IF;
END $$;

-- The lines of the resellers of the calls that end here: an ending each, as if it were the end of a call of its own. Read
-- after the money of the calls themselves is written: a reseller calls too.
CREATE OR REPLACE FUNCTION read_reseller_ends(p_bucket smallint, p_requests settle_request_v5[], p_ends ending_v5[])
RETURNS ending_v5[] LANGUAGE plpgsql AS $$
DECLARE
    one    ending_v5;
    found  record;
    due    numeric;
    lines  ending_v5[] := '{}';
BEGIN
    FOR found IN
        SELECT e AS whole, l.ordinality AS level, l.account_id, l.tariff_id, l.deck_id, l.prefix, l.rate_key, l.held,
               l.granted, COALESCE(l.billed_seconds, 0) AS billed_seconds, COALESCE(l.cost, 0) AS cost,
               CASE WHEN l.same IS NULL THEN 0 ELSE l.margin END AS margin, COALESCE(was.cost, 0) AS before,
               CASE WHEN was.cost > 0 THEN COALESCE(was.charged_on, (was.ended_at AT TIME ZONE a.time_zone)::date)
                    ELSE local_date(a.time_zone) END AS charged_on,
               local_date(a.time_zone) AS today, a.currency, a.balance,
               is_unlimited(a.overdraft, a.daily_limit, a.monthly_limit) AS is_unlimited,
               COALESCE(a.last_entry, last_entry(p_bucket, l.account_id)) AS last_entry
        FROM unnest(p_ends) e
        JOIN unnest(p_requests) WITH ORDINALITY AS r ON r.ordinality = e.ord
        CROSS JOIN LATERAL unnest((e.details).resellers, e.resellers_held, e.resellers_granted, r.resellers)
            WITH ORDINALITY AS l(
            account_id, tariff_id, deck_id, prefix, rate_key, exchange, held, granted, same, billed_seconds, cost, margin)
        LEFT JOIN LATERAL (
            SELECT * FROM accounts WHERE bucket = p_bucket AND account_id = l.account_id OFFSET 0) a ON true
        LEFT JOIN LATERAL (
            SELECT cost, charged_on, ended_at FROM reseller_records
            WHERE bucket = p_bucket AND call_key = e.call_key AND level = l.ordinality OFFSET 0) was ON true
        WHERE e.outcome = 'settled'
    LOOP
        one := found.whole;
        one.level := found.level; one.account_id := found.account_id; one.details := reseller_details(
            one.details, found.tariff_id, found.deck_id, found.prefix, found.rate_key);
        due := amount_due(found.cost, found.before, found.balance);
        one.held := COALESCE(found.held, 0); one.granted := COALESCE(found.granted, 0);
        one.billed_seconds := found.billed_seconds; one.margin := found.margin;
        one.cost := found.before + due; one.due := due; one.uncharged := GREATEST(found.cost - found.before - due, 0);
        one.overrun := CASE WHEN found.is_unlimited THEN 0 ELSE GREATEST(due - one.held, 0) END;
        one.is_unlimited := found.is_unlimited; one.charged_on := found.charged_on; one.today := found.today;
        one.currency := found.currency; one.last_entry := found.last_entry; one.balance := found.balance;
        lines := lines || one;
    END LOOP;
    RETURN lines;
END $$;

-- The details of a call as a reseller of it has them.
CREATE OR REPLACE FUNCTION reseller_details(
    p_details kept_details_v4, p_tariff_id bigint, p_deck_id bigint, p_prefix text, p_rate_key bigint
) RETURNS kept_details_v4 LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    p_details.tariff_id := p_tariff_id; p_details.deck_id := p_deck_id; p_details.prefix := p_prefix;
    p_details.rate_key := p_rate_key; p_details.resellers := NULL;
    RETURN p_details;
END $$;

-- What the calls that end here cost their resellers, in the transaction that charges their callers.
CREATE OR REPLACE FUNCTION charge_resellers(p_bucket smallint, p_requests settle_request_v5[], p_ends ending_v5[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    lines  ending_v5[] := read_reseller_ends(p_bucket, p_requests, p_ends);
BEGIN
    INSERT INTO reseller_records (
        bucket, call_key, level, account_id, tariff_id, deck_id, prefix, rate_key, currency, granted, billed_seconds, cost,
        overrun, uncharged, charged_on, margin, ended_at)
    SELECT p_bucket, e.call_key, e.level, e.account_id, (e.details).tariff_id, (e.details).deck_id, (e.details).prefix,
           (e.details).rate_key, e.currency, e.granted, e.billed_seconds, e.cost, e.overrun, e.uncharged, e.charged_on,
           e.margin, e.ended_at
    FROM unnest(lines) e WHERE e.source <> 'late';
    UPDATE reseller_records c SET
        billed_seconds = e.billed_seconds, cost = e.cost, uncharged = e.uncharged, charged_on = e.charged_on,
        overrun = GREATEST(c.overrun + CASE WHEN e.is_unlimited THEN 0 ELSE e.due END, 0), margin = e.margin,
        ended_at = e.ended_at
      FROM unnest(lines) e
      WHERE c.bucket = p_bucket AND c.call_key = e.call_key AND c.level = e.level AND e.source = 'late';
    PERFORM write_money(p_bucket, lines, false);
END $$;

CREATE OR REPLACE FUNCTION locks_of_ended(p_bucket smallint, p_requests settle_request_v5[]) RETURNS batch_locks_v1
LANGUAGE plpgsql AS $$
DECLARE
    request  settle_request_v5;
    hashes   bigint[]; ids bigint[]; helped boolean;
    unsaid   text[];  -- keys of calls whose resellers, if they have any, are not named; NULL: none
BEGIN
    FOREACH request IN ARRAY COALESCE(p_requests, '{}') LOOP  -- expire_v2() may find none
        ids := ids || request.account_id;
        IF (request.details).rate IS NOT NULL THEN
            hashes := hashes || hashtextextended(request.call_key, p_bucket); helped := true;
        ELSIF cardinality(request.packages) > 0 THEN
            helped := true;
        END IF;
        IF request.resellers IS NOT NULL THEN
            ids := ids || ARRAY(SELECT account_id FROM unnest(request.resellers));
        ELSIF request.source IN ('abandoned', 'expired') THEN
            unsaid := unsaid || request.call_key;
        END IF;
    END LOOP;
    IF unsaid IS NOT NULL THEN  -- who pays for a call is never changed
        ids := ids || ARRAY(SELECT l.account_id FROM open_calls o, unnest(o.resellers) l
                            WHERE o.bucket = p_bucket AND o.call_key = ANY (unsaid));
    END IF;
    RETURN (hashes, ids, NULL, helped)::batch_locks_v1;
END $$;

-- The calls that end in a batch that has its locks. `p_alone`: each is of an account of its own.
CREATE OR REPLACE FUNCTION end_calls(
    p_bucket smallint, p_requests settle_request_v5[], p_locks batch_locks_v1, p_alone boolean
) RETURNS settle_answer_v3[] LANGUAGE plpgsql AS $$
DECLARE
    helps     settle_help_v2[];
    settling  settling_v6;
BEGIN
    IF p_locks.helped THEN
        helps := help_settle(p_bucket, p_requests);
    END IF;
    settling := read_ends(p_bucket, p_requests, helps, p_locks.accounts);
    IF settling.has_packages THEN
        settling.ends := share_all_packages(p_bucket, settling.ends);
    END IF;
    PERFORM write_records(p_bucket, settling), write_money(p_bucket, settling.ends, p_alone);
    IF settling.is_resold THEN
        PERFORM charge_resellers(p_bucket, p_requests, settling.ends);
    END IF;
    IF settling.has_packages OR settling.has_routes OR settling.counts_logins OR settling.has_claims THEN
        PERFORM release_calls(p_bucket, settling, helps);
    END IF;
    RETURN COALESCE(settling.answers, '{}');
END $$;

-- A batch names a call key at most once (storage/calls/ledger sees to it).
CREATE OR REPLACE FUNCTION settle_v5(p_bucket smallint, p_requests settle_request_v5[]) RETURNS settle_answer_v3[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off AS $$
DECLARE
    locks  batch_locks_v1 := locks_of_ended(p_bucket, p_requests);
    alone  boolean := lock_batch(p_bucket, locks.hashes, locks.accounts);
BEGIN
    RETURN end_calls(p_bucket, p_requests, locks, alone);
END $$;

-- Calls that begin and calls that end in one transaction: one way to the server and one commit for both. What either
-- locks is locked before the first of them begins, in the order of each, so that two batches cannot deadlock. For requests
-- that lock nothing but keys and accounts: no call by a limited route, no end of a call that is made by it.
CREATE TYPE reserved_and_settled_v1 AS (reserved reserve_answer_v3[], settled settle_answer_v3[]);

CREATE OR REPLACE FUNCTION reserve_and_settle_v1(
    p_bucket smallint, p_reserves reserve_request_v5[], p_settles settle_request_v5[]
) RETURNS reserved_and_settled_v1
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off AS $$
DECLARE
    begun     batch_locks_v1 := locks_of_begun(p_bucket, p_reserves);
    ended     batch_locks_v1 := locks_of_ended(p_bucket, p_settles);
    alone     boolean := lock_batch(p_bucket, begun.hashes || ended.hashes, begun.accounts || ended.accounts);
    reserved  reserve_answer_v3[] := '{}';
BEGIN
    IF begun.accounts IS NOT NULL THEN
        reserved := begin_calls(p_bucket, p_reserves);
    END IF;
    RETURN (reserved, end_calls(p_bucket, p_settles, ended, alone))::reserved_and_settled_v1;
END $$;

-- Reservations whose finish never came, oldest first: their money is freed, and the CDR says so. Answers how many.
-- A call that was seen answered is not among them: what it cost is known, and services/calls/extend settles it.
-- An account that somebody else's transaction holds is passed over: its calls expire when it is free again. Resellers
-- are charged on theirs in the same transaction, so it is asked of all who pay for a call.
CREATE OR REPLACE FUNCTION expire_v2(p_bucket smallint, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    expired   bigint[];         -- accounts of the oldest such calls
    free      bigint[];         -- those of them that are ours now
    taken     bigint[] := '{}';  -- by others
    requests  settle_request_v5[];
    answers   settle_answer_v3[];
BEGIN
    LOOP
        expired := ARRAY(
            SELECT account_id FROM open_calls
            WHERE bucket = p_bucket AND expires_at <= now() AND answered_at IS NULL AND account_id <> ALL (taken)
            ORDER BY expires_at LIMIT p_limit);
        expired := expired || ARRAY(
            SELECT DISTINCT l.account_id FROM open_calls o, unnest(o.resellers) l
            WHERE o.bucket = p_bucket AND o.expires_at <= now() AND o.answered_at IS NULL AND o.account_id = ANY (expired));
        EXIT WHEN cardinality(expired) = 0;
        free := ARRAY(
            SELECT account_id FROM accounts WHERE bucket = p_bucket AND account_id = ANY (expired)
            ORDER BY account_id FOR NO KEY UPDATE SKIP LOCKED);
        EXIT WHEN cardinality(free) > 0;
        taken := taken || expired;
    END LOOP;
    IF cardinality(expired) = 0 THEN
        RETURN 0;
    END IF;
    SELECT array_agg(ROW(
        o.call_key, o.account_id, 0, 0, 0, 'EXPIRED', 0, 'expired', NULL, NULL, NULL, NULL,
        CASE WHEN o.carrier_rate_key IS NOT NULL THEN 0 END,
        CASE WHEN o.carrier_rate_key IS NOT NULL AND o.carrier_exchange IS NOT NULL THEN 0 END,
        0, '{}', NULL, NULL, '', '', NULL, NULL)::settle_request_v5) INTO requests
    FROM (
        SELECT * FROM open_calls
        WHERE bucket = p_bucket AND expires_at <= now() AND answered_at IS NULL AND account_id = ANY (free)
          AND ARRAY(SELECT l.account_id FROM unnest(resellers) l) <@ free
        ORDER BY expires_at LIMIT p_limit
    ) o;
    answers := settle_v5(p_bucket, requests);
    RETURN (SELECT count(*) FROM unnest(answers) a WHERE a.outcome = 'settled');
END $$;

---------------------------------------------------------------------------------------------------------------
-- What several buckets are asked at once, in one transaction: each one's requests by its own function, bucket after
-- bucket in their order, so that two batches cannot deadlock. p_buckets: the bucket of each request; p_bucket: any of them.

CREATE OR REPLACE FUNCTION places_by_bucket(p_buckets smallint[], OUT bucket smallint, OUT places bigint[])
RETURNS SETOF record LANGUAGE sql IMMUTABLE AS $$
    SELECT b.bucket, array_agg(b.ord ORDER BY b.ord)
    FROM unnest(p_buckets) WITH ORDINALITY AS b(bucket, ord) GROUP BY b.bucket ORDER BY b.bucket
$$;
CREATE OR REPLACE FUNCTION reserve_of_buckets_v5(p_bucket smallint, p_buckets smallint[], p_requests reserve_request_v5[])
RETURNS reserve_answer_v3[] LANGUAGE plpgsql AS $$
DECLARE
    answers   reserve_answer_v3[] := array_fill(NULL::reserve_answer_v3, ARRAY[cardinality(p_requests)]);
    answered  reserve_answer_v3[];
    part      record;
BEGIN
    FOR part IN SELECT * FROM places_by_bucket(p_buckets) LOOP
        answered := reserve_v5(part.bucket, ARRAY(SELECT p_requests[place] FROM unnest(part.places) AS place));
        FOR i IN 1 .. cardinality(answered) LOOP
            answers[part.places[i]] := answered[i];
        END LOOP;
    END LOOP;
    RETURN answers;
END $$;
CREATE OR REPLACE FUNCTION extend_of_buckets_v3(p_bucket smallint, p_buckets smallint[], p_requests extend_request_v3[])
RETURNS extend_answer_v3[] LANGUAGE plpgsql AS $$
DECLARE
    answers   extend_answer_v3[] := array_fill(NULL::extend_answer_v3, ARRAY[cardinality(p_requests)]);
    answered  extend_answer_v3[];
    part      record;
BEGIN
    FOR part IN SELECT * FROM places_by_bucket(p_buckets) LOOP
        answered := extend_v3(part.bucket, ARRAY(SELECT p_requests[place] FROM unnest(part.places) AS place));
        FOR i IN 1 .. cardinality(answered) LOOP
            answers[part.places[i]] := answered[i];
        END LOOP;
    END LOOP;
    RETURN answers;
END $$;
CREATE OR REPLACE FUNCTION settle_of_buckets_v5(p_bucket smallint, p_buckets smallint[], p_requests settle_request_v5[])
RETURNS settle_answer_v3[] LANGUAGE plpgsql AS $$
DECLARE
    answers   settle_answer_v3[] := array_fill(NULL::settle_answer_v3, ARRAY[cardinality(p_requests)]);
    answered  settle_answer_v3[];
    part      record;
BEGIN
    FOR part IN SELECT * FROM places_by_bucket(p_buckets) LOOP
        answered := settle_v5(part.bucket, ARRAY(SELECT p_requests[place] FROM unnest(part.places) AS place));
        FOR i IN 1 .. cardinality(answered) LOOP
            answers[part.places[i]] := answered[i];
        END LOOP;
    END LOOP;
    RETURN answers;
END $$;

CREATE OR REPLACE FUNCTION reserve_and_settle_of_buckets_v1(
    p_bucket smallint, p_reserve_buckets smallint[], p_reserves reserve_request_v5[],
    p_settle_buckets smallint[], p_settles settle_request_v5[]
) RETURNS reserved_and_settled_v1 LANGUAGE plpgsql AS $$
DECLARE
    answers   reserved_and_settled_v1;
    reserved  reserve_answer_v3[] := array_fill(NULL::reserve_answer_v3, ARRAY[cardinality(p_reserves)]);
    settled   settle_answer_v3[] := array_fill(NULL::settle_answer_v3, ARRAY[cardinality(p_settles)]);
    part      record;
BEGIN
    FOR part IN
        SELECT bucket, COALESCE(r.places, '{}') AS begun, COALESCE(s.places, '{}') AS ended
        FROM places_by_bucket(p_reserve_buckets) r FULL JOIN places_by_bucket(p_settle_buckets) s USING (bucket)
        ORDER BY bucket
    LOOP
        answers := reserve_and_settle_v1(
            part.bucket, ARRAY(SELECT p_reserves[place] FROM unnest(part.begun) AS place),
            ARRAY(SELECT p_settles[place] FROM unnest(part.ended) AS place));
        FOR i IN 1 .. cardinality(part.begun) LOOP
            reserved[part.begun[i]] := answers.reserved[i];
        END LOOP;
        FOR i IN 1 .. cardinality(part.ended) LOOP
            settled[part.ended[i]] := answers.settled[i];
        END LOOP;
    END LOOP;
    RETURN (reserved, settled)::reserved_and_settled_v1;
END $$;

---------------------------------------------------------------------------------------------------------------
-- What management does with money is one call of one bucket too, outside of a transaction block: who did it (p_note) is
-- written by the function itself, where it changed something.

CREATE TYPE audit_note_v3 AS (
    party text, level text, surface text, key text, address text, action text, party_id bigint, subject text, detail jsonb
);

CREATE OR REPLACE FUNCTION keep_note(p_bucket smallint, p_note audit_note_v3) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO account_audit (bucket, party, level, surface, key, address, action, party_id, subject, detail)
      VALUES (p_bucket, p_note.party, p_note.level, p_note.surface, p_note.key, p_note.address, p_note.action,
              p_note.party_id, p_note.subject, p_note.detail);
END $$;

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
    account_balance  numeric;
    earlier          record;
BEGIN
    SELECT balance INTO account_balance FROM accounts WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ROW('unknown', NULL)::post_entry_answer_v2;
    END IF;
    SELECT kind, amount INTO earlier FROM ledger_entries
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_reference;
    IF FOUND THEN
        RETURN ROW(CASE WHEN earlier.amount = p_amount AND earlier.kind = p_kind THEN 'repeated' ELSE 'conflict' END,
                   account_balance)::post_entry_answer_v2;
    END IF;
    RETURN ROW('posted', enter(p_bucket, p_account_id, p_kind, p_amount, p_reference, ''))::post_entry_answer_v2;
END $$;

-- A closed account is paid nothing (outcome `closed`).
CREATE OR REPLACE FUNCTION post_entry_v3(
    p_bucket smallint, p_account_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_reference text,
    p_note audit_note_v3
) RETURNS post_entry_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    account  record;
    answer   post_entry_answer_v2;
BEGIN
    SELECT balance, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF account.closed_at IS NOT NULL THEN
        RETURN ROW('closed', account.balance)::post_entry_answer_v2;
    END IF;
    answer := post_entry_v2(p_bucket, p_account_id, p_kind, p_amount, p_reference);
    IF answer.outcome = 'posted' THEN
        PERFORM keep_note(p_bucket, p_note);
    END IF;
    RETURN answer;
END $$;

-- One entry of an account that is locked; answers its balance then.
CREATE OR REPLACE FUNCTION enter(
    p_bucket smallint, p_account_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_reference text, p_subject text
) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    account  record;
BEGIN
    SELECT balance + p_amount AS balance, last_entry INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id;
    IF account.last_entry IS NULL THEN
        account.last_entry := last_entry(p_bucket, p_account_id);
    END IF;
    UPDATE accounts SET balance = account.balance, last_entry = account.last_entry + 1
      WHERE bucket = p_bucket AND account_id = p_account_id;
    INSERT INTO ledger_entries (bucket, account_id, entry_id, kind, amount, balance_after, reference, subject)
      VALUES (p_bucket, p_account_id, account.last_entry + 1, p_kind, p_amount, account.balance, p_reference, p_subject);
    RETURN account.balance;
END $$;

---------------------------------------------------------------------------------------------------------------
-- adjust_v2: a balance is put right by hand, up or down, for a reason that stands in the entry. References as in
-- post_entry_v2; the reason is part of what was asked. What is taken away has to be there: calls keep what they hold, and
-- no adjustment takes an account beyond its credit (law 4).

CREATE TYPE adjust_answer_v2 AS (
    outcome text,               -- posted, repeated, conflict, not_there (more than is available), unknown
    balance numeric, available numeric
);

CREATE OR REPLACE FUNCTION adjust_v2(
    p_bucket smallint, p_account_id bigint, p_amount numeric, p_reference text, p_reason text
) RETURNS adjust_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    account  record;
    earlier  record;
BEGIN
    SELECT balance, balance + overdraft - reserved AS available INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF account.balance IS NULL THEN
        RETURN ROW('unknown', NULL, NULL)::adjust_answer_v2;
    END IF;
    SELECT kind, amount, subject INTO earlier FROM ledger_entries
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_reference;
    IF FOUND THEN
        RETURN ROW(CASE WHEN earlier.kind = 'adjustment' AND earlier.amount = p_amount AND earlier.subject = p_reason
                        THEN 'repeated' ELSE 'conflict' END, account.balance, account.available)::adjust_answer_v2;
    ELSIF p_amount < 0 AND account.available + p_amount < 0 THEN  -- NULL, of credit without a limit: never
        RETURN ROW('not_there', account.balance, account.available)::adjust_answer_v2;
    END IF;
    account.balance := enter(p_bucket, p_account_id, 'adjustment', p_amount, p_reference, p_reason);
    RETURN ROW('posted', account.balance, account.available + p_amount)::adjust_answer_v2;
END $$;

-- A balance is set: the difference, up or down, is an adjustment.
CREATE OR REPLACE FUNCTION set_balance_v1(
    p_bucket smallint, p_account_id bigint, p_balance numeric, p_reason text, p_note audit_note_v3
) RETURNS adjust_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    difference  numeric;
BEGIN
    SELECT p_balance - balance INTO difference FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF difference = 0 THEN
        RETURN ROW('repeated', p_balance, NULL)::adjust_answer_v2;
    END IF;
    RETURN adjust_v3(p_bucket, p_account_id, difference, NULL, p_reason, p_note);
END $$;

CREATE OR REPLACE FUNCTION adjust_v3(
    p_bucket smallint, p_account_id bigint, p_amount numeric, p_reference text, p_reason text, p_note audit_note_v3
) RETURNS adjust_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    answer  adjust_answer_v2 := adjust_v2(p_bucket, p_account_id, p_amount, p_reference, p_reason);
BEGIN
    IF answer.outcome = 'posted' THEN
        PERFORM keep_note(p_bucket, p_note);
    END IF;
    RETURN answer;
END $$;

---------------------------------------------------------------------------------------------------------------
-- take_fee_v1: what is not a call and has to be paid, once per reference whatever the amount of a repetition would be: a
-- rent converted a minute later is another sum. It is taken where it is there (law 4), else `not_there`. A fee below zero
-- gives one back.

CREATE OR REPLACE FUNCTION take_fee_v1(
    p_bucket smallint, p_account_id bigint, p_fee numeric, p_reference text, p_subject text, p_note audit_note_v3
) RETURNS adjust_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    account  record;
BEGIN
    SELECT balance, balance + overdraft - reserved AS available, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF account.balance IS NULL OR account.closed_at IS NOT NULL THEN
        RETURN ROW('unknown', account.balance, NULL)::adjust_answer_v2;
    END IF;
    PERFORM 1 FROM ledger_entries
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_reference AND kind = 'fee';
    IF FOUND THEN
        RETURN ROW('repeated', account.balance, account.available)::adjust_answer_v2;
    ELSIF p_fee > 0 AND account.available < p_fee THEN  -- NULL, of credit without a limit: never
        RETURN ROW('not_there', account.balance, account.available)::adjust_answer_v2;
    END IF;
    account.balance := enter(p_bucket, p_account_id, 'fee', -p_fee, p_reference, p_subject);
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('posted', account.balance, account.available - p_fee)::adjust_answer_v2;
END $$;

---------------------------------------------------------------------------------------------------------------
-- Subscriptions: subscribe_v1 begins one and takes what it costs to begin with, charge_subscription_v1 takes the next
-- period, end_subscription_v1 ends one and gives money back. Each works under the account's lock and says first what
-- stands, so whoever comes again after a crash, or at the same time, charges nothing twice. The option that a line is
-- given lasts as long as is paid: what it costs and what it gives is one transaction.

CREATE TYPE subscription_order_v1 AS (
    service_id bigint, party_id bigint, login text, did text, memo text, calendar boolean,
    starts_at timestamptz, ends_at timestamptz,
    paid_to timestamptz,        -- up to when first_fee pays; starts_at: nothing is taken yet; NULL: for good
    setup_fee numeric, first_fee numeric, option_id bigint, max_options integer, reference text, subject text
);
CREATE TYPE subscription_answer_v1 AS (
    outcome text,               -- done, repeated (it stands so already); or why nothing was done: not_there (less is
                                -- available), conflict (the reference was used otherwise), taken (the line has this
                                -- flat rate), too_many (options), unknown
    subscription_id bigint,
    amount numeric,             -- taken, or (below zero) given back
    available numeric
);

CREATE OR REPLACE FUNCTION subscribe_v1(
    p_bucket smallint, p_account_id bigint, p_order subscription_order_v1, p_note audit_note_v3
) RETURNS subscription_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    account   record;
    earlier   record;
    fee       numeric := p_order.setup_fee + p_order.first_fee;
    refusal   text;
    new_id    bigint;
BEGIN
    SELECT balance + overdraft - reserved AS available, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF NOT FOUND OR account.closed_at IS NOT NULL THEN
        RETURN ROW('unknown', NULL, NULL, NULL)::subscription_answer_v1;
    END IF;
    SELECT subscription_id, service_id, login, did INTO earlier FROM service_subscriptions
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_order.reference;
    IF FOUND THEN
        refusal := CASE WHEN (earlier.service_id, earlier.login, earlier.did)
                             IS NOT DISTINCT FROM (p_order.service_id, p_order.login, p_order.did)
                        THEN 'repeated' ELSE 'conflict' END;
        RETURN ROW(refusal, earlier.subscription_id, 0, account.available)::subscription_answer_v1;
    ELSIF p_order.option_id IS NOT NULL AND EXISTS (
        SELECT 1 FROM service_subscriptions
        WHERE bucket = p_bucket AND account_id = p_account_id AND service_id = p_order.service_id
          AND login = p_order.login AND state IN ('active', 'unpaid') AND (ends_at IS NULL OR ends_at > p_order.starts_at)
    ) THEN
        RETURN ROW('taken', NULL, 0, account.available)::subscription_answer_v1;
    ELSIF p_order.option_id IS NOT NULL AND p_order.max_options <= (
        SELECT count(*) FROM subscriber_options o JOIN subscribers s USING (bucket, subscriber_id)
        WHERE o.bucket = p_bucket AND s.login = p_order.login AND o.effective_to > now()
    ) THEN
        RETURN ROW('too_many', NULL, 0, account.available)::subscription_answer_v1;
    ELSIF fee > 0 AND account.available < fee THEN  -- NULL, of credit without a limit: never
        RETURN ROW('not_there', NULL, fee, account.available)::subscription_answer_v1;
    END IF;
    INSERT INTO service_subscriptions (bucket, account_id, service_id, party_id, login, did, memo, calendar, starts_at,
                                       ends_at, paid_to, reference)
      VALUES (p_bucket, p_account_id, p_order.service_id, p_order.party_id, p_order.login, p_order.did, p_order.memo,
              p_order.calendar, p_order.starts_at, p_order.ends_at, p_order.starts_at, p_order.reference)
      RETURNING subscription_id INTO new_id;
    IF p_order.setup_fee > 0 THEN
        PERFORM enter(p_bucket, p_account_id, 'fee', -p_order.setup_fee, format('subscription:%s:setup', new_id),
                      p_order.subject);
    END IF;
    IF p_order.paid_to IS DISTINCT FROM p_order.starts_at THEN
        PERFORM pay_subscription(p_bucket, new_id, p_order.paid_to, p_order.first_fee, p_order.option_id,
                                 format('subscription:%s:first', new_id), p_order.subject);
    END IF;
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('done', new_id, fee, account.available - fee)::subscription_answer_v1;
END $$;

-- What is due is `p_from` to `p_to` (NULL: for good); it costs `p_fee`.
CREATE OR REPLACE FUNCTION charge_subscription_v1(
    p_bucket smallint, p_subscription_id bigint, p_from timestamptz, p_to timestamptz, p_fee numeric,
    p_option_id bigint, p_reference text, p_subject text
) RETURNS subscription_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    payer    bigint;
    account  record;
    stands   record;
BEGIN
    SELECT account_id INTO payer FROM service_subscriptions
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id;
    SELECT balance + overdraft - reserved AS available, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = payer FOR NO KEY UPDATE;
    IF NOT FOUND OR account.closed_at IS NOT NULL THEN
        RETURN ROW('unknown', NULL, NULL, NULL)::subscription_answer_v1;
    END IF;
    SELECT state, paid_to INTO stands FROM service_subscriptions
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id FOR UPDATE;
    IF stands.state NOT IN ('active', 'unpaid') OR stands.paid_to IS DISTINCT FROM p_from THEN
        RETURN ROW('repeated', p_subscription_id, 0, account.available)::subscription_answer_v1;
    ELSIF p_fee > 0 AND account.available < p_fee THEN
        UPDATE service_subscriptions SET state = 'unpaid', missing = p_fee
          WHERE bucket = p_bucket AND subscription_id = p_subscription_id;
        RETURN ROW('not_there', p_subscription_id, p_fee, account.available)::subscription_answer_v1;
    END IF;
    PERFORM pay_subscription(p_bucket, p_subscription_id, p_to, p_fee, p_option_id, p_reference, p_subject);
    RETURN ROW('done', p_subscription_id, p_fee, account.available - p_fee)::subscription_answer_v1;
END $$;

-- Takes a period of a subscription whose account is locked and has the money, and gives its line the option meanwhile.
CREATE OR REPLACE FUNCTION pay_subscription(
    p_bucket smallint, p_subscription_id bigint, p_to timestamptz, p_fee numeric, p_option_id bigint, p_reference text,
    p_subject text
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    stands   record;
    line     bigint;
    place    integer;
BEGIN
    SELECT account_id, login, paid_to INTO stands FROM service_subscriptions
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id;
    IF p_fee > 0 THEN
        PERFORM enter(p_bucket, stands.account_id, 'fee', -p_fee, p_reference, p_subject);
    END IF;
    UPDATE service_subscriptions
      SET state = 'active', missing = 0, paid_to = p_to, paid_from = paid_to,
          last_reference = CASE WHEN p_fee > 0 THEN p_reference END
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id;
    IF p_option_id IS NULL THEN
        RETURN;
    END IF;
    SELECT subscriber_id INTO line FROM subscribers WHERE bucket = p_bucket AND login = stands.login;
    -- What touches the period is lengthened; a second row would be the same option twice.
    UPDATE subscriber_options SET effective_to = GREATEST(effective_to, p_to)
      WHERE bucket = p_bucket AND subscriber_id = line AND tariff_id = p_option_id
        AND effective_from <= p_to AND effective_to >= stands.paid_to;
    IF NOT FOUND AND line IS NOT NULL THEN
        SELECT COALESCE(max(position) + 1, 1) INTO place FROM subscriber_options
          WHERE bucket = p_bucket AND subscriber_id = line AND effective_to > now();
        INSERT INTO subscriber_options (bucket, subscriber_id, tariff_id, position, effective_from, effective_to)
          VALUES (p_bucket, line, p_option_id, place, stands.paid_to, p_to);
    END IF;
END $$;

-- Ends a subscription at an instant, as `ended` or `removed`, and gives back nothing ('none'), what is left of the last
-- period ('rest') or all that it ever cost ('all'); given back once, whatever is asked later.
CREATE OR REPLACE FUNCTION end_subscription_v1(
    p_bucket smallint, p_subscription_id bigint, p_state text, p_at timestamptz, p_back text, p_option_id bigint,
    p_subject text, p_note audit_note_v3
) RETURNS subscription_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    payer    bigint;
    account  record;
    stands   record;
    back     numeric := 0;
    rest     numeric;
    whole    numeric;
    line     bigint;
    label    text := format('subscription:%s:back', p_subscription_id);
BEGIN
    SELECT account_id INTO payer FROM service_subscriptions
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id;
    SELECT balance + overdraft - reserved AS available, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = payer FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        RETURN ROW('unknown', NULL, NULL, NULL)::subscription_answer_v1;
    END IF;
    SELECT state, paid_from, paid_to, last_reference, login INTO stands FROM service_subscriptions
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id FOR UPDATE;
    IF stands.state IN (p_state, 'removed') THEN
        RETURN ROW('repeated', p_subscription_id, 0, account.available)::subscription_answer_v1;
    END IF;
    IF p_back <> 'none' AND account.closed_at IS NULL THEN
        SELECT COALESCE(sum(-amount), 0) INTO back FROM ledger_entries
          WHERE bucket = p_bucket AND account_id = payer AND kind = 'fee'
            AND starts_with(reference, format('subscription:%s:', p_subscription_id))
            AND (p_back = 'all' OR reference = stands.last_reference)
            AND NOT EXISTS (SELECT 1 FROM ledger_entries
                            WHERE bucket = p_bucket AND account_id = payer AND reference = label);
        IF p_back = 'rest' THEN  -- of what was for good nothing is left
            rest := EXTRACT(epoch FROM GREATEST(stands.paid_to - GREATEST(p_at, stands.paid_from), interval '0'));
            whole := NULLIF(EXTRACT(epoch FROM stands.paid_to - stands.paid_from), 0);
            back := COALESCE(round(back * rest / whole, 6), 0);
        END IF;
        IF back > 0 THEN
            PERFORM enter(p_bucket, payer, 'fee', back, label, p_subject);
        END IF;
    END IF;
    UPDATE service_subscriptions SET state = p_state, missing = 0, ends_at = LEAST(COALESCE(ends_at, p_at), p_at)
      WHERE bucket = p_bucket AND subscription_id = p_subscription_id;
    IF p_option_id IS NOT NULL THEN
        SELECT subscriber_id INTO line FROM subscribers WHERE bucket = p_bucket AND login = stands.login;
        UPDATE subscriber_options SET effective_to = GREATEST(p_at, effective_from + interval '1 microsecond')
          WHERE bucket = p_bucket AND subscriber_id = line AND tariff_id = p_option_id
            AND effective_to = stands.paid_to AND effective_to > p_at;
    END IF;
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('done', p_subscription_id, -back, account.available + back)::subscription_answer_v1;
END $$;

---------------------------------------------------------------------------------------------------------------
-- Messages: send_message_v2 writes one and takes its money of all who pay, or does neither; end_message_v1 says that it was
-- handed to its carrier, or gives the money back. Each may be asked again: it is done once. What a message costs counts in
-- the limits of the day and the month, as what a call costs.

CREATE TYPE message_order_v2 AS (
    accounts bigint[], prices numeric[],  -- who pays, the line's own account first; empty: nobody
    subscriber_id bigint, subscriber_version integer,
    party_id bigint, login text, kind text, sender text, recipient text, content text, encoding text, parts smallint,
    currency text, carrier text, offers message_offer[], margin_currency text, reference text,
    lease interval              -- who asks hands it over, within so long; NULL: it is queued
);
CREATE TYPE message_answer_v1 AS (
    outcome text,               -- taken, repeated, conflict, stale; or a DeclineReason: nothing was done
    message_id bigint
);

-- Why accounts that are locked cannot pay for a message; NULL: they can. The first of them is the line's own.
CREATE OR REPLACE FUNCTION message_refusal(p_bucket smallint, p_order message_order_v2) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT refusal FROM (
        SELECT p.level, CASE
            WHEN (a.status = 'active' AND a.closed_at IS NULL) IS NOT TRUE
            THEN CASE WHEN p.level = 1 THEN 'inactive' ELSE 'reseller_inactive' END
            WHEN COALESCE((
                SELECT allowed FROM account_prefixes
                WHERE bucket = p_bucket AND account_id = p.account_id AND starts_with(p_order.recipient, prefix)
                ORDER BY length(prefix) DESC LIMIT 1), a.default_allowed) IS NOT TRUE
            THEN CASE WHEN p.level = 1 THEN 'blocked_destination' ELSE 'reseller_limit' END
            WHEN p.price > 0 AND p.level > 1 AND LEAST(a.balance + a.overdraft - a.reserved, a.day_left, a.month_left) < p.price
            THEN 'reseller_insufficient_funds'
            WHEN p.price > 0 AND a.balance + a.overdraft - a.reserved < p.price THEN 'insufficient_funds'
            WHEN p.price > 0 AND a.day_left < p.price THEN 'daily_limit'
            WHEN p.price > 0 AND a.month_left < p.price THEN 'monthly_limit'
        END AS refusal
        FROM unnest(p_order.accounts, p_order.prices) WITH ORDINALITY AS p(account_id, price, level)
        LEFT JOIN LATERAL (
            SELECT *, day_left(daily_limit, reserved, spent_on, day_spent, time_zone),
                   month_left(monthly_limit, reserved, spent_on, month_spent, time_zone)
            FROM accounts WHERE bucket = p_bucket AND account_id = p.account_id OFFSET 0) a ON true
        ) AS asked WHERE refusal IS NOT NULL ORDER BY level LIMIT 1);
END $$;

-- One entry of a message on an account that is locked, counted on the day that it was written. p_amount below zero takes.
CREATE OR REPLACE FUNCTION enter_message(
    p_bucket smallint, p_account_id bigint, p_amount numeric, p_reference text, p_subject text, p_written timestamptz
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_bucket, p_account_id, 'fee', p_amount, p_reference, p_subject);
    UPDATE accounts a SET
        day_spent = LEAST(CASE WHEN n.written = n.today THEN -p_amount ELSE 0 END
                          + CASE WHEN a.spent_on = n.today THEN a.day_spent ELSE 0 END, max_amount()),
        month_spent = LEAST(CASE WHEN date_trunc('month', n.written) = date_trunc('month', n.today) THEN -p_amount ELSE 0 END
                            + CASE WHEN date_trunc('month', a.spent_on) = date_trunc('month', n.today)
                                   THEN a.month_spent ELSE 0 END, max_amount()),
        spent_on = n.today
    FROM (SELECT local_date(time_zone) AS today, (p_written AT TIME ZONE time_zone)::date AS written
          FROM accounts WHERE bucket = p_bucket AND account_id = p_account_id) n
    WHERE a.bucket = p_bucket AND a.account_id = p_account_id;
END $$;

CREATE OR REPLACE FUNCTION send_message_v2(p_bucket smallint, p_order message_order_v2, p_note audit_note_v3)
RETURNS message_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    earlier  record;
    line     record;
    refusal  text;
    made     bigint;
BEGIN
    PERFORM 1 FROM accounts WHERE bucket = p_bucket AND account_id = ANY (p_order.accounts)
      ORDER BY account_id FOR NO KEY UPDATE;
    SELECT message_id, kind = p_order.kind AND recipient = p_order.recipient AND content = p_order.content
                       AND sender = p_order.sender AS same INTO earlier
      FROM messages WHERE bucket = p_bucket AND login = p_order.login AND reference = p_order.reference;
    IF FOUND THEN
        RETURN ROW(CASE WHEN earlier.same THEN 'repeated' ELSE 'conflict' END, earlier.message_id)::message_answer_v1;
    END IF;
    SELECT version, status INTO line FROM subscribers
      WHERE bucket = p_bucket AND subscriber_id = p_order.subscriber_id;
    IF line.version IS DISTINCT FROM p_order.subscriber_version THEN
        RETURN ROW('stale', NULL)::message_answer_v1;
    END IF;
    refusal := CASE WHEN line.status <> 'active' THEN 'inactive' ELSE message_refusal(p_bucket, p_order) END;
    IF refusal IS NOT NULL THEN
        RETURN ROW(refusal, NULL)::message_answer_v1;
    END IF;
    INSERT INTO messages (bucket, kind, direction, state, party_id, account_id, login, sender, recipient, content, encoding,
                          parts, accounts, prices, currency, carrier, offers, margin_currency, reference, lease_until,
                          attempts)
      VALUES (p_bucket, p_order.kind, 'out', CASE WHEN p_order.lease IS NULL THEN 'queued' ELSE 'sending' END,
              p_order.party_id, p_order.accounts[1], p_order.login, p_order.sender, p_order.recipient, p_order.content,
              p_order.encoding, p_order.parts, p_order.accounts, p_order.prices, p_order.currency, p_order.carrier,
              p_order.offers, p_order.margin_currency, p_order.reference, now() + p_order.lease, CASE WHEN p_order.lease IS NULL THEN 0 ELSE 1 END)
      RETURNING message_id INTO made;
    PERFORM enter_message(p_bucket, p.account_id, -p.price, format('message:%s', made),
                          format('%s to %s', p_order.kind, p_order.recipient), now())
    FROM unnest(p_order.accounts, p_order.prices) AS p(account_id, price) WHERE p.price > 0;
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('taken', made)::message_answer_v1;
END $$;

-- Answers how the message stands, which is what somebody else has said before, if so. NULL: there is none.
CREATE OR REPLACE FUNCTION end_message_v1(
    p_bucket smallint, p_message_id bigint, p_sent boolean, p_carrier text, p_carrier_id text, p_answer text, p_error text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ended  record;
    taken  message_offer;
BEGIN
    PERFORM 1 FROM accounts WHERE bucket = p_bucket AND account_id = ANY (
        SELECT unnest(accounts) FROM messages WHERE bucket = p_bucket AND message_id = p_message_id)
      ORDER BY account_id FOR NO KEY UPDATE;
    SELECT o.* INTO taken FROM messages, unnest(offers) AS o
      WHERE bucket = p_bucket AND message_id = p_message_id AND p_sent AND o.carrier = p_carrier LIMIT 1;
    UPDATE messages SET
        state = CASE WHEN p_sent THEN 'sent' ELSE 'failed' END, lease_until = NULL,
        carrier_cost = taken.cost, carrier_currency = COALESCE(taken.currency, ''), margin = taken.margin,
        carrier = COALESCE(p_carrier, carrier), carrier_id = p_carrier_id, answer = p_answer, error = p_error,
        sent_at = CASE WHEN p_sent THEN now() END, ended_at = CASE WHEN NOT p_sent THEN now() END
      WHERE bucket = p_bucket AND message_id = p_message_id AND state IN ('queued', 'sending')
      RETURNING kind, recipient, accounts, prices, created_at INTO ended;
    IF FOUND AND NOT p_sent THEN
        PERFORM enter_message(p_bucket, p.account_id, p.price, format('message:%s:back', p_message_id),
                              format('%s to %s was not sent', ended.kind, ended.recipient), ended.created_at)
        FROM unnest(ended.accounts, ended.prices) AS p(account_id, price) WHERE p.price > 0;
    END IF;
    RETURN (SELECT state FROM messages WHERE bucket = p_bucket AND message_id = p_message_id);
END $$;

---------------------------------------------------------------------------------------------------------------
-- Transfers: send_transfer_v1 takes the money from the sender, and gives it where the other account is in the same bucket.
-- receive_transfer_v1 gives it in another bucket, finish_transfer_v1 says so to the sender's. Each may be asked again at any
-- time: who was killed between two of them has the rest done by whoever looks next.

CREATE TYPE transfer_order_v1 AS (
    account_id bigint, to_bucket smallint, to_account_id bigint,
    amount numeric,             -- NULL: all that there is, less the fee
    fee numeric, exchange_rate numeric,
    least_refill smallint,      -- what refill_allowed of both has to be at least
    reference text, subject text
);
CREATE TYPE transfer_answer_v1 AS (
    outcome text,               -- done, sent, repeated, conflict; or why nothing was done: not_there (less is available),
                                -- too_small (nothing would come of it), locked, limited, closed, same, unknown
    transfer_id bigint, amount numeric, fee numeric, amount_to numeric, state text, available numeric
);

-- What may be sent of an account that is locked. Credit without a limit is for calls, and no money to give away.
CREATE OR REPLACE FUNCTION sendable(p_balance numeric, p_overdraft numeric, p_reserved numeric) RETURNS numeric
LANGUAGE sql IMMUTABLE AS $$
    SELECT GREATEST(p_balance + COALESCE(p_overdraft, 0) - p_reserved, 0)
$$;

-- Why an account that is locked takes no part in a transfer; NULL: it does.
CREATE OR REPLACE FUNCTION transfer_refusal(p_closed_at timestamptz, p_refill_allowed smallint, p_least smallint)
RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN p_closed_at IS NOT NULL THEN 'closed' WHEN p_refill_allowed >= p_least THEN NULL
                WHEN p_refill_allowed = 0 THEN 'locked' ELSE 'limited' END
$$;

CREATE OR REPLACE FUNCTION send_transfer_v1(p_bucket smallint, p_order transfer_order_v1, p_note audit_note_v3)
RETURNS transfer_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    sender    record;
    receiver  record;
    earlier   record;
    answer    transfer_answer_v1;
    is_near   boolean := p_order.to_bucket = p_bucket;
BEGIN
    PERFORM 1 FROM accounts WHERE bucket = p_bucket AND (account_id = p_order.account_id
                                                        OR is_near AND account_id = p_order.to_account_id)
      ORDER BY account_id FOR NO KEY UPDATE;
    SELECT closed_at, refill_allowed, sendable(balance, overdraft, reserved) AS available INTO sender FROM accounts
      WHERE bucket = p_bucket AND account_id = p_order.account_id;
    SELECT closed_at, refill_allowed INTO receiver FROM accounts
      WHERE bucket = p_bucket AND is_near AND account_id = p_order.to_account_id;
    SELECT * INTO earlier FROM transfers
      WHERE bucket = p_bucket AND account_id = p_order.account_id AND reference = p_order.reference;
    IF earlier.transfer_id IS NOT NULL THEN
        RETURN ROW(CASE WHEN COALESCE(p_order.amount, earlier.amount) = earlier.amount
                             AND (earlier.to_bucket, earlier.to_account_id) = (p_order.to_bucket, p_order.to_account_id)
                        THEN 'repeated' ELSE 'conflict' END,
                   earlier.transfer_id, earlier.amount, earlier.fee, earlier.amount_to, earlier.state,
                   sender.available)::transfer_answer_v1;
    END IF;
    answer.available := sender.available; answer.fee := p_order.fee;
    answer.amount := COALESCE(p_order.amount, GREATEST(sender.available - p_order.fee, 0));
    answer.amount_to := trunc(answer.amount * p_order.exchange_rate, 6);
    answer.outcome := CASE
        WHEN sender.available IS NULL OR is_near AND receiver.refill_allowed IS NULL THEN 'unknown'
        WHEN is_near AND p_order.account_id = p_order.to_account_id THEN 'same'
        ELSE COALESCE(transfer_refusal(sender.closed_at, sender.refill_allowed, p_order.least_refill),
                      CASE WHEN is_near THEN
                          transfer_refusal(receiver.closed_at, receiver.refill_allowed, p_order.least_refill) END,
                      CASE WHEN answer.amount = 0 OR answer.amount + p_order.fee > sender.available THEN 'not_there'
                           WHEN answer.amount_to = 0 THEN 'too_small' END) END;
    IF answer.outcome IS NOT NULL THEN
        RETURN answer;
    END IF;
    answer.state := CASE WHEN is_near THEN 'done' ELSE 'sent' END; answer.outcome := answer.state;
    INSERT INTO transfers (bucket, account_id, to_bucket, to_account_id, amount, fee, exchange_rate, amount_to, state,
                           reference, subject, ended_at)
      VALUES (p_bucket, p_order.account_id, p_order.to_bucket, p_order.to_account_id, answer.amount, p_order.fee,
              p_order.exchange_rate, answer.amount_to, answer.state, p_order.reference, p_order.subject,
              CASE WHEN is_near THEN now() END)
      RETURNING transfer_id INTO answer.transfer_id;
    PERFORM enter(p_bucket, p_order.account_id, 'transfer', -answer.amount - p_order.fee,
                  format('transfer:%s:out', answer.transfer_id), p_order.subject);
    IF is_near THEN
        PERFORM enter(p_bucket, p_order.to_account_id, 'transfer', answer.amount_to,
                      format('transfer:%s:in', answer.transfer_id), p_order.subject);
    END IF;
    PERFORM keep_note(p_bucket, p_note);
    RETURN answer;
END $$;

-- given: it has the money, now or since before. closed, unknown: it never will.
CREATE OR REPLACE FUNCTION receive_transfer_v1(
    p_bucket smallint, p_account_id bigint, p_transfer_id bigint, p_amount numeric, p_subject text
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    account  record;
    its_own  text := format('transfer:%s:in', p_transfer_id);
BEGIN
    SELECT balance, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    IF EXISTS (SELECT FROM ledger_entries
               WHERE bucket = p_bucket AND account_id = p_account_id AND reference = its_own) THEN
        RETURN 'given';
    ELSIF account.balance IS NULL OR account.closed_at IS NOT NULL THEN
        RETURN CASE WHEN account.balance IS NULL THEN 'unknown' ELSE 'closed' END;
    END IF;
    PERFORM enter(p_bucket, p_account_id, 'transfer', p_amount, its_own, p_subject);
    RETURN 'given';
END $$;

-- How a transfer that was sent ended: it was given, or the sender has it back, in an account that is closed too. Answers how
-- it stands.
CREATE OR REPLACE FUNCTION finish_transfer_v1(p_bucket smallint, p_transfer_id bigint, p_given boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    sent  record;
BEGIN
    SELECT account_id, amount + fee AS taken, subject INTO sent FROM transfers
      WHERE bucket = p_bucket AND transfer_id = p_transfer_id;
    PERFORM 1 FROM accounts WHERE bucket = p_bucket AND account_id = sent.account_id FOR NO KEY UPDATE;
    UPDATE transfers SET state = CASE WHEN p_given THEN 'done' ELSE 'returned' END, ended_at = now()
      WHERE bucket = p_bucket AND transfer_id = p_transfer_id AND state = 'sent';
    IF FOUND AND NOT p_given THEN
        PERFORM enter(p_bucket, sent.account_id, 'transfer', sent.taken, format('transfer:%s:back', p_transfer_id), sent.subject);
    END IF;
    RETURN (SELECT state FROM transfers WHERE bucket = p_bucket AND transfer_id = p_transfer_id);
END $$;

---------------------------------------------------------------------------------------------------------------
-- Papers that move money: a payment that is confirmed tops its account up, a credit note that is paid is credited and may be
-- taken back. Where a payer is named (p_payer_id, of the same bucket) it is that account's money; else it came from outside.

CREATE TYPE paper_answer_v1 AS (
    outcome text,               -- done, repeated, cancelled; or why nothing was done: not_there (less is available), closed,
                                -- same (it would pay itself), unknown
    available numeric           -- of who pays
);

-- Locks the accounts of a paper; why its money cannot move now, NULL: it can. Below zero it goes back to the payer.
CREATE OR REPLACE FUNCTION paper_refusal(
    p_bucket smallint, p_account_id bigint, p_payer_id bigint, p_amount numeric, p_taken numeric
) RETURNS paper_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    account  record;
    payer    record;
BEGIN
    PERFORM 1 FROM accounts WHERE bucket = p_bucket AND account_id IN (p_account_id, p_payer_id)
      ORDER BY account_id FOR NO KEY UPDATE;
    SELECT closed_at, balance, balance + overdraft - reserved AS available INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id;
    SELECT closed_at, sendable(balance, overdraft, reserved) AS available INTO payer FROM accounts
      WHERE bucket = p_bucket AND account_id = p_payer_id;
    RETURN ROW(CASE
        WHEN account.balance IS NULL OR p_payer_id IS NOT NULL AND payer.available IS NULL THEN 'unknown'
        WHEN p_payer_id = p_account_id THEN 'same'
        WHEN account.closed_at IS NOT NULL OR payer.closed_at IS NOT NULL THEN 'closed'
        WHEN p_amount < 0 AND account.available + p_amount < 0 THEN 'not_there'  -- NULL, of credit without a limit: never
        WHEN p_taken > payer.available THEN 'not_there' END,
        CASE WHEN p_amount < 0 THEN account.available ELSE payer.available END)::paper_answer_v1;
END $$;

CREATE OR REPLACE FUNCTION enter_paper(
    p_bucket smallint, p_account_id bigint, p_payer_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_taken numeric,
    p_reference text, p_subject text
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM enter(p_bucket, p_account_id, p_kind, p_amount, p_reference, p_subject);
    IF p_payer_id IS NOT NULL THEN
        PERFORM enter(p_bucket, p_payer_id, 'adjustment', -p_taken,
                      format('%s:of:%s', p_reference, p_account_id), p_subject);
    END IF;
END $$;

CREATE OR REPLACE FUNCTION confirm_payment_v1(
    p_bucket smallint, p_payment_id bigint, p_payer_id bigint, p_taken numeric, p_note audit_note_v3
) RETURNS paper_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    payment  record;
    answer   paper_answer_v1;
BEGIN
    SELECT account_id, method, transaction, credited, invoice_id INTO payment FROM payments
      WHERE bucket = p_bucket AND payment_id = p_payment_id;
    IF payment.account_id IS NULL THEN
        RETURN ROW('unknown', NULL)::paper_answer_v1;
    END IF;
    answer := paper_refusal(p_bucket, payment.account_id, p_payer_id, payment.credited, p_taken);
    answer.outcome := COALESCE(
        (SELECT CASE state WHEN 'confirmed' THEN 'repeated' WHEN 'cancelled' THEN 'cancelled' END FROM payments
         WHERE bucket = p_bucket AND payment_id = p_payment_id FOR UPDATE), answer.outcome);
    IF answer.outcome IS NOT NULL THEN
        RETURN answer;
    END IF;
    PERFORM enter_paper(p_bucket, payment.account_id, p_payer_id, 'topup', payment.credited, p_taken,
                        format('payment:%s:%s', payment.method, payment.transaction), format('payment %s', p_payment_id));
    UPDATE payments SET state = 'confirmed', ended_at = now(), payer_id = p_payer_id, taken = p_taken
      WHERE bucket = p_bucket AND payment_id = p_payment_id;
    UPDATE invoices i SET state = 'paid', ended_at = now()
      WHERE i.bucket = p_bucket AND i.invoice_id = payment.invoice_id AND i.state = 'open' AND i.due <= (
          SELECT sum(amount + tax + commission) FROM payments p
          WHERE p.bucket = p_bucket AND p.account_id = payment.account_id AND p.invoice_id = payment.invoice_id
            AND p.state = 'confirmed' AND p.currency = i.currency);
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('done', answer.available)::paper_answer_v1;
END $$;

-- Pay a credit note, take it back, or delete it (which takes it back first).
CREATE OR REPLACE FUNCTION set_credit_note_v1(
    p_bucket smallint, p_credit_note_id bigint, p_state text, p_payer_id bigint, p_taken numeric, p_note audit_note_v3
) RETURNS paper_answer_v1 LANGUAGE plpgsql AS $$
DECLARE
    note    record;
    sign    integer;
    answer  paper_answer_v1;
BEGIN
    SELECT account_id, credited, state, turns, payer_id, taken INTO note FROM credit_notes
      WHERE bucket = p_bucket AND credit_note_id = p_credit_note_id FOR UPDATE;
    IF note.account_id IS NULL OR note.state = 'deleted' THEN
        RETURN ROW(CASE WHEN note.account_id IS NULL THEN 'unknown' WHEN p_state = 'deleted' THEN 'repeated'
                        ELSE 'cancelled' END, NULL)::paper_answer_v1;
    ELSIF note.state = p_state THEN
        RETURN ROW('repeated', NULL)::paper_answer_v1;
    END IF;
    sign := CASE WHEN p_state = 'paid' THEN 1 WHEN note.state = 'paid' THEN -1 ELSE 0 END;
    IF sign < 0 THEN  -- it goes back to where it came from
        p_payer_id := note.payer_id; p_taken := note.taken;
    END IF;
    IF sign <> 0 THEN
        answer := paper_refusal(p_bucket, note.account_id, p_payer_id, sign * note.credited, sign * p_taken);
        IF answer.outcome IS NOT NULL THEN
            RETURN answer;
        END IF;
        PERFORM enter_paper(p_bucket, note.account_id, p_payer_id, 'adjustment', sign * note.credited, sign * p_taken,
                            format('credit_note:%s:%s', p_credit_note_id, note.turns + 1),
                            format('credit note %s%s', p_credit_note_id, CASE WHEN sign < 0 THEN ' taken back' ELSE '' END));
    END IF;
    UPDATE credit_notes SET state = p_state, turns = note.turns + abs(sign),
        payer_id = CASE WHEN sign = 0 THEN payer_id WHEN sign > 0 THEN p_payer_id END,
        taken = CASE WHEN sign = 0 THEN taken WHEN sign > 0 THEN p_taken END
      WHERE bucket = p_bucket AND credit_note_id = p_credit_note_id;
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('done', answer.available)::paper_answer_v1;
END $$;

---------------------------------------------------------------------------------------------------------------
-- close_account_v3: an account calls no more, for good. What it has or owes is first settled by an adjustment, p_subject
-- (NULL: nothing may be left), a debt only where p_forgives.

CREATE TYPE close_answer_v3 AS (
    outcome text,               -- closed, repeated (it was closed before), open_calls, unsettled, unknown; but for the
                                -- first nothing was done
    balance numeric, open_calls integer
);

CREATE OR REPLACE FUNCTION close_account_v3(
    p_bucket smallint, p_account_id bigint, p_subject text, p_forgives boolean, p_note audit_note_v3
) RETURNS close_answer_v3 LANGUAGE plpgsql AS $$
DECLARE
    account  record;
    refusal  text;
BEGIN
    SELECT balance, open_calls, closed_at INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    refusal := CASE
        WHEN account.balance IS NULL THEN 'unknown'
        WHEN account.closed_at IS NOT NULL THEN 'repeated'
        WHEN account.open_calls > 0 THEN 'open_calls'
        WHEN account.balance <> 0 AND p_subject IS NULL OR account.balance < 0 AND NOT p_forgives THEN 'unsettled' END;
    IF refusal IS NOT NULL THEN
        RETURN ROW(refusal, account.balance, account.open_calls)::close_answer_v3;
    END IF;
    IF account.balance <> 0 THEN
        PERFORM enter(p_bucket, p_account_id, 'adjustment', -account.balance, NULL, p_subject);
    END IF;
    UPDATE accounts SET status = 'blocked', closed_at = now() WHERE bucket = p_bucket AND account_id = p_account_id;
    p_note.detail := jsonb_build_object(
        'balance', account.balance::text, 'settled', CASE WHEN account.balance <> 0 THEN p_subject END);
    PERFORM keep_note(p_bucket, p_note);
    RETURN ROW('closed', account.balance, account.open_calls)::close_answer_v3;
END $$;

---------------------------------------------------------------------------------------------------------------
-- create_account_v2: an account with its one login and what it begins with. The login is in `logins` already, with this
-- bucket: so a creation that was cut off is begun again, and two of one login end with one account.

CREATE TYPE create_account_answer_v2 AS (
    outcome text,               -- created, taken (the login has an account)
    account_id bigint, subscriber_id bigint
);

CREATE OR REPLACE FUNCTION create_account_v2(
    p_bucket smallint, p_login text, p_tariff_id bigint, p_kind account_kind, p_currency text, p_overdraft numeric,
    p_max_calls integer, p_callerid text, p_balance numeric
) RETURNS create_account_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    made  create_account_answer_v2;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('login ' || p_login, p_bucket));
    IF EXISTS (SELECT 1 FROM subscribers WHERE bucket = p_bucket AND login = p_login) THEN
        RETURN ROW('taken', NULL, NULL)::create_account_answer_v2;
    END IF;
    INSERT INTO accounts (bucket, kind, currency, overdraft, max_calls)
      VALUES (p_bucket, p_kind, p_currency, p_overdraft, p_max_calls) RETURNING account_id INTO made.account_id;
    INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid)
      VALUES (p_login, p_bucket, made.account_id, p_tariff_id, p_callerid) RETURNING subscriber_id INTO made.subscriber_id;
    IF p_balance <> 0 THEN
        PERFORM enter(p_bucket, made.account_id, 'opening', p_balance, NULL, '');
    END IF;
    made.outcome := 'created';
    RETURN made;
END $$;

-- Many at once, each as by itself: answers in the order of what was asked.
CREATE TYPE new_account_v2 AS (
    login text, tariff_id bigint, kind account_kind, currency text, overdraft numeric, max_calls integer, callerid text,
    balance numeric
);

CREATE OR REPLACE FUNCTION create_accounts_v2(p_bucket smallint, p_new new_account_v2[])
RETURNS create_account_answer_v2[] LANGUAGE plpgsql AS $$
DECLARE
    one   new_account_v2;
    made  create_account_answer_v2[] := '{}';
BEGIN
    FOREACH one IN ARRAY p_new LOOP
        made := made || create_account_v2(p_bucket, one.login, one.tariff_id, one.kind, one.currency, one.overdraft,
                                          one.max_calls, one.callerid, one.balance);
    END LOOP;
    RETURN made;
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
    account  record;
    party    record;
    tariff   tariff_terms;
    earlier  record;
    label    text;
    refusal  text;
BEGIN
    SELECT balance, balance + overdraft - reserved AS available INTO account FROM accounts
      WHERE bucket = p_bucket AND account_id = p_account_id FOR NO KEY UPDATE;
    SELECT login, tariff_id INTO party FROM subscribers
      WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND account_id = p_account_id;
    SELECT * INTO tariff FROM tariff_terms WHERE tariff_id = p_tariff_id;
    IF account.balance IS NULL OR party.login IS NULL OR tariff.tariff_id IS NULL THEN
        RETURN ROW('unknown', NULL)::switch_answer_v2;
    END IF;
    label := format('%s %s for %s', CASE WHEN p_is_option THEN 'option' ELSE 'tariff' END, tariff.name, party.login);
    SELECT kind, subject INTO earlier FROM ledger_entries
      WHERE bucket = p_bucket AND account_id = p_account_id AND reference = p_reference;
    IF FOUND THEN
        refusal := CASE WHEN earlier.kind = 'fee' AND earlier.subject = label THEN 'repeated' ELSE 'conflict' END;
    ELSIF tariff.is_option <> p_is_option THEN
        refusal := 'wrong_kind';
    ELSIF tariff.version <> p_tariff_version THEN
        refusal := 'stale';
    ELSIF p_from < now() THEN
        refusal := 'begins_past';
    ELSIF p_to <= COALESCE(p_from, now()) THEN
        refusal := 'ends_past';
    ELSIF party.tariff_id = p_tariff_id THEN
        refusal := 'unchanged';
    ELSE
        refusal := take_tariff(p_bucket, p_subscriber_id, p_tariff_id, p_is_option, p_max_options,
                               COALESCE(p_from, now()), COALESCE(p_to, 'infinity'), p_position,
                               -- Credit without a limit has none available (NULL), and what costs nothing needs no money.
                               p_price > 0 AND account.available < p_price);
    END IF;
    IF refusal IS NOT NULL THEN
        RETURN ROW(refusal, account.balance)::switch_answer_v2;
    ELSIF (SELECT version FROM tariff_terms WHERE tariff_id = p_tariff_id) IS DISTINCT FROM p_tariff_version THEN
        -- It has become something else while this waited; who changes what a tariff is waits for us in turn.
        RAISE SQLSTATE '40001' USING MESSAGE = 'the tariff was changed meanwhile';
    ELSIF p_price > 0 OR p_reference IS NOT NULL THEN
        account.balance := enter(p_bucket, p_account_id, 'fee', -p_price, p_reference, label);
    END IF;
    RETURN ROW('switched', account.balance)::switch_answer_v2;
END $$;

CREATE OR REPLACE FUNCTION switch_tariff_v3(
    p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_tariff_id bigint, p_tariff_version integer,
    p_is_option boolean, p_max_options integer, p_from timestamptz, p_to timestamptz, p_position integer,
    p_price numeric, p_reference text, p_note audit_note_v3
) RETURNS switch_answer_v2 LANGUAGE plpgsql AS $$
DECLARE
    answer  switch_answer_v2 := switch_tariff_v2(
                p_bucket, p_account_id, p_subscriber_id, p_tariff_id, p_tariff_version, p_is_option, p_max_options,
                p_from, p_to, p_position, p_price, p_reference);
BEGIN
    IF answer.outcome = 'switched' THEN
        PERFORM keep_note(p_bucket, p_note);
    END IF;
    RETURN answer;
END $$;

-- Gives a subscriber a tariff, or an option; answers why not.
CREATE OR REPLACE FUNCTION take_tariff(
    p_bucket smallint, p_subscriber_id bigint, p_tariff_id bigint, p_is_option boolean, p_max_options integer,
    p_begins timestamptz, p_ends timestamptz, p_position integer, p_too_dear boolean
) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    next_position  integer;
BEGIN
    IF p_is_option AND EXISTS (
        SELECT 1 FROM subscriber_options
        WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND tariff_id = p_tariff_id
          AND effective_from < p_ends AND effective_to > p_begins
    ) THEN
        RETURN 'unchanged';
    ELSIF p_is_option AND p_max_options <= (
        SELECT count(*) FROM subscriber_options
        WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND effective_to > now()
    ) THEN
        RETURN 'too_many';
    ELSIF p_too_dear THEN
        RETURN 'insufficient_funds';
    ELSIF p_is_option THEN
        SELECT max(position) + 1 INTO next_position FROM subscriber_options
          WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id AND effective_to > now();
        next_position := COALESCE(p_position, next_position, 1);
        INSERT INTO subscriber_options (bucket, subscriber_id, tariff_id, position, effective_from, effective_to)
          VALUES (p_bucket, p_subscriber_id, p_tariff_id, next_position, p_begins, p_ends);
    ELSE
        UPDATE subscribers SET tariff_id = p_tariff_id, tariff_since = now()
          WHERE bucket = p_bucket AND subscriber_id = p_subscriber_id;
    END IF;
    RETURN NULL;
END $$;

---------------------------------------------------------------------------------------------------------------
-- correct_calls_v2: posts what a re-rating found of some calls. A call is corrected at most once by a re-rating, however
-- often it is asked for: its item is marked in the transaction that posts its entry, and the entry's reference is of
-- this re-rating and call. What calls held and what limits count as spent is not touched: these calls are of the past.
-- A batch names a call key at most once. Locks as in settle_v5().

CREATE TYPE correction_answer_v2 AS (
    outcome text,               -- corrected, repeated (before), changed (its CDR is not as it was read: left alone),
                                -- unpriced, closed (the re-rating is not open), unknown
    amount numeric              -- what the account got; below zero what it paid
);
CREATE TYPE correction_v2 AS (
    ord bigint, call_key text, outcome text, account_id bigint, amount numeric, new_cost numeric, billed_seconds integer,
    rate_key bigint, rate text, deck_id bigint, prefix text, direction text, is_unlimited boolean, balance numeric,
    last_entry bigint
);

CREATE OR REPLACE FUNCTION correct_calls_v2(p_bucket smallint, p_rerate_id bigint, p_call_keys text[])
RETURNS correction_answer_v2[]
LANGUAGE plpgsql SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_bitmapscan = off AS $$
DECLARE
    items  correction_v2[];
BEGIN
    PERFORM 1 FROM accounts a
      WHERE a.bucket = p_bucket AND a.account_id = ANY (ARRAY(
          SELECT i.account_id FROM rerate_items i
          WHERE i.bucket = p_bucket AND i.rerate_id = p_rerate_id AND i.call_key = ANY (p_call_keys)))
      ORDER BY a.account_id FOR NO KEY UPDATE;
    -- It is not discarded while this runs.
    PERFORM 1 FROM open_rerates WHERE bucket = p_bucket AND rerate_id = p_rerate_id FOR SHARE;
    items := read_corrections(p_bucket, p_rerate_id, p_call_keys, FOUND);
    PERFORM write_corrections(p_bucket, p_rerate_id, items, freeze_rates(p_bucket, ARRAY(
        SELECT i.rate FROM unnest(items) i ORDER BY i.ord)));
    RETURN ARRAY(
        SELECT (i.outcome, CASE WHEN i.outcome = 'corrected' THEN i.amount ELSE 0 END)::correction_answer_v2
        FROM unnest(items) i ORDER BY i.ord);
END $$;

CREATE OR REPLACE FUNCTION read_corrections(p_bucket smallint, p_rerate_id bigint, p_call_keys text[], p_is_open boolean)
RETURNS correction_v2[] LANGUAGE plpgsql AS $$
DECLARE
    items  correction_v2[];
BEGIN
    SELECT array_agg(ROW(
        k.ord, k.call_key,
        CASE
            WHEN i.account_id IS NULL OR a.balance IS NULL THEN 'unknown'
            WHEN i.posted_at IS NOT NULL THEN 'repeated'
            WHEN NOT p_is_open THEN 'closed'
            WHEN i.new_cost IS NULL THEN 'unpriced'
            WHEN (cdr.account_id, cdr.seconds, cdr.cost) IS DISTINCT FROM (i.account_id, i.seconds, i.old_cost) THEN 'changed'
            ELSE 'corrected'
        END,
        i.account_id, i.old_cost - i.new_cost, i.new_cost, i.billed_seconds, NULL, i.rate, i.deck_id, i.prefix, i.direction,
        is_unlimited(a.overdraft, a.daily_limit, a.monthly_limit), a.balance,
        COALESCE(a.last_entry, last_entry(p_bucket, i.account_id)))::correction_v2 ORDER BY k.ord) INTO items
    FROM unnest(p_call_keys) WITH ORDINALITY AS k(call_key, ord)
    LEFT JOIN LATERAL (
        SELECT * FROM rerate_items
        WHERE bucket = p_bucket AND rerate_id = p_rerate_id AND call_key = k.call_key OFFSET 0
    ) i ON true
    LEFT JOIN LATERAL (
        SELECT account_id, seconds, cost FROM call_records WHERE bucket = p_bucket AND call_key = k.call_key OFFSET 0
    ) cdr ON true
    LEFT JOIN LATERAL (SELECT * FROM accounts WHERE bucket = p_bucket AND account_id = i.account_id OFFSET 0) a ON true;
    RETURN items;
END $$;

CREATE OR REPLACE FUNCTION write_corrections(p_bucket smallint, p_rerate_id bigint, p_items correction_v2[], p_rate_keys bigint[])
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    written  bigint;
    moment   timestamptz := now();
BEGIN
    -- The overrun as settle_v5() has it of a late end. What had no rate has one now. The keys come beside the items: a
    -- Citus node ends by an array that is asked by a column (13.2).
    UPDATE call_records c SET
        cost = i.new_cost, billed_seconds = i.billed_seconds, rate_key = i.frozen_key, deck_id = i.deck_id,
        prefix = i.prefix, direction = i.direction, margin = c.margin - i.amount, rerate_id = p_rerate_id,
        overrun = GREATEST(c.overrun - CASE WHEN i.is_unlimited THEN 0 ELSE i.amount END, 0),
        source = CASE WHEN c.source = 'unrated' THEN 'unreserved' ELSE c.source END
      FROM (SELECT n.*, n.unnest AS frozen_key FROM unnest(p_items, p_rate_keys) AS n) i
      WHERE c.bucket = p_bucket AND c.call_key = i.call_key AND i.outcome = 'corrected';
    GET DIAGNOSTICS written = ROW_COUNT;
    IF written <> (SELECT count(*) FROM unnest(p_items) i WHERE i.outcome = 'corrected') THEN
        RAISE SQLSTATE '40001' USING MESSAGE = 'a CDR was changed meanwhile';
    END IF;
    UPDATE rerate_items r SET
        posted_at = CASE WHEN i.outcome = 'corrected' THEN moment END, changed = i.outcome = 'changed'
      FROM unnest(p_items) i
      WHERE r.bucket = p_bucket AND r.rerate_id = p_rerate_id AND r.call_key = i.call_key
        AND i.outcome IN ('corrected', 'changed');
    INSERT INTO ledger_entries (bucket, account_id, entry_id, kind, amount, balance_after, call_key, reference)
    SELECT p_bucket, i.account_id, i.last_entry + row_number() OVER account, 'correction', i.amount,
           i.balance + sum(i.amount) OVER account, i.call_key,
           'rerate ' || p_rerate_id || ' ' || CASE WHEN length(i.call_key) <= 160 THEN i.call_key
                                                   ELSE encode(sha256(convert_to(i.call_key, 'UTF8')), 'hex') END
    FROM unnest(p_items) i WHERE i.outcome = 'corrected' AND i.amount <> 0
    WINDOW account AS (PARTITION BY i.account_id ORDER BY i.ord);
    UPDATE accounts a SET balance = a.balance + n.amount, last_entry = n.last_entry
    FROM (
        SELECT i.account_id, sum(i.amount) AS amount, max(i.last_entry) + count(*) FILTER (WHERE i.amount <> 0) AS last_entry
        FROM unnest(p_items) i WHERE i.outcome = 'corrected' GROUP BY i.account_id
    ) n
    WHERE a.bucket = p_bucket AND a.account_id = n.account_id;
END $$;
