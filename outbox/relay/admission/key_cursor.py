"""How far the relay has looked through the keys that wait in each queue and level."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from outbox.relay.scan_cursor import LEVELS

Reached = tuple[str, Sequence[str]]
START: Reached = ("", ())
"""Before every kind and its keys."""


class KeyCursor:
    """The kind and keys that were looked at last, for each queue and level.

    A scan goes on after them, and begins anew once it has come to the end.
    """

    def __init__(self) -> None:
        self._reached: dict[tuple[str, int], Reached] = {}

    def wanted(self, queues: Iterable[str]) -> list[dict[str, Any]]:
        """Where to go on, for each level of these queues."""
        return [
            {"queue": queue, "level": level, "kind": kind, "keys": keys}
            for queue in queues
            for level in LEVELS
            for kind, keys in [self._reached.get((queue, level), START)]
        ]

    def advance(self, rows: Sequence[Any], most: int) -> None:
        """Move past these rows, in their order. Fewer than `most` of a level are its last ones."""
        counts = Counter((row.queue, row.level) for row in rows)
        self._reached = {
            (row.queue, row.level): (row.kind, row.keys)
            for row in rows
            if counts[row.queue, row.level] >= most
        }

    @property
    def is_at_the_end(self) -> bool:
        """Whether the last scan has come to the end everywhere."""
        return not self._reached
