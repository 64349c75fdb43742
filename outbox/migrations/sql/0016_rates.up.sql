-- The clocks of keys that have a rate, and what people have set in place of a key's limits.

CREATE TABLE duly.key_clocks (
    key TEXT NOT NULL,
    tat TIMESTAMP WITH TIME ZONE NOT NULL,
    not_before TIMESTAMP WITH TIME ZONE,
    PRIMARY KEY (key)
);
CREATE TABLE duly.key_limits (
    key TEXT NOT NULL,
    at_most INTEGER,
    permits INTEGER,
    per INTERVAL,
    burst INTEGER,
    since TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    who TEXT NOT NULL,
    why TEXT,
    PRIMARY KEY (key)
);
