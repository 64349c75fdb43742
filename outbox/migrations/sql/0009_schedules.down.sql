DROP TABLE duly.ticks, duly.schedules;
