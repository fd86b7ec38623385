-- Every money function of engines of version 1 passes a gate first, before it locks or reads anything. 0009 closes it for
-- the moment in which the tables change, so that no call is caught half-way by it: who waits at the gate goes on by what
-- the function is then (previous/0001.sql). The functions themselves get the ending _1.

CREATE FUNCTION pass_gate() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1380013127);
    -- Locking a table, whichever, is what makes a session hear that a function was replaced while it waited.
    PERFORM FROM pg_class WHERE false;
END $$;

ALTER FUNCTION reserve(smallint, reserve_request[]) RENAME TO reserve_1;
ALTER FUNCTION extend(smallint, extend_request[]) RENAME TO extend_1;
ALTER FUNCTION settle(smallint, settle_request[]) RENAME TO settle_1;
ALTER FUNCTION expire(smallint, integer) RENAME TO expire_1;
ALTER FUNCTION post_entry(smallint, bigint, ledger_entry_kind, numeric, text) RENAME TO post_entry_1;
ALTER FUNCTION switch_tariff(
    smallint, bigint, bigint, bigint, integer, boolean, integer, timestamptz, timestamptz, integer, numeric, text
) RENAME TO switch_tariff_1;
ALTER FUNCTION correct_calls(smallint, bigint, text[]) RENAME TO correct_calls_1;

CREATE FUNCTION reserve(p_bucket smallint, p_requests reserve_request[]) RETURNS reserve_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN reserve_1(p_bucket, p_requests);
END $$;

CREATE FUNCTION extend(p_bucket smallint, p_requests extend_request[]) RETURNS extend_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN extend_1(p_bucket, p_requests);
END $$;

CREATE FUNCTION settle(p_bucket smallint, p_requests settle_request[]) RETURNS settle_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN settle_1(p_bucket, p_requests);
END $$;

CREATE FUNCTION expire(p_bucket smallint, p_limit integer) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN expire_1(p_bucket, p_limit);
END $$;

CREATE FUNCTION post_entry(
    p_bucket smallint, p_account_id bigint, p_kind ledger_entry_kind, p_amount numeric, p_reference text
) RETURNS post_entry_answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN post_entry_1(p_bucket, p_account_id, p_kind, p_amount, p_reference);
END $$;

CREATE FUNCTION switch_tariff(
    p_bucket smallint, p_account_id bigint, p_subscriber_id bigint, p_tariff_id bigint, p_tariff_version integer,
    p_is_option boolean, p_max_options integer, p_from timestamptz, p_to timestamptz, p_position integer,
    p_price numeric, p_reference text
) RETURNS switch_answer LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN switch_tariff_1(p_bucket, p_account_id, p_subscriber_id, p_tariff_id, p_tariff_version, p_is_option,
                           p_max_options, p_from, p_to, p_position, p_price, p_reference);
END $$;

CREATE FUNCTION correct_calls(p_bucket smallint, p_rerate_id bigint, p_call_keys text[]) RETURNS correction_answer[]
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pass_gate();
    RETURN correct_calls_1(p_bucket, p_rerate_id, p_call_keys);
END $$;
