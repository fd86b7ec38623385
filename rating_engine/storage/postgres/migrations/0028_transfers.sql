-- Money between accounts. None has been sent yet; every account may send and receive, and is its owner's.

ALTER TYPE ledger_entry_kind ADD VALUE IF NOT EXISTS 'transfer';
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS refill_allowed smallint NOT NULL DEFAULT 2 CHECK (refill_allowed BETWEEN 0 AND 2);
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS purpose text NOT NULL DEFAULT 'party' CHECK (purpose IN ('party', 'card'));
CREATE SEQUENCE IF NOT EXISTS transfer_ids;
CREATE TABLE IF NOT EXISTS transfers (
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
CREATE UNIQUE INDEX IF NOT EXISTS transfers_once ON transfers (bucket, account_id, reference) WHERE reference IS NOT NULL;
CREATE INDEX IF NOT EXISTS transfers_on_their_way ON transfers (bucket, sent_at) WHERE state = 'sent';
