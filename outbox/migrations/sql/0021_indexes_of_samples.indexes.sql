-- What relays sample: queued jobs in an order in which a walk can go on, and batches that have not settled.

CREATE INDEX CONCURRENTLY jobs_queued_by_time ON duly.jobs (run_at, id) WHERE state = 'queued';
CREATE INDEX CONCURRENTLY batches_open ON duly.batches (id) WHERE settled_at IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS duly.jobs_queued;
