-- Jobs that a worker did not know how to do, and that wait for one that does.

CREATE TABLE duly.refusals (
    job_id UUID NOT NULL,
    dispatch INTEGER NOT NULL,
    since TIMESTAMP WITH TIME ZONE NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (job_id)
);
