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

-- Batches: jobs that are counted together. A column without a default changes no row.

ALTER TABLE duly.jobs ADD COLUMN batch_id UUID;
CREATE TABLE duly.batches (
    id UUID NOT NULL,
    parent_id UUID,
    generation INTEGER DEFAULT 1 NOT NULL,
    members INTEGER DEFAULT 0 NOT NULL,
    succeeded INTEGER DEFAULT 0 NOT NULL,
    dead INTEGER DEFAULT 0 NOT NULL,
    cancelled INTEGER DEFAULT 0 NOT NULL,
    outcome TEXT,
    on_success JSONB,
    on_settled JSONB,
    on_first_death JSONB,
    subject TEXT,
    submitted_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    sealed_at TIMESTAMP WITH TIME ZONE,
    first_death_at TIMESTAMP WITH TIME ZONE,
    cancelled_at TIMESTAMP WITH TIME ZONE,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT batches_pkey PRIMARY KEY (id),
    CONSTRAINT batches_outcome CHECK (outcome IN ('succeeded', 'dead', 'cancelled'))
);
CREATE INDEX batches_by_parent ON duly.batches (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX batches_to_cancel ON duly.batches (id)
    WHERE cancelled_at IS NOT NULL AND settled_at IS NULL;
CREATE TABLE duly.batch_changes (
    batch_id UUID NOT NULL,
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    added INTEGER DEFAULT 0 NOT NULL,
    succeeded INTEGER DEFAULT 0 NOT NULL,
    dead INTEGER DEFAULT 0 NOT NULL,
    cancelled INTEGER DEFAULT 0 NOT NULL,
    reopens BOOLEAN DEFAULT false NOT NULL,
    CONSTRAINT batch_changes_pkey PRIMARY KEY (batch_id, id)
);
CREATE TABLE duly.batch_callbacks (
    batch_id UUID NOT NULL,
    generation INTEGER NOT NULL,
    name TEXT NOT NULL,
    job_id UUID NOT NULL,
    CONSTRAINT batch_callbacks_pkey PRIMARY KEY (batch_id, generation, name)
);
CREATE UNIQUE INDEX batch_callbacks_by_job ON duly.batch_callbacks (job_id);
CREATE FUNCTION duly.refuse(why text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', why USING ERRCODE = 'check_violation';
END $$;
