-- A rule that was checked stays so.
SELECT 1;
