ALTER TABLE duly.jobs DROP COLUMN progress, DROP COLUMN checkpoint;
