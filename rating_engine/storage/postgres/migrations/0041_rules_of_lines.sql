-- Rules of lines beside those of numbers, and what rules need more: a zone of their times, music, recording, a description.
ALTER TABLE call_rules ALTER COLUMN did_id DROP NOT NULL;
ALTER TABLE call_rules ADD COLUMN IF NOT EXISTS subscriber_id bigint;
ALTER TABLE call_rules ADD COLUMN IF NOT EXISTS time_zone text NOT NULL DEFAULT '';
ALTER TABLE call_rules ADD COLUMN IF NOT EXISTS music text NOT NULL DEFAULT '';
ALTER TABLE call_rules ADD COLUMN IF NOT EXISTS record boolean NOT NULL DEFAULT false;
ALTER TABLE call_rules ADD COLUMN IF NOT EXISTS description text NOT NULL DEFAULT '';
ALTER TABLE call_rules DROP CONSTRAINT IF EXISTS call_rules_of_one;
ALTER TABLE call_rules ADD CONSTRAINT call_rules_of_one CHECK ((did_id IS NULL) <> (subscriber_id IS NULL));
ALTER TABLE call_rules DROP CONSTRAINT IF EXISTS call_rules_subscriber_id_position_key;
ALTER TABLE call_rules ADD CONSTRAINT call_rules_subscriber_id_position_key
    UNIQUE (subscriber_id, position) DEFERRABLE INITIALLY DEFERRED;
