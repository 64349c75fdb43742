"""Writes a report as CSV (RFC 4180, UTF-8 without a byte order mark), piece by piece."""

import csv
import io
from collections.abc import Iterable, Iterator

from actors.reporting.figures import Group

PIECE = 256 * 1024
"""Characters that are written at a time."""
FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""A text that begins with one of these is a formula to some spreadsheet (OWASP, CSV injection); the
last are =+-@ as East Asian keyboards type them."""


def parts(groups: Iterable[Group]) -> Iterator[bytes]:
    """The file: a row for each group. Amounts have a decimal point and two decimals.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(Group._fields)
    for group in groups:
        row = group._replace(currency=defused(group.currency), customer=defused(group.customer))
        writer.writerow(row)
        if text.tell() >= PIECE:
            yield _taken(text)
    yield _taken(text)


def defused(text: str) -> str:
    """The text, so that no spreadsheet computes it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def _taken(text: io.StringIO) -> bytes:
    taken = text.getvalue().encode()
    text.seek(0)
    text.truncate()
    return taken
