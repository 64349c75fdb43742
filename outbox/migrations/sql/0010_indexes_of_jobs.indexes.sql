-- Each worker looks for those of its running jobs that somebody asked to cancel.

CREATE INDEX CONCURRENTLY jobs_to_cancel ON duly.jobs (worker) WHERE state = 'running' AND cancel_requested_at IS NOT NULL;

-- The jobs that may expire, and the children of a job.

CREATE INDEX CONCURRENTLY jobs_expiring ON duly.jobs (expires_at)
WHERE state = 'queued' AND started_at IS NULL AND expires_at IS NOT NULL;
CREATE INDEX CONCURRENTLY jobs_by_parent ON duly.jobs (parent_id, id) WHERE parent_id IS NOT NULL;

-- The members of a batch.

CREATE INDEX CONCURRENTLY jobs_by_batch ON duly.jobs (batch_id, id) WHERE batch_id IS NOT NULL;
