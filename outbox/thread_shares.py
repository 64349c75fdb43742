"""Which queue's message gets the next free thread of a worker."""

from collections import Counter, OrderedDict, deque
from collections.abc import Collection
from typing import Generic, TypeVar

T = TypeVar("T")


class TooFewThreads(ValueError):
    """A worker serves more queues than it has threads."""


class ThreadShares(Generic[T]):
    """Keeps one thread for each queue and shares the others among all, in turns.

    So jobs of one queue that take long never hold up those of another for want of a thread. Its
    user sees to it that no two threads call it at once.
    """

    def __init__(self, threads: int, queues: Collection[str]) -> None:
        """Raises TooFewThreads where there are fewer threads than queues."""
        if threads < len(queues):
            raise TooFewThreads(
                f"{threads} threads are too few: each of the {len(queues)} queues needs its own"
            )
        self._shared = threads - len(queues)
        self._waiting: OrderedDict[str, deque[T]] = OrderedDict((each, deque()) for each in queues)
        self._busy: Counter[str] = Counter()

    def __len__(self) -> int:
        """How many messages wait."""
        return sum(map(len, self._waiting.values()))

    def add(self, queue: str, message: T) -> None:
        """A message waits for a thread."""
        self._waiting[queue].append(message)

    def take(self) -> T | None:
        """A message that may have a thread, which is busy from now on; None where none may."""
        for queue, messages in self._waiting.items():
            if messages and self._may_begin(queue):
                self._waiting.move_to_end(queue)
                self.occupy(queue)
                return messages.popleft()
        return None

    def occupy(self, queue: str) -> None:
        """A thread is busy with this queue."""
        self._busy[queue] += 1

    def release(self, queue: str) -> None:
        """A thread that was busy with this queue is free again."""
        self._busy[queue] -= 1

    def clear(self) -> None:
        """No message waits any more."""
        for messages in self._waiting.values():
            messages.clear()

    def _may_begin(self, queue: str) -> bool:
        if not self._busy[queue]:
            return True
        return sum(busy - 1 for busy in self._busy.values() if busy) < self._shared
