-- What is known of people, what new ones begin with, phonebooks, and what a number and a password are found by.
ALTER TABLE party_details
    ADD COLUMN IF NOT EXISTS first_name text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS last_name text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS personal_id text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS client_id text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS agreement_number text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS accounting_number text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS taxation_country text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS address text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS postcode text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS city text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS county text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS state text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS country text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS phone text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS mobile_phone text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS fax text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS email text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS agreement_date date;
CREATE TABLE IF NOT EXISTS defaults (
    name        text PRIMARY KEY,
    value       text NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE sip_accounts ADD COLUMN IF NOT EXISTS secret_hash bytea;
CREATE INDEX IF NOT EXISTS sip_accounts_by_secret ON sip_accounts (secret_hash) WHERE secret_hash IS NOT NULL;
ALTER TABLE dids ADD COLUMN IF NOT EXISTS route_id bigint REFERENCES routes ON DELETE SET NULL;
CREATE TABLE IF NOT EXISTS phonebook_entries (
    bucket     smallint NOT NULL,
    entry_id   bigint GENERATED ALWAYS AS IDENTITY,
    party_id   bigint NOT NULL,
    name       text NOT NULL CHECK (name <> ''),
    number     text NOT NULL CHECK (number ~ '^[0-9+]{1,32}$'),
    speeddial  text NOT NULL DEFAULT '' CHECK (speeddial ~ '^[0-9*#+]{0,32}$'),
    PRIMARY KEY (bucket, entry_id)
);
CREATE UNIQUE INDEX IF NOT EXISTS phonebook_by_speeddial ON phonebook_entries (bucket, party_id, speeddial) WHERE speeddial <> '';
CREATE INDEX IF NOT EXISTS phonebook_by_party ON phonebook_entries (party_id);
