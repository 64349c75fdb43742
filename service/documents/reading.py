"""Documents as raw files of Python's, read in parts."""

import os
from io import RawIOBase
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore

from service.documents.encryption import HEADER, PART, SEALED_PART, Decryptor

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer


class _Raw(RawIOBase):
    """A raw file with a place to read at; `_read` reads there."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self.size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        length = min(len(room), self.size - self._at)
        if length <= 0:
            return 0
        found = self.part(self._at, length)
        room[: len(found)] = found
        self._at += len(found)
        return len(found)

    def part(self, start: int, length: int) -> memoryview | bytes:
        """Up to `length` bytes from there, and not none."""
        raise NotImplementedError


class Stored(_Raw):
    """A document as it is in the store: each read is a request for a range of bytes."""

    def __init__(self, store: ObjectStore, name: str, size: int) -> None:
        super().__init__(size)
        self._store, self._name = store, name

    def part(self, start: int, length: int) -> memoryview:
        """The bytes of this range."""
        return memoryview(obstore.get_range(self._store, self._name, start=start, length=length))


class Decrypted(_Raw):
    """An encrypted document: each read decrypts the parts that have what is asked for."""

    def __init__(self, stored: Stored, decryptor: Decryptor) -> None:
        super().__init__(decryptor.size)
        self._stored, self._decryptor = stored, decryptor

    def check_end(self) -> None:
        """Raise DocumentDamaged if the document was cut off."""
        last = self._decryptor.parts - 1
        self._decryptor.open(last, self._sealed(last, last))

    def part(self, start: int, length: int) -> bytes:
        """The bytes of this range. Raises DocumentDamaged."""
        first, last = start // PART, (start + length - 1) // PART
        opened = self._decryptor.open(first, self._sealed(first, last))
        return opened[start - first * PART :][:length]

    def _sealed(self, first: int, last: int) -> bytes:
        start = HEADER + first * SEALED_PART
        length = min(HEADER + (last + 1) * SEALED_PART, self._stored.size) - start
        return bytes(self._stored.part(start, length)) if length > 0 else b""
