-- Messages: what they cost, and each of them.

-- What messages cost: by the longest prefix of the number that they go to, in the tariff's currency; of an SMS each part, of
-- a query (hlr) the whole. A tariff that has none for a number sends none there.
CREATE TABLE IF NOT EXISTS message_prices (
    tariff_id  bigint NOT NULL REFERENCES tariffs,
    kind       text NOT NULL CHECK (kind IN ('sms', 'hlr')),
    prefix     text COLLATE "C" NOT NULL CHECK (prefix ~ '^[0-9]{0,32}$'),  -- '': every number
    price      numeric(18, 8) NOT NULL CHECK (price >= 0),
    PRIMARY KEY (tariff_id, kind, prefix)
);

-- Delivery reports that came before it was known what their carrier calls the message. Forgotten after a day.
CREATE TABLE IF NOT EXISTS early_reports (
    carrier     text NOT NULL,
    carrier_id  text NOT NULL,
    delivered   boolean NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (carrier, carrier_id)
);

CREATE SEQUENCE IF NOT EXISTS message_ids;

-- Messages: sms, hlr (a query of where a number is), sip and voice. Those that cost something take their money when they are
-- written (`accounts`: the payer and the resellers above it, each its own of `prices`), by fees message:ID; one that was not
-- sent gives it back by message:ID:back. queued: waits for its carrier; sending: handed over until lease_until by whoever
-- took it; sent, and then delivered or undelivered, as its carrier has said; failed: not sent, or nobody knows; received.
CREATE TABLE IF NOT EXISTS messages (
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
CREATE UNIQUE INDEX IF NOT EXISTS messages_once ON messages (bucket, login, reference) WHERE reference IS NOT NULL;
CREATE INDEX IF NOT EXISTS messages_by_id ON messages (message_id);
CREATE INDEX IF NOT EXISTS messages_by_party ON messages (party_id, message_id);
CREATE INDEX IF NOT EXISTS messages_by_carrier ON messages (carrier, carrier_id) WHERE carrier_id <> '';
CREATE INDEX IF NOT EXISTS messages_waiting ON messages (due_at) WHERE state IN ('queued', 'sending');
