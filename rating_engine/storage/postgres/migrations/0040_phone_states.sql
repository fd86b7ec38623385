-- Which lines' phones are registered where.

ALTER TABLE exchange_watch ADD COLUMN IF NOT EXISTS phones_read_at timestamptz;
CREATE TABLE IF NOT EXISTS phone_states (
    exchange       text NOT NULL,
    login          text NOT NULL,
    online         boolean NOT NULL,
    contact        text NOT NULL,
    user_agent     text NOT NULL,
    contacts       integer NOT NULL,
    expires_at     timestamptz,
    registered_at  timestamptz NOT NULL DEFAULT now(),
    changed_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (exchange, login)
) WITH (fillfactor = 70);
