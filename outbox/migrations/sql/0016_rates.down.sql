DROP TABLE duly.key_limits;
DROP TABLE duly.key_clocks;
