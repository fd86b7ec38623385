-- News, tickets, and where users want their mail. Nobody is told anything yet; the columns cost no rewrite.
ALTER TABLE parties
    ADD COLUMN IF NOT EXISTS notify_email text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS notify_ticket boolean NOT NULL DEFAULT false;

CREATE TABLE IF NOT EXISTS news (
    news_id       text PRIMARY KEY CHECK (news_id <> ''),
    serial        bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    header        text NOT NULL,
    message       text NOT NULL,
    broadcast     text NOT NULL DEFAULT '',
    is_broadcast  boolean NOT NULL DEFAULT false,
    access        smallint NOT NULL DEFAULT 0 CHECK (access BETWEEN 0 AND 44),
    language      text NOT NULL DEFAULT '' CHECK (language ~ '^[a-z]{0,3}$'),
    party_id      bigint REFERENCES parties,
    type          text NOT NULL DEFAULT 'info' CHECK (type IN ('info', 'warning', 'error', 'success')),
    author        text NOT NULL,
    updated_by    text NOT NULL,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE IF NOT EXISTS tickets (
    ticket_id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    party_id         bigint NOT NULL REFERENCES parties,
    desk_id          bigint NOT NULL REFERENCES parties,
    subject          text NOT NULL DEFAULT '',
    closed           boolean NOT NULL DEFAULT false,
    unread_by_party  boolean NOT NULL DEFAULT false,
    unread_by_desk   boolean NOT NULL DEFAULT false,
    assigned         bigint[] NOT NULL DEFAULT '{}',
    created_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS tickets_by_party ON tickets (party_id, ticket_id);
CREATE INDEX IF NOT EXISTS tickets_by_desk ON tickets (desk_id, ticket_id);
CREATE TABLE IF NOT EXISTS ticket_messages (
    message_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id   bigint NOT NULL REFERENCES tickets,
    sender      text NOT NULL,
    from_desk   boolean NOT NULL,
    message     text NOT NULL,
    comment     text NOT NULL DEFAULT '',
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS ticket_messages_by_ticket ON ticket_messages (ticket_id, message_id);
