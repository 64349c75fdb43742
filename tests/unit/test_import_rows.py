"""Rows of a file become charges, or a reason for each field that is wrong."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from actors.importing import bad_rows
from actors.importing.charges import Charges, Fault
from actors.importing.chunks import encode, rows_of
from actors.importing.header import COLUMNS, read_header
from actors.importing.source import open_source
from actors.tables.joined import Part, join
from actors.tables.rows import BadFile, Broken, Row
from tests.support.tables import workbook

GOOD = ["Ada", "ada@example.com", "Tea", "2", "19.90", "eur", "2026-01-31", ""]
CHARGE = ("Ada", "ada@example.com", "Tea", 2, Decimal("19.9"), "EUR", date(2026, 1, 31), None)


def with_(name: str, cell: object) -> list[Any]:
    """A good row with one other cell."""
    return [cell if column == name else good for column, good in zip(COLUMNS, GOOD, strict=True)]


def test_a_good_row_is_a_charge_whether_its_cells_are_texts_or_numbers() -> None:
    charges = Charges(None, None)
    assert charges.read(GOOD) == CHARGE
    assert charges.read([*GOOD[:3], 2.0, 19.9, *GOOD[5:]]) == CHARGE
    assert charges.read(with_("reference", 1042.0)) == (*CHARGE[:-1], "1042")


@pytest.mark.parametrize(
    ("name", "cell", "reason"),
    [
        ("customer", " ", "is missing"),
        ("customer", "x" * 201, "has over 200 characters"),
        ("email", "ada@", "is no mail address"),
        ("email", "ada.@example.com", "is no mail address"),
        ("email", "=?utf-8?q?a?=@example.com", "is no mail address"),
        ("email", "ada@exa mple.com", "is no mail address"),
        ("email", "ada@localhost", "is no mail address"),
        ("description", "a\nb", "must be one line"),
        ("description", "a\0b", "must be one line"),
        ("quantity", "", "is missing"),
        ("quantity", "0", "is not above 0"),
        ("quantity", "1.234", "say which"),
        ("unit_price", "1,23456", "has over 4 decimals"),
        ("unit_price", "99999999999", "is too large"),
        ("unit_price", Broken("a formula without a value"), "a formula without a value"),
        ("currency", "EU", "is no currency"),
        ("date", "03/04/2026", "say which"),
        ("date", 46053.0, "is no date"),
        ("reference", "x" * 101, "has over 100 characters"),
    ],
)
def test_a_wrong_field_is_named_with_its_reason(name: str, cell: object, reason: str) -> None:
    faults = Charges(None, None).read(with_(name, cell))
    assert isinstance(faults, list)
    assert [fault.field for fault in faults] == [name]
    assert reason in faults[0].reason


def test_all_wrong_fields_are_told_at_once() -> None:
    faults = Charges("comma", None).read(["", "ada", *GOOD[2:4], "19.90", *GOOD[5:]])
    assert isinstance(faults, list)
    assert [fault.field for fault in faults] == ["customer", "email", "unit_price"]


def test_columns_are_found_in_any_order_and_spelling() -> None:
    names = ["Date", "UNIT-PRICE", "e-mail", "Client", "Qty", "item", "Currency", ""]
    header = read_header(names)
    assert header.order(["d", 1.0, "e", "c", "q", "i", "y"], pads=True) == [
        *("c", "e", "i", "q", 1.0, "y", "d", "")
    ]
    assert isinstance(header.order(["d"], pads=False), Broken)
    assert isinstance(header.order(["d"] * 9, pads=True), Broken)


def test_a_wrong_header_is_told_whole() -> None:
    with pytest.raises(BadFile) as wrong:
        read_header(["customer", "client", "e-mail", "colour", 5.0])
    assert str(wrong.value).endswith(
        "missing description, quantity, unit_price, currency, date; unknown colour, 5.0;"
        " twice customer"
    )


def test_a_chunk_is_read_as_it_was_written() -> None:
    rows = [Row(2, ["é\U0001f600", 19.9, 1e22])]
    rows += [Row(3, Broken("why")), Row(4, ["", Broken("why"), 0.3])]
    assert [*rows_of(b"".join(map(encode, rows)))] == rows


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "\uff1d1"])
def test_no_value_in_the_report_is_a_formula(value: str) -> None:
    report = bad_rows.head() + bad_rows.rows([(2, Fault("email", "is wrong", value))])
    _, line = csv.reader(io.StringIO(report.decode("utf-8-sig"), newline=""))
    assert line[:3] == ["2", "email", "is wrong"]
    assert line[3].startswith("'")
    assert line[3].isprintable()


def found_in(content: bytes, **known: Any) -> dict[str, Any]:
    """What is found out about a file of charges."""
    file = join([Part("a", len(content))], lambda _: content)
    source = open_source(file, known)
    try:
        return source.found(known.get("decimal"))
    finally:
        source.close()


@pytest.mark.parametrize(
    ("prices", "mark"),
    [(["1", "19,90", "1.234"], "comma"), (["1.234", "0.5"], "point"), (["1.234"], None)],
)
def test_the_decimal_mark_is_found_in_the_file(prices: list[str], mark: str | None) -> None:
    lines = ["\t".join(COLUMNS), *("\t".join(with_("unit_price", price)) for price in prices)]
    assert found_in("\n".join(lines).encode()).get("decimal") == mark


def test_numbers_of_a_workbook_need_no_mark() -> None:
    content = workbook(
        lambda _, sheet: [sheet.write_row(0, 0, [*COLUMNS]), sheet.write_row(1, 0, [*CHARGE[:5]])]
    )
    assert found_in(content) == {"format": "xlsx", "sheet": "Sheet1"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b"customer\n"])
def test_a_file_without_rows_or_columns_is_refused(content: bytes) -> None:
    with pytest.raises(BadFile):
        found_in(content)
