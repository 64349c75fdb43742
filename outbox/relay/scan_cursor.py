"""How far the relay has read in each queue, so that it does not scan deleted events again.

The index entry of a deleted event stays as long as any transaction on the server is older than the
deletion. A relay that began each batch at the oldest event would scan more such entries every time.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from outbox.amqp.messages import Dispatch
from outbox.store.transitions import REPLAYED

LEVELS = range(2 * REPLAYED)
"""The first sort key of a queue's events: fresh jobs by priority, then replayed ones."""


class Event(NamedTuple):
    """A locked event: its dispatch, its level, and since when it has been available."""

    dispatch: Dispatch
    level: int
    available_at: datetime


FROM_THE_START = "-infinity"


class ScanCursor:
    """The `available_at` of the last event taken, for each queue and level.

    There may be earlier events: from transactions that commit late, or that another relay had
    locked. So a scan goes on from it only while more is expected; for others it is reset.
    """

    def __init__(self) -> None:
        self._reached: dict[tuple[str, int], datetime] = {}

    def advance(self, events: Iterable[Event]) -> None:
        """Move past these events, which were taken in this order."""
        for dispatch, level, available_at in events:
            self._reached[dispatch.queue, level] = available_at

    def reset(self) -> None:
        """Begin at the oldest event again."""
        self._reached.clear()

    def of(self, queues: Iterable[str]) -> list[datetime | str]:
        """Where to continue: for each of the queues, one moment per level."""
        return [
            self._reached.get((queue, level), FROM_THE_START)
            for queue in queues
            for level in LEVELS
        ]
