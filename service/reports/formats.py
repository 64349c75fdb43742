"""The formats of a report's files."""

from collections.abc import Iterable
from typing import Literal

Format = Literal["csv", "xlsx", "pdf"]

MEDIA_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8; header=present",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pdf": "application/pdf",
}
FORMATS = tuple(MEDIA_TYPES)


def in_order(formats: Iterable[Format]) -> tuple[Format, ...]:
    """Each format once, in the order of `FORMATS`, so that the same formats are equal."""
    wanted = {*formats}
    return tuple(each for each in FORMATS if each in wanted)
