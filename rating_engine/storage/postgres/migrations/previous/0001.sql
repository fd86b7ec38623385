-- For engines of schema version 1 (0.1.0), as long as they run beside this release: their money functions and types over
-- today's tables. The next release drops it all, and `rating-engine migrate --drop-previous` does before (0001_drop.sql).
-- What they read and write besides goes through the views `reservations` and `cdrs`, and the tables as they are.

CREATE OR REPLACE FUNCTION reserve(p_bucket smallint, p_requests reserve_request[]) RETURNS reserve_answer[]
LANGUAGE plpgsql AS $$
DECLARE
    answers  reserve_answer_v3[];
BEGIN
    answers := reserve_v5(p_bucket, ARRAY(
        SELECT (r.call_key, r.account_id, r.subscriber_version, r.tariffs, r.tariff_versions, r.minimum, r.maximum,
                NULL, 0, r.price_per_minute, r.quota, r.quota, r.cap_seconds, r.lifetime_seconds, r.prepared_at,
                r.route_prefix, r.route_id, r.claim, NULL,
                (r.subscriber_id, r.exchange, r.attempt, r.callerid, r.destination, r.direction, r.prefix, r.tariff_id,
                          r.deck_id, r.rate, r.route_name, r.routing_number, r.carrier_rate,
                          r.carrier_currency, r.carrier_exchange, r.packages, '', '', '', '', '', NULL)::call_details_v4)::reserve_request_v5
        FROM unnest(p_requests) WITH ORDINALITY AS r ORDER BY r.ordinality));
    RETURN ARRAY(SELECT (a.outcome, a.granted)::reserve_answer
                 FROM unnest(answers) WITH ORDINALITY AS a ORDER BY a.ordinality);
END $$;

CREATE OR REPLACE FUNCTION extend(p_bucket smallint, p_requests extend_request[]) RETURNS extend_answer[]
LANGUAGE plpgsql AS $$
DECLARE
    answers  extend_answer_v3[];
BEGIN
    answers := extend_v3(p_bucket, ARRAY(
        SELECT (r.call_key, r.account_id, r.maximum, r.give_back, r.lifetime_seconds, r.answered_at, NULL, NULL)::extend_request_v3
        FROM unnest(p_requests) WITH ORDINALITY AS r ORDER BY r.ordinality));
    RETURN ARRAY(SELECT (a.outcome, a.granted)::extend_answer
                 FROM unnest(answers) WITH ORDINALITY AS a ORDER BY a.ordinality);
END $$;

CREATE OR REPLACE FUNCTION settle(p_bucket smallint, p_requests settle_request[]) RETURNS settle_answer[]
LANGUAGE plpgsql AS $$
DECLARE
    answers  settle_answer_v3[];
BEGIN
    answers := settle_v5(p_bucket, ARRAY(
        SELECT (r.call_key, r.account_id, r.seconds, r.billed_seconds, r.cost, r.disposition, r.cause, r.source,
                -- Nothing that was seen is held against it: its engines know no such answer.
                r.seconds, NULL, NULL, r.ended_at,
                r.carrier_cost, r.margin, r.covered_seconds, r.packages, r.claim, r.rerate_id, '', '', NULL,
                (r.subscriber_id, r.exchange, r.attempt, r.callerid, r.destination, r.direction, r.prefix, r.tariff_id,
                 r.deck_id, r.rate, r.route_name, r.routing_number, r.carrier_rate, r.carrier_currency,
                 r.carrier_exchange, '{}', '', '', '', '', '', NULL)::call_details_v4)::settle_request_v5
        FROM unnest(p_requests) WITH ORDINALITY AS r ORDER BY r.ordinality));
    RETURN ARRAY(SELECT (a.outcome, a.overrun)::settle_answer
                 FROM unnest(answers) WITH ORDINALITY AS a ORDER BY a.ordinality);
END $$;

