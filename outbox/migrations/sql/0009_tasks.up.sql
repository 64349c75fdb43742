-- How many `async def` actors a worker runs at once. Earlier releases do not say so.

ALTER TABLE duly.workers ADD COLUMN tasks INTEGER DEFAULT 0 NOT NULL;
