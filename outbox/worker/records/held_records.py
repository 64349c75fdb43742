"""Records that the tables reject for now, and when to write them again."""

import math
import time
from typing import Generic, TypeVar

from outbox.backoff import Backoff

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0

T = TypeVar("T")


class HeldRecords(Generic[T]):
    """Holds rejected records. The backoff grows until all of them have been written."""

    def __init__(self) -> None:
        self._records: list[T] = []
        self._due = math.inf
        self._backoff = Backoff(FIRST_SECONDS, LONGEST_SECONDS)

    def hold(self, record: T) -> None:
        """Hold the record. It becomes due together with those already held."""
        if not self._records:
            self._due = time.monotonic() + self._backoff.pause()
        self._records.append(record)

    @property
    def due_in(self) -> float | None:
        """Seconds until the records are due, or None if none is held."""
        return max(0.0, self._due - time.monotonic()) if self._records else None

    def take(self) -> list[T]:
        """Remove and return all records. The caller holds those again that are rejected again."""
        taken, self._records = self._records, []
        return taken

    def reset_if_empty(self) -> None:
        """Start the backoff over if no record is held any more."""
        if not self._records:
            self._backoff.reset()
