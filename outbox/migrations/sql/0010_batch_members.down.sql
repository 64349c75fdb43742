DROP INDEX duly.jobs_by_batch;
