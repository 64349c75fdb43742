-- The queues of which relays publish nothing, until somebody resumes them.

CREATE TABLE duly.paused_queues (
    queue TEXT NOT NULL,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    who TEXT NOT NULL,
    why TEXT,
    PRIMARY KEY (queue)
);
