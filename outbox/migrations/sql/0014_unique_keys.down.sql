DROP TABLE duly.unique_keys;
