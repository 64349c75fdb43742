"""How far the relay has looked through the keys that wait in each queue and level."""

from collections.abc import Iterable, Sequence
from typing import Any

from outbox.relay.scan_cursor import LEVELS

FEWEST_HOPS, MOST_HOPS = 64, 1024
"""How many kinds and keys of a queue and level one scan looks at."""
FASTEST_GROWTH = 4

Reached = tuple[str, Sequence[str]]
START: Reached = ("", ())
"""Before every kind and its keys."""


class KeyCursor:
    """The kind and keys that were looked at last, for each queue and level.

    A scan goes on after them, and begins anew once it has come to the end.
    """

    def __init__(self) -> None:
        self._reached: dict[tuple[str, int], Reached] = {}
        self.hops = FEWEST_HOPS
        """At how many the next scan looks."""
        self.found = 1
        """About how many of them the last one found open, at least 1."""

    def wanted(self, queues: Iterable[str]) -> list[dict[str, Any]]:
        """Where to go on, for each level of these queues."""
        return [
            {"queue": queue, "level": level, "kind": kind, "keys": keys}
            for queue in queues
            for level in LEVELS
            for kind, keys in [self._reached.get((queue, level), START)]
        ]

    def advance(self, rows: Iterable[Any]) -> None:
        """Move past these rows. After a level's last one come more if it is the last hop."""
        self._reached = {
            (row.queue, row.level): (row.kind, row.keys) for row in rows if row.n >= self.hops
        }

    def aim(self, found: int, wanted: int) -> None:
        """Have the next scan look at as many as it takes to find what there is room for."""
        self.found = max(found, 1)
        if found < wanted and self.is_at_the_end:
            return
        growth = min(wanted / self.found, FASTEST_GROWTH)
        self.hops = min(max(int(self.hops * growth), FEWEST_HOPS), MOST_HOPS)

    @property
    def is_at_the_end(self) -> bool:
        """Whether the last scan has come to the end everywhere."""
        return not self._reached
