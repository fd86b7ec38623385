-- mode: statements
-- Lines as MOR names them, by their number. Built beside the calls; one that was cut off is begun anew.

DROP INDEX CONCURRENTLY IF EXISTS subscribers_by_number;
CREATE INDEX CONCURRENTLY subscribers_by_number ON subscribers (subscriber_id);
