"""The database that `bench.looks` looks at: a backlog, what is under way, and a long history."""

from typing import Any

import psycopg

from bench.backlogs import UUID7

QUEUES = 8
DAYS = 90
PUBLISHED, RUNNING = 1_000, 64
"""Of each queue: a window of published jobs; and running ones, as of some workers."""
FINISHED = f"""
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt, attempt_limit,
                       attempt_budget, worker, result, subject, created_at, run_at, started_at,
                       finished_at)
SELECT {UUID7}, 'bench.k' || number %% 10, 'bench.q' || number %% %(queues)s, number %% 3,
       jsonb_build_object('number', number),
       CASE WHEN number %% 1000 = 0 THEN 'dead' WHEN number %% 500 = 1 THEN 'cancelled'
            ELSE 'succeeded' END,
       1, 8, 8, 'bench', 'null',
       CASE WHEN number %% 10 = 0 THEN 'customer:1' ELSE 'invoice:' || number END,
       made, made, made, made
FROM generate_series(1, %(count)s) AS number
CROSS JOIN LATERAL (
    SELECT now() - %(days)s * interval '1 day' * (1 - number::float8 / %(count)s) AS made
) AS moment
"""
QUEUED = f"""
WITH job AS (
    INSERT INTO duly.jobs (id, kind, queue, priority, payload, run_at, attempt_limit,
                           attempt_budget, keys)
    SELECT {UUID7}, 'bench.k' || number %% 10, 'bench.q' || number %% %(queues)s, number %% 3,
           jsonb_build_object('number', number),
           made + CASE WHEN number %% 20 = 0 THEN interval '1 day' ELSE interval '0' END, 8, 8,
           CASE WHEN number %% 4 = 1 THEN ARRAY['customer:' || number %% 1000] END
    FROM generate_series(%(first)s, %(first)s + %(count)s - 1) AS number
    CROSS JOIN LATERAL (
        SELECT now() + (number - %(first)s - %(count)s) * interval '1 millisecond' AS made
    ) AS moment
    RETURNING id, kind, queue, priority, run_at, keys
)
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys)
SELECT id, 1, kind, queue, priority, run_at, keys FROM job
"""
UNDER_WAY = """
WITH sent AS (
    DELETE FROM duly.outbox_events WHERE job_id IN (
        SELECT first.job_id FROM generate_series(0, %(queues)s - 1) AS number
        CROSS JOIN LATERAL (
            SELECT job_id FROM duly.outbox_events
            WHERE keys IS NULL AND queue = 'bench.q' || number AND priority IN (0, 1, 2)
            ORDER BY available_at LIMIT %(published)s + %(running)s
        ) AS first
    ) RETURNING queue, job_id
), numbered AS (
    SELECT queue, job_id, row_number() OVER (PARTITION BY queue ORDER BY job_id) AS place FROM sent
), begun AS (
    UPDATE duly.jobs AS job SET state = 'running', attempt = 1, worker = 'bench-' || place %% 16,
                                started_at = now()
    FROM numbered WHERE job.id = job_id AND place <= %(running)s
)
INSERT INTO duly.publications (queue, job_ids, dispatches)
SELECT queue, array_agg(job_id), array_agg(1) FROM numbered GROUP BY queue, place / 100
"""
LETTERS = """
INSERT INTO duly.dead_letters (job_id, dispatch, kind, queue, reason, closed_at, resolution)
SELECT id, 1, kind, queue, 'exhausted', CASE WHEN priority > 0 THEN now() END,
       CASE WHEN priority > 0 THEN 'discarded' END
FROM duly.jobs WHERE state = 'dead'
"""


def fill(connection: "psycopg.Connection[Any]", queued: int, finished: int) -> None:
    """So many jobs, as they are once Postgres has written them out and knows their number."""
    sizes = {"queues": QUEUES, "days": DAYS, "published": PUBLISHED, "running": RUNNING}
    connection.execute(FINISHED, sizes | {"count": finished})
    connection.execute(QUEUED, sizes | {"first": finished + 1, "count": queued})
    connection.execute(UNDER_WAY, sizes)
    connection.execute(LETTERS)
    connection.execute("VACUUM ANALYZE")
    connection.execute("CHECKPOINT")
