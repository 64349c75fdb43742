"""How far the relay has come in each queue, so that it does not walk again past what is gone.

Index entries of deleted events stay as long as any transaction on the server was open before their
deletion; a relay that begins each batch at the oldest would walk past more of them with each.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from outbox.steps import REPLAYED
from outbox.wire import Dispatch

LEVELS = range(2 * REPLAYED)
"""What a queue's events are ordered by first: fresh jobs by priority, then replayed ones."""


class Event(NamedTuple):
    """What was locked, at which level, and from when on it was available."""

    dispatch: Dispatch
    level: int
    available_at: datetime

    @property
    def is_replayed(self) -> bool:
        """Whether its job was dead and is tried again by a person's act."""
        return self.level >= REPLAYED


FROM_THE_START = "-infinity"


class Frontier:
    """The latest moment taken of each queue and level.

    There may be events before it: of transactions that commit late, or that another relay had
    locked. So it has to be forgotten now and then.
    """

    def __init__(self) -> None:
        self._reached: dict[tuple[str, int], datetime] = {}

    def advance(self, events: Iterable[Event]) -> None:
        """These were taken, in this order."""
        for dispatch, level, available_at in events:
            self._reached[dispatch.queue, level] = available_at

    def forget(self) -> None:
        """Begin at the oldest again."""
        self._reached.clear()

    def of(self, queues: Iterable[str]) -> list[datetime | str]:
        """Where to go on: for each of the queues a moment for each level."""
        return [
            self._reached.get((queue, level), FROM_THE_START)
            for queue in queues
            for level in LEVELS
        ]
