-- Regions and kinds of numbers, recordings, what links to them are signed with, and what users connect by themselves.
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
-- What users connect by themselves: a service that they pay for, perhaps with a number of a region or a kind, and a tariff
-- that their calls are priced by from then on. `names`: in other languages, by their codes.
CREATE TABLE IF NOT EXISTS tariff_groups (
    group_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text NOT NULL UNIQUE CHECK (name <> '')
);
CREATE TABLE IF NOT EXISTS tariff_offers (
    offer_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    group_id     bigint NOT NULL REFERENCES tariff_groups,
    service_id   bigint NOT NULL UNIQUE REFERENCES services,
    tariff_id    bigint REFERENCES tariffs,
    name         text NOT NULL CHECK (name <> ''),
    names        jsonb NOT NULL DEFAULT '{}',
    description  text NOT NULL DEFAULT '',
    has_number   boolean NOT NULL DEFAULT false,
    region_id    bigint REFERENCES number_regions,
    kind_id      bigint REFERENCES number_kinds,
    is_removed   boolean NOT NULL DEFAULT false,
    CHECK (has_number OR (region_id IS NULL AND kind_id IS NULL))
);
