-- An attempt may end `uncertain`. Not valid yet: nobody waits while the table is read, which 0006 does.

ALTER TABLE duly.attempts
    DROP CONSTRAINT attempts_outcome,
    ADD CONSTRAINT attempts_outcome CHECK (outcome IN ('failed', 'timed_out', 'crashed', 'uncertain')) NOT VALID;
