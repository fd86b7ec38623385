-- Rates of calls within a state and between states; national numbers that are dialled without a prefix. The checks of
-- what there is come with 0013.

ALTER TABLE rates DROP CONSTRAINT rates_origin_check;
ALTER TABLE rates ADD CONSTRAINT rates_origin_check CHECK (origin ~ '^([0-9]{0,32}|inter|intra)$') NOT VALID;
ALTER TABLE rate_edits DROP CONSTRAINT rates_origin_check;
ALTER TABLE rate_edits ADD CONSTRAINT rates_origin_check CHECK (origin ~ '^([0-9]{0,32}|inter|intra)$') NOT VALID;

ALTER TABLE numbering_plans
    ADD COLUMN national_length smallint NOT NULL DEFAULT 0 CHECK (national_length BETWEEN 0 AND 15),
    ADD CHECK (national_length = 0 OR country_code <> '');
