-- Closed dead letters by age, and those that nobody has looked at.

CREATE INDEX CONCURRENTLY dead_letters_closed ON duly.dead_letters (closed_at, id) WHERE closed_at IS NOT NULL;
CREATE INDEX CONCURRENTLY dead_letters_unseen ON duly.dead_letters (died_at)
WHERE closed_at IS NULL AND looked_at IS NULL;
