-- Which job holds the key of a unique kind.

CREATE TABLE duly.unique_keys (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    job_id UUID NOT NULL,
    until TEXT NOT NULL,
    period INTERVAL,
    taken_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    PRIMARY KEY (kind, key)
);
CREATE INDEX unique_keys_by_job ON duly.unique_keys (job_id);
