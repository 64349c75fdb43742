-- No CHECK constraints on jobs: Postgres reads them anew for every statement that writes a row.

ALTER TABLE duly.jobs DROP CONSTRAINT IF EXISTS jobs_state, DROP CONSTRAINT IF EXISTS jobs_priority;
