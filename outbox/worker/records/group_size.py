"""Which entries one group commit writes.

A statement may have 1 GiB at most. Long before that, a large one would make all others wait.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from outbox.worker.records.claims import LOCK_CLOCKS

MAX_ENTRIES = 500
MAX_CHARACTERS = 4_000_000
"""In characters of up to four bytes each. The last entry of a group may exceed it."""


class _Entry(Protocol):
    @property
    def statement(self) -> str: ...
    @property
    def row(self) -> Mapping[str, Any]: ...


Entry = TypeVar("Entry", bound=_Entry)


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


def commits(group: Sequence[Entry]) -> Iterator[list[Entry]]:
    """The entries of each commit: those that lock the clocks of keys come last, one statement each.

    So no commit waits for a clock while it holds one that comes later in the order of keys.
    """
    yield [entry for entry in group if entry.statement not in LOCK_CLOCKS]
    for statement in LOCK_CLOCKS:
        yield [entry for entry in group if entry.statement == statement]
