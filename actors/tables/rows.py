"""What reading a table yields, and its limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

LONGEST_ROW = 1_000_000
"""Characters of a row. A longer one is most often a quote that was never closed."""
MOST_CELLS = 200
"""Cells of a row that are kept. No table that is read here has so many columns."""
LAST_LINE = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Broken:
    """A row or cell that cannot be read, and why."""

    why: str


Cell = str | float | Broken
"""A text, or a number where the file itself says that it is one. Dates are texts in ISO 8601."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row that is not empty. `line` is where it begins in the file, counted from 1."""

    line: int
    cells: list[Cell] | Broken


class BadFile(Exception):
    """The file cannot be read as a table, or not any further. The text is for whoever sent it."""


class Table(Protocol):
    """A table that is read from its first row on, or on from a place."""

    pads: bool
    """Whether rows may lack cells at their end, because the format leaves empty ones out."""

    def rows(self, place: str | None = None) -> Iterator[Row]:
        """The rows from `place` on. Raises BadFile."""

    @property
    def place(self) -> str:
        """Where the row after the last one begins."""

    @property
    def bytes_read(self) -> int:
        """How much of the file is behind the last row, about."""

    def close(self) -> None:
        """Let go of what the table keeps on disk. The file stays open."""

    @property
    def found(self) -> dict[str, str]:
        """What was found out about the file, for its owner."""
