-- Numbers that are known to ring from a line; a line has a numbering plan of its own; plans have a number.
CREATE TABLE IF NOT EXISTS known_callers (
    caller_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number         text COLLATE "C" NOT NULL UNIQUE CHECK (number ~ '^[0-9]{1,32}$'),
    bucket         smallint NOT NULL,
    subscriber_id  bigint NOT NULL,
    domain         text NOT NULL DEFAULT '',         -- where it rings from; '': from anywhere
    description    text NOT NULL DEFAULT '',
    comment        text NOT NULL DEFAULT '',
    banned         boolean NOT NULL DEFAULT false,
    added_at       timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS known_callers_by_line ON known_callers (subscriber_id);
ALTER TABLE subscribers ADD COLUMN IF NOT EXISTS numbering_plan text;
ALTER TABLE numbering_plans ADD COLUMN IF NOT EXISTS location_id bigint GENERATED ALWAYS AS IDENTITY UNIQUE;
