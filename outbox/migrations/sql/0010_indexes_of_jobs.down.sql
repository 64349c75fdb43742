DROP INDEX duly.jobs_to_cancel;
