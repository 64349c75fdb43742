"""What a worker and Postgres tell each other of the jobs that it runs: progress, and cancels."""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import structlog

from outbox.store import transitions
from outbox.worker.attempts.attempt import Attempt
from outbox.worker.periodic import Periodic
from outbox.worker.records.group_commit import GroupCommit

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.4
"""How often it looks, so that a cancel reaches its job within a second."""


class JobWatch(Periodic):
    """Looks at the jobs that run.

    It writes how far they are, all of them in one statement, and asks Postgres which of them
    somebody wants to cancel. Nothing is asked while no job runs.
    """

    def __init__(
        self, group_commit: GroupCommit, attempts: Callable[[], Collection[Attempt]]
    ) -> None:
        super().__init__("job watch", LOOK_SECONDS, self._look_at_jobs)
        self._group_commit = group_commit
        self._attempts = attempts

    def _look_at_jobs(self) -> None:
        if attempts := self._attempts():
            self._write_progress(attempts)
            self._cancel(attempts)

    def _write_progress(self, attempts: Collection[Attempt]) -> None:
        for attempt in attempts:
            if report := attempt.job.reports.take():
                self._group_commit.post(
                    transitions.SAVE_PROGRESS,
                    attempt.progress_row(report),
                    partial(_on_progress, attempt),
                )

    def _cancel(self, attempts: Collection[Attempt]) -> None:
        answer = self._group_commit.write(transitions.JOBS_TO_CANCEL, {})
        asked = {(job, dispatch) for job, dispatch in answer.jobs}
        for attempt in attempts:
            if attempt.fence[:2] in asked and not attempt.job.cancelled:
                log.info("asked to cancel", **attempt.events.log_fields)
                attempt.job.cancellation.ask()


def _on_progress(attempt: Attempt, answer: Any) -> None:
    """Write it again later if the row was locked, or is no longer this worker's."""
    if answer is None:
        attempt.job.reports.not_written()
