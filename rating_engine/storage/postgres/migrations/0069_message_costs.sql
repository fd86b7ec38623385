-- for functions
-- What carriers take for messages: of those that may be asked, and of the one that has it.

DO $$ BEGIN
    CREATE TYPE message_offer AS (carrier text, cost numeric, currency text, margin numeric);
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;
ALTER TABLE IF EXISTS messages
    ADD COLUMN IF NOT EXISTS offers message_offer[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS carrier_cost numeric(20, 6),
    ADD COLUMN IF NOT EXISTS carrier_currency text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS margin numeric(20, 6),
    ADD COLUMN IF NOT EXISTS margin_currency text NOT NULL DEFAULT '';
DROP TYPE IF EXISTS message_order_v1 CASCADE;
