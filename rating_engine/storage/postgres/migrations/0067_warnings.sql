-- for functions
-- What callers hear where their balance is low, and at which hour its user is told by mail; and users that lists leave out.
-- Nobody has any of it yet; no table is rewritten.

CREATE TABLE IF NOT EXISTS warning_sounds (
    sound_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    file      text NOT NULL UNIQUE CHECK (file ~ '^[A-Za-z0-9_./-]{1,100}$')
);
ALTER TABLE parties
    ADD COLUMN IF NOT EXISTS warn_sound_id bigint REFERENCES warning_sounds,
    ADD COLUMN IF NOT EXISTS notify_hour smallint CHECK (notify_hour BETWEEN 0 AND 23),
    ADD COLUMN IF NOT EXISTS unlisted boolean NOT NULL DEFAULT false;
ALTER TABLE subscribers ADD COLUMN IF NOT EXISTS warn_sound text NOT NULL DEFAULT '';
