-- How often a job was replayed. A constant default changes no row: the lock is held for a moment.

ALTER TABLE duly.jobs ADD COLUMN replays SMALLINT DEFAULT 0 NOT NULL;
