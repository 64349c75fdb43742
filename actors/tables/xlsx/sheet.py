"""Reads the rows of a sheet."""

from collections.abc import Iterator
from itertools import product
from math import isfinite
from string import ascii_uppercase
from typing import IO
from xml.parsers import expat

from actors.tables.rows import LAST_LINE, MOST_CELLS, BadFile, Broken, Cell, Row
from actors.tables.xlsx import styles
from actors.tables.xlsx.parsing import LONGEST_TEXT, Attributes, feed
from actors.tables.xlsx.strings import Strings, TextCollector

LETTERS = [
    *ascii_uppercase,
    *("".join(pair) for pair in product(ascii_uppercase, repeat=2)),
]
COLUMNS = {name: number for number, name in enumerate(LETTERS[:MOST_CELLS])}
DIGITS = "0123456789"


class SheetReader:
    """Makes rows of the events of an XML parser."""

    def __init__(self, strings: Strings, dates: set[str], *, since_1904: bool) -> None:
        self._strings, self._dates, self._since_1904 = strings, dates, since_1904
        self._rows: list[Row] = []
        self._line = 0
        self._cells: list[Cell] = []
        self._column = -1
        self._cell: Attributes = {}
        self._has_formula = False
        self._is_value = False
        self._value: list[str] = []
        self._value_length = 0
        self._inline = TextCollector()
        self._prefix = ""

    def rows(self, source: IO[bytes]) -> Iterator[Row]:
        """The rows that are not empty. Raises BadFile."""
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start_root
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self._parser = parser
        for _ in feed(source, parser):
            yield from self._rows
            self._rows.clear()

    def _start_root(self, name: str, _: Attributes) -> None:
        """All elements of a sheet have the prefix of the first one, most often none."""
        self._prefix = name.removesuffix("worksheet")
        if f"{self._prefix}worksheet" != name:
            raise BadFile(f"it is no XLSX file: its sheet is a {name[:50]}")
        self._parser.StartElementHandler = self._start

    def _start(self, name: str, attributes: Attributes) -> None:
        name = name.removeprefix(self._prefix)
        if name == "c":
            self._begin_cell(attributes)
        elif name == "v":
            self._is_value = True
        elif name == "row":
            self._begin_row(attributes)
        elif name == "f":
            self._has_formula = True
        else:
            self._inline.start(name)

    def _end(self, name: str) -> None:
        name = name.removeprefix(self._prefix)
        if name == "c":
            self._end_cell()
        elif name == "v":
            self._is_value = False
        elif name == "row":
            self._end_row()
        elif name != "f":
            self._inline.end(name)

    def _text(self, text: str) -> None:
        if not self._is_value:
            self._inline.add(text)
            return
        self._value_length += len(text)
        if self._value_length > LONGEST_TEXT:
            raise BadFile(f"a cell has over {LONGEST_TEXT} characters, which Excel's have not")
        self._value.append(text)

    def _begin_row(self, attributes: Attributes) -> None:
        given = attributes.get("r", "")
        line = (
            int(given)
            if given.isascii() and given.isdecimal() and len(given) < 12
            else self._line + 1
        )
        if not self._line < line <= LAST_LINE:
            raise BadFile(f"the rows of the sheet are out of order after row {self._line}")
        self._line, self._column, self._cells = line, -1, []

    def _end_row(self) -> None:
        if any(cell != "" for cell in self._cells):
            self._rows.append(Row(self._line, self._cells))

    def _begin_cell(self, attributes: Attributes) -> None:
        self._cell, self._has_formula = attributes, False
        self._value.clear()
        self._value_length = 0
        place = attributes.get("r")
        column = COLUMNS.get(place.rstrip(DIGITS), MOST_CELLS) if place else self._column + 1
        self._column = min(column, MOST_CELLS)

    def _end_cell(self) -> None:
        value, missing = self._read(), self._column - len(self._cells)
        if value == "" or missing < 0:
            return
        self._cells += [""] * missing
        self._cells.append(value)

    def _read(self) -> Cell:
        """The cell's value: of a formula, what it had come to when the file was saved."""
        text, sort = "".join(self._value), self._cell.get("t", "n")
        inline = self._inline.take()
        if sort == "inlineStr":
            return inline
        if text == "":
            return Broken("a formula without a value") if self._has_formula else ""
        if sort == "n":
            return self._number(text)
        if sort == "s":
            return self._shared(text)
        if sort == "e":
            return Broken(f"the cell holds the error {text[:20]}")
        if sort == "b":
            return "true" if text == "1" else "false"
        return text

    def _shared(self, text: str) -> str | Broken:
        try:
            return self._strings.get(int(text))
        except (IndexError, ValueError):
            return Broken("the cell refers to a text that is not in the file")

    def _number(self, text: str) -> float | str | Broken:
        try:
            number = float(f"{float(text):.15g}")  # as Excel shows it: 19.9, not 19.899999999999999
        except ValueError:
            return Broken("the cell holds no number")
        if not isfinite(number):
            return Broken("the cell holds no number")
        if self._cell.get("s") in self._dates:
            return styles.as_date(number, since_1904=self._since_1904)
        return number
