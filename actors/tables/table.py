"""Opens a table, whatever sort of file it is."""

from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader

from actors.tables.rows import BadFile, Table
from actors.tables.separated import open_separated
from actors.tables.xlsx.workbook import WorkbookTable

ZIP = b"PK\x03\x04"
OTHERS = {
    b"\xd0\xcf\x11\xe0": "an old or an encrypted Excel file: save it as XLSX, without password",
    b"PK\x05\x06": "an empty ZIP archive",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "compressed with gzip: unpack it first",
    b"BZh": "compressed with bzip2: unpack it first",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"{": "JSON",
    b"<": "XML or HTML",
}
"""What files that are no tables begin with."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What is known about the file. None: find out."""

    format: str | None = None
    encoding: str | None = None
    separator: str | None = None
    sheet: str | None = None


def open_table(file: BufferedReader, stated: Stated, known: Callable[[str], bool]) -> Table:
    """The table in the file. Its content says what it is; a name can be wrong. Raises BadFile.

    `known` says whether a text may be the name of a column.
    """
    file.seek(0)
    head = file.read(8)
    if not head:
        raise BadFile("the file is empty")
    is_xlsx = head.startswith(ZIP)
    if stated.format is not None and is_xlsx != (stated.format == "xlsx"):
        raise BadFile(f"it is no {stated.format.upper()} file")
    if is_xlsx:
        return WorkbookTable(file, stated.sheet)
    for begin, what in OTHERS.items():
        if head.startswith(begin):
            raise BadFile(f"it is {what}, not CSV or XLSX")
    return open_separated(file, stated.encoding, stated.separator, known)
