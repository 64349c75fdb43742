"""Tables are read from whatever people send, and what is no table is refused with a reason."""

import csv
import io
import time
import tracemalloc
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime
from itertools import chain
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from actors.tables.dates import NotADate, read_date
from actors.tables.numbers import NotANumber, find_mark, read_number
from actors.tables.rows import BadFile, Broken
from actors.tables.table import OTHERS
from actors.tables.xlsx.archive import HIGHEST_RATIO
from actors.tables.xlsx.styles import as_date
from tests.support.tables import SHEET, changed, opened, rows, sheet, workbook

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=20)
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"]
DAY = datetime(2026, 1, 31)  # noqa: DTZ001 - Excel's times have no zone
SMALL = workbook(lambda _, each: each.write_row(0, 0, ["a", "b"]))


@given(
    table=st.lists(st.lists(TEXT, min_size=2, max_size=4), min_size=1, max_size=8),
    separator=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(ENCODINGS),
    part=st.integers(1, 60),
)
def test_any_table_in_any_dialect_comes_back_and_goes_on_from_any_row(
    table: list[list[str]], separator: str, end: str, quoting: Any, encoding: str, part: int
) -> None:
    text = io.StringIO(newline="")
    if ({*"\r\n"} - {*end}) & {*"".join(chain.from_iterable(table))}:
        quoting = csv.QUOTE_ALL  # the writer does not quote them
    csv.writer(text, delimiter=separator, lineterminator=end, quoting=quoting).writerows(table)
    content = text.getvalue().encode(encoding)
    assume(not content.startswith(tuple(OTHERS)))
    stated = encoding if encoding == "utf-16-le" else None
    each = opened(content, part, encoding=stated, separator=separator)
    found = [(row, each.place) for row in each.rows()]
    assert [row.cells for row, _ in found] == table
    for number, (_, place) in enumerate(found):
        rest = opened(content, part, encoding=stated, separator=separator).rows(place)
        assert [*rest] == [row for row, _ in found[number + 1 :]]


@given(
    st.integers(0, 10**12), st.integers(0, 4), st.sampled_from(["point", "comma"]), st.booleans()
)
def test_a_number_is_read_as_it_was_meant_or_refused(
    digits: int, decimals: int, mark: Any, apart: bool
) -> None:
    plain = f"{digits / 10**decimals:{',' if apart else ''}.{decimals}f}"
    text = plain if mark == "point" else plain.translate(str.maketrans(",.", ".,"))
    meant = float(plain.replace(",", ""))
    assert float(read_number(text, mark)) == meant
    try:
        assert float(read_number(text, None)) == meant
    except NotANumber:
        assert text.count(",") + text.count(".") == 1


