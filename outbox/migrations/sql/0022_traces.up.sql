-- The trace context in which a job was submitted, and that of its last attempt.

ALTER TABLE duly.jobs ADD COLUMN trace TEXT, ADD COLUMN attempt_trace TEXT;
