"""The document store: files by name, in a local folder or an S3 bucket."""

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from service.settings import settings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""Parts joined by slashes. None is empty or starts with a dot, so no name leaves the store."""
LONGEST_NAME = 500
PART = 5 * 1024 * 1024
"""Bytes that are written at a time: the least that S3 takes."""
READ_AHEAD = 1024 * 1024
"""Bytes that are read at a time: an object store's answer takes a tenth of a second to begin."""


class DocumentMissing(Exception):
    """The store has no document of this name."""


class BadDocumentName(ValueError):
    """The store does not accept this name."""


class Documents:
    """A store at `file:///folder` or `s3://bucket/prefix`.

    A missing folder is created, for its owner alone.

    S3's credentials, region and endpoint come from the usual AWS_… environment variables. Errors
    of the store itself (OSError, obstore.exceptions.BaseError) pass through; they are worth a
    retry. All calls block.
    """

    def __init__(self, url: str) -> None:
        """Raises ValueError if the URL has neither form."""
        self._store = _open(url)

    def put(self, name: str, content: bytes) -> None:
        """Store a document, replacing any that has the name.

        A reader sees all of the old content or all of the new, even if the process dies here.
        A local folder keeps it as durably as its file system keeps a renamed file.
        """
        obstore.put(self._store, _checked(name), content, use_multipart=False)

    def get(self, name: str) -> bytes:
        """The document's content. Raises DocumentMissing."""
        try:
            return bytes(obstore.get(self._store, _checked(name)).bytes())
        except FileNotFoundError as error:
            raise DocumentMissing(name) from error

    def write(self, name: str, parts: Iterable[bytes]) -> None:
        """Store a document of any size, replacing any that has the name.

        A few parts of `PART` bytes are in memory at a time. The document is there once all parts
        are. An exception of the iterable passes through, and leaves what was there before; so does
        the death of the process.
        """
        content = iter(parts)
        obstore.put(self._store, _checked(name), content, chunk_size=PART, max_concurrency=2)

    def open(self, name: str) -> BufferedReader:
        """The document as a file that is read in parts, with `seek`. Raises DocumentMissing."""
        return BufferedReader(_Reader(self._store, name, self.size(name)), READ_AHEAD)

    def size(self, name: str) -> int:
        """The document's size in bytes. Raises DocumentMissing."""
        try:
            return obstore.head(self._store, _checked(name))["size"]
        except FileNotFoundError as error:
            raise DocumentMissing(name) from error

    def delete(self, name: str) -> None:
        """Delete the document. It does not matter if there is none."""
        with suppress(FileNotFoundError):
            obstore.delete(self._store, _checked(name))


class _Reader(RawIOBase):
    """A document as a raw file of Python's: each read is a request for a range of bytes."""

    def __init__(self, store: ObjectStore, name: str, size: int) -> None:
        self._store, self._name, self._size = store, _checked(name), size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        length = min(len(room), self._size - self._at)
        if length <= 0:
            return 0
        found = obstore.get_range(self._store, self._name, start=self._at, length=length)
        room[: len(found)] = memoryview(found)
        self._at += len(found)
        return len(found)


def documents() -> Documents:
    """The process's store, at `Settings.documents_url`."""
    return _cached(settings().documents_url)


_cached = lru_cache(Documents)


def check() -> None:
    """Check that the document store can be used. Raises ValueError."""
    try:
        documents()
    except (OSError, BaseError) as error:
        raise ValueError(f"setting DULY_DOCUMENTS_URL: {error}") from None


def _open(url: str) -> ObjectStore:
    if url.startswith("file:///"):
        _create_private(Path(unquote(urlsplit(url).path)))
        return LocalStore.from_url(url)
    if url.startswith("s3://"):
        return _open_s3(url)
    raise ValueError("a document store is at file:///folder or s3://bucket/prefix")


def _create_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{folder}: no permission to read and write this folder")


def _open_s3(url: str) -> S3Store:
    return S3Store.from_url(
        url,
        client_options={
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=15),
            "allow_http": True,  # used only by an AWS_ENDPOINT_URL with http://
        },
        # Few, because callers retry on their own.
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=15)},
    )


def _checked(name: str) -> str:
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise BadDocumentName(f"not a valid document name: {name[:80]!r}")
    return name
