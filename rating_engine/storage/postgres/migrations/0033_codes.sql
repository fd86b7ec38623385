-- Codes that carry money and invite, and what is written on what has to be paid. There are none yet; nobody may invite.

ALTER TABLE parties ADD COLUMN IF NOT EXISTS invites integer NOT NULL DEFAULT 0 CHECK (invites >= 0);

-- What a party has written on what it has to pay.
CREATE TABLE IF NOT EXISTS party_details (
    party_id              bigint PRIMARY KEY REFERENCES parties,
    billing_name          text NOT NULL DEFAULT '',
    billing_address       text NOT NULL DEFAULT '',
    billing_email         text NOT NULL DEFAULT '',
    billing_bank_account  text NOT NULL DEFAULT ''
);

-- Cards of one kind: of how many digits their numbers and PINs are. `codes` are the vouchers and invitations that users make:
-- they have no PIN, and nobody calls by them.
CREATE TABLE IF NOT EXISTS card_groups (
    group_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL UNIQUE CHECK (name <> ''),
    number_length  smallint NOT NULL DEFAULT 10 CHECK (number_length BETWEEN 6 AND 20),
    pin_length     smallint NOT NULL DEFAULT 4 CHECK (pin_length BETWEEN 0 AND 10)
);
INSERT INTO card_groups (name, number_length, pin_length) VALUES ('codes', 16, 0) ON CONFLICT (name) DO NOTHING;

-- Each card. Its number is kept encrypted with a key of the settings, and found by a hash that is keyed with it, so that who
-- reads the database has none. Its money is an account of its own (purpose `card`); NULL: it carries none. That money goes
-- back to from_account_id where nobody wanted it; NULL: nobody's account paid, an administrator made it.
CREATE TABLE IF NOT EXISTS calling_cards (
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
    CHECK ((bucket IS NULL) = (account_id IS NULL)),
    CHECK ((activated_by IS NULL) = (activated_at IS NULL)),
    CHECK (activated_by IS NULL OR deleted_at IS NULL)
);
CREATE INDEX IF NOT EXISTS calling_cards_by_creator ON calling_cards (created_by, card_id);
CREATE INDEX IF NOT EXISTS calling_cards_deleted ON calling_cards (card_id) WHERE deleted_at IS NOT NULL AND account_id IS NOT NULL;

-- Who tried what lately: registrations of an address, wrong codes. Forgotten after an hour.
CREATE TABLE IF NOT EXISTS code_tries (
    who   text NOT NULL,
    what  text NOT NULL CHECK (what IN ('request', 'register', 'guess')),
    at    timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS code_tries_by_who ON code_tries (who, what, at);
