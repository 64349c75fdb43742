"""How many messages each queue takes, and how many of them may be jobs that were replayed."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from outbox.frontier import Event
from outbox.steps import REPLAYED

LEAST_SHARE = 4
"""The part of a window that must be free before a queue is filled up again."""
FRESH_FOR_EACH_REPLAYED = 9
"""How many fresh jobs go for each replayed one, where both wait: one in ten is a replayed one."""
PRIORITIES = range(REPLAYED)


@dataclass(slots=True)
class Room:
    """What one queue takes until it is measured again."""

    messages: int
    replays: list[int]
    """How many of the messages may be replayed jobs, of each priority."""


class Rooms:
    """Keeps each queue filled to a window, and the replayed jobs of a priority to a tenth of it.

    So a fresh job finds few replayed ones before it, however many wait. Beyond that tenth each nine
    fresh jobs of a priority let one replayed job through. Where none are fresh the replayed ones
    get all that workers can do. Each of several relays counts for itself.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._tenth = max(window // (FRESH_FOR_EACH_REPLAYED + 1), 1)
        self._rooms: dict[str, Room] = {}
        self._earned: dict[tuple[str, int], float] = {}
        self._replays_wait: set[str] = set()

    def measure(self, depths: Mapping[str, int], impossible: Iterable[str] = ()) -> None:
        """So many messages are in the queues now.

        What waits for an impossible queue is buried, as much at once as would be published.
        """
        self._rooms = {queue: self._room(queue, depth) for queue, depth in depths.items()}
        for queue in impossible:
            self._rooms[queue] = Room(self._window, [self._window for _ in PRIORITIES])
        self._replays_wait &= self._rooms.keys()

    def spend(self, events: Collection[Event]) -> None:
        """These were taken up, and no others could be."""
        taken = Counter((event.dispatch.queue, event.level) for event in events)
        for queue, room in self._rooms.items():
            fresh = [taken[queue, priority] for priority in PRIORITIES]
            replayed = [taken[queue, priority + REPLAYED] for priority in PRIORITIES]
            self._note_waiting(queue, room, replayed)
            self._earn(queue, fresh, replayed)
            room.messages -= sum(fresh) + sum(replayed)
            room.replays = [
                max(allowed - used, 0) for allowed, used in zip(room.replays, replayed, strict=True)
            ]

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

    def _room(self, queue: str, depth: int) -> Room:
        by_themselves = _free(self._tenth, depth)
        earned = [int(self._earned.get((queue, priority), 0)) for priority in PRIORITIES]
        return Room(_free(self._window, depth), [max(by_themselves, each) for each in earned])

    def _note_waiting(self, queue: str, room: Room, replayed: list[int]) -> None:
        used = [(n >= most) for n, most in zip(replayed, room.replays, strict=True) if most]
        if any(used):
            self._replays_wait.add(queue)
        elif used:
            self._replays_wait.discard(queue)

    def _earn(self, queue: str, fresh: list[int], replayed: list[int]) -> None:
        for priority in PRIORITIES:
            earned = self._earned.get((queue, priority), 0)
            earned += fresh[priority] / FRESH_FOR_EACH_REPLAYED - replayed[priority]
            self._earned[queue, priority] = min(max(earned, 0), self._tenth)


def _free(window: int, depth: int) -> int:
    """None for a few: a batch of a few costs as much as one of hundreds."""
    room = window - depth
    return room if room >= window // LEAST_SHARE else 0
