-- Checks the rule of 0004 for older attempts, too. In a transaction of its own: it reads all rows, while
-- others go on writing.

ALTER TABLE duly.attempts VALIDATE CONSTRAINT attempts_outcome;
