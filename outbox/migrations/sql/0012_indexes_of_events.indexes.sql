-- The events to publish, and those that wait until their keys let them through: none is read for the other.

CREATE INDEX CONCURRENTLY outbox_events_to_publish ON duly.outbox_events (queue, priority, available_at)
WHERE keys IS NULL;
CREATE INDEX CONCURRENTLY outbox_events_to_admit ON duly.outbox_events (queue, priority, kind, keys, available_at)
WHERE keys IS NOT NULL;

-- The first of a key's jobs that are in order.

CREATE INDEX CONCURRENTLY outbox_events_by_position ON duly.outbox_events ((keys[1]), position)
WHERE position IS NOT NULL AND keys IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS duly.outbox_events_in_order;
