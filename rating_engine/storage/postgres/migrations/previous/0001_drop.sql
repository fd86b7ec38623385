-- What only engines of schema version 1 (0.1.0) asked.

DROP FUNCTION IF EXISTS reserve(smallint, reserve_request[]);
DROP FUNCTION IF EXISTS extend(smallint, extend_request[]);
DROP FUNCTION IF EXISTS expire(smallint, integer);
DROP FUNCTION IF EXISTS settle(smallint, settle_request[]);
DROP FUNCTION IF EXISTS demands_of(smallint, settle_request[]);
DROP FUNCTION IF EXISTS use_packages(smallint, package_settlement);
DROP FUNCTION IF EXISTS post_entry(smallint, bigint, ledger_entry_kind, numeric, text);
DROP FUNCTION IF EXISTS switch_tariff(
    smallint, bigint, bigint, bigint, integer, boolean, integer, timestamptz, timestamptz, integer, numeric, text);
DROP FUNCTION IF EXISTS correct_calls(smallint, bigint, text[]);

DROP TYPE IF EXISTS reserve_request, reserve_answer, extend_request, extend_answer, settle_request, settle_answer,
    package_demand, package_settlement, post_entry_answer, switch_answer, correction_answer;
