"""Reads dates as people write them."""

import re
from datetime import date
from typing import Literal

Order = Literal["dmy", "mdy"]

ISO = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
DOTTED = re.compile(r"([0-9]{1,2})\.([0-9]{1,2})\.([0-9]{4})")
SLASHED = re.compile(r"([0-9]{1,2})[/-]([0-9]{1,2})[/-]([0-9]{4})")
EARLIEST = 1900


class NotADate(ValueError):
    """The text is no date, or could be two. The message says which, without the text."""


def read_date(text: str, order: Order | None) -> date:
    """The date in the text: 2026-01-31, 31.01.2026, and 31/01/2026 where the order is known.

    Without an order, one with slashes is read if it can mean one date only. Raises NotADate.
    """
    text = text.strip()
    if found := ISO.fullmatch(text):
        return _date(found[1], found[2], found[3])
    if found := DOTTED.fullmatch(text):
        return _date(found[3], found[2], found[1])
    if found := SLASHED.fullmatch(text):
        return _slashed(found[1], found[2], found[3], order)
    raise NotADate("is no date such as 2026-01-31 or 31.01.2026")


def _slashed(first: str, second: str, year: str, order: Order | None) -> date:
    if order is None and first != second and int(first) <= 12 and int(second) <= 12:
        raise NotADate("is one date with the day first and another with the month first: say which")
    if order == "mdy" or (order is None and int(second) > 12):
        first, second = second, first
    return _date(year, second, first)


def _date(year: str, month: str, day: str) -> date:
    try:
        found = date(int(year), int(month), int(day))
    except ValueError:
        raise NotADate("is a date that there is not") from None
    if found.year < EARLIEST:
        raise NotADate(f"is before {EARLIEST}")
    return found
