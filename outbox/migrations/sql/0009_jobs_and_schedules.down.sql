DROP TABLE duly.ticks, duly.schedules;
ALTER TABLE duly.jobs DROP COLUMN expires_at, DROP COLUMN cancel_reason;
ALTER TABLE duly.jobs DROP COLUMN progress, DROP COLUMN checkpoint;
ALTER TABLE duly.workers DROP COLUMN tasks;
