DROP INDEX duly.jobs_to_cancel, duly.jobs_expiring, duly.jobs_by_parent, duly.jobs_by_batch;
