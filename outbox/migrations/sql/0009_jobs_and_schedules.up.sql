-- How many `async def` actors a worker runs at once. Earlier releases do not say so.

ALTER TABLE duly.workers ADD COLUMN tasks INTEGER DEFAULT 0 NOT NULL;

-- How far a running job is, and where its next attempt goes on. A column without a default changes no row.

ALTER TABLE duly.jobs ADD COLUMN progress JSONB, ADD COLUMN checkpoint JSONB;

-- When a job expires, and why one was cancelled.

ALTER TABLE duly.jobs ADD COLUMN expires_at TIMESTAMP WITH TIME ZONE, ADD COLUMN cancel_reason TEXT;

-- What is submitted at which times, and what became of each tick.

CREATE TABLE duly.schedules (
    name TEXT NOT NULL,
    source TEXT NOT NULL,
    cron TEXT NOT NULL,
    zone TEXT NOT NULL,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority SMALLINT NOT NULL,
    payload JSONB NOT NULL,
    attempt_budget INTEGER NOT NULL,
    subject TEXT,
    overlap TEXT NOT NULL,
    missed TEXT NOT NULL,
    catch_up_seconds INTEGER NOT NULL,
    jitter_seconds INTEGER NOT NULL,
    version INTEGER DEFAULT 1 NOT NULL,
    next_due_at TIMESTAMP WITH TIME ZONE,
    paused_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    deleted_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT schedules_pkey PRIMARY KEY (name),
    CONSTRAINT schedules_source CHECK (source IN ('code', 'runtime'))
);
CREATE INDEX schedules_due ON duly.schedules (next_due_at);
CREATE TABLE duly.ticks (
    schedule TEXT NOT NULL,
    due_at TIMESTAMP WITH TIME ZONE NOT NULL,
    outcome TEXT NOT NULL,
    why TEXT,
    job_id UUID,
    recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT ticks_pkey PRIMARY KEY (schedule, due_at),
    CONSTRAINT ticks_outcome CHECK (outcome IN ('made', 'waiting', 'skipped'))
);
CREATE INDEX ticks_made ON duly.ticks (schedule, due_at) WHERE job_id IS NOT NULL;
CREATE INDEX ticks_waiting ON duly.ticks (schedule, due_at) WHERE outcome = 'waiting';
