"""Overdue jobs: those that should have started or ended by now, each with what it waits for."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations.backlog import plans
from outbox.operations.flow import permit_times
from outbox.operations.flow.limits import HOLDING
from outbox.operations.flow.permit_times import RATED, next_permit

OVERDUE_AFTER = timedelta(minutes=5)
"""A queued job is overdue this long after its `run_at`, or after workers first refused it."""
DEFAULT_TIME_LIMIT = timedelta(minutes=10)
"""How long a job may run before it is overdue, if its kind is unknown and no other is known."""
MOST_READ = 5_000
"""How many late queued jobs are read to count them, the oldest first."""
MOST_FOUND = 1_000
"""How many are read to find the longest overdue. Those of paused queues are among them."""

# Of those that wait the longest are read, up to a bound, by an index in the order of `run_at`.
OVERDUE = """
WITH waiting AS MATERIALIZED (
    SELECT id, kind, queue, state, dispatch, run_at
    FROM duly.jobs
    WHERE state = 'queued' AND run_at < now() - %(late)s
    ORDER BY run_at LIMIT %(most)s + 1
), alive AS (
    SELECT name, queues FROM duly.workers WHERE heartbeat_at > now() - %(silence)s
), known AS (
    SELECT * FROM unnest(%(kinds)s::text[], %(limits)s::interval[]) AS known (kind, time_limit)
), overdue AS (
    SELECT id, kind, queue, state, dispatch, run_at AS since, NULL AS known_why
    FROM waiting
    WHERE queue NOT IN (SELECT queue FROM duly.paused_queues)
    UNION ALL
    SELECT id, kind, queue, state, job.dispatch, refusal.since, refusal.why
    FROM (
        SELECT job_id, dispatch, since, why FROM duly.refusals
        WHERE since < now() - %(late)s
        ORDER BY job_id LIMIT %(most)s + 1
    ) AS refusal
    CROSS JOIN LATERAL (
        SELECT id, kind, queue, state, job.dispatch FROM duly.jobs AS job
        WHERE job.id = refusal.job_id AND job.dispatch = refusal.dispatch
          AND job.state || '' = 'queued' AND job.run_at >= now() - %(late)s
        LIMIT 1
    ) AS job
    WHERE queue NOT IN (SELECT queue FROM duly.paused_queues)
    UNION ALL
    SELECT id, kind, queue, state, dispatch, started_at,
           CASE WHEN alive.name IS NULL THEN 'its worker ' || worker || ' is silent: to be rescued'
                WHEN time_limit IS NULL
                THEN 'it has run for longer than ' || %(long)s || ', and its kind is not known here'
                ELSE 'it has run for longer than its time limit of ' || time_limit END
    FROM duly.jobs
    LEFT JOIN alive ON alive.name = worker
    LEFT JOIN known USING (kind)
    WHERE state = 'running'
      AND (alive.name IS NULL OR started_at < now() - coalesce(time_limit, %(long)s))
)"""
COUNT = """
SELECT queue, count(*) AS overdue,
       round(extract(epoch FROM now() - min(since) FILTER (WHERE state = 'queued')), 1)::float8
           AS oldest_queued_seconds
