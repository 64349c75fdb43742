-- The jobs that are dead or cancelled, which are few, and each queue's open dead letters.

CREATE INDEX CONCURRENTLY jobs_dead_or_cancelled ON duly.jobs (state, id) WHERE state IN ('dead', 'cancelled');
CREATE INDEX CONCURRENTLY dead_letters_open_by_queue ON duly.dead_letters (queue) WHERE closed_at IS NULL;
