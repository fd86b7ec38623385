-- Callbacks that were asked for, and what became of them.

CREATE TABLE IF NOT EXISTS callbacks (
    callback_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange       text NOT NULL,
    uniqueid       text NOT NULL,
    login          text NOT NULL,
    first_number   text NOT NULL,
    second_number  text NOT NULL,
    callerid       text,
    pitch          smallint,
    party          text NOT NULL,
    asked_at       timestamptz NOT NULL DEFAULT now(),
    expires_at     timestamptz NOT NULL,
    taken_at       timestamptz,
    outcome        text,
    reason         text NOT NULL DEFAULT '',
    detail         text NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS callbacks_waiting ON callbacks (exchange, callback_id) WHERE outcome IS NULL;
