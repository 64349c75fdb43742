ALTER TABLE duly.workers DROP COLUMN code;
