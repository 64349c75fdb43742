CREATE INDEX jobs_queued ON duly.jobs (run_at) WHERE state = 'queued';
DROP INDEX duly.jobs_queued_by_time, duly.batches_open;
