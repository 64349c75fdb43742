"""Tells which numbers of a workbook are dates: only their format says so."""

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import IO

from actors.tables.rows import BadFile, Broken
from actors.tables.xlsx.parsing import Element, elements

DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}
"""Excel's built-in formats for dates and times."""
NO_PATTERN = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.')
"""What is in quotes, escaped, a colour or a condition says nothing."""
MOST_STYLES = 100_000
LONGEST_NUMBER, LONGEST_CODE = 10, 1000
"""Of a format. Excel's codes have up to 255 characters."""
FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - Excel's times have no zone
FIRST_DAY_1904 = datetime(1904, 1, 1)  # noqa: DTZ001
LEAP_DAY_1900 = 60
"""Excel counts a 29 February 1900, which there was not: below, its days are one more."""
LAST_DAY = 2_958_465
"""31 December 9999."""
DAYS_TO_1904 = 1462
"""Days between both beginnings, as Excel counts them."""


def date_styles(source: IO[bytes] | None) -> set[str]:
    """The numbers of the cell styles that show dates. Raises BadFile."""
    formats, styles = {*map(str, DATES)}, set[str]()
    for number, style in enumerate(_styles(source, formats)):
        if number > MOST_STYLES:
            raise BadFile(f"the XLSX file has over {MOST_STYLES} styles")
        if style.attributes.get("numFmtId") in formats:
            styles.add(str(number))
    return styles


def as_date(number: float, *, since_1904: bool) -> str | Broken:
    """The date of Excel's number of days, in ISO 8601; its time only if it has one."""
    if not 0 <= number < LAST_DAY - (DAYS_TO_1904 if since_1904 else 0):
        return Broken(f"{number:g} is no date of Excel's")
    if not since_1904 and number < LEAP_DAY_1900:
        number += 1
    first = FIRST_DAY_1904 if since_1904 else FIRST_DAY
    moment = first + timedelta(seconds=round(number * 86400))
    day: date = moment if moment.time() != datetime.min.time() else moment.date()
    return day.isoformat()


def _styles(source: IO[bytes] | None, formats: set[str]) -> Iterator[Element]:
    """The styles of cells. The formats that come before them are added if they are of dates."""
    for each in elements(source) if source else ():
        if each.name == "numFmt" and len(formats) < MOST_STYLES:
            number, code = (
                each.attributes.get("numFmtId", ""),
                each.attributes.get("formatCode", ""),
            )
            if len(number) < LONGEST_NUMBER and len(code) < LONGEST_CODE:
                (formats.add if _is_of_dates(code) else formats.discard)(number)
        elif (each.parent, each.name) == ("cellXfs", "xf"):
            yield each


def _is_of_dates(code: str) -> bool:
    return bool(re.search("[dmhysDMHYS]", NO_PATTERN.sub("", code.partition(";")[0])))
