DROP INDEX duly.jobs_expiring, duly.jobs_by_parent;
