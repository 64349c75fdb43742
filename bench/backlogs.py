"""Backlogs of Duly's, written straight into its tables, and how fast they are relayed."""

from collections.abc import Sequence

import psycopg

from dev.wait import wait_until
from outbox.kinds import Priority
from outbox.submission.rows import Row

PATIENCE_SECONDS = 600
JOB: Row = {
    "kind": "bench.nothing",
    "queue": "bench.duly",
    "priority": "1",
    "payload": '{"number": 1}',
    "run_at": None,
    "budget": "8",
    "subject": None,
    "parent_id": None,
    "submitted_by": None,
    "expires_at": None,
    "trace": None,
}
"""A job as SUBMIT takes it, but for its id."""
UUID7 = """
(lpad(to_hex((extract(epoch FROM made) * 1000)::bigint), 12, '0')
 || '70008' || lpad(to_hex(number), 15, '0'))::uuid
"""
"""SQL for a job's id from the columns `made`, a moment, and `number`: another for each number.

In the order of `made`, as `submit` gives them; random ones would be all over an index.
"""
FILL = f"""
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget)
    SELECT {UUID7}, 'bench.nothing', 'bench.duly', %(priority)s,
           jsonb_build_object('number', number), made, 8, 8
    FROM generate_series(%(first)s::int, %(first)s::int + %(count)s - 1) AS number
    CROSS JOIN LATERAL (
        SELECT now() + (number - %(first)s - %(count)s) * interval '1 millisecond' AS made
    ) AS moment
    RETURNING id, kind, queue, priority, run_at
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at)
SELECT id, 1, kind, queue, priority, run_at FROM job
"""
BATCHES = """
SELECT id, extract(epoch FROM published_at)::float8, cardinality(job_ids)
FROM duly.publications
WHERE id > %(after)s
ORDER BY id
"""

Batch = tuple[float, int]
"""When it began, in seconds, and how large it was."""


def fill(database_url: str, count: int, first: int = 0) -> None:
    """A backlog of so many jobs, numbered from `first` on.

    It is as it is once Postgres has written it out and knows its size.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(FILL, {"first": first, "count": count, "priority": Priority.NORMAL})
        connection.execute("VACUUM ANALYZE duly.jobs, duly.outbox_events")
        connection.execute("CHECKPOINT")  # or it would come while the backlog is worked off


def relayed(database_url: str, count: int) -> float:
    """Wait until all is relayed; rows per second."""
    return rate(batches(database_url, count))


def rate(found: Sequence[Batch]) -> float:
    """Rows per second from the second batch to the last, which is not counted as it only began.

    Nor is the first: nothing is on its way when it begins, and the second does not wait for it.
    """
    if len(found) < 3:
        raise ValueError("a rate needs three batches; take a larger scale")
    _, *counted, (last, _) = found
    return sum(size for _, size in counted) / (last - counted[0][0])


def batches(database_url: str, count: int) -> list[Batch]:
    """Wait until all is relayed; all batches. Each is read once: they are large."""
    found: list[tuple[int, float, int]] = []
    with psycopg.connect(database_url, autocommit=True) as connection:

        def is_done() -> bool:
            after = found[-1][0] if found else 0
            found.extend(connection.execute(BATCHES, {"after": after}))
            return sum(size for _, _, size in found) >= count

        if not wait_until(is_done, PATIENCE_SECONDS):
            raise TimeoutError(f"not all of {count} rows were relayed")
    return [(moment, size) for _, moment, size in found]
