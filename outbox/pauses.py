"""Queues that are left out for a while, so that none keeps the others waiting."""

import time

import structlog

from outbox.backoff import Backoff

log = structlog.get_logger(__name__)

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


class Pauses:
    """Remembers which queues are left out, each for longer the more often in a row."""

    def __init__(self) -> None:
        self._backoffs: dict[str, Backoff] = {}
        self._ends: dict[str, float] = {}

    def leave_out(self, queue: str, why: str) -> None:
        """Leave the queue out from now on, for a pause."""
        pause = self._backoffs.setdefault(queue, Backoff(FIRST_SECONDS, LONGEST_SECONDS)).pause()
        self._ends[queue] = time.monotonic() + pause
        log.warning("queue left out", queue=queue, why=why, again_in=round(pause, 1))

    def leaves_out(self, queue: str) -> bool:
        """Whether the queue is left out now."""
        return time.monotonic() < self._ends.get(queue, 0)

    def forget(self, queue: str) -> None:
        """The queue is well: its next pause is the first again."""
        self._backoffs.pop(queue, None)
