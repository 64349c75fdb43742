"""Reads a sheet of an XLSX file."""

import posixpath
from collections.abc import Iterator
from io import BufferedReader
from typing import IO
from zipfile import ZipFile

from actors.tables.rows import BadFile, Row
from actors.tables.xlsx.archive import open_archive, open_entry
from actors.tables.xlsx.parsing import Attributes, elements
from actors.tables.xlsx.sheet import SheetReader
from actors.tables.xlsx.strings import Strings
from actors.tables.xlsx.styles import date_styles

MOST_SHEETS = 1000


class WorkbookTable:
    """A sheet of an XLSX file. Its rows may lack empty cells at their end."""

    pads = True

    def __init__(self, file: BufferedReader, sheet: str | None = None) -> None:
        """Find the sheet, by default the first, and read the strings. Raises BadFile."""
        self._file = file
        self._archive = open_archive(file)
        self._book = _Book(self._archive)
        self._sheet, self._path = self._book.find_sheet(sheet)
        self._dates = date_styles(self._book.open_part("styles"))
        self._strings = Strings(self._book.open_part("sharedStrings"))
        self._line = 0
        self._source: IO[bytes] | None = None

    @property
    def place(self) -> str:
        """The number of the last row: to go on, the sheet is read again up to it."""
        return str(self._line)

    @property
    def bytes_read(self) -> int:
        """The part of the sheet that is behind, as a part of the file."""
        if self._source is None or self._source.closed:
            return 0
        info, read = self._archive.getinfo(self._path), self._source.tell()
        return round(read / max(info.file_size, 1) * info.compress_size)

    @property
    def found(self) -> dict[str, str]:
        """The sheet's name."""
        return {"format": "xlsx", "sheet": self._sheet}

    def close(self) -> None:
        """Delete the strings."""
        self._strings.close()

    def rows(self, place: str | None = None) -> Iterator[Row]:
        """The rows. Raises BadFile."""
        self._line = 0
        reader = SheetReader(self._strings, self._dates, since_1904=self._book.since_1904)
        with open_entry(self._archive, self._path) as self._source:
            for row in reader.rows(self._source):
                if row.line > int(place or 0):
                    self._line = row.line
                    yield row


class _Book:
    """What `workbook.xml` says, and where the other parts are."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        top = _relations(archive, "")
        self._path = next((path for kind, path in top.values() if kind == "officeDocument"), "")
        self._relations = _relations(archive, self._path)
        self._sheets: list[Attributes] = []
        self.since_1904 = False
        for each in elements(open_entry(archive, self._path or "xl/workbook.xml")):
            if each.name == "workbookPr":
                self.since_1904 = each.attributes.get("date1904", "") in ("1", "true")
            elif each.name == "sheet" and len(self._sheets) < MOST_SHEETS:
                self._sheets.append(each.attributes)

    def find_sheet(self, name: str | None) -> tuple[str, str]:
        """Name and path of the sheet with that name, or of the first. Raises BadFile."""
        for sheet in self._sheets:
            kind, path = self._relations.get(sheet.get("id", ""), ("", ""))
            if kind == "worksheet" and name in (None, sheet.get("name")):
                return sheet.get("name", ""), path
        raise BadFile("the XLSX file has no sheet" + (f" named {name}" if name else ""))

    def open_part(self, kind: str) -> IO[bytes] | None:
        """The workbook's part of that kind, or None."""
        for each, path in self._relations.values():
            if each == kind:
                return open_entry(self._archive, path)
        return None


def _relations(archive: ZipFile, path: str) -> dict[str, tuple[str, str]]:
    """What the part at the path refers to: kind and path of each, by its id."""
    folder, name = posixpath.split(path)
    found: dict[str, tuple[str, str]] = {}
    for each in elements(open_entry(archive, posixpath.join(folder, "_rels", f"{name}.rels"))):
        if each.name == "Relationship" and len(found) < MOST_SHEETS:
            target = posixpath.join("/", folder, each.attributes.get("Target", ""))
            kind = each.attributes.get("Type", "").rpartition("/")[2]
            found[each.attributes.get("Id", "")] = kind, posixpath.normpath(target).lstrip("/")
    return found
