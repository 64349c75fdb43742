-- How far a running job is, and where its next attempt goes on. Nullable: the lock is held for a moment.

ALTER TABLE duly.jobs ADD COLUMN progress JSONB, ADD COLUMN checkpoint JSONB;
