DROP TABLE duly.received_messages;
ALTER TABLE duly.dead_letters DROP COLUMN outgoing_id;
DROP TABLE duly.outgoing_messages;