@pytest.mark.parametrize(
    "text", ["", "abc", "1,2,3", "1.", ".5", "1e5", "--1", "1_000", "١٢", "NaN", "12 34"]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    for mark in (None, "point", "comma"):
        with pytest.raises(NotANumber):
            read_number(text, mark)


def test_a_mark_is_found_where_no_text_says_otherwise() -> None:
    assert find_mark(["1", "19,90", "1.234"]) == "comma"
    assert find_mark(["1,234.5"]) == "point"
    assert find_mark(["1.234", "2"]) is None
    assert find_mark(["1,5", "1.5"]) is None


@pytest.mark.parametrize(
    ("text", "order"),
    [
        *(("2026-01-31", None), ("31.01.2026", None), ("31.1.2026", "mdy"), ("31/01/2026", None)),
        *(("01/31/2026", None), ("2026-01-31T00:00:00", None), ("31-01-2026", "dmy")),
    ],
)
def test_a_date_is_read(text: str, order: Any) -> None:
    assert read_date(text, order) == date(2026, 1, 31)


def test_a_date_that_could_be_two_needs_an_order() -> None:
    assert read_date("03/04/2026", "dmy").month == 4
    assert read_date("03/04/2026", "mdy").month == 3
    for text in ("03/04/2026", "30.02.2026", "1899-12-31", "tomorrow", "2026-01-31T10:00"):
        with pytest.raises(NotADate):
            read_date(text, None)


@pytest.mark.parametrize(
    "content",
    [
        "a;b\n1;2\n",
        "a,b\n1,2\n",
        "a\tb\n1\t2\n",
        "a|b\n1|2\n",
        "\n\na;b\n1;2",
        "sep=;\r\na;b\r\n1;2",
    ],
)
def test_the_separator_is_the_one_that_makes_known_names(content: str) -> None:
    assert rows(opened(content.encode(), known=["a", "b"]))[-2:] == [["a", "b"], ["1", "2"]]


def test_a_row_with_bad_quotes_is_bad_alone() -> None:
    assert rows(opened(b'a,b\n"x"y,2\n3,4\n"open,5\n', separator=",")) == [
        ["a", "b"],
        Broken("not readable: ',' expected after '\"'"),
        ["3", "4"],
        Broken("not readable: unexpected end of data"),
    ]


HUGE = b'<a><Relationship Id="%s" Type="t" Target="t"/></a>' % (b"x" * 200_000)


def with_sheet(data: str, begin: str = "") -> bytes:
    """A workbook whose sheet has these rows."""
    return changed(SMALL, {SHEET: sheet(data, begin)})


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (bytes, "the file is empty"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n", "it is an image"),
    "old Excel": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as XLSX"),
    "gzip": (lambda: b"\x1f\x8b\x08\0\0\0\0\0", "compressed with gzip"),
    "NUL": (lambda: b"a,b\n\0,1\n", "NUL bytes"),
    "not UTF-8": (lambda: "a,b\nc,d\nMüller,1\n".encode("cp1252"), "line 3 is not UTF-8"),
    "an open quote": (lambda: b'a,b\n"' + (b"x" * 999 + b"\n") * 1100, "a quote may be missing"),
    "a field of ten megabytes": (lambda: b"a,b\n" + b"x" * 10_000_000, "a quote may be missing"),
    "truncated": (lambda: SMALL[:-200], "damaged, incomplete"),
    "no workbook": (lambda: changed(SMALL, {"xl/workbook.xml": None}), "has no xl/workbook.xml"),
    "no XML": (lambda: changed(SMALL, {SHEET: b"<worksheet><"}), "damaged"),
    "a bomb": (lambda: changed(SMALL, {SHEET: b" " * 40_000_000}), f"over {HIGHEST_RATIO} times"),
    "a huge tag": (lambda: with_sheet(f'<row a="{"x" * 9_000_000}"/>'), "a tag of over"),
    "a huge cell": (
        lambda: with_sheet(f"<row><c><v>{'1' * 9_000_000}</v></c></row>"),
        "over 40000",
    ),
    "entities": (lambda: with_sheet("<row/>", '<!DOCTYPE x [<!ENTITY a "b">]>'), "document type"),
    "no encoding": (lambda: with_sheet("<row/>", '<?xml version="1.0" encoding="x"?>'), "damaged"),
    "an encoding of several bytes": (
        lambda: with_sheet("<row/>", '<?xml version="1.0" encoding="shift_jis"?>'),
        "damaged",
    ),
    "huge names": (lambda: changed(SMALL, {"xl/_rels/workbook.xml.rels": HUGE}), "an element with"),
    "rows out of order": (lambda: with_sheet('<row r="2"/><row r="2"/>'), "out of order"),
    "deep": (lambda: changed(SMALL, {"xl/styles.xml": b"<a>" * 1000}), "levels deep"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_table_is_refused_with_a_reason_in_little_memory(name: str) -> None:
    make, reason = REFUSED[name]
    content = make()
    tracemalloc.start()
    try:
        with pytest.raises(BadFile, match=reason):
            rows(opened(content, 1_000_000, separator=","))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_a_flipped_byte_anywhere_in_an_xlsx_file_raises_nothing_else() -> None:
    for place in range(0, len(SMALL), 37):
        content = bytearray(SMALL)
        content[place] ^= 0x55
        try:
            rows(opened(bytes(content)))
        except BadFile:
            continue


def test_the_cells_of_a_sheet_are_what_excel_shows() -> None:
    def fill(book: Any, each: Any) -> None:
        day = book.add_format({"num_format": 'dd/mm/yy "day"'})
        each.write_row(0, 0, ["a", 19.9, 0.1 + 0.2, 1e15])
        each.write_rich_string(1, 0, "be", book.add_format({"bold": True}), "fore", "!")
        each.write_datetime(1, 1, DAY, day)
        each.write_datetime(1, 2, DAY.replace(hour=12, minute=30), day)
        each.write_formula(1, 3, "=1+1", value=2)
        each.write_formula(3, 0, '="x"', value="x")
        each.write_formula(3, 1, "=NA()", value="#N/A")
        each.write_boolean(3, 2, True)
        each.write_string(3, 4, "_x000D_ ü\U0001f600")

    content = workbook(fill)
    assert rows(opened(content)) == [
        ["a", 19.9, 0.3, 1e15],
        ["before!", "2026-01-31", "2026-01-31T12:30:00", 2.0],
        ["x", Broken("the cell holds the error #N/A"), "true", "", "_x000D_ ü\U0001f600"],
    ]
    with closing(opened(content)) as table:
        assert table.found == {"format": "xlsx", "sheet": "Sheet1"}
        assert [row.line for row in table.rows()] == [1, 2, 4]
        assert [row.line for row in table.rows("2")] == [4]


def test_huge_formats_take_no_time() -> None:
    format_ = f'<numFmt numFmtId="7" formatCode="{"[" * 9000}"/>'
    content = changed(SMALL, {"xl/styles.xml": f"<a>{format_ * 200}</a>".encode()})
    began = time.process_time()
    assert rows(opened(content)) == [["a", "b"]]
    assert time.process_time() - began < 3


def test_a_formula_that_was_never_computed_is_a_bad_cell() -> None:
    content = changed(SMALL, {SHEET: sheet("<row><c><f>1+1</f></c><c><f>2</f><v>2</v></c></row>")})
    assert rows(opened(content)) == [[Broken("a formula without a value"), 2.0]]


@pytest.mark.parametrize("number", ["-1", "-99", "2", "999999999999", "9" * 30, "x"])
def test_a_text_that_is_not_in_the_file_is_a_bad_cell(number: str) -> None:
    content = with_sheet(f'<row><c t="s"><v>{number}</v></c></row>')
    assert rows(opened(content)) == [[Broken("the cell refers to a text that is not in the file")]]


def test_days_of_both_calendars_of_excel() -> None:
    day = datetime(1904, 1, 2)  # noqa: DTZ001 - as all of Excel's

    def fill(book: Any, each: Any) -> None:
        each.write_datetime(0, 0, day, book.add_format({"num_format": 14}))

    for old in (True, False):
        assert rows(opened(workbook(fill, date_1904=old))) == [["1904-01-02"]]


@pytest.mark.parametrize("old", [False, True])
def test_the_last_day_of_either_calendar_is_followed_by_none(old: bool) -> None:
    last = 2_958_465 - (1462 if old else 0)
    assert as_date(last - 0.25, since_1904=old) == "9999-12-30T18:00:00"
    assert as_date(last - 1e-6, since_1904=old) == "9999-12-31"
    assert isinstance(as_date(last, since_1904=old), Broken)
    assert isinstance(as_date(last + 1000, since_1904=old), Broken)
