-- Keys of jobs: at most so many jobs of a key run at once, in order if they have a position. Columns without a default
-- change no row.

CREATE SEQUENCE duly.positions;
ALTER TABLE duly.jobs ADD COLUMN keys TEXT[], ADD COLUMN position BIGINT;
ALTER TABLE duly.outbox_events ADD COLUMN keys TEXT[], ADD COLUMN position BIGINT;
ALTER TABLE duly.schedules ADD COLUMN keys TEXT[], ADD COLUMN is_ordered BOOLEAN;

-- The jobs that were admitted under a key, and their dispatch then.

CREATE TABLE duly.key_holders (
    key TEXT NOT NULL,
    job_id UUID NOT NULL,
    dispatch INTEGER NOT NULL,
    admitted_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT key_holders_pkey PRIMARY KEY (job_id, key)
);
CREATE INDEX key_holders_by_key ON duly.key_holders (key);
