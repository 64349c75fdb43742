"""Makes a charge of a row, or says what is wrong with it."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache, partial
from typing import Any
from unicodedata import category

from actors.importing.header import COLUMNS, OPTIONAL
from actors.tables.dates import Order, read_date
from actors.tables.numbers import Mark, read_number
from actors.tables.rows import Broken, Cell
from service.mail.addresses import LOCAL, to_ascii

LONGEST = {"customer": 200, "description": 500, "reference": 100}
CURRENCY = re.compile("[A-Z]{3}")
LARGEST = Decimal(10) ** 10
DECIMALS = 4
REMEMBERED = 5000
"""Values whose check is remembered: domains, currencies and dates come again and again.

A mail address takes 40 µs to check, four times as long as all else in a row.
"""

Charge = tuple[object, ...]
"""The values of COLUMNS."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a field of a row, and what is there."""

    field: str
    reason: str
    value: str


class Charges:
    """Reads rows in which numbers and dates are written as `mark` and `order` say."""

    def __init__(self, mark: Mark | None, order: Order | None) -> None:
        remember = lru_cache(REMEMBERED)
        readers: dict[str, Callable[[Any], object]] = {
            "customer": partial(_line, longest=LONGEST["customer"]),
            "email": _email,
            "description": partial(_line, longest=LONGEST["description"]),
            "quantity": partial(_quantity, mark=mark),
            "unit_price": partial(_number, mark=mark),
            "currency": remember(_currency),
            "date": remember(partial(_date, order=order)),
            "reference": partial(_line, longest=LONGEST["reference"]),
        }
        self._readers = [(name, readers[name], name in OPTIONAL) for name in COLUMNS]

    def read(self, cells: Sequence[Cell] | Broken) -> Charge | list[Fault]:
        """The charge, or all that is wrong with the row."""
        if isinstance(cells, Broken):
            return [Fault("", cells.why, "")]
        values: list[object] = []
        faults: list[Fault] = []
        for (name, read, is_optional), cell in zip(self._readers, cells, strict=True):
            try:
                values.append(None if cell == "" and is_optional else _read(read, cell))
            except ValueError as error:
                faults.append(
                    Fault(name, str(error), "" if isinstance(cell, Broken) else str(cell))
                )
        return faults or tuple(values)


def _read(read: Callable[[Any], object], cell: Cell) -> object:
    if isinstance(cell, Broken):
        raise ValueError(cell.why)  # noqa: TRY004 - as for all that is wrong with a field
    if cell == "":
        raise ValueError("is missing")
    return read(cell)


def _shown(cell: Cell) -> str:
    if isinstance(cell, Broken):
        return ""
    return cell if isinstance(cell, str) else f"{cell:.15g}"


def _line(cell: str | float, longest: int) -> str:
    text = _shown(cell).strip()
    if len(text) > longest:
        raise ValueError(f"has over {longest} characters")
    if not text.isprintable() and any(category(each) in ("Cc", "Zl", "Zp") for each in text):
        raise ValueError("must be one line, without control characters")
    if not text:
        raise ValueError("is missing")
    return text


def _email(cell: str | float) -> str:
    address = _line(cell, 254)
    local, _, domain = address.rpartition("@")
    try:
        if LOCAL.fullmatch(local) and "=?" not in local:
            _check_domain(domain)  # most rows share theirs with others: see REMEMBERED
        else:
            to_ascii(address)
    except ValueError as error:
        raise ValueError(f"is no mail address: {error}") from None
    return address


@lru_cache(REMEMBERED)
def _check_domain(domain: str) -> None:
    to_ascii(f"a@{domain}")


def _number(cell: str | float, mark: Mark | None) -> Decimal:
    number = Decimal(repr(cell)) if isinstance(cell, float) else read_number(cell, mark)
    if abs(number) >= LARGEST:
        raise ValueError("is too large")
    if number != round(number, DECIMALS):
        raise ValueError(f"has over {DECIMALS} decimals")
    return number


def _quantity(cell: str | float, mark: Mark | None) -> Decimal:
    number = _number(cell, mark)
    if number <= 0:
        raise ValueError("is not above 0")
    return number


def _currency(cell: str | float) -> str:
    code = _shown(cell).strip().upper()
    if not CURRENCY.fullmatch(code):
        raise ValueError("is no currency such as EUR")
    return code


def _date(cell: str | float, order: Order | None) -> date:
    return read_date(_shown(cell), order)
