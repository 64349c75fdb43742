"""How many messages each queue takes, and how many of them may be jobs that were replayed."""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from outbox.frontier import Event

LEAST_SHARE = 4
"""The part of a window that must be free before a queue is filled up again."""
REPLAYED_SHARE = 10
"""One in so many may be a replayed job where fresh ones wait, too."""


@dataclass(slots=True)
class Room:
    """What one queue takes until it is measured again."""

    messages: int
    replays: int
    """How many of the messages may be replayed jobs."""


class Rooms:
    """Keeps each queue filled to a window, and replayed jobs to a tenth of it.

    So a fresh job finds few replayed ones before it, however many wait. A queue that holds more
    than a tenth of the window holds fresh jobs, which only then have to share: one in ten is a
    replayed job. Where none are fresh the replayed ones get all the workers can do.
    """

    def __init__(self, window: int, chance: Callable[[], float] = random.random) -> None:
        self._window = window
        self._for_replays = max(window // REPLAYED_SHARE, 1)
        self._chance = chance
        self._rooms: dict[str, Room] = {}
        self._replays_wait: set[str] = set()

    def measure(self, depths: Mapping[str, int], impossible: Iterable[str] = ()) -> None:
        """So many messages are in the queues now.

        What waits for an impossible queue is buried, as much at once as would be published.
        """
        self._rooms = {queue: self._room(depth) for queue, depth in depths.items()}
        self._rooms |= {queue: Room(self._window, self._window) for queue in impossible}
        self._replays_wait &= self._rooms.keys()

    def spend(self, events: Collection[Event]) -> None:
        """These were taken up."""
        taken = Counter(event.dispatch.queue for event in events)
        replayed = Counter(event.dispatch.queue for event in events if event.is_replayed)
        for queue, room in self._rooms.items():
            if room.replays:
                wait = replayed[queue] >= room.replays
                (self._replays_wait.add if wait else self._replays_wait.discard)(queue)
            room.messages -= taken[queue]
            room.replays = max(room.replays - replayed[queue], 0)

    def leave_out(self, queue: str) -> None:
        """It takes none until it is measured again."""
        self._rooms.pop(queue, None)

    def items(self) -> Iterable[tuple[str, Room]]:
        """The queues and what they take."""
        return self._rooms.items()

    @property
    def is_lacking(self) -> bool:
        """Whether something may wait for room, so that it is worth to measure again soon."""
        return bool(self._replays_wait) or not all(room.messages for _, room in self.items())

    @property
    def is_full(self) -> bool:
        """Whether there are queues, and none of them takes any more."""
        return bool(self._rooms) and not any(room.messages for _, room in self.items())

    def _room(self, depth: int) -> Room:
        messages = _free(self._window, depth)
        beside_fresh = int(messages / REPLAYED_SHARE + self._chance())
        by_themselves = _free(self._for_replays, depth)
        return Room(messages, beside_fresh if depth >= self._for_replays else by_themselves)


def _free(window: int, depth: int) -> int:
    """None for a few: a batch of a few costs as much as one of hundreds."""
    room = window - depth
    return room if room >= window // LEAST_SHARE else 0
