-- mode: statements
-- Built beside the calls; one that was cut off is begun anew. Empty for now: all belongs to the system.

DROP INDEX CONCURRENTLY IF EXISTS subscribers_by_party;
CREATE INDEX CONCURRENTLY subscribers_by_party ON subscribers (party_id) WHERE party_id <> 1;
DROP INDEX CONCURRENTLY IF EXISTS accounts_by_party;
CREATE INDEX CONCURRENTLY accounts_by_party ON accounts (party_id) WHERE party_id <> 1;
DROP INDEX CONCURRENTLY IF EXISTS audit_log_by_party;
CREATE INDEX CONCURRENTLY audit_log_by_party ON audit_log (party_id, audit_id) WHERE party_id IS NOT NULL;
