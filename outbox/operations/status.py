"""How the line is doing, as Postgres knows it: backlog, jobs, dead letters and workers."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations import overdue
from outbox.operations.flow import queue_pauses
from outbox.operations.flow.limits import HOLDING
from outbox.operations.flow.queue_pauses import Pause
from outbox.operations.overdue import OverdueJob
from outbox.store import sequences
from outbox.store.schema import metadata
from outbox.store.sequences import Behind

LONGEST_OVERDUE = 10
"""How many overdue jobs are shown; the queues tell how many there are."""

EVENTS = """
SELECT queue,
       count(*) FILTER (WHERE available_at <= now() AND mod(priority, 3) = 0) AS high,
       count(*) FILTER (WHERE available_at <= now() AND mod(priority, 3) = 1) AS normal,
       count(*) FILTER (WHERE available_at <= now() AND mod(priority, 3) = 2) AS low,
       count(*) FILTER (WHERE available_at > now()) AS scheduled,
       round(extract(epoch FROM now() - min(available_at) FILTER (WHERE available_at <= now())), 1)
           ::float8 AS oldest_seconds
FROM duly.outbox_events GROUP BY queue
"""
# Due events that a relay would have published or admitted: they wait for no key; or no job of their
# queue, and none of their keys, was admitted, and they are the first of an ordered key.
UNPUBLISHED = f"""
WITH holding AS MATERIALIZED ({HOLDING})
SELECT queue,
       round(extract(epoch FROM now() - min(available_at)), 1)::float8 AS unpublished_seconds
FROM duly.outbox_events AS event
WHERE available_at <= now() AND (keys IS NULL OR NOT (
    queue = ANY (ARRAY(SELECT queue FROM holding)) OR keys && ARRAY(SELECT key FROM holding)
    OR EXISTS (SELECT FROM duly.outbox_events AS earlier
               WHERE earlier.keys IS NOT NULL AND earlier.keys[1] = event.keys[1]
                 AND earlier.position < event.position)
))
GROUP BY queue
"""  # noqa: S608 - no input
# Of queued jobs those that wait in no outbox: published, and not claimed so far. They are few, as
# the relay publishes only so far ahead; to count all that are queued is to read them all.
PUBLISHED = """
SELECT job.queue, count(DISTINCT job.id) AS queued
FROM duly.publications AS publication
CROSS JOIN unnest(publication.job_ids, publication.dispatches) AS sent (job_id, dispatch)
JOIN duly.jobs AS job
  ON job.id = sent.job_id AND job.dispatch = sent.dispatch AND job.state || '' = 'queued'
WHERE NOT EXISTS (SELECT FROM duly.outbox_events AS event WHERE event.job_id = job.id)
GROUP BY job.queue
"""
RUNNING = """
SELECT queue, count(*) AS running FROM duly.jobs WHERE state = 'running' GROUP BY queue
"""
LETTERS = """
SELECT queue, count(*) AS dead FROM duly.dead_letters WHERE closed_at IS NULL GROUP BY queue
"""
WORKERS = """
SELECT name, queues, threads, tasks,
       round(extract(epoch FROM now() - heartbeat_at), 1)::float8 AS silent_seconds
FROM duly.workers ORDER BY name
"""


@dataclass(slots=True)
class QueueStatus:
    """One queue. `high`, `normal` and `low` are due and not yet published, `scheduled` not due."""

    queue: str
    high: int = 0
    normal: int = 0
    low: int = 0
    scheduled: int = 0
    oldest_seconds: float | None = None
    """For how long the oldest due event has waited to be published, or for its keys."""
    unpublished_seconds: float | None = None
    """For how long the oldest has waited that a relay would have published or admitted."""
    queued: int = 0
    """All queued jobs: those that wait in Postgres, and those published to the broker."""
    running: int = 0
    overdue: int = 0
    dead: int = 0
    """Open dead letters."""
    paused: Pause | None = None

    @property
    def due(self) -> int:
        """The due events of all priorities."""
        return self.high + self.normal + self.low


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """One worker process, and for how long nothing was heard of it."""

    worker: str
    queues: list[str]
    threads: int
    tasks: int
    silent_seconds: float

    def is_alive(self, silence: timedelta) -> bool:
        """Whether it was heard of within `silence`."""
        return self.silent_seconds < silence.total_seconds()


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at one look."""

    queues: list[QueueStatus]
    workers: list[WorkerStatus]
    overdue: list[OverdueJob]
    """The longest overdue ones."""
    behind: list[Behind]
    """The tables whose sequence is behind their rows."""


def read(session: Session, kinds: Kinds, silence: timedelta) -> Status:
    """The status of the service's queues and of all others that hold something.

    `silence` is after how long a worker without heartbeat is dead.
    """
    return Status(
        queues=queues(session, kinds, silence),
        workers=workers(session),
        overdue=overdue.find(session, kinds, silence=silence, limit=LONGEST_OVERDUE),
        behind=sequences.behind(session.connection(), metadata),
    )


def queues(session: Session, kinds: Kinds, silence: timedelta) -> list[QueueStatus]:
    """The queues of these kinds, and all others that hold something, by name."""
    found = {queue: QueueStatus(queue) for queue in kinds.queues}
    held = {"held": kinds.holding}
    for query in (EVENTS, UNPUBLISHED, PUBLISHED, RUNNING, LETTERS):
        for row in session.connection().exec_driver_sql(query, held).mappings():
            status = found.setdefault(row["queue"], QueueStatus(row["queue"]))
            for name, value in row.items():
                setattr(status, name, value)
    for each in found.values():
        each.queued += each.due + each.scheduled
    for queue, late in overdue.count(session, kinds, silence=silence).items():
        found.setdefault(queue, QueueStatus(queue)).overdue = late
    for queue, pause in queue_pauses.find(session).items():
        found.setdefault(queue, QueueStatus(queue)).paused = pause
    return sorted(found.values(), key=lambda each: each.queue)


def workers(session: Session) -> list[WorkerStatus]:
    """The worker processes that have not ended properly, by name."""
    return [WorkerStatus(*row) for row in session.execute(text(WORKERS))]
