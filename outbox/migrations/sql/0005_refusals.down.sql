DROP TABLE duly.refusals;
