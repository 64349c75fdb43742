"""How far the relay has come in each queue, so that it does not walk again past what is gone.

Index entries of deleted events stay as long as any transaction on the server was open before their
deletion; a relay that begins each batch at the oldest would walk past more of them with each.
"""

from collections.abc import Iterable
from datetime import datetime

from outbox.kinds import Priority
from outbox.wire import Dispatch

Event = tuple[Dispatch, int, datetime]
"""What was locked, its priority, and from when on it was available."""


class Frontier:
    """The latest moment taken of each queue and priority.

    There may be events before it: of transactions that commit late, or that another relay had
    locked. So it has to be forgotten now and then.
    """

    def __init__(self) -> None:
        self._reached: dict[tuple[str, int], datetime] = {}

    def advance(self, events: Iterable[Event]) -> None:
        """These were taken, in this order."""
        for dispatch, priority, available_at in events:
            self._reached[dispatch.queue, priority] = available_at

    def forget(self) -> None:
        """Begin at the oldest again."""
        self._reached.clear()

    def of(self, queues: Iterable[str]) -> dict[str, list[datetime | None]]:
        """Where to go on in each of the queues, in a list for each priority."""
        queues = list(queues)
        return {
            priority.name.lower(): [self._reached.get((queue, priority)) for queue in queues]
            for priority in Priority
        }
