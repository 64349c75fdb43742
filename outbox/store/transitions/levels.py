"""What an outbox event has from its job: its level, and the keys that it waits for."""

REPLAYED = 3
"""Added to the priority (0, 1 or 2) of a job that was ever replayed."""
LEVEL = f"job.priority + CASE WHEN job.replays > 0 THEN {REPLAYED} ELSE 0 END AS level"

UNADMITTED = """CASE WHEN (
        SELECT true FROM duly.key_holders AS holder
        WHERE holder.job_id = job.id AND holder.dispatch = job.dispatch
        LIMIT 1
    ) THEN NULL ELSE job.keys END AS keys"""
"""A job's keys for an event of its present dispatch: null if that was admitted already."""
