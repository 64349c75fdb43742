DROP FUNCTION duly.refuse(text);
DROP TABLE duly.batch_callbacks, duly.batch_changes, duly.batches;
ALTER TABLE duly.jobs DROP COLUMN batch_id;
