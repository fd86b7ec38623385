-- What only engines of schema version 1 (0.1.0) asked: 0001.sql, the gate of 0003, and indexes for their look-ups.

DROP TRIGGER previous_login ON subscribers;
DROP TRIGGER previous_bucket ON subscriber_options;
DROP TRIGGER previous_bucket ON aliases;
DROP FUNCTION reserve(smallint, reserve_request[]);
DROP FUNCTION extend(smallint, extend_request[]);
DROP FUNCTION settle(smallint, settle_request[]);
DROP FUNCTION expire(smallint, integer);
DROP FUNCTION post_entry(smallint, bigint, ledger_entry_kind, numeric, text);
DROP FUNCTION switch_tariff(
    smallint, bigint, bigint, bigint, integer, boolean, integer, timestamptz, timestamptz, integer, numeric, text);
DROP FUNCTION correct_calls(smallint, bigint, text[]);
DROP FUNCTION reserve_1(smallint, reserve_request[]);
DROP FUNCTION extend_1(smallint, extend_request[]);
DROP FUNCTION settle_1(smallint, settle_request[]);
DROP FUNCTION expire_1(smallint, integer);
DROP FUNCTION post_entry_1(smallint, bigint, ledger_entry_kind, numeric, text);
DROP FUNCTION switch_tariff_1(
    smallint, bigint, bigint, bigint, integer, boolean, integer, timestamptz, timestamptz, integer, numeric, text);
DROP FUNCTION correct_calls_1(smallint, bigint, text[]);
DROP FUNCTION previous_login();
DROP FUNCTION previous_bucket();
DROP FUNCTION pass_gate();

DROP TYPE reserve_request, reserve_answer, extend_request, extend_answer, settle_request, settle_answer, post_entry_answer,
    switch_answer, correction_answer;

DROP INDEX previous_logins, previous_subscriber_ids, previous_options, previous_aliases;
