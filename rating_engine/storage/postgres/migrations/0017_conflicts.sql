-- Calls declined since another one had their key are counted for the doctor. Nobody waits for a new table.

CREATE TABLE exchange_conflicts (
    exchange   text PRIMARY KEY,
    conflicts  bigint NOT NULL,
    since      timestamptz NOT NULL DEFAULT now(),
    last_at    timestamptz NOT NULL DEFAULT now()
);
