-- Calling cards: what their groups say, who may use them and what they are sold for. Taxes. The group
-- and the codes that there are stay as they are; no card calls yet.

CREATE TABLE IF NOT EXISTS taxes (
    tax_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL UNIQUE CHECK (name <> ''),
    percent  numeric(7, 4) NOT NULL CHECK (percent BETWEEN 0 AND 100)
);

ALTER TABLE card_groups
    DROP CONSTRAINT IF EXISTS card_groups_name_key,
    ADD COLUMN IF NOT EXISTS is_codes boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS owner_id bigint NOT NULL DEFAULT 1 REFERENCES parties,
    ADD COLUMN IF NOT EXISTS tariff_id bigint REFERENCES tariffs,
    ADD COLUMN IF NOT EXISTS description text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS image text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS price_with_tax numeric(20, 6) NOT NULL DEFAULT 0 CHECK (price_with_tax >= 0),
    ADD COLUMN IF NOT EXISTS tax_id bigint REFERENCES taxes,
    ADD COLUMN IF NOT EXISTS setup_fee numeric(20, 6) NOT NULL DEFAULT 0 CHECK (setup_fee >= 0),
    ADD COLUMN IF NOT EXISTS daily_charge numeric(20, 6) NOT NULL DEFAULT 0 CHECK (daily_charge >= 0),
    ADD COLUMN IF NOT EXISTS numbering_plan text,
    ADD COLUMN IF NOT EXISTS dialplan text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS valid_from timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS valid_to timestamptz CHECK (valid_to >= valid_from),
    ADD COLUMN IF NOT EXISTS days_after_first_use integer NOT NULL DEFAULT 0 CHECK (days_after_first_use >= 0),
    ADD COLUMN IF NOT EXISTS ghost_balance_percent numeric(9, 4) NOT NULL DEFAULT 100 CHECK (ghost_balance_percent >= 0),
    ADD COLUMN IF NOT EXISTS ghost_min_percent numeric(9, 4) NOT NULL DEFAULT 0 CHECK (ghost_min_percent >= -100),
    ADD COLUMN IF NOT EXISTS tell_cents boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS tell_currency text NOT NULL DEFAULT '' CHECK (tell_currency ~ '^([A-Z]{3})?$'),
    ADD COLUMN IF NOT EXISTS max_calls integer DEFAULT 1 CHECK (max_calls >= 0),
    ADD COLUMN IF NOT EXISTS external_function boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS allow_loss boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS solo_pinless boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS disable_voucher boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS callerid_leave boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS hidden boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();
UPDATE card_groups SET is_codes = true WHERE name = 'codes' AND tariff_id IS NULL AND NOT is_codes;
ALTER TABLE card_groups DROP CONSTRAINT IF EXISTS card_groups_codes;
ALTER TABLE card_groups ADD CONSTRAINT card_groups_codes CHECK (is_codes = (tariff_id IS NULL));
CREATE UNIQUE INDEX IF NOT EXISTS card_groups_of_codes ON card_groups (is_codes) WHERE is_codes;
CREATE INDEX IF NOT EXISTS card_groups_by_owner ON card_groups (owner_id, group_id);

CREATE TABLE IF NOT EXISTS card_sales (
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
CREATE INDEX IF NOT EXISTS card_sales_open ON card_sales (sale_id) WHERE ended_at IS NULL;

ALTER TABLE calling_cards
    ADD COLUMN IF NOT EXISTS pin_hash bytea CHECK (length(pin_hash) = 32),
    ADD COLUMN IF NOT EXISTS pin_sealed bytea,
    ADD COLUMN IF NOT EXISTS name text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS batch text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS min_balance numeric(20, 6) NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS distributor_id bigint REFERENCES parties,
    ADD COLUMN IF NOT EXISTS language text NOT NULL DEFAULT '' CHECK (language ~ '^[A-Za-z_-]{0,20}$'),
    ADD COLUMN IF NOT EXISTS callerid text NOT NULL DEFAULT '' CHECK (callerid ~ '^[0-9]{0,20}$'),
    ADD COLUMN IF NOT EXISTS sale_id bigint REFERENCES card_sales,
    ADD COLUMN IF NOT EXISTS sold_at timestamptz,
    ADD COLUMN IF NOT EXISTS funded_at timestamptz,
    ADD COLUMN IF NOT EXISTS first_used_at timestamptz,
    ADD COLUMN IF NOT EXISTS daily_paid_to timestamptz NOT NULL DEFAULT date_trunc('day', now(), 'UTC'),
    ADD COLUMN IF NOT EXISTS blocked boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS line text UNIQUE,
    ADD COLUMN IF NOT EXISTS line_open boolean NOT NULL DEFAULT true;
ALTER TABLE calling_cards
    DROP CONSTRAINT IF EXISTS calling_cards_pin,
    DROP CONSTRAINT IF EXISTS calling_cards_funded,
    DROP CONSTRAINT IF EXISTS calling_cards_line;
ALTER TABLE calling_cards
    ADD CONSTRAINT calling_cards_pin CHECK ((pin_hash IS NULL) = (pin_sealed IS NULL)),
    ADD CONSTRAINT calling_cards_funded CHECK (funded_at IS NULL OR sold_at IS NOT NULL),
    ADD CONSTRAINT calling_cards_line CHECK ((line IS NULL) = (first_used_at IS NULL));
CREATE INDEX IF NOT EXISTS calling_cards_by_group ON calling_cards (group_id, card_id);
CREATE INDEX IF NOT EXISTS calling_cards_free ON calling_cards (group_id, card_id) WHERE sold_at IS NULL AND deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS calling_cards_by_sale ON calling_cards (sale_id) WHERE sale_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS calling_cards_by_callerid ON calling_cards (callerid) WHERE callerid <> '';
