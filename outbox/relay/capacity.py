"""How many messages each queue takes, and how many of them may be replayed jobs."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from outbox.relay.scan_cursor import Event
from outbox.store.transitions import REPLAYED

REFILL_DIVISOR = 4
"""A queue is refilled once a quarter of its window is free."""
FRESH_PER_REPLAYED = 9
"""Fresh jobs published for each replayed one while both wait: one job in ten is replayed."""
PRIORITIES = range(REPLAYED)


class Room(Enum):
    """What the queues take together."""

    ENOUGH = "each takes messages"
    SHORT = "events may wait for a queue that takes no more, or for their share of it"
    NONE = "no queue takes any"


@dataclass(slots=True)
class QueueCapacity:
    """What one queue takes until it is measured again."""

    messages: int
    replays: list[int]
    """How many of the messages may be replayed jobs, for each priority."""


class Capacity:
    """Fills each queue up to a window, and with replayed jobs alone up to a tenth of it.

    The tenth holds for each priority, so a fresh job finds few replayed ones ahead of it, however
    many wait. Beyond the tenth, nine fresh jobs of a priority let one replayed job of it through.
    While no fresh jobs wait, replayed ones get all that workers can do. Each relay counts only what
    it publishes itself.
    """

    def __init__(self, window: int) -> None:
        self._window = window
        self._replay_share = max(window // (FRESH_PER_REPLAYED + 1), 1)
        self._capacity: dict[str, QueueCapacity] = {}
        self._earned: dict[tuple[str, int], float] = {}
        self._replays_wait: set[str] = set()

    def measure(self, depths: Mapping[str, int], impossible: Iterable[str] = ()) -> None:
        """Set each queue's capacity from the number of messages it holds now.

        `impossible` queues have names that RabbitMQ cannot take. Each gets a full window, so that
        its events are locked, and their jobs become dead, at the usual rate.
        """
        self._capacity = {queue: self._measured(queue, depth) for queue, depth in depths.items()}
        for queue in impossible:
            self._capacity[queue] = QueueCapacity(self._window, [self._window for _ in PRIORITIES])
        self._replays_wait &= self._capacity.keys()

    def spend(self, events: Collection[Event]) -> None:
        """Deduct a batch, which took all the events it could."""
        taken = Counter((event.dispatch.queue, event.level) for event in events)
        for queue, capacity in self._capacity.items():
            fresh = [taken[queue, priority] for priority in PRIORITIES]
            replayed = [taken[queue, priority + REPLAYED] for priority in PRIORITIES]
            self._note_waiting(queue, capacity, replayed)
            self._earn(queue, fresh, replayed)
            capacity.messages -= sum(fresh) + sum(replayed)
            capacity.replays = [
                max(allowed - used, 0)
                for allowed, used in zip(capacity.replays, replayed, strict=True)
            ]

    def exclude(self, queue: str) -> None:
        """Let the queue take nothing until it is measured again."""
        self._capacity.pop(queue, None)

    def items(self) -> Iterable[tuple[str, QueueCapacity]]:
        """The queues and what they take."""
        return self._capacity.items()

    @property
    def room(self) -> Room:
        """Whether there is room; enough as long as no queue is known."""
        free = [each.messages > 0 for each in self._capacity.values()]
        if free and not any(free):
            return Room.NONE
        return Room.ENOUGH if all(free) and not self._replays_wait else Room.SHORT

    def _measured(self, queue: str, depth: int) -> QueueCapacity:
        share = _free(self._replay_share, depth)
        earned = [int(self._earned.get((queue, priority), 0)) for priority in PRIORITIES]
        return QueueCapacity(_free(self._window, depth), [max(share, each) for each in earned])

    def _note_waiting(self, queue: str, capacity: QueueCapacity, replayed: list[int]) -> None:
        """A priority that used up its replays may have more of them waiting."""
        used_up = [n >= most for n, most in zip(replayed, capacity.replays, strict=True) if most]
        if any(used_up):
            self._replays_wait.add(queue)
        elif used_up:
            self._replays_wait.discard(queue)

    def _earn(self, queue: str, fresh: list[int], replayed: list[int]) -> None:
        for priority in PRIORITIES:
            earned = self._earned.get((queue, priority), 0)
            earned += fresh[priority] / FRESH_PER_REPLAYED - replayed[priority]
            self._earned[queue, priority] = min(max(earned, 0), self._replay_share)


def _free(window: int, depth: int) -> int:
    """How much is free; 0 below a quarter, as a batch of a few costs as much as one of hundreds."""
    free = window - depth
    return free if free >= window // REFILL_DIVISOR else 0
