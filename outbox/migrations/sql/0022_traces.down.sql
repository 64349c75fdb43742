ALTER TABLE duly.jobs DROP COLUMN trace, DROP COLUMN attempt_trace;
