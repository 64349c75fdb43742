ALTER TABLE duly.dead_letters DROP COLUMN looked_at;
