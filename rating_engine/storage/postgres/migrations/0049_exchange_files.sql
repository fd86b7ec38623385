-- Versions of the dialplans of exchanges. There is none yet.

-- Versions of the dialplans of exchanges. `url` '': it stood there before somebody fetched one. `before_id`: what was in
-- place when it came, which is put back when it is taken back.
CREATE TABLE IF NOT EXISTS exchange_files (
    file_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange_id  bigint NOT NULL REFERENCES exchanges,
    kind         text NOT NULL CHECK (kind IN ('dialplan', 'interface')),
    version      text NOT NULL,
    sha256       text NOT NULL CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    url          text NOT NULL DEFAULT '',
    body         text NOT NULL CHECK (octet_length(body) <= 4194304),
    before_id    bigint,
    is_current   boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS exchange_files_by_exchange ON exchange_files (exchange_id, kind, file_id);
CREATE UNIQUE INDEX IF NOT EXISTS exchange_files_in_place ON exchange_files (exchange_id, kind) WHERE is_current;