CREATE OR REPLACE FUNCTION expire(p_bucket smallint, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN expire_v2(p_bucket, p_limit);
END $$;

CREATE OR REPLACE FUNCTION post_entry(
    p_bucket smallint, p_account_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_reference text
) RETURNS post_entry_answer LANGUAGE plpgsql AS $$
DECLARE
    answer  post_entry_answer_v2;
BEGIN
    answer := post_entry_v2(p_bucket, p_account_id, p_kind, p_amount, p_reference);
    RETURN (answer.outcome, answer.balance)::post_entry_answer;
END $$;

CREATE OR REPLACE FUNCTION switch_tariff(
    p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_tariff_id bigint, p_tariff_version integer,
    p_is_option boolean, p_max_options integer, p_from timestamptz, p_to timestamptz, p_position integer,
    p_price numeric, p_reference text
) RETURNS switch_answer LANGUAGE plpgsql AS $$
DECLARE
    answer  switch_answer_v2;
BEGIN
    answer := switch_tariff_v2(p_bucket, p_account_id, p_subscriber_id, p_tariff_id, p_tariff_version, p_is_option,
                               p_max_options, p_from, p_to, p_position, p_price, p_reference);
    RETURN (answer.outcome, answer.balance)::switch_answer;
END $$;

CREATE OR REPLACE FUNCTION correct_calls(p_bucket smallint, p_rerate_id bigint, p_call_keys text[])
RETURNS correction_answer[] LANGUAGE plpgsql AS $$
DECLARE
    answers  correction_answer_v2[];
BEGIN
    answers := correct_calls_v2(p_bucket, p_rerate_id, p_call_keys);
    RETURN ARRAY(SELECT (a.outcome, a.amount)::correction_answer
                 FROM unnest(answers) WITH ORDINALITY AS a ORDER BY a.ordinality);
END $$;

-- What those ask who waited at the gate while the tables changed (0003_gate.sql).

CREATE OR REPLACE FUNCTION reserve_1(p_bucket smallint, p_requests reserve_request[]) RETURNS reserve_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN reserve(p_bucket, p_requests);
END $$;

CREATE OR REPLACE FUNCTION extend_1(p_bucket smallint, p_requests extend_request[]) RETURNS extend_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN extend(p_bucket, p_requests);
END $$;

CREATE OR REPLACE FUNCTION settle_1(p_bucket smallint, p_requests settle_request[]) RETURNS settle_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    RETURN settle(p_bucket, p_requests);
END $$;

CREATE OR REPLACE FUNCTION expire_1(p_bucket smallint, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    RETURN expire(p_bucket, p_limit);
END $$;

CREATE OR REPLACE FUNCTION post_entry_1(
    p_bucket smallint, p_account_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_reference text
) RETURNS post_entry_answer LANGUAGE plpgsql AS $$
BEGIN
    RETURN post_entry(p_bucket, p_account_id, p_kind, p_amount, p_reference);
END $$;

CREATE OR REPLACE FUNCTION switch_tariff_1(
    p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_tariff_id bigint, p_tariff_version integer,
    p_is_option boolean, p_max_options integer, p_from timestamptz, p_to timestamptz, p_position integer,
    p_price numeric, p_reference text
) RETURNS switch_answer LANGUAGE plpgsql AS $$
BEGIN
    RETURN switch_tariff(p_bucket, p_account_id, p_subscriber_id, p_tariff_id, p_tariff_version, p_is_option,
                         p_max_options, p_from, p_to, p_position, p_price, p_reference);
END $$;

CREATE OR REPLACE FUNCTION correct_calls_1(p_bucket smallint, p_rerate_id bigint, p_call_keys text[])
RETURNS correction_answer[] LANGUAGE plpgsql AS $$
BEGIN
    RETURN correct_calls(p_bucket, p_rerate_id, p_call_keys);
END $$;

-- Their rows of subscribers come without one in logins, and those of options and aliases without a bucket.

CREATE OR REPLACE FUNCTION previous_login() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM logins WHERE login = NEW.login AND bucket = NEW.bucket) THEN
        INSERT INTO logins VALUES (NEW.login, NEW.bucket);
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER previous_login BEFORE INSERT ON subscribers FOR EACH ROW EXECUTE FUNCTION previous_login();

CREATE OR REPLACE FUNCTION previous_bucket() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.bucket := COALESCE((SELECT bucket FROM subscribers WHERE subscriber_id = NEW.subscriber_id), NEW.bucket);
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER previous_bucket BEFORE INSERT ON subscriber_options
    FOR EACH ROW EXECUTE FUNCTION previous_bucket();
CREATE OR REPLACE TRIGGER previous_bucket BEFORE INSERT ON aliases
    FOR EACH ROW EXECUTE FUNCTION previous_bucket();
