-- for functions
-- Named lists of routes, by which tariffs, parties and groups of cards may go; and scores of numbers and addresses, by
-- which calls that are suspected go by another. Nobody has any of it yet; no table is rewritten.

CREATE TABLE IF NOT EXISTS route_plans (
    plan_id      bigint GENERATED ALWAYS AS IDENTITY (START WITH 2) PRIMARY KEY,
    name         text NOT NULL UNIQUE CHECK (name <> ''),
    route_order  text NOT NULL DEFAULT 'manual' CHECK (route_order IN ('priority', 'cost', 'quality', 'manual')),
    description  text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS route_plan_routes (
    plan_id   bigint NOT NULL REFERENCES route_plans ON DELETE CASCADE,
    route_id  bigint NOT NULL REFERENCES routes ON DELETE CASCADE,
    position  integer NOT NULL,
    PRIMARY KEY (plan_id, route_id)
);
CREATE TABLE IF NOT EXISTS number_scores (
    subject  text COLLATE "C" PRIMARY KEY CHECK (subject ~ '^[0-9]{1,32}$' OR subject ~ '[.:]' AND length(subject) <= 45),
    score    integer NOT NULL CHECK (score BETWEEN 1 AND 1000000)
);
CREATE TABLE IF NOT EXISTS dynamic_blacklist (
    only_row         boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    enabled          boolean NOT NULL DEFAULT false,
    score_threshold  integer CHECK (score_threshold BETWEEN 0 AND 3000000),
    route_plan_id    bigint REFERENCES route_plans,
    CONSTRAINT dynamic_blacklist_whole CHECK (NOT enabled OR score_threshold IS NOT NULL AND route_plan_id IS NOT NULL)
);
INSERT INTO dynamic_blacklist DEFAULT VALUES ON CONFLICT DO NOTHING;

ALTER TABLE tariffs ADD COLUMN IF NOT EXISTS route_plan_id bigint REFERENCES route_plans;
ALTER TABLE parties
    ADD COLUMN IF NOT EXISTS route_plan_id bigint REFERENCES route_plans,
    ADD COLUMN IF NOT EXISTS dynamic_blacklist text NOT NULL DEFAULT 'global'
        CHECK (dynamic_blacklist IN ('off', 'on', 'global')),
    ADD COLUMN IF NOT EXISTS score_threshold integer CHECK (score_threshold BETWEEN 0 AND 3000000),
    ADD COLUMN IF NOT EXISTS blacklist_plan_id bigint REFERENCES route_plans;
ALTER TABLE parties DROP CONSTRAINT IF EXISTS parties_blacklist;
ALTER TABLE parties ADD CONSTRAINT parties_blacklist CHECK (
    dynamic_blacklist <> 'on' OR score_threshold IS NOT NULL AND blacklist_plan_id IS NOT NULL);
ALTER TABLE subscribers
    ADD COLUMN IF NOT EXISTS route_plan_id bigint,
    ADD COLUMN IF NOT EXISTS dynamic_blacklist text NOT NULL DEFAULT 'global',
    ADD COLUMN IF NOT EXISTS score_threshold integer,
    ADD COLUMN IF NOT EXISTS blacklist_plan_id bigint;
