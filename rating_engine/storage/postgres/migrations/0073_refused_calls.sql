-- Calls that black and white lists have kept out.

CREATE TABLE IF NOT EXISTS refused_calls (
    refused_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL,
    call_key    text NOT NULL,
    login       text NOT NULL,
    callerid    text NOT NULL,
    number      text NOT NULL,
    reason      text NOT NULL,
    cause       integer NOT NULL
);
CREATE INDEX IF NOT EXISTS refused_calls_by_time ON refused_calls (at);
