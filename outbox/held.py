"""Records that the tables do not take for now, and when to write them again."""

import math
import time
from typing import Generic, TypeVar

from outbox.backoff import Backoff

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0

T = TypeVar("T")


class Held(Generic[T]):
    """Holds records that were refused, for pauses that grow until all are taken."""

    def __init__(self) -> None:
        self._records: list[T] = []
        self._due = math.inf
        self._pauses = Backoff(FIRST_SECONDS, LONGEST_SECONDS)

    def hold(self, record: T) -> None:
        """Hold it, until those are due that are held already."""
        if not self._records:
            self._due = time.monotonic() + self._pauses.pause()
        self._records.append(record)

    @property
    def due_in(self) -> float | None:
        """In how many seconds to write them again; None where there are none."""
        return max(0.0, self._due - time.monotonic()) if self._records else None

    def take(self) -> list[T]:
        """All of them. Those that are refused again are to be held again."""
        taken, self._records = self._records, []
        return taken

    def settled(self) -> None:
        """Where none is held any more, the next pause is the first again."""
        if not self._records:
            self._pauses.reset()
