-- mode: statements
-- Built beside the calls; one that was cut off is begun anew. The last four are for the look-ups of engines of version 1,
-- which name no bucket (previous/0001.sql).

DROP INDEX CONCURRENTLY IF EXISTS subscribers_pkey_2;
CREATE UNIQUE INDEX CONCURRENTLY subscribers_pkey_2 ON subscribers (bucket, subscriber_id);
DROP INDEX CONCURRENTLY IF EXISTS subscribers_bucket_login_key;
CREATE UNIQUE INDEX CONCURRENTLY subscribers_bucket_login_key ON subscribers (bucket, login);

DROP INDEX CONCURRENTLY IF EXISTS previous_logins;
CREATE INDEX CONCURRENTLY previous_logins ON subscribers (login);
DROP INDEX CONCURRENTLY IF EXISTS previous_subscriber_ids;
CREATE INDEX CONCURRENTLY previous_subscriber_ids ON subscribers (subscriber_id);
DROP INDEX CONCURRENTLY IF EXISTS previous_options;
CREATE INDEX CONCURRENTLY previous_options ON subscriber_options (subscriber_id);
DROP INDEX CONCURRENTLY IF EXISTS previous_aliases;
CREATE UNIQUE INDEX CONCURRENTLY previous_aliases ON aliases (subscriber_id, alias) NULLS NOT DISTINCT;
