"""Reads CSV and its relatives."""

import csv
from collections.abc import Callable, Iterator
from functools import partial
from io import BufferedReader, TextIOWrapper
from itertools import islice

from actors.tables import encodings, separators
from actors.tables.rows import LONGEST_ROW, MOST_CELLS, BadFile, Broken, Row

csv.field_size_limit(LONGEST_ROW)  # of the process: it has no other way. Rows are limited below.

HEAD_LINES = 20
"""How many lines a header may have, with line breaks in quotes."""


class SeparatedTable:
    """A text whose fields are separated by a character, and quoted by `"` where they need it."""

    pads = False

    def __init__(self, file: BufferedReader, encoding: str, separator: str) -> None:
        self._file, self._encoding, self._separator = file, encoding, separator
        self._text: TextIOWrapper | None = None
        self._line = 0
        """Lines that are behind the last row."""
        self._row_length = 0

    @property
    def place(self) -> str:
        """What `TextIOWrapper.tell` says, which is not always a number of bytes; and the line."""
        return f"{self._text.tell() if self._text else 0} {self._line}"

    @property
    def bytes_read(self) -> int:
        """How much has been read from the file; it reads ahead a little."""
        return self._file.tell()

    @property
    def found(self) -> dict[str, str]:
        """Encoding and separator."""
        return {"format": "csv", "encoding": self._encoding, "separator": self._separator}

    def close(self) -> None:
        """Let go of the file, without closing it."""
        if self._text:
            self._text.detach()
            self._text = None

    def rows(self, place: str | None = None) -> Iterator[Row]:
        """The rows; empty lines are none. Raises BadFile."""
        text = self._begin(place)
        reader = csv.reader(self._lines(text), delimiter=self._separator, strict=True)
        while True:
            begin, self._row_length = self._line + 1, 0
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(begin, Broken(f"not readable: {error}"))
                continue
            if cells:
                yield Row(begin, [*cells[:MOST_CELLS]])

    def _begin(self, place: str | None) -> TextIOWrapper:
        """Go to the place, or else behind the byte order mark and a line that says `sep=`."""
        self.close()
        mark, _ = encodings.mark_of(self._file)
        self._file.seek(len(mark))
        self._text = text = TextIOWrapper(self._file, self._encoding, newline="")
        begin = text.tell()
        if place:
            cookie, self._line = map(int, place.split())
            text.seek(cookie)
        else:
            has_statement = separators.stated_in(self._peek(text)) is not None
            self._line = int(has_statement)
            text.seek(text.tell() if has_statement else begin)
        return text

    def _peek(self, text: TextIOWrapper) -> str:
        try:
            return text.readline(LONGEST_ROW)
        except UnicodeDecodeError:
            return ""  # to be told with its line

    def _lines(self, text: TextIOWrapper) -> Iterator[str]:
        try:
            for line in iter(partial(text.readline, LONGEST_ROW), ""):
                self._line += 1
                self._row_length += len(line)
                if self._row_length >= LONGEST_ROW:
                    raise BadFile(self._too_long())
                yield line
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.start + 1].hex()
            why = f"the byte {wrong} after line {self._line} is not {self._encoding}"
            raise BadFile(f"{why}: say its `encoding`") from None

    def _too_long(self) -> str:
        return (
            f"the row that ends in line {self._line} has over {LONGEST_ROW} characters: "
            "a quote may be missing"
        )


def open_separated(
    file: BufferedReader, encoding: str | None, separator: str | None, known: Callable[[str], bool]
) -> SeparatedTable:
    """The table, with what was not stated found out. Raises BadFile.

    A byte order mark counts more than what was stated. `known` says whether a text may be the name
    of a column.
    """
    _, marked = encodings.mark_of(file)
    if not (marked or encoding):
        encodings.check_utf8(file)
    encoding = marked or encoding or "utf-8"
    if separator is None:
        lines = _first_lines(file, encoding)
        stated = separators.stated_in(lines[0]) if lines else None
        separator = stated or separators.find_separator(lines, known)
    return SeparatedTable(file, encoding, separator)


def _first_lines(file: BufferedReader, encoding: str) -> list[str]:
    """The header, without empty lines before it, and what follows."""
    file.seek(len(encodings.mark_of(file)[0]))
    text = TextIOWrapper(file, encoding, newline="", errors="replace")
    try:
        lines = iter(partial(text.readline, LONGEST_ROW), "")
        return [*islice((line for line in lines if line.strip()), HEAD_LINES)]
    finally:
        text.detach()
