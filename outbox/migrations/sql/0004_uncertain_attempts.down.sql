UPDATE duly.attempts SET outcome = 'failed' WHERE outcome = 'uncertain';
ALTER TABLE duly.attempts
    DROP CONSTRAINT attempts_outcome,
    ADD CONSTRAINT attempts_outcome CHECK (outcome IN ('failed', 'timed_out', 'crashed')) NOT VALID;
