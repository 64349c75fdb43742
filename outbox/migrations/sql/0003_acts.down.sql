DROP TABLE duly.acts;
DROP FUNCTION duly.refuse_to_change();
