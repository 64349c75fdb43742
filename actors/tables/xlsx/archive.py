"""Opens the ZIP archive that an XLSX file is, and refuses one that could fill memory or disk."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from actors.tables.rows import BadFile

LARGEST_UNPACKED = 4_000_000_000
"""Bytes of all entries together. A million rows of ten columns are about 600 MB."""
HIGHEST_RATIO = 200
"""How many times its size an entry may unpack to. What Excel writes is about 10."""
SMALL = 10_000_000
"""An entry up to this size is harmless, whatever its ratio."""
BROKEN = (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)
"""What `zipfile` raises for archives that are truncated, damaged, encrypted or odd."""


@contextmanager
def legible() -> Iterator[None]:
    """Inside of it, an archive that cannot be read raises BadFile."""
    try:
        yield
    except BROKEN as error:
        raise BadFile(f"the XLSX file is damaged, incomplete or encrypted: {error}") from None


def open_archive(file: BufferedReader) -> ZipFile:
    """The archive. Raises BadFile for what is no archive, or unpacks to too much.

    `zipfile` reads no more of an entry than the directory says, so what it says can be relied on.
    """
    with legible():
        archive = ZipFile(file)
    entries = archive.infolist()
    if any(entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for entry in entries):
        raise BadFile("it is no XLSX file: it is compressed in another way")
    if sum(entry.file_size for entry in entries) > LARGEST_UNPACKED:
        raise BadFile(f"the XLSX file unpacks to over {LARGEST_UNPACKED:,} bytes")
    if bombs := [entry for entry in entries if _is_bomb(entry)]:
        raise BadFile(f"{bombs[0].filename} unpacks to over {HIGHEST_RATIO} times its size")
    return archive


def open_entry(archive: ZipFile, name: str) -> IO[bytes]:
    """The entry as a stream. Raises BadFile if there is none."""
    try:
        info = archive.getinfo(name)
    except KeyError:
        raise BadFile(f"it is no XLSX file: it has no {name}") from None
    with legible():
        return archive.open(info)


def _is_bomb(entry: ZipInfo) -> bool:
    return entry.file_size > max(SMALL, HIGHEST_RATIO * entry.compress_size)
