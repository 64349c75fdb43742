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


def levels_of(name: str, events: str) -> str:
    """A recursive CTE of the queues and levels that have such events: an index probe for each."""
    return f"""{name} AS (
    (SELECT queue, priority FROM duly.outbox_events WHERE {events}
     ORDER BY queue, priority LIMIT 1)
    UNION ALL
    SELECT next.queue, next.priority
    FROM {name} CROSS JOIN LATERAL (
        SELECT event.queue, event.priority FROM duly.outbox_events AS event
        WHERE {events} AND (event.queue, event.priority) > ({name}.queue, {name}.priority)
        ORDER BY event.queue, event.priority LIMIT 1
    ) AS next
)"""
