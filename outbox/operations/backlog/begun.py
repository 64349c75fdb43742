"""The jobs that have left the outbox: published to the broker, or running."""

from sqlalchemy.orm import Session

from outbox.operations.backlog.queue_status import Queues

MOST_RUNNING = 50_000
"""Up to how many running jobs are counted, of all queues: more than workers have threads."""

MOST_SENT, MOST_LOOKED_UP = 20_000, 2_000
"""Of the jobs that were published, of all queues: how many are listed, and how many looked up."""

# Of the newest jobs that were published, those count that are queued and wait in no outbox. If they
# are too many to look up, every second, third, ... one is. A relay publishes only so far ahead, and
# brokers' queues are nearly first in, first out: if the oldest tenth of those that were listed is
# claimed, so is what lies before. Jobs and events are read by an array of ids, which keeps the
# planner from reading all of them.
_PUBLISHED = """
WITH RECURSIVE used AS (
    (SELECT queue FROM duly.publications ORDER BY queue LIMIT 1)
    UNION ALL
    SELECT (SELECT publication.queue FROM duly.publications AS publication
            WHERE publication.queue > used.queue ORDER BY publication.queue LIMIT 1)
    FROM used
    WHERE used.queue IS NOT NULL
), bound AS (
    SELECT %(sent)s / greatest(count(queue), 1) AS sent,
           %(looked_up)s / greatest(count(queue), 1) + 1 AS looked_up
    FROM used
), sent AS MATERIALIZED (
    SELECT used.queue, latest.*
    FROM used
    CROSS JOIN LATERAL (
        SELECT job_id, dispatch, row_number() OVER () AS place
        FROM (
            SELECT job_ids, dispatches FROM duly.publications AS publication
            WHERE publication.queue = used.queue
            ORDER BY publication.id DESC
        ) AS publication
        CROSS JOIN unnest(job_ids, dispatches) AS sent (job_id, dispatch)
        LIMIT (SELECT sent FROM bound)
    ) AS latest
), step AS (
    SELECT queue, (count(*) - 1) / max(bound.looked_up) + 1 AS every
    FROM sent CROSS JOIN bound
    GROUP BY queue
), picked AS MATERIALIZED (
    SELECT sent.*, every FROM sent JOIN step USING (queue) WHERE mod(place, every) = 0
), unclaimed AS MATERIALIZED (
    SELECT id, dispatch, priority, run_at FROM duly.jobs
    WHERE id = ANY (ARRAY(SELECT job_id FROM picked)) AND state || '' = 'queued'
), waiting AS MATERIALIZED (
    SELECT job_id FROM duly.outbox_events
    WHERE job_id = ANY (ARRAY(SELECT id FROM unclaimed))
)
SELECT picked.queue, job.priority, count(DISTINCT job.id) * max(every) AS published,
       max(every) > 1 OR max(place) > 0.9 * max(bound.sent) AS is_estimate,
       round(extract(epoch FROM now() - min(job.run_at)), 1)::float8 AS oldest_seconds
FROM picked
CROSS JOIN bound
JOIN unclaimed AS job ON job.id = picked.job_id AND job.dispatch = picked.dispatch
WHERE job.id NOT IN (SELECT job_id FROM waiting)
GROUP BY picked.queue, job.priority
"""
_RUNNING = """
SELECT queue, priority, count(*) AS running
FROM (SELECT queue, priority FROM duly.jobs WHERE state = 'running'
      ORDER BY worker LIMIT %(most)s + 1) AS job
GROUP BY queue, priority
"""


def count_published(session: Session, queues: Queues) -> None:
    """Count the published ones; of too many, a part is looked up, and the number an estimate."""
    asked = {"sent": MOST_SENT, "looked_up": MOST_LOOKED_UP}
    for row in session.connection().exec_driver_sql(_PUBLISHED, asked):
        queue = queues[row.queue]
        queue.published.add(row.priority, row.published)
        queue.waited("oldest_queued_seconds", row.oldest_seconds)
        if row.is_estimate:
            queue.estimate("published")


def count_running(session: Session, queues: Queues) -> None:
    """Count the running ones, at most `MOST_RUNNING` of all queues."""
    found = session.connection().exec_driver_sql(_RUNNING, {"most": MOST_RUNNING}).all()
    is_cut = sum(row.running for row in found) > MOST_RUNNING
    for row in found:
        queues[row.queue].running.add(row.priority, row.running)
        if is_cut:
            queues[row.queue].estimate("running")
