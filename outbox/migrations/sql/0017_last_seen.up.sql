-- When an API key was last used.

ALTER TABLE duly.api_keys ADD COLUMN last_seen_at TIMESTAMP WITH TIME ZONE;
