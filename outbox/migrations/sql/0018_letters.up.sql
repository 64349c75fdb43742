-- When somebody first looked at a dead letter. A column without a default changes no row.

ALTER TABLE duly.dead_letters ADD COLUMN looked_at TIMESTAMP WITH TIME ZONE;
