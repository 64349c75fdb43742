"""Writes a report as an Excel workbook, row by row."""

import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import BinaryIO

from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from actors.reporting.figures import Group, Total

LAST_ROW = 1_048_575
"""The last row of a sheet, counted from 0. What follows goes to another sheet."""
LONGEST_TEXT = 32_767
"""Characters in a cell. A longer text is cut."""
NO_XML = re.compile("[\ufffe\uffff]")
"""Characters that XML cannot hold, besides those that xlsxwriter escapes."""
EXACT = Decimal(10) ** 13
"""Excel keeps 15 digits of a number. From here on, with its cents, an amount has more."""
COLUMNS = {
    "currency": 10,
    "day": 12,
    "customer": 40,
    "invoices": 10,
    "lines": 10,
    "customers": 10,
    "amount": 22,
}
"""Widths, in characters."""
OPTIONS = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}


@contextmanager
def written(
    totals: Iterable[Total], groups: Iterable[Group], created_at: datetime
) -> Iterator[BinaryIO]:
    """The workbook as a file, which is deleted in the end: totals first, then all groups.

    One row is in memory at a time. Texts are texts, never formulas. Amounts are numbers, but a text
    where Excel would lose cents. The same figures and `created_at` give the same bytes.
    """
    with tempfile.TemporaryFile() as file:
        with Workbook(file, OPTIONS) as workbook:
            workbook.set_properties({"created": created_at.astimezone(UTC).replace(tzinfo=None)})
            sheets = _Sheets(workbook)
            sheets.write("Totals", Total._fields, totals)
            sheets.write("Invoiced", Group._fields, groups)
        file.seek(0)
        yield file


class _Sheets:
    """The sheets of a workbook, one after the other."""

    def __init__(self, workbook: Workbook) -> None:
        self._workbook = workbook
        self._bold = workbook.add_format({"bold": True, "bottom": 1})
        self._day = workbook.add_format({"num_format": "yyyy-mm-dd"})
        self._amount = workbook.add_format({"num_format": "#,##0.00", "align": "right"})

    def write(
        self, name: str, headings: tuple[str, ...], rows: Iterable[tuple[object, ...]]
    ) -> None:
        """Write the rows below their headings; to more sheets where one is full."""
        sheet, at, number = self._sheet(name, headings), 0, 1
        for row in rows:
            if at == LAST_ROW:
                number += 1
                sheet, at = self._sheet(f"{name} {number}", headings), 0
            at += 1
            for column, value in enumerate(row):
                self._write(sheet, at, column, value)

    def _sheet(self, name: str, headings: tuple[str, ...]) -> Worksheet:
        sheet = self._workbook.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        for column, heading in enumerate(headings):
            sheet.set_column(column, column, COLUMNS[heading])
            sheet.write_string(0, column, heading, self._bold)
        return sheet

    def _write(self, sheet: Worksheet, row: int, column: int, value: object) -> None:
        match value:
            case str():
                sheet.write_string(row, column, NO_XML.sub("\ufffd", value[:LONGEST_TEXT]))
            case date():
                sheet.write_datetime(row, column, datetime.combine(value, time()), self._day)
            case Decimal() if abs(value) >= EXACT:
                sheet.write_string(row, column, str(value), self._amount)
            case Decimal():
                sheet.write_number(row, column, float(value), self._amount)
            case int():
                sheet.write_number(row, column, value)
