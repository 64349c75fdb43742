"""Backs off from queues that fail, so that none delays the others."""

import time

import structlog

from outbox.backoff import Backoff

log = structlog.get_logger(__name__)

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


class QueueBackoff:
    """Remembers which queues to skip, each for longer with every failure in a row."""

    def __init__(self) -> None:
        self._backoffs: dict[str, Backoff] = {}
        self._ends: dict[str, float] = {}

    def leave_out(self, queue: str, why: str) -> None:
        """Skip the queue from now on, for its next delay."""
        delay = self._backoffs.setdefault(queue, Backoff(FIRST_SECONDS, LONGEST_SECONDS)).pause()
        self._ends[queue] = time.monotonic() + delay
        log.warning("queue left out", queue=queue, why=why, delay_seconds=round(delay, 1))

    def leaves_out(self, queue: str) -> bool:
        """Whether to skip the queue now."""
        return time.monotonic() < self._ends.get(queue, 0)

    def forget(self, queue: str) -> None:
        """The queue works: its next delay is the first again."""
        self._backoffs.pop(queue, None)
