"""Opens the uploaded file as a table of charges."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from actors.importing.header import COLUMNS, Header, is_column, read_header
from actors.tables.joined import Part, join
from actors.tables.numbers import find_mark
from actors.tables.rows import BadFile, Broken, Cell, Row, Table
from actors.tables.table import Stated, open_table
from service.documents.store import documents
from service.imports.models import Import, ImportPart

SAMPLE = 1000
"""Rows whose numbers are looked at to find the decimal mark."""
NUMBERS = [number for number, name in enumerate(COLUMNS) if name in ("quantity", "unit_price")]


@dataclass(slots=True)
class Source:
    """A table of charges, and what was found out about it."""

    table: Table
    header: Header
    begin: str
    """The place of its first row below the header."""

    def close(self) -> None:
        """Let go of what the table keeps on disk."""
        self.table.close()

    def rows(self, place: str | None = None) -> Iterator[Row]:
        """The rows below the header, or those from `place` on, in the order of COLUMNS."""
        for row in self.table.rows(place or self.begin):
            cells = row.cells
            if not isinstance(cells, Broken):
                cells = self.header.order(cells, pads=self.table.pads)
            yield Row(row.line, cells)

    def found(self, decimal: str | None) -> dict[str, Any]:
        """What the file is, for its owner. Reads the beginning of it, unless `decimal` is said."""
        mark = decimal or find_mark(self._numbers())
        return self.table.found | ({"decimal": mark} if mark else {})

    def _numbers(self) -> Iterator[str]:
        for row in islice(self.rows(), SAMPLE):
            if not isinstance(row.cells, Broken):
                yield from (_text(row.cells[number]) for number in NUMBERS)


def open_upload(session: Session, each: Import) -> BufferedReader:
    """The uploaded file."""
    query = select(ImportPart).where(ImportPart.import_id == each.id).order_by(ImportPart.begin)
    parts = [Part(part.name, part.size) for part in session.scalars(query)]
    return join(parts, documents().get)


def open_source(file: BufferedReader, known: dict[str, Any]) -> Source:
    """The table in the file, of which some is known. Raises BadFile."""
    names = ("format", "encoding", "separator", "sheet")
    table = open_table(file, Stated(**{name: known.get(name) for name in names}), is_column)
    try:
        header = _header(table)
        return Source(table, header, table.place)
    except BadFile:
        table.close()
        raise


def _header(table: Table) -> Header:
    for row in table.rows():
        return read_header(row.cells)
    raise BadFile("the file has no rows")


def _text(cell: Cell) -> str:
    return cell if isinstance(cell, str) else ""
