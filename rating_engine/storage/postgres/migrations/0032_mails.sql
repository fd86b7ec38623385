-- Mail that waits to be sent. Nothing waits yet.
CREATE TABLE IF NOT EXISTS mails (
    mail_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token       uuid NOT NULL DEFAULT gen_random_uuid(),
    party_id    bigint REFERENCES parties,
    recipient   text NOT NULL,
    subject     text NOT NULL,
    body        text NOT NULL,
    state       text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sent', 'failed')),
    attempts    smallint NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    error       text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz
);
CREATE INDEX IF NOT EXISTS mails_by_due ON mails (due_at) WHERE state = 'queued';
