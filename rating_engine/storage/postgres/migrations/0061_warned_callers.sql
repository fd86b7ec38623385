-- for functions
-- Whose callers hear before a call that the balance is low. Nobody has asked for it yet; no table is rewritten. The limit
-- is of 0054, where that was not run before the functions.

ALTER TABLE parties
    ADD COLUMN IF NOT EXISTS notify_balance_limit numeric(20, 6) NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS warn_calls boolean NOT NULL DEFAULT false;
ALTER TABLE subscribers ADD COLUMN IF NOT EXISTS warn_below numeric(20, 6);
