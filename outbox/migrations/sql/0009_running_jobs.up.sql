-- How many `async def` actors a worker runs at once. Earlier releases do not say so.

ALTER TABLE duly.workers ADD COLUMN tasks INTEGER DEFAULT 0 NOT NULL;

-- How far a running job is, and where its next attempt goes on. A column without a default changes no row.

ALTER TABLE duly.jobs ADD COLUMN progress JSONB, ADD COLUMN checkpoint JSONB;

-- When a job expires, and why one was cancelled.

ALTER TABLE duly.jobs ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE, ADD COLUMN cancel_reason TEXT;
