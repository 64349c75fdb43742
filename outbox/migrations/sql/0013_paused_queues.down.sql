DROP TABLE duly.paused_queues;
