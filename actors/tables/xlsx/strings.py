"""The shared strings of a workbook, on disk: there may be millions."""

import os
import re
from functools import lru_cache
from struct import Struct
from tempfile import TemporaryFile
from typing import IO
from xml.parsers import expat

from actors.tables.rows import BadFile
from actors.tables.xlsx.parsing import LONGEST_TEXT, feed, local

REMEMBERED = 1000
"""Strings that are kept in memory: names of currencies, units and good customers."""
PLACE = Struct("<Q")
ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")


class TextCollector:
    """Collects the text of `t` elements, without the pronunciation that `rPh` elements hold."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._length = 0
        self._is_open = False
        self._in_pronunciation = False

    def start(self, name: str) -> None:
        """An element begins."""
        if name == "rPh":
            self._in_pronunciation = True
        self._is_open = name == "t" and not self._in_pronunciation

    def end(self, name: str) -> None:
        """An element ends."""
        if name == "rPh":
            self._in_pronunciation = False
        self._is_open = False

    def add(self, text: str) -> None:
        """Text of the element that is open. Raises BadFile if it grows too long."""
        if self._is_open:
            self._length += len(text)
            if self._length > LONGEST_TEXT:
                raise BadFile(f"a text has over {LONGEST_TEXT} characters, which Excel does not")
            self._pieces.append(text)

    def take(self) -> str:
        """The text so far; the next one begins."""
        text = "".join(self._pieces)
        self._pieces.clear()
        self._length = 0
        return unescape(text) if "_x" in text else text


def unescape(text: str) -> str:
    """The text with the characters that XML cannot hold, which Excel writes as `_x000D_`."""
    return ESCAPED.sub(_character, text)


def _character(escaped: re.Match[str]) -> str:
    character = chr(int(escaped[1], 16))
    return "\ufffd" if "\ud800" <= character <= "\udfff" else character


class Strings:
    """The strings by their number. They leave the disk with `close`, or with the process."""

    def __init__(self, source: IO[bytes] | None) -> None:
        """Read them all. Raises BadFile."""
        self._texts = TemporaryFile()  # noqa: SIM115 - both live as long as this object
        self._places = TemporaryFile()  # noqa: SIM115
        self._end = self._count = 0
        try:
            self._read(source)
        except BaseException:
            self.close()
            raise
        self.get = lru_cache(REMEMBERED)(self._get)
        """The string of that number. Raises IndexError."""

    def close(self) -> None:
        """Delete the strings."""
        self._texts.close()
        self._places.close()

    def _get(self, number: int) -> str:
        if not 0 <= number < self._count:
            raise IndexError(number)
        found = os.pread(self._places.fileno(), 2 * PLACE.size, number * PLACE.size)
        ((begin,), (end,)) = PLACE.iter_unpack(found)
        return os.pread(self._texts.fileno(), end - begin, begin).decode()

    def _read(self, source: IO[bytes] | None) -> None:
        if source:
            with source:
                self._parse(source)
        self._places.write(PLACE.pack(self._end))
        self._texts.flush()
        self._places.flush()

    def _parse(self, source: IO[bytes]) -> None:
        parser, text = expat.ParserCreate(), TextCollector()

        def end(name: str) -> None:
            text.end(local(name))
            if local(name) == "si":
                self._add(text.take())

        parser.buffer_text = True
        parser.StartElementHandler = lambda name, _: text.start(local(name))
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text.add
        for _ in feed(source, parser):
            pass

    def _add(self, text: str) -> None:
        self._places.write(PLACE.pack(self._end))
        self._end += self._texts.write(text.encode())
        self._count += 1
