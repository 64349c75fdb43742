-- Closed dead letters by age, those that nobody has looked at, and replayed ones whose job may not have ended.

CREATE INDEX CONCURRENTLY dead_letters_closed ON duly.dead_letters (closed_at, id) WHERE closed_at IS NOT NULL;
CREATE INDEX CONCURRENTLY dead_letters_unseen ON duly.dead_letters (died_at)
WHERE closed_at IS NULL AND looked_at IS NULL;
CREATE INDEX CONCURRENTLY dead_letters_replayed ON duly.dead_letters (id)
WHERE resolution = 'replayed' AND replay_ended_at IS NULL AND job_id IS NOT NULL;
