-- How often a key may ask. None has a figure of its own yet; the column costs no rewrite.
ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS rate_limit integer CHECK (rate_limit >= 0);
