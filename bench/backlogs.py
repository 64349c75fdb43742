"""Backlogs of Duly's, written straight into its tables, and how fast they are relayed."""

import psycopg

from dev.wait import wait_until

PATIENCE_SECONDS = 600
FILL = """
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, attempt_limit, attempt_budget)
    SELECT gen_random_uuid(), 'bench.nothing', 'bench.duly', %(priority)s,
           jsonb_build_object('number', number), 8, 8
    FROM generate_series(0, %(count)s - 1) AS number
    RETURNING id, kind, queue, priority, run_at
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, 1, kind, queue, priority, run_at FROM job
"""
RELAYED = "SELECT coalesce(sum(cardinality(job_ids)), 0) FROM duly.publications"
BATCHES = """
SELECT extract(epoch FROM published_at)::float8, cardinality(job_ids)
FROM duly.publications
ORDER BY id
"""


def fill(database_url: str, count: int, priority: int = 1) -> None:
    """A backlog of so many jobs, and statistics as autovacuum would have them by then."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FILL, {"count": count, "priority": priority})
        connection.execute("VACUUM ANALYZE duly.jobs, duly.outbox_events")


def relayed(database_url: str, count: int) -> float:
    """Wait until all is relayed; rows per second from the first batch to the last.

    A batch's moment is its beginning, so that the last one is not counted.
    """
    found = batches(database_url, count)
    (first, _), (last, last_size) = found[0], found[-1]
    return (count - last_size) / (last - first)


def batches(database_url: str, count: int) -> list[tuple[float, int]]:
    """Wait until all is relayed; when each batch began, in seconds, and how large it was."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def is_done() -> bool:
            row = connection.execute(RELAYED).fetchone()
            return bool(row and row[0] >= count)

        if not wait_until(is_done, PATIENCE_SECONDS):
            raise TimeoutError(f"not all of {count} rows were relayed")
        return connection.execute(BATCHES).fetchall()
