"""Decides which queue's message gets a worker's next free slot: a thread, or a task's place."""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class TooFewSlots(ValueError):
    """A worker serves more queues than it has slots for."""


class Slots(Generic[T]):
    """Reserves one slot for each queue and shares the rest among all queues, in turns.

    So long jobs of one queue never keep another queue's jobs waiting for a slot. Any other queue,
    where a job may have been moved, has only the shared slots. Not thread-safe: the caller must
    serialize the calls.
    """

    def __init__(self, count: int, queues: Collection[str], unit: str = "threads") -> None:
        """Raises TooFewSlots if there are fewer slots than queues."""
        if count < len(queues):
            raise TooFewSlots(
                f"{count} {unit} are too few: each of the {len(queues)} queues needs its own"
            )
        self._shared = count - len(queues)
        self._own = frozenset(queues)
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict((each, deque()) for each in queues)
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._waiting.values()))

    def most_of(self, queue: str) -> int:
        """How many slots the queue can have at once."""
        return self._shared + 1 if queue in self._own else 0

    def add(self, queue: str, message: T) -> None:
        """Add a message that waits for a slot."""
        self._waiting.setdefault(queue, deque()).append(message)

    def take(self) -> T | None:
        """Take the next message that may have a slot, and mark one busy; None if none may."""
        for queue, messages in self._waiting.items():
            if messages and self._may_begin(queue):
                self._waiting.move_to_end(queue)
                self.occupy(queue)
                return messages.popleft()
        return None

    def occupy(self, queue: str) -> None:
        """Mark one more slot busy with this queue."""
        self._busy[queue] += 1

    def release(self, queue: str) -> None:
        """Mark one slot of this queue free again."""
        self._busy[queue] -= 1

    def clear(self) -> None:
        """Drop all waiting messages."""
        for messages in self._waiting.values():
            messages.clear()

    def _may_begin(self, queue: str) -> bool:
        if queue in self._own and not self._busy[queue]:
            return True
        shared = (busy - (each in self._own) for each, busy in self._busy.items() if busy)
        return sum(shared) < self._shared
