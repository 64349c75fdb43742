"""The level of an outbox event: its job's priority, and whether the job was ever replayed."""

REPLAYED = 3
"""Added to the priority (0, 1 or 2) of a job that was ever replayed."""
LEVEL = f"job.priority + CASE WHEN job.replays > 0 THEN {REPLAYED} ELSE 0 END AS level"
