DROP FUNCTION duly.refuse(text);
DROP TABLE duly.batch_callbacks, duly.batch_changes, duly.batches;
ALTER TABLE duly.jobs DROP COLUMN batch_id;
DROP TABLE duly.ticks, duly.schedules;
ALTER TABLE duly.jobs DROP COLUMN expires_at, DROP COLUMN cancel_reason;
ALTER TABLE duly.jobs DROP COLUMN progress, DROP COLUMN checkpoint;
ALTER TABLE duly.workers DROP COLUMN tasks;
