-- Not valid: the table is not read while nobody else may write to it.
ALTER TABLE duly.jobs
    ADD CONSTRAINT jobs_state
        CHECK (state IN ('queued', 'running', 'succeeded', 'dead', 'cancelled')) NOT VALID,
    ADD CONSTRAINT jobs_priority CHECK (priority IN (0, 1, 2)) NOT VALID;
