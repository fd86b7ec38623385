-- Accounts can be closed, and balances put right by hand: an entry of the ledger has a kind more.

ALTER TYPE ledger_entry_kind ADD VALUE IF NOT EXISTS 'adjustment';
ALTER TABLE accounts ADD COLUMN IF NOT EXISTS closed_at timestamptz;
