-- When a job expires, and why one was cancelled.

ALTER TABLE duly.jobs ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE, ADD COLUMN cancel_reason TEXT;
