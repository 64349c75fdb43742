"""Reads numbers as people write them: with decimal points or commas, and thousands apart."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

Mark = Literal["point", "comma"]

PLAIN = re.compile(r"[+-]?[0-9]{1,18}")
POINT = re.compile(r"[+-]?(?:[0-9]{1,18}|[1-9][0-9]{0,2}(?:,[0-9]{3}){1,5})(?:\.[0-9]{1,18})?")
COMMA = re.compile(r"[+-]?(?:[0-9]{1,18}|[1-9][0-9]{0,2}(?:\.[0-9]{3}){1,5})(?:,[0-9]{1,18})?")
SPACED = re.compile(r"(?<=[0-9])[ '\u2019\u00a0\u202f](?=[0-9]{3}(?![0-9]))")
"""A space or apostrophe between thousands; it says nothing about the mark."""


class NotANumber(ValueError):
    """The text is no number, or could be two. The message says which, without the text."""


def read_number(text: str, mark: Mark | None) -> Decimal:
    """The number in the text. Raises NotANumber.

    Without a mark only what can mean one thing is read: not 1.234, which may be a thousand or one.
    """
    text = text.strip()
    if PLAIN.fullmatch(text):
        return Decimal(text)
    text = SPACED.sub("", text)
    as_point = POINT.fullmatch(text) is not None and mark != "comma"
    as_comma = COMMA.fullmatch(text) is not None and mark != "point"
    if as_point and as_comma and not PLAIN.fullmatch(text):
        raise NotANumber("is one number with a decimal point and another with a comma: say which")
    if as_point:
        return Decimal(text.replace(",", ""))
    if as_comma:
        return Decimal(text.replace(".", "").replace(",", "."))
    raise NotANumber("is no number" + (f" with a decimal {mark}" if mark else ""))


def find_mark(texts: Iterable[str]) -> Mark | None:
    """The decimal mark of a column, if some of its texts can mean one thing only, and none another.

    A text such as 1.234 says nothing, and neither does a whole number.
    """
    marks = {mark for text in texts if (mark := _mark_of(SPACED.sub("", text.strip())))}
    return marks.pop() if len(marks) == 1 else None


def _mark_of(text: str) -> Mark | None:
    if (POINT.fullmatch(text) is None) == (COMMA.fullmatch(text) is None):
        return None
    return "point" if POINT.fullmatch(text) else "comma"
