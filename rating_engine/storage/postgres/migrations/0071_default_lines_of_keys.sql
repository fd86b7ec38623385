-- By what a key names its default user where it authorises by that: an extension, a SIM card. '': by login, as ever.

ALTER TABLE api_keys ADD COLUMN IF NOT EXISTS default_value text NOT NULL DEFAULT '';
