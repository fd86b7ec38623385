-- mode: statements
-- Built beside the calls; one that was cut off is begun anew. Empty for now: all belongs to the system.

DROP INDEX CONCURRENTLY IF EXISTS subscribers_by_party;
CREATE INDEX CONCURRENTLY subscribers_by_party ON subscribers (party_id) WHERE party_id <> 1;
DROP INDEX CONCURRENTLY IF EXISTS accounts_by_party;
CREATE INDEX CONCURRENTLY accounts_by_party ON accounts (party_id) WHERE party_id <> 1;
DROP INDEX CONCURRENTLY IF EXISTS catalogue_audit_by_party;
CREATE INDEX CONCURRENTLY catalogue_audit_by_party ON catalogue_audit (party_id, audit_id) WHERE party_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS catalogue_audit_by_time;
CREATE INDEX CONCURRENTLY catalogue_audit_by_time ON catalogue_audit (at, audit_id);
DROP INDEX CONCURRENTLY IF EXISTS account_audit_by_time;
CREATE INDEX CONCURRENTLY account_audit_by_time ON account_audit (at, audit_id);
