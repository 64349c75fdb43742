CREATE INDEX CONCURRENTLY jobs_by_batch ON duly.jobs (batch_id, id) WHERE batch_id IS NOT NULL;
