"""Hands in how attempts ended, and answers for their messages once that is on record."""

from collections.abc import Callable
from functools import partial
from typing import Any

import psycopg
import structlog

from outbox.store import transitions
from outbox.submission.wake_up import NOTIFY_KEYS, NOTIFY_MEMBERS
from outbox.worker.attempt import Row
from outbox.worker.in_flight import InFlight, JobInFlight, State
from outbox.worker.records.group_commit import GroupCommit

log = structlog.get_logger(__name__)


class Outcomes:
    """The end of a job's time in flight, for threads and tasks alike.

    If the process dies before it, the job is rescued, unless its outcome was committed already.
    """

    def __init__(
        self,
        group_commit: GroupCommit,
        in_flight: InFlight,
        run_again: Callable[[JobInFlight], None],
    ) -> None:
        self._group_commit = group_commit
        self._in_flight = in_flight
        self._run_again = run_again

    def succeeded(self, job: JobInFlight, row: Row | None) -> None:
        """Hand in the row of SUCCEED. The message is acknowledged once that has committed.

        Does not wait. Without a row, the actor's own transaction has completed the job.
        """
        if row is None:
            return self.recorded(job, is_dead=False)
        job.enter(State.RECORDING)
        if report := job.attempt.job.reports.take_last():
            told = job.attempt.progress_row(report)
            self._group_commit.post(transitions.SAVE_PROGRESS, told, _ignore)
        return self._group_commit.post(job.attempt.job.success, row, partial(self._on_answer, job))

    def recorded(self, job: JobInFlight, *, is_dead: bool) -> None:
        """Answer for a job whose outcome is on record: the message of a dead one goes to the XQ."""
        self._in_flight.remove(job)
        if job.attempt.job.batch_id:
            self._group_commit.notify(NOTIFY_MEMBERS)
        if job.attempt.kind.keys:
            self._group_commit.notify(NOTIFY_KEYS)
        if is_dead:
            job.delivery.reject()
        else:
            job.delivery.settle()

    def not_recorded(self, job: JobInFlight) -> None:
        """Give the message back: the worker stopped before anything was recorded."""
        self._in_flight.remove(job)
        job.delivery.give_back()

    def _on_answer(self, job: JobInFlight, answer: Any) -> None:
        """Take the answer to the record of a success, on the group-commit thread."""
        if isinstance(answer, psycopg.Error):
            job.rejection = answer
            self._run_again(job)
        elif isinstance(answer, Exception):
            self._in_flight.remove(job)
        else:
            job.attempt.answered(is_ours=answer is not None)
            self.recorded(job, is_dead=False)


def _ignore(_: Any) -> None:
    """Whether the last report could be written changes nothing."""
