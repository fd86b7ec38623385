-- for functions
-- How a call began, as its exchange said it. Of calls of the past nothing is known of that; no table is rewritten.

ALTER TABLE open_calls
    ADD COLUMN IF NOT EXISTS from_originate text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS source_address text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS originated_by text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS is_did text NOT NULL DEFAULT '';
ALTER TABLE call_records
    ADD COLUMN IF NOT EXISTS from_originate text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS source_address text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS originated_by text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS is_did text NOT NULL DEFAULT '';
