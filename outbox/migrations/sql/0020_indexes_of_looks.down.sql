DROP INDEX duly.jobs_dead_or_cancelled;
DROP INDEX duly.dead_letters_open_by_queue;
