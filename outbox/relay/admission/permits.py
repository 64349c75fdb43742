"""What the clocks of keys with rates allow: rules without I/O.

All of it is a hint, which spares jobs a way for nothing: the claim decides.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Mapping

from outbox.flow.clocks import Clock
from outbox.flow.rates import Rate


class Permits:
    """The permits of keys, of which those that were admitted and have not begun will take theirs.

    Keys that have no clock yet have all their permits.
    """

    def __init__(self, clocks: Mapping[str, Clock], unclaimed: Mapping[str, int]) -> None:
        self._clocks = clocks
        self._taken = Counter(unclaimed)

    def left(self, rates: Mapping[str, Rate]) -> list[int]:
        """How many each key has left."""
        return [
            self._clocks.get(key, Clock()).permits(rate) - self._taken[key]
            for key, rate in rates.items()
        ]

    def take(self, keys: Iterable[str]) -> None:
        """One of each will be taken."""
        self._taken.update(keys)

    def next_in(self, rates: Mapping[str, Rate]) -> dict[str, float]:
        """Of the keys that have none left: in how many seconds the next one is there."""
        return {
            key: self._clocks.get(key, Clock()).seconds_until(rate, self._taken[key] + 1)
            for key, rate in rates.items()
            if self._clocks.get(key, Clock()).permits(rate) <= self._taken[key]
        }


class ClosedKeys:
    """The keys that have no permit, and until when, by any clock that never goes back."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._order: list[tuple[float, str]] = []

    def close(self, key: str, until: float) -> None:
        """Until then the key has no permit."""
        self._until[key] = until
        heapq.heappush(self._order, (until, key))

    def open_all(self) -> None:
        """Forget them: somebody has changed a limit."""
        self._until.clear()
        self._order.clear()

    def is_open(self, keys: Iterable[str], now: float) -> bool:
        """Whether none of these is closed, as far as known."""
        return all(self._until.get(key, now) <= now for key in keys)

    def next_opening(self, now: float) -> float:
        """When the next one that had no permit by then has one. Forgets those that had."""
        while self._order and self._order[0][0] <= now:
            until, key = heapq.heappop(self._order)
            if self._until.get(key) == until:
                del self._until[key]
        return self._order[0][0] if self._order else math.inf
