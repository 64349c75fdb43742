"""How much the ledger writes at once.

A statement takes 1 GiB at most. Long before that, all others would wait for a large one.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

MOST_ENTRIES = 500
LARGEST_SIZE = 4_000_000
"""In characters, each of which is up to four bytes. The last entry of a group may exceed it."""


class _HasRow(Protocol):
    @property
    def row(self) -> Mapping[str, Any]: ...


Entry = TypeVar("Entry", bound=_HasRow)


def next_group(entries: Iterator[Entry]) -> list[Entry]:
    """Take the next few entries, at least one where there is any."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += sum(len(value) for value in entry.row.values() if isinstance(value, str))
        if len(group) == MOST_ENTRIES or size >= LARGEST_SIZE:
            break
    return group
