-- mode: statements
-- Built beside the calls; one that was cut off is begun anew.

DROP INDEX CONCURRENTLY IF EXISTS call_records_suspicious;
CREATE INDEX CONCURRENTLY call_records_suspicious ON call_records (bucket, ended_at) WHERE suspicion <> '';
