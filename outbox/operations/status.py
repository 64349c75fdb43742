"""How the line is doing, as Postgres knows it: backlog, jobs, dead letters and workers."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox.kinds import Kinds
from outbox.operations import overdue
from outbox.operations.backlog import (
    begun,
    late_jobs,
    letters,
    plans,
    startable,
    unpublished,
    waiting,
)
from outbox.operations.backlog.queue_status import Queues, QueueStatus
from outbox.operations.flow import queue_pauses
from outbox.operations.overdue import OVERDUE_AFTER, OverdueJob
from outbox.store import sequences
from outbox.store.schema import metadata
from outbox.store.sequences import Behind

LONGEST_OVERDUE = 10
"""How many overdue jobs are shown; the queues tell how many there are."""

WORKERS = """
SELECT name, queues, threads, tasks,
       round(extract(epoch FROM now() - heartbeat_at), 1)::float8 AS silent_seconds
FROM duly.workers ORDER BY name
"""


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
    """The queues of these kinds, and all others that hold something or have a live worker, by name.

    What it costs does not grow with the jobs: see `QueueStatus` for what is exact. It reads, so a
    process may die at any time.
    """
    plans.compile_nothing(session)
    found = Queues()
    for queue in kinds.queues:
        found[queue] = QueueStatus(queue)
    late = waiting.count(session, found, OVERDUE_AFTER)
    begun.count_published(session, found)
    begun.count_running(session, found)
    unpublished.measure(session, found, kinds)
    startable.count(session, found, kinds)
    for queue, pause in queue_pauses.find(session).items():
        found[queue].paused = pause
    late_jobs.count(session, found, kinds, silence=silence, waiting=late)
    letters.count(session, found)
    for queue in (queue for each in workers(session, silence) for queue in each.queues):
        found[queue].workers += 1
    return sorted(found.values(), key=lambda each: each.queue)


def workers(session: Session, silence: timedelta | None = None) -> list[WorkerStatus]:
    """The worker processes that have not ended properly, by name.

    With `silence`, only those that were heard of within it.
    """
    found = [WorkerStatus(*row) for row in session.execute(text(WORKERS))]
    return [each for each in found if silence is None or each.is_alive(silence)]
