-- mode: batches
-- total: SELECT ceil(pg_relation_size('cdrs') / current_setting('block_size')::numeric / 200)::bigint
-- The texts of frozen rates move out of the call records, some thousand calls at a time, in the order of the disk.

WITH calls AS MATERIALIZED (
    SELECT bucket, call_key, rate, carrier_rate FROM cdrs
    WHERE ctid >= (SELECT format('(%s,0)', block)::tid FROM previous_fill)
      AND ctid < (SELECT format('(%s,0)', block + 200)::tid FROM previous_fill)
      AND rate_key IS NULL AND carrier_rate_key IS NULL
), keys AS MATERIALIZED (
    SELECT bucket, rate, previous_rate_key(bucket, rate) AS rate_key
    FROM (SELECT bucket, rate FROM calls UNION SELECT bucket, carrier_rate FROM calls) AS texts WHERE rate <> ''
), filled AS (
    UPDATE cdrs SET rate_key = sold.rate_key, carrier_rate_key = bought.rate_key
    FROM calls
    LEFT JOIN keys sold ON sold.bucket = calls.bucket AND sold.rate = calls.rate
    LEFT JOIN keys bought ON bought.bucket = calls.bucket AND bought.rate = calls.carrier_rate
    WHERE cdrs.bucket = calls.bucket AND cdrs.call_key = calls.call_key
)
UPDATE previous_fill SET block = block + 200
WHERE block < pg_relation_size('cdrs') / current_setting('block_size')::bigint
