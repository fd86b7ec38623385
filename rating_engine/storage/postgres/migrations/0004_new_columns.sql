-- Columns beside those of version 1, without a rewrite of any table. From now on what engines of version 1 write fills
-- both: a trigger sees to it. What is older is filled by the steps after this.

ALTER TABLE accounts
    ADD COLUMN last_entry     bigint,
    ADD COLUMN counts_logins  boolean NOT NULL DEFAULT false;

ALTER TABLE reservations
    ADD COLUMN rate_key          bigint,
    ADD COLUMN carrier_rate_key  bigint,
    ADD COLUMN channel           text NOT NULL DEFAULT '',
    ADD COLUMN claims            bigint[] NOT NULL DEFAULT '{}';

ALTER TABLE cdrs
    ADD COLUMN rate_key          bigint,
    ADD COLUMN carrier_rate_key  bigint,
    ADD COLUMN channel           text NOT NULL DEFAULT '',
    ADD COLUMN charged_on        date,
    ADD COLUMN uncharged         numeric NOT NULL DEFAULT 0 CHECK (uncharged >= 0);

-- The key of a frozen rate's text, as freeze_rates gives it: its hash, or where another text has that, the next one.
CREATE FUNCTION previous_rate_key(p_bucket smallint, p_rate text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    wanted  bigint;
    stored  text;
BEGIN
    IF p_rate = '' THEN
        RETURN NULL;
    END IF;
    FOR seed IN 0 .. 1000 LOOP
        wanted := hashtextextended(p_rate, seed);
        SELECT rate INTO stored FROM frozen_rates WHERE bucket = p_bucket AND rate_key = wanted;
        IF NOT FOUND THEN
            INSERT INTO frozen_rates VALUES (p_bucket, wanted, p_rate) ON CONFLICT DO NOTHING;
            SELECT rate INTO stored FROM frozen_rates WHERE bucket = p_bucket AND rate_key = wanted;
        END IF;
        IF stored = p_rate THEN
            RETURN wanted;
        END IF;
    END LOOP;
    RAISE EXCEPTION 'no key is free for a rate of bucket %', p_bucket;
END $$;

CREATE FUNCTION previous_keys() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.rate_key := previous_rate_key(NEW.bucket, NEW.rate);
    NEW.carrier_rate_key := previous_rate_key(NEW.bucket, NEW.carrier_rate);
    IF TG_TABLE_NAME = 'reservations' THEN
        NEW.claims := ARRAY[NEW.claim];
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER previous_keys BEFORE INSERT OR UPDATE OF rate, carrier_rate, claim ON reservations
    FOR EACH ROW EXECUTE FUNCTION previous_keys();
CREATE TRIGGER previous_keys BEFORE INSERT OR UPDATE OF rate, carrier_rate ON cdrs
    FOR EACH ROW EXECUTE FUNCTION previous_keys();

-- How far 0005 has come: a block of the table.
CREATE TABLE previous_fill (block bigint NOT NULL);
INSERT INTO previous_fill VALUES (0);
