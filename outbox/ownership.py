"""Compares the jobs that Postgres says this worker runs with those that it has in hand.

They differ for good where Postgres has gone back in time under a live worker: a standby that lagged
was promoted, or a backup restored. A job that has ended here may be running there again, and while
the worker lives nobody would rescue it.
"""

import threading
from contextlib import suppress

import structlog

from outbox import steps
from outbox.attempt import Attempt
from outbox.desk import Desk
from outbox.ledger import RUNNING, Ledger, LedgerClosed

log = structlog.get_logger(__name__)

LOOK_SECONDS = 3.0

Fence = tuple[str, int, int]
"""Job, dispatch and attempt."""


class Ownership:
    """Looks every few seconds, on a thread of its own and the ledger's connection.

    What differs in two looks running is put right: a job that is not in hand is handed back, its
    attempt not spent; an attempt at a job that is another's now, or waits, is interrupted. One look
    is not enough, as jobs begin and end between the answer and the comparison.
    """

    def __init__(self, ledger: Ledger, desk: Desk) -> None:
        self._ledger = ledger
        self._desk = desk
        self._unknown: set[Fence] = set()
        self._lost: set[Attempt] = set()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ownership", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still looks; it ends only when closed, or by a bug."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Look no more. One look may be on its way: it ends with the ledger."""
        self._closing.set()

    def _run(self) -> None:
        with suppress(LedgerClosed):
            while not self._closing.wait(LOOK_SECONDS):
                self._look()

    def _look(self) -> None:
        answer = self._ledger.write(RUNNING, {})
        running = {(job, dispatch, attempt) for job, dispatch, attempt in answer.running}
        unknown = {each for each in running if not self._desk.has(each[:2])}
        lost = {each for each in self._desk.attempts if each.is_open and each.fence not in running}
        for fence in unknown & self._unknown:
            self._hand_back(fence)
        for attempt in lost & self._lost:
            attempt.interrupt()
        self._unknown, self._lost = unknown, lost

    def _hand_back(self, fence: Fence) -> None:
        job, dispatch, attempt = fence
        log.warning("handed back", job=job, why="Postgres says that it runs here, and it does not")
        row = {"id": job, "dispatch": dispatch, "attempt": attempt, "delay_seconds": 0}
        self._ledger.write(steps.SNOOZE, row)
        self._ledger.nudge()
