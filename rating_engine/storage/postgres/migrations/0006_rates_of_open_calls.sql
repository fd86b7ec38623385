-- mode: batches
-- Those that were open before the trigger of 0004 was there. It does the work.

UPDATE reservations SET rate = rate
WHERE (bucket, call_key) IN (SELECT bucket, call_key FROM reservations WHERE claims = '{}' LIMIT 500)
