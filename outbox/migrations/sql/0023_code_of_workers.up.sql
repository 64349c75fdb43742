-- Which release a worker runs and which kinds it knows, as it says itself. A column without a default changes no row.

ALTER TABLE duly.workers ADD COLUMN code JSONB;
