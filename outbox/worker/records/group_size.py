"""Limits how much one group commit writes.

A statement may have 1 GiB at most. Long before that, a large one would make all others wait.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

MAX_ENTRIES = 500
MAX_CHARACTERS = 4_000_000
"""In characters of up to four bytes each. The last entry of a group may exceed it."""


class _HasRow(Protocol):
    @property
    def row(self) -> Mapping[str, Any]: ...


Entry = TypeVar("Entry", bound=_HasRow)


def next_group(entries: Iterator[Entry]) -> list[Entry]:
    """Take the next group of entries: at least one, unless there is none."""
    group: list[Entry] = []
    size = 0
    for entry in entries:
        group.append(entry)
        size += sum(len(value) for value in entry.row.values() if isinstance(value, str))
        if len(group) == MAX_ENTRIES or size >= MAX_CHARACTERS:
            break
    return group