FROM overdue GROUP BY queue
UNION ALL
SELECT NULL, count(*), NULL FROM waiting HAVING count(*) > %(most)s
"""

# The events ahead are counted level by level, in the relay's order, up to 1000.
FIND = f""", holding AS ({HOLDING}), {RATED}
SELECT overdue.id, overdue.kind, overdue.queue, overdue.state, overdue.since, CASE
    WHEN known_why IS NOT NULL THEN known_why
    WHEN NOT EXISTS (SELECT FROM alive WHERE queues ? overdue.queue)
        THEN 'no live worker serves ' || overdue.queue
    WHEN event.failures > 0 THEN 'RabbitMQ refused its message ' || event.failures || ' times'
    WHEN event.job_id IS NULL THEN 'it was published, and no worker has claimed it'
    WHEN dead.id IS NOT NULL
        THEN 'its key ' || dead.key || ' is held by the dead letter of job ' || dead.id
    WHEN earlier.job_id IS NOT NULL
        THEN 'in its key ' || event.keys[1] || ' job ' || earlier.job_id || ' comes before it'
    WHEN permit.at > now()
        THEN 'it waits for a permit of its key ' || permit.key || ', and the next one comes at '
             || to_char(permit.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
    WHEN event.keys IS NOT NULL
        THEN 'it waits for its turn or its keys: ' || array_to_string(event.keys, ', ')
    WHEN ahead.count = 1000 THEN 'it waits to be published, behind at least 1000 others'
    ELSE 'it waits to be published, behind ' || ahead.count || ' others' END AS why
FROM (SELECT * FROM overdue ORDER BY since LIMIT %(limit)s) AS overdue
LEFT JOIN duly.outbox_events AS event ON event.job_id = overdue.id
LEFT JOIN LATERAL (
    SELECT key, id FROM holding WHERE key = ANY (event.keys) AND state = 'dead' LIMIT 1
) AS dead ON true
LEFT JOIN LATERAL (
    SELECT other.job_id FROM duly.outbox_events AS other
    WHERE other.keys IS NOT NULL AND other.keys[1] = event.keys[1]
      AND other.position < event.position
    ORDER BY other.position
    LIMIT 1
) AS earlier ON true
LEFT JOIN LATERAL {next_permit("overdue.kind", "event.keys")} AS permit ON true
CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT FROM unnest('{{0,1,2,3,4,5}}'::smallint[]) AS level (priority)
        CROSS JOIN LATERAL (
            SELECT FROM duly.outbox_events AS other
            WHERE other.keys IS NULL
              AND other.queue = event.queue AND other.priority = level.priority
              AND other.available_at
                  < CASE level.priority WHEN event.priority THEN event.available_at ELSE now() END
            LIMIT 1000
        ) AS due
        WHERE level.priority <= event.priority AND mod(level.priority, 3) <= mod(event.priority, 3)
        LIMIT 1000
    ) AS others
) AS ahead
ORDER BY overdue.since
"""  # noqa: S608 - no input


@dataclass(frozen=True, slots=True)
class OverdueJob:
    """A job that is late.

    `since` is when a queued job should have started, when workers first refused it, or when a
    running job started.
    """

    id: UUID
    kind: str
    queue: str
    state: str
    since: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Counts:
    """How many overdue jobs each queue has, and how long its oldest late queued job has waited.

    Not all of them if so many jobs are late that not all were read.
    """

    overdue: dict[str, int]
    oldest_queued_seconds: dict[str, float | None]
    is_complete: bool


def find(
    session: Session, kinds: Kinds, *, silence: timedelta, limit: int = 50
) -> list[OverdueJob]:
    """Jobs that are queued long after their time, or have run past their limit.

    Queued jobs of a paused queue are not late: somebody wants them to wait.

    Also those that workers have refused for long, and those whose worker is gone. The longest
    overdue come first. A job whose kind is not in `kinds` is past its limit once it is past the
    longest limit in `kinds`. A worker without a heartbeat for `silence` counts as dead.
    """
    plans.compile_nothing(session)
    asked = {"limit": limit, "held": kinds.holding, "most": MOST_FOUND}
    parameters = _parameters(kinds, silence) | asked | permit_times.parameters(kinds)
    rows = session.connection().exec_driver_sql(OVERDUE + FIND, parameters)
    return [OverdueJob(*row) for row in rows]


def count(session: Session, kinds: Kinds, *, silence: timedelta) -> Counts:
    """How many overdue jobs each queue has, as `find` finds them."""
    rows = session.connection().exec_driver_sql(OVERDUE + COUNT, _parameters(kinds, silence)).all()
    return Counts(
        overdue={row.queue: row.overdue for row in rows if row.queue},
        oldest_queued_seconds={row.queue: row.oldest_queued_seconds for row in rows if row.queue},
        is_complete=all(row.queue for row in rows),
    )


def _parameters(kinds: Kinds, silence: timedelta) -> dict[str, Any]:
    limits = {name: kind.time_limit for name, kind in kinds.items()}
    return {
        "kinds": list(limits),
        "limits": list(limits.values()),
        "silence": silence,
        "long": max(limits.values(), default=DEFAULT_TIME_LIMIT),
        "late": OVERDUE_AFTER,
        "most": MOST_READ,
    }
