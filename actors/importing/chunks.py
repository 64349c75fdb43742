"""Cuts a table into chunks, and keeps each as JSON, a line for each row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json, to_json

from actors.importing.source import Source
from actors.tables.rows import Broken, Cell, Row

ROWS = 2000
SIZE = 500_000
"""Bytes after which a chunk is complete, whatever rows it has: it is in memory as a whole."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table as JSON, and where the next chunk begins."""

    content: bytes
    rows: int
    end: str
    bytes_read: int


def cut(source: Source, place: str | None) -> Iterator[Chunk]:
    """The chunks from that place on: always the same, wherever an earlier attempt ended."""
    content, rows = bytearray(), 0

    def chunk() -> Chunk:
        return Chunk(bytes(content), rows, source.table.place, source.table.bytes_read)

    for row in source.rows(place):
        content += encode(row)
        rows += 1
        if rows == ROWS or len(content) > SIZE:
            yield chunk()
            content, rows = bytearray(), 0
    if rows:
        yield chunk()


def encode(row: Row) -> bytes:
    """A line of a chunk."""
    return to_json((row.line, row.cells)) + b"\n"


def rows_of(content: bytes) -> Iterator[Row]:
    """The rows of a chunk."""
    for each in content.splitlines():
        line, cells = from_json(each)
        yield Row(line, _broken(cells) if isinstance(cells, dict) else [*map(_cell, cells)])


def _cell(cell: Any) -> Cell:
    return _broken(cell) if isinstance(cell, dict) else cell


def _broken(found: dict[str, str]) -> Broken:
    return Broken(found["why"])
