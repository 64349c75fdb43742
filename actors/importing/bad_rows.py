"""The file with the bad rows of an import: CSV that a spreadsheet opens, and runs nothing of."""

import csv
import io
from collections.abc import Iterable

from actors.importing.charges import Fault

HEADER = ("line", "field", "reason", "value")
MARK = "\ufeff"
"""The byte order mark, by which Excel knows that it is UTF-8."""
LONGEST = 200
"""Characters of a value that are shown."""
FORMULAS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a cell that a spreadsheet would run as a formula begins with (OWASP, CSV injection); the
last are =+-@ as East Asian keyboards type them."""


def head() -> bytes:
    """The beginning of the file."""
    return MARK.encode() + _csv([HEADER])


def rows(faults: Iterable[tuple[int, Fault]]) -> bytes:
    """A line for each fault, with the line of its row in the imported file."""
    return _csv((line, each.field, each.reason, _harmless(each.value)) for line, each in faults)


def _harmless(value: str) -> str:
    """The value, cut, as a text: a spreadsheet takes what begins with an apostrophe for one."""
    shown = "".join(each if each.isprintable() else " " for each in value[:LONGEST])
    return f"'{shown}" if value.startswith(FORMULAS) else shown


def _csv(lines: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    return text.getvalue().encode(errors="replace")
