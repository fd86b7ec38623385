-- with functions
-- The moment of the change-over, some hundredths of a second long: calls that come wait at the gate of 0003.

SELECT pg_advisory_xact_lock(1380013127);
LOCK TABLE accounts, subscribers, subscriber_options, aliases, reservations, cdrs, ledger_entries, route_load,
    rerates, rerate_items IN ACCESS EXCLUSIVE MODE;
LOCK TABLE tariffs, packages, package_steps, tariff_bands, tariff_routes, rate_decks, holidays, direction_groups, routes
    IN ACCESS EXCLUSIVE MODE;

-- Facts of the catalogue; triggers keep them from now on.
INSERT INTO tariff_terms SELECT tariff_id, name, version, is_option, time_zone FROM tariffs;
INSERT INTO package_terms SELECT package_id, tariff_id, seconds, carry_over, period, created_at FROM packages;
INSERT INTO logins (login, bucket)
SELECT login, bucket FROM subscribers s WHERE NOT EXISTS (SELECT FROM logins l WHERE l.login = s.login);
INSERT INTO route_limits
SELECT route_id, enabled, max_calls, max_calls_per_second, EXISTS (SELECT FROM logins WHERE bucket <> 0) FROM routes;
INSERT INTO open_rerates
SELECT DISTINCT i.bucket, i.rerate_id FROM rerate_items i JOIN rerates USING (rerate_id) WHERE state = 'open';

-- Calls.
DROP TRIGGER previous_keys ON reservations;
DROP TRIGGER previous_keys ON cdrs;
DROP FUNCTION previous_keys(), previous_rate_key(smallint, text);
DROP TABLE previous_fill;
ALTER TABLE reservations DROP COLUMN rate, DROP COLUMN carrier_rate, DROP COLUMN claim;
ALTER TABLE reservations RENAME TO open_calls;
ALTER TABLE cdrs DROP COLUMN rate, DROP COLUMN carrier_rate;
ALTER TABLE cdrs RENAME TO call_records;
ALTER INDEX reservations_by_account RENAME TO open_calls_by_account;
ALTER INDEX cdrs_by_account RENAME TO call_records_by_account;
ALTER INDEX cdrs_by_end RENAME TO call_records_by_end;
ALTER INDEX cdrs_unfinished RENAME TO call_records_unfinished;
DO $$
DECLARE
    named  record;
BEGIN
    FOR named IN
        SELECT conrelid::regclass AS place, conname AS old, regexp_replace(
                   regexp_replace(conname, '^reservations_', 'open_calls_'), '^cdrs_', 'call_records_') AS new
        FROM pg_constraint WHERE conrelid IN ('open_calls'::regclass, 'call_records'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s RENAME CONSTRAINT %I TO %I', named.place, named.old, named.new);
    END LOOP;
END $$;

-- Entries are numbered by their account, from the last one that it has.
ALTER TABLE accounts ALTER COLUMN last_entry SET DEFAULT 0;
ALTER TABLE accounts DROP CONSTRAINT accounts_numbering_plan_fkey;
ALTER TABLE ledger_entries ALTER COLUMN entry_id DROP DEFAULT;
DROP SEQUENCE ledger_entry_ids;

-- Subscribers and what hangs on them: bucket first.
ALTER TABLE subscriber_options
    DROP CONSTRAINT subscriber_options_pkey, DROP CONSTRAINT subscriber_options_subscriber_id_fkey,
    DROP CONSTRAINT subscriber_options_tariff_id_fkey, ADD COLUMN bucket smallint NOT NULL DEFAULT 0;
UPDATE subscriber_options o SET bucket = s.bucket FROM subscribers s
  WHERE s.subscriber_id = o.subscriber_id AND s.bucket <> 0;
ALTER TABLE aliases
    DROP CONSTRAINT aliases_pkey, DROP CONSTRAINT aliases_subscriber_id_fkey,
    DROP CONSTRAINT aliases_subscriber_id_alias_key, ADD COLUMN bucket smallint NOT NULL DEFAULT 0;
UPDATE aliases x SET bucket = s.bucket FROM subscribers s WHERE s.subscriber_id = x.subscriber_id AND s.bucket <> 0;
ALTER TABLE subscribers
    DROP CONSTRAINT subscribers_pkey, DROP CONSTRAINT subscribers_login_key, DROP CONSTRAINT subscribers_tariff_id_fkey,
    ADD CONSTRAINT subscribers_pkey PRIMARY KEY USING INDEX subscribers_pkey_2,
    ADD CONSTRAINT subscribers_bucket_login_key UNIQUE USING INDEX subscribers_bucket_login_key;
-- References are checked by 0010, without a lock that calls wait for.
ALTER TABLE subscriber_options
    ADD PRIMARY KEY (bucket, subscriber_id, tariff_id, effective_from),
    ADD FOREIGN KEY (bucket, subscriber_id) REFERENCES subscribers ON DELETE CASCADE NOT VALID;
ALTER TABLE aliases
    ADD PRIMARY KEY (bucket, alias_id), ADD UNIQUE NULLS NOT DISTINCT (bucket, subscriber_id, alias),
    ADD FOREIGN KEY (bucket, subscriber_id) REFERENCES subscribers ON DELETE CASCADE NOT VALID;

-- Loads of routes: a row a bucket.
ALTER TABLE route_load
    DROP CONSTRAINT route_load_pkey,
    ADD COLUMN bucket            smallint NOT NULL DEFAULT 0,
    ADD COLUMN lease_calls       integer CHECK (lease_calls >= 0),
    ADD COLUMN lease_per_second  integer CHECK (lease_per_second >= 0),
    ADD PRIMARY KEY (bucket, route_id);
INSERT INTO route_load (bucket, route_id)
SELECT DISTINCT bucket, route_id FROM open_calls WHERE route_id IS NOT NULL ON CONFLICT DO NOTHING;
UPDATE route_load l SET open_calls = (
    SELECT count(*) FROM open_calls c WHERE c.bucket = l.bucket AND c.route_id = l.route_id);

-- What version 1 did by other functions and triggers.
DROP TRIGGER announce ON tariffs;
DROP TRIGGER touch_tariff ON packages;
DROP TRIGGER touch_tariff ON tariff_bands;
DROP TRIGGER touch_tariff ON tariff_routes;
DROP TRIGGER touch_tariff ON rate_decks;
DROP TRIGGER touch_tariffs ON package_steps;
DROP TRIGGER touch_tariffs ON holidays;
DROP TRIGGER touch_tariffs ON direction_groups;
DROP FUNCTION touch_tariff(), touch_tariffs_of_package(), touch_tariffs_of_calendar(), touch_tariffs_of_group(),
    day_left(accounts), month_left(accounts), unlimited(accounts), take_route(bigint), lock_call_keys(text[]),
    tariff_held_since(bigint, bigint, timestamptz), free_packages(smallint, bigint, package_use[]),
    use_packages(smallint, package_settlement), demands_of(smallint, settle_request[]);
DROP TYPE package_settlement, package_demand;
