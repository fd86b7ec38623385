-- Calls before which a user has its event log not shown. Nobody has yet; the column costs no rewrite.
ALTER TABLE parties ADD COLUMN IF NOT EXISTS logs_hidden_before timestamptz;
