-- The engine's tables.

CREATE SCHEMA IF NOT EXISTS duly;
CREATE TABLE duly.attempts (
    job_id UUID NOT NULL,
    attempt INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    error_type TEXT NOT NULL,
    error_message TEXT NOT NULL,
    traceback TEXT,
    worker TEXT,
    started_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (job_id, attempt),
    CONSTRAINT attempts_outcome CHECK (outcome IN ('failed', 'timed_out', 'crashed'))
);
CREATE TABLE duly.dead_letters (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    job_id UUID,
    dispatch INTEGER,
    kind TEXT,
    queue TEXT NOT NULL,
    reason TEXT NOT NULL,
    error_type TEXT,
    error_message TEXT,
    message_body BYTEA,
    message_headers JSONB,
    died_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    collected_at TIMESTAMP WITH TIME ZONE,
    closed_at TIMESTAMP WITH TIME ZONE,
    resolution TEXT,
    closed_by TEXT,
    close_reason TEXT,
    PRIMARY KEY (id),
    CONSTRAINT dead_letters_resolution CHECK (resolution IN ('replayed', 'discarded'))
);
CREATE UNIQUE INDEX dead_letters_by_dispatch
    ON duly.dead_letters (job_id, dispatch)
    WHERE job_id IS NOT NULL;
CREATE INDEX dead_letters_open ON duly.dead_letters (id) WHERE closed_at IS NULL;
CREATE TABLE duly.jobs (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority SMALLINT NOT NULL,
    payload JSONB NOT NULL,
    state TEXT DEFAULT 'queued' NOT NULL,
    dispatch INTEGER DEFAULT 1 NOT NULL,
    attempt INTEGER DEFAULT 0 NOT NULL,
    attempt_limit INTEGER NOT NULL,
    attempt_budget INTEGER NOT NULL,
    worker TEXT,
    result JSONB,
    subject TEXT,
    parent_id UUID,
    submitted_by TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    run_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE,
    cancel_requested_at TIMESTAMP WITH TIME ZONE,
    finished_at TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (id),
    CONSTRAINT jobs_state CHECK (state IN ('queued', 'running', 'succeeded', 'dead', 'cancelled')),
    CONSTRAINT jobs_priority CHECK (priority IN (0, 1, 2))
);
CREATE INDEX jobs_by_subject ON duly.jobs (subject) WHERE subject IS NOT NULL;
CREATE INDEX jobs_queued ON duly.jobs (run_at) WHERE state = 'queued';
CREATE INDEX jobs_running ON duly.jobs (worker) WHERE state = 'running';
CREATE TABLE duly.outbox_events (
    job_id UUID NOT NULL,
    dispatch INTEGER NOT NULL,
    kind TEXT NOT NULL,
    queue TEXT NOT NULL,
    priority SMALLINT NOT NULL,
    available_at TIMESTAMP WITH TIME ZONE NOT NULL,
    failures SMALLINT DEFAULT 0 NOT NULL,
    PRIMARY KEY (job_id)
);
CREATE INDEX outbox_events_in_order ON duly.outbox_events (queue, priority, available_at);
CREATE TABLE duly.publications (
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    queue TEXT NOT NULL,
    published_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    job_ids UUID[] NOT NULL,
    dispatches INTEGER[] NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX publications_in_order ON duly.publications (queue, id);
CREATE TABLE duly.workers (
    name TEXT NOT NULL,
    queues JSONB NOT NULL,
    threads INTEGER NOT NULL,
    started_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    heartbeat_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (name)
);
