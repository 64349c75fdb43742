"""Cuts a table into chunks, and keeps each as JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from actors.importing.source import Source
from actors.tables.rows import Broken, Cell, Row

ROWS = 5000
SIZE = 1_000_000
"""About how many characters a chunk may have: it is in memory as a whole."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table, and where the next chunk begins."""

    rows: list[Row]
    end: str
    bytes_read: int

    def to_json(self) -> bytes:
        """Its rows, for `rows_of`."""
        return to_json([(row.line, row.cells) for row in self.rows])


def cut(source: Source, place: str | None) -> Iterator[Chunk]:
    """The chunks from that place on: always the same, wherever an earlier attempt ended."""
    rows: list[Row] = []
    size = 0
    for row in source.rows(place):
        rows.append(row)
        size += _size(row)
        if len(rows) == ROWS or size > SIZE:
            yield Chunk(rows, source.table.place, source.table.bytes_read)
            rows, size = [], 0
    if rows:
        yield Chunk(rows, source.table.place, source.table.bytes_read)


def rows_of(content: bytes) -> Iterator[Row]:
    """The rows of a chunk."""
    for line, cells in from_json(content):
        yield Row(line, _broken(cells) if isinstance(cells, dict) else _cells(cells))


def _cells(cells: Iterable[Any]) -> list[Cell]:
    return [_broken(cell) if isinstance(cell, dict) else cell for cell in cells]


def _broken(found: dict[str, str]) -> Broken:
    return Broken(found["why"])


def _size(row: Row) -> int:
    if isinstance(row.cells, Broken):
        return 100
    return sum(len(cell) if isinstance(cell, str) else 20 for cell in row.cells)
