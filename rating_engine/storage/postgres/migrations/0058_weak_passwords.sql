-- Whether a user's password is one that is tried first. Of those that are there nobody knows.

ALTER TABLE party_credentials ADD COLUMN IF NOT EXISTS is_weak boolean NOT NULL DEFAULT false;
