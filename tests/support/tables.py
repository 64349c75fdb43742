"""Makes XLSX files, honest ones and others, and opens files as tables."""

import io
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

import xlsxwriter

from actors.tables.joined import Part, join
from actors.tables.rows import Table
from actors.tables.table import Stated, open_table

SHEET = "xl/worksheets/sheet1.xml"


def opened(content: bytes, part: int = 1000, known: Iterable[str] = (), **stated: Any) -> Table:
    """The table in a file that is stored in parts of so many bytes."""
    begins = range(0, len(content), part)
    told = [Part(str(begin), min(part, len(content) - begin)) for begin in begins]
    file = join(told, lambda name: content[int(name) : int(name) + part])
    return open_table(file, Stated(**stated), {*known}.__contains__)


def rows(table: Table) -> list[Any]:
    """The cells of all rows of a table that is closed then."""
    with closing(table):
        return [row.cells for row in table.rows()]


def workbook(fill: Callable[[Any, Any], object], **options: Any) -> bytes:
    """An XLSX file whose only sheet was filled."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, options) as book:
        fill(book, book.add_worksheet())
    return file.getvalue()


def changed(content: bytes, entries: Mapping[str, bytes | None]) -> bytes:
    """The archive with other entries, or without those that are None."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in {*old.namelist(), *entries}:
            if entry := entries.get(name, old.read(name) if name in old.namelist() else None):
                new.writestr(name, entry)
    return file.getvalue()


def sheet(data: str, begin: str = "") -> bytes:
    """The XML of a sheet."""
    return f'{begin}<worksheet xmlns="urn:x"><sheetData>{data}</sheetData></worksheet>'.encode()
