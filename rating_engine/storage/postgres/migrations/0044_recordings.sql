-- Regions and kinds of numbers, recordings, and what links to them are signed with.
CREATE TABLE IF NOT EXISTS number_regions (
    region_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL UNIQUE CHECK (name <> '')
);
CREATE TABLE IF NOT EXISTS number_kinds (
    kind_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name     text NOT NULL UNIQUE CHECK (name <> '')
);
ALTER TABLE did_pools ADD COLUMN IF NOT EXISTS region_id bigint REFERENCES number_regions;
ALTER TABLE did_pools ADD COLUMN IF NOT EXISTS kind_id bigint REFERENCES number_kinds;
CREATE TABLE IF NOT EXISTS recordings (
    name       text COLLATE "C" PRIMARY KEY CHECK (name ~ '^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$'),
    kind       text NOT NULL CHECK (kind IN ('call', 'message', 'fax')),
    party_id   bigint NOT NULL REFERENCES parties,
    caller     text NOT NULL DEFAULT '',
    called     text NOT NULL DEFAULT '',
    begun_at   timestamptz NOT NULL DEFAULT now(),
    mail_to    text NOT NULL DEFAULT '',
    mailed_at  timestamptz
);
CREATE INDEX IF NOT EXISTS recordings_by_party ON recordings (party_id, begun_at);
CREATE INDEX IF NOT EXISTS recordings_to_mail ON recordings (begun_at) WHERE mail_to <> '' AND mailed_at IS NULL;
INSERT INTO engine_secrets VALUES ('signed_links', sha256(
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())))
  ON CONFLICT (name) DO NOTHING;
CREATE INDEX IF NOT EXISTS parties_by_mail ON parties (lower(notify_email)) WHERE notify_email <> '';
