-- When somebody first looked at a dead letter, and when the job of one that was replayed had ended. Columns without a
-- default change no row.

ALTER TABLE duly.dead_letters
    ADD COLUMN looked_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN replay_ended_at TIMESTAMP WITH TIME ZONE;
