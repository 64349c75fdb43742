ALTER TABLE duly.jobs DROP COLUMN expires_at, DROP COLUMN cancel_reason;
