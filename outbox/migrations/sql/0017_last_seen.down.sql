ALTER TABLE duly.api_keys DROP COLUMN last_seen_at;
