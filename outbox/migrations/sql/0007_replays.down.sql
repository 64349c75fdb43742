ALTER TABLE duly.jobs DROP COLUMN replays;
