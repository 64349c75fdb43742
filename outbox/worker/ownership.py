"""Compares the jobs that Postgres says this worker runs with those that it has in flight.

They differ permanently if Postgres goes back in time under a live worker: a lagging standby was
promoted, or a backup restored. A job that has ended here may then be running again in Postgres, and
nobody would rescue it while the worker lives.
"""

from uuid import UUID

import structlog

from outbox.events import Snoozed
from outbox.store import transitions
from outbox.worker.attempts.about import About
from outbox.worker.attempts.attempt_events import NOT_OURS, AttemptEvents
from outbox.worker.in_flight import InFlight, JobInFlight
from outbox.worker.periodic import Periodic
from outbox.worker.records.group_commit import GroupCommit
from outbox.worker.records.statements import RUNNING

log = structlog.get_logger(__name__)

COMPARE_SECONDS = 3.0

Fence = tuple[str, int, int]
"""Job id, dispatch and attempt."""


class Ownership(Periodic):
    """Compares every few seconds.

    What differs in two comparisons in a row is repaired. A job that is not in flight is handed
    back without spending its attempt. An attempt that Postgres does not list, because its job is
    queued or another worker's, is interrupted. One comparison is not enough: jobs start and end
    between Postgres's answer and the comparison.
    """

    def __init__(self, group_commit: GroupCommit, in_flight: InFlight) -> None:
        super().__init__("ownership", COMPARE_SECONDS, self._compare)
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._unknown: set[Fence] = set()
        self._lost: set[JobInFlight] = set()

    def _compare(self) -> None:
        answer = self._group_commit.write(RUNNING, {})
        running = {(job, dispatch, attempt) for job, dispatch, attempt in answer.running}
        unknown = {each for each in running if not self._in_flight.has(each[:2])}
        lost = {
            each
            for each in self._in_flight.claimed
            if each.attempt.is_open and each.attempt.fence not in running
        }
        for fence in unknown & self._unknown:
            self._hand_back(fence)
        for job in lost & self._lost:
            log.warning("interrupted", **job.attempt.events.log_fields, why=NOT_OURS)
            job.interrupt()
        self._unknown, self._lost = unknown, lost

    def _hand_back(self, fence: Fence) -> None:
        job, dispatch, attempt = fence
        why = "running in Postgres, but not in flight here"
        log.warning("handed back", job=job, attempt=attempt, why=why)
        row = {"id": job, "dispatch": dispatch, "attempt": attempt, "delay_seconds": 0}
        row["trace"] = None
        written = self._group_commit.write(transitions.SNOOZE, row)
        if written is not None:
            about: About = {
                "job_id": UUID(job),
                "kind": written.kind,
                "queue": written.queue,
                "worker": self._group_commit.name,
                "attempt": attempt,
                "key": None,
            }
            snoozed = Snoozed(**about, why=why, delay_seconds=0, is_asked=False)
            AttemptEvents(about).ended(written.state, snoozed)
        self._group_commit.wake_up()
