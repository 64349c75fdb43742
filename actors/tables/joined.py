"""One file of several documents, read one after the other."""

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from io import BufferedReader, RawIOBase
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from actors.tables.rows import BadFile

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

READ_AHEAD = 256 * 1024
LARGEST_READ = 2 * 1024 * 1024
"""Bytes that may be asked for at once. `zipfile` reads the whole directory of an archive so."""


class Part(NamedTuple):
    """A document that holds a part of the file."""

    name: str
    size: int


def join(parts: Sequence[Part], get: Callable[[str], bytes]) -> BufferedReader:
    """The parts as one file with `seek`. One of them is in memory at a time."""
    return _Bounded(_Joined(parts, get), READ_AHEAD)


class StoreFailed(Exception):
    """A part could not be read. No OSError, which `zipfile` would take for a damaged archive."""


class _Joined(RawIOBase):
    def __init__(self, parts: Sequence[Part], get: Callable[[str], bytes]) -> None:
        self._parts, self._get = parts, get
        self._starts = [0, *accumulate(part.size for part in parts)]
        self._at = 0
        self._held: tuple[int, memoryview] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        size = self._starts[-1]
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._at >= self._starts[-1]:
            return 0
        number = bisect_right(self._starts, self._at) - 1
        found = self._part(number)[self._at - self._starts[number] :]
        room = memoryview(buffer).cast("B")
        length = min(len(room), len(found))
        room[:length] = found[:length]
        self._at += length
        return length

    def _part(self, number: int) -> memoryview:
        if self._held is None or self._held[0] != number:
            self._held = None  # before the next one comes
            self._held = (number, self._read(self._parts[number].name))
        return self._held[1]

    def _read(self, name: str) -> memoryview:
        try:
            return memoryview(self._get(name))
        except OSError as error:
            raise StoreFailed(str(error)) from error


class _Bounded(BufferedReader):
    """Refuses reads that no honest file needs."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so much, or the rest. Raises BadFile if that is over LARGEST_READ."""
        rest = size is None or size < 0
        found = super().read(LARGEST_READ + 1 if rest else min(size or 0, LARGEST_READ + 1))
        if len(found) > LARGEST_READ:
            raise BadFile("the directory of the archive is too large")
        return found
