"""How far the relay has looked through the keys that wait in each queue and level."""

from collections.abc import Iterable, Sequence
from typing import Any

from outbox.relay.scan_cursor import LEVELS

HOPS = 4000
"""The most kinds and keys of a queue and level at which one scan looks."""
FEWEST_SOUGHT, MOST_SOUGHT = 64, 1000
"""It ends before, once so many of them have due events."""
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
        self.sought = FEWEST_SOUGHT
        """After how many kinds and keys with due events the next scan ends."""
        self.found = 1
        """How many the last one found that may start, at least 1."""

    def wanted(self, queues: Iterable[str]) -> list[dict[str, Any]]:
        """Where to go on, for each level of these queues."""
        return [
            {"queue": queue, "level": level, "kind": kind, "keys": keys}
            for queue in queues
            for level in LEVELS
            for kind, keys in [self._reached.get((queue, level), START)]
        ]

    def advance(self, rows: Iterable[Any]) -> None:
        """Move past these rows. After a level's last one come more if it says so."""
        self._reached = {
            (row.queue, row.level): (row.kind, row.keys) for row in rows if row.goes_on
        }

    def aim(self, found: int, wanted: int) -> None:
        """Have the next scan look for as many as it takes to fill the room."""
        self.found = max(found, 1)
        if found < wanted and self.is_at_the_end:
            return
        growth = min(wanted / self.found, FASTEST_GROWTH)
        self.sought = min(max(int(self.sought * growth), FEWEST_SOUGHT), MOST_SOUGHT)

    @property
    def is_at_the_end(self) -> bool:
        """Whether the last scan has come to the end everywhere."""
        return not self._reached
