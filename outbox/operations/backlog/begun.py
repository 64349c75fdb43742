"""The jobs that have left the outbox: published to the broker, or running."""

from typing import Any

from sqlalchemy.orm import Session

from outbox.operations.backlog.queue_status import MOST_COUNTED, Queues

MOST_RUNNING = 50_000
"""Up to how many running jobs are counted, of all queues: more than workers have threads."""

# The newest jobs that were published, of which those count that are queued and wait in no outbox.
# A relay publishes only so far ahead, and brokers' queues are nearly first in, first out: if the
# oldest tenth of those that were read is claimed, so is what lies before. Each job is looked up by
# its id: `LIMIT 1` keeps the planner from reading all jobs instead.
_PUBLISHED = """
WITH RECURSIVE used AS (
    (SELECT queue FROM duly.publications ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT publication.queue FROM duly.publications AS publication
            WHERE publication.queue > used.queue ORDER BY publication.queue LIMIT 1)
    FROM used
    WHERE used.queue IS NOT NULL
)
SELECT used.queue, job.priority, count(DISTINCT job.id) AS published,
       bool_or(sent.place > %(most)s * 0.9) AS is_cut,
       round(extract(epoch FROM now() - min(job.run_at)), 1)::float8 AS oldest_seconds
FROM used
CROSS JOIN LATERAL (
    SELECT job_id, dispatch, row_number() OVER () AS place
    FROM (
        SELECT job_ids, dispatches FROM duly.publications AS publication
        WHERE publication.queue = used.queue
        ORDER BY publication.id DESC
    ) AS latest
    CROSS JOIN unnest(job_ids, dispatches) AS sent (job_id, dispatch)
    LIMIT %(most)s
) AS sent
CROSS JOIN LATERAL (
    SELECT id, priority, run_at FROM duly.jobs AS job
    WHERE job.id = sent.job_id AND job.dispatch = sent.dispatch AND job.state || '' = 'queued'
      AND NOT EXISTS (SELECT FROM duly.outbox_events AS event WHERE event.job_id = job.id)
    LIMIT 1
) AS job
GROUP BY used.queue, job.priority
"""
_RUNNING = """
SELECT queue, priority, count(*) AS running
FROM (SELECT queue, priority FROM duly.jobs WHERE state = 'running'
      ORDER BY worker LIMIT %(most)s + 1) AS job
GROUP BY queue, priority
"""


def count_published(session: Session, queues: Queues) -> None:
    """Count the published ones; if more than can be read may wait, it is an estimate."""
    for row in _rows(session, _PUBLISHED, MOST_COUNTED):
        queue = queues[row.queue]
        queue.published.add(row.priority, row.published)
        queue.waited("oldest_queued_seconds", row.oldest_seconds)
        if row.is_cut:
            queue.estimate("published")


def count_running(session: Session, queues: Queues) -> None:
    """Count the running ones, at most `MOST_RUNNING` of all queues."""
    found = _rows(session, _RUNNING, MOST_RUNNING)
    is_cut = sum(row.running for row in found) > MOST_RUNNING
    for row in found:
        queues[row.queue].running.add(row.priority, row.running)
        if is_cut:
            queues[row.queue].estimate("running")


def _rows(session: Session, query: str, most: int) -> list[Any]:
    return list(session.connection().exec_driver_sql(query, {"most": most}))
