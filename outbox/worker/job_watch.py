"""What a worker and Postgres tell each other of the jobs that it runs: progress, and cancels."""

import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from outbox.store import transitions
from outbox.worker.attempt import Attempt
from outbox.worker.records.group_commit import GroupCommit, GroupCommitClosed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.4
"""How often it looks, so that a cancel reaches its job within a second."""


class JobWatch:
    """Looks at the jobs that run, on its own thread and through the group commit.

    It writes how far they are, all of them in one statement, and asks Postgres which of them
    somebody wants to cancel. Nothing is asked while no job runs.
    """

    def __init__(
        self, group_commit: GroupCommit, attempts: Callable[[], Collection[Attempt]]
    ) -> None:
        self._group_commit = group_commit
        self._attempts = attempts
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="job watch", daemon=True)

    def start(self) -> None:
        """Start looking."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs. It ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Start no more looks. One under way ends with the group commit."""
        self._closing.set()

    def _run(self) -> None:
        with suppress(GroupCommitClosed):
            while not self._closing.wait(LOOK_SECONDS):
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
                log.info("asked to cancel", job=str(attempt.job.id))
                attempt.job.cancellation.ask()


def _on_progress(attempt: Attempt, answer: Any) -> None:
    """Write it again later if the row was locked, or is no longer this worker's."""
    if answer is None:
        attempt.job.reports.not_written()
