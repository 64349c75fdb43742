ALTER TABLE duly.workers DROP COLUMN tasks;
