-- Whether users are shown the names by which their phones register (MOR). They are, as ever.

ALTER TABLE hash_secrets ADD COLUMN IF NOT EXISTS hide_usernames boolean NOT NULL DEFAULT false;
