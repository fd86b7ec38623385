-- When somebody last asked for maintenance with a key; nobody has yet.

ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS maintained_at timestamptz;
