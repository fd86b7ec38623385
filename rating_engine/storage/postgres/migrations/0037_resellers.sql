-- for functions
-- Resellers that are charged for the calls of their users, by their own price and in the same transaction. Nobody is yet:
-- no row is rewritten.

DO $$ BEGIN
    CREATE TYPE call_reseller AS (
        account_id bigint, tariff_id bigint, deck_id bigint, prefix text, rate_key bigint, exchange numeric
    );
EXCEPTION WHEN duplicate_object THEN NULL;
END $$;

ALTER TABLE parties
    ADD COLUMN IF NOT EXISTS account_bucket smallint,
    ADD COLUMN IF NOT EXISTS account_id bigint,
    DROP CONSTRAINT IF EXISTS parties_charged;
ALTER TABLE parties
    ADD CONSTRAINT parties_charged CHECK ((account_id IS NULL) = (account_bucket IS NULL)
                                          AND (account_id IS NULL OR tariff_id IS NOT NULL AND kind = 'reseller'));
CREATE UNIQUE INDEX IF NOT EXISTS parties_by_account ON parties (account_bucket, account_id) WHERE account_id IS NOT NULL;

ALTER TABLE subscribers
    ADD COLUMN IF NOT EXISTS reseller_accounts bigint[],
    ADD COLUMN IF NOT EXISTS reseller_tariffs bigint[];
ALTER TABLE open_calls
    ADD COLUMN IF NOT EXISTS resellers call_reseller[],
    ADD COLUMN IF NOT EXISTS resellers_held numeric[],
    ADD COLUMN IF NOT EXISTS resellers_granted numeric[];
ALTER TABLE call_records ADD COLUMN IF NOT EXISTS resellers call_reseller[];

CREATE TABLE IF NOT EXISTS reseller_records (
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
    ended_at        timestamptz NOT NULL,
    PRIMARY KEY (bucket, call_key, level)
);
CREATE INDEX IF NOT EXISTS reseller_records_by_account ON reseller_records (account_id, ended_at);
