-- for functions
-- Pools of numbers, and the black and white lists that parties make of them. Nobody has one yet.

CREATE TABLE IF NOT EXISTS number_pools (
    pool_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name <> ''),
    description  text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS number_pool_entries (
    pool_id  bigint NOT NULL REFERENCES number_pools ON DELETE CASCADE,
    number   text COLLATE "C" NOT NULL CHECK (number ~ '^[0-9]{1,32}$'),
    whole    boolean NOT NULL,
    PRIMARY KEY (pool_id, number, whole)
);
CREATE TABLE IF NOT EXISTS party_number_lists (
    party_id  bigint NOT NULL REFERENCES parties,
    side      text NOT NULL CHECK (side IN ('source', 'destination')),
    kind      text NOT NULL CHECK (kind IN ('blacklist', 'whitelist')),
    pool_id   bigint NOT NULL REFERENCES number_pools,
    PRIMARY KEY (party_id, side)
);
CREATE INDEX IF NOT EXISTS party_number_lists_by_pool ON party_number_lists (pool_id);

ALTER TABLE subscribers ADD COLUMN IF NOT EXISTS has_destination_list boolean NOT NULL DEFAULT false;
