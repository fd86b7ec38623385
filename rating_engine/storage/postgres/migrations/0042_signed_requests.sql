-- Signed requests: their secrets, and what groups of accountants and resellers may manage. There are none yet.
CREATE TABLE IF NOT EXISTS hash_secrets (
    party_id         bigint PRIMARY KEY REFERENCES parties,
    secret           bytea NOT NULL,
    is_short         boolean NOT NULL,               -- it is guessed from one request that somebody has seen
    enabled          boolean NOT NULL DEFAULT true,
    allowed_sources  cidr[] NOT NULL DEFAULT '{}',
    blocked          text[] NOT NULL DEFAULT '{}',   -- functions that it is not good for
    changed_at       timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS permission_groups (
    group_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name <> ''),
    kind         text NOT NULL CHECK (kind IN ('accountant', 'reseller')),
    permissions  text[] NOT NULL DEFAULT '{}',
    description  text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS permission_members (
    party_id  bigint PRIMARY KEY REFERENCES parties,
    group_id  bigint NOT NULL REFERENCES permission_groups
);
CREATE INDEX IF NOT EXISTS permission_members_by_group ON permission_members (group_id);
