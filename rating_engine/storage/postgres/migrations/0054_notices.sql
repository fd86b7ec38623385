-- What users are told of by mail. Nobody has asked for it yet; no table is rewritten.

ALTER TABLE parties ADD COLUMN IF NOT EXISTS notify_balance boolean NOT NULL DEFAULT false;
ALTER TABLE parties ADD COLUMN IF NOT EXISTS notify_balance_limit numeric(20, 6) NOT NULL DEFAULT 0;
ALTER TABLE parties ADD COLUMN IF NOT EXISTS notify_did smallint NOT NULL DEFAULT 0 CHECK (notify_did BETWEEN 0 AND 90);
ALTER TABLE parties ADD COLUMN IF NOT EXISTS balance_low boolean NOT NULL DEFAULT false;
