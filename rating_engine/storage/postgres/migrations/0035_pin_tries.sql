-- How often a wrong PIN of a line was given lately, and until when it is refused.

CREATE TABLE IF NOT EXISTS pin_tries (
    login         text PRIMARY KEY,
    wrong         integer NOT NULL DEFAULT 0,
    since         timestamptz NOT NULL DEFAULT now(),
    locked_until  timestamptz
);
