DROP TABLE duly.key_holders;
ALTER TABLE duly.schedules DROP COLUMN keys, DROP COLUMN is_ordered;
ALTER TABLE duly.outbox_events DROP COLUMN keys, DROP COLUMN position;
ALTER TABLE duly.jobs DROP COLUMN keys, DROP COLUMN position;
DROP SEQUENCE duly.positions;
