-- Each worker looks for those of its running jobs that somebody asked to cancel.

CREATE INDEX CONCURRENTLY jobs_to_cancel ON duly.jobs (worker) WHERE state = 'running' AND cancel_requested_at IS NOT NULL;
