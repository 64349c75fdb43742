ALTER TABLE duly.dead_letters DROP COLUMN looked_at, DROP COLUMN replay_ended_at;
