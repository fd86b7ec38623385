-- Webhooks, how far the ledgers were read for each, and what is on its way.

CREATE TABLE IF NOT EXISTS webhooks (
    webhook_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    party_id         bigint NOT NULL REFERENCES parties,
    url              text NOT NULL,
    events           text[] NOT NULL,
    low_balance      numeric(20, 6) NOT NULL DEFAULT 0,
    secret           bytea NOT NULL,
    previous_secret  bytea,
    rotated_at       timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS webhooks_by_party ON webhooks (party_id);
CREATE TABLE IF NOT EXISTS webhook_places (
    webhook_id  bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    bucket      smallint NOT NULL,
    account_id  bigint NOT NULL,
    entry_id    bigint NOT NULL,
    PRIMARY KEY (webhook_id, bucket, account_id)
);
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    delivery_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id   bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    event_id     text NOT NULL,
    body         text NOT NULL,
    state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed')),
    attempts     smallint NOT NULL DEFAULT 0,
    due_at       timestamptz NOT NULL DEFAULT now(),
    error        text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    ended_at     timestamptz,
    UNIQUE (webhook_id, event_id)
);
CREATE INDEX IF NOT EXISTS webhook_deliveries_due ON webhook_deliveries (due_at) WHERE state = 'queued';
CREATE INDEX IF NOT EXISTS webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE ended_at IS NOT NULL;
