CREATE INDEX outbox_events_in_order ON duly.outbox_events (queue, priority, available_at);
DROP INDEX duly.outbox_events_to_publish, duly.outbox_events_to_admit, duly.outbox_events_by_position;
