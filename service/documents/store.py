"""The document store: files by name, in a local folder or an S3 bucket."""

import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from service.documents.encryption import HEADER, MAGIC, Decryptor, Encryptor
from service.documents.keys import Key
from service.documents.reading import Decrypted, Stored
from service.settings import settings

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

    S3's credentials, region and endpoint come from the usual AWS_… environment variables. With
    `keys`, documents are encrypted with the first, and decrypted with whichever they were encrypted
    with; those that are not encrypted are read as they are. Errors of the store itself (OSError,
    obstore.exceptions.BaseError) pass through; they are worth a retry. What reads raises
    DocumentDamaged for an encrypted document that was changed in the store, or whose key is
    missing. All calls block, but for `write_async`.
    """

    def __init__(self, url: str, keys: tuple[Key, ...] = ()) -> None:
        """Raises ValueError if the URL has neither form."""
        self._store = _open(url)
        self._keys = keys

    def put(self, name: str, content: bytes) -> None:
        """Store a document, replacing any that has the name.

        A reader sees all of the old content or all of the new, even if the process dies here.
        A local folder keeps it as durably as its file system keeps a renamed file.
        """
        whole = b"".join(self._encrypted(_checked(name), [content]))
        obstore.put(self._store, name, whole, use_multipart=False)

    def get(self, name: str) -> bytes:
        """The document's content. Raises DocumentMissing."""
        try:
            content = bytes(obstore.get(self._store, _checked(name)).bytes())
        except FileNotFoundError as error:
            raise DocumentMissing(name) from error
        if not content.startswith(MAGIC):
            return content
        decryptor = Decryptor(self._keys, name, content[:HEADER], len(content))
        return decryptor.open(0, content[HEADER:])

    def write(self, name: str, parts: Iterable[bytes]) -> None:
        """Store a document of any size, replacing any that has the name.

        A few parts of `PART` bytes are in memory at a time. The document is there once all parts
        are. An exception of the iterable passes through, and leaves what was there before; so does
        the death of the process. The iterable must not use a store itself, or obstore panics: copy
        documents by way of a temporary file.
        """
        content = self._encrypted(_checked(name), parts)
        obstore.put(self._store, name, content, chunk_size=PART, max_concurrency=2)

    async def write_async(self, name: str, parts: AsyncIterable[bytes]) -> None:
        """Store a document as `write` does, from parts that come one by one: a client's upload.

        The next part is asked for when there is room for it. Cancelling leaves what was there.
        """
        content = self._encrypted_async(_checked(name), parts)
        await obstore.put_async(self._store, name, content, chunk_size=PART, max_concurrency=2)

    def open(self, name: str) -> BufferedReader:
        """The document as a file that is read in parts, with `seek`. Raises DocumentMissing."""
        stored = Stored(self._store, _checked(name), self._stored_size(name))
        file: BufferedReader = BufferedReader(stored, READ_AHEAD)
        header = file.peek(HEADER)[:HEADER]
        if not header.startswith(MAGIC):
            return file
        file.detach()
        content = Decrypted(stored, Decryptor(self._keys, name, header, stored.size))
        content.check_end()
        return BufferedReader(content, READ_AHEAD)

    def size(self, name: str) -> int:
        """The document's size in bytes. Raises DocumentMissing."""
        if not self._keys:
            return self._stored_size(_checked(name))
        with self.open(name) as file:
            return file.seek(0, os.SEEK_END)

    def delete(self, name: str) -> None:
        """Delete the document, and what a process that died in `write` left of it in a folder.

        It does not matter if there is none. What it left in S3 is an incomplete upload, which a
        lifecycle rule of the bucket has to delete.
        """
        with suppress(FileNotFoundError):
            obstore.delete(self._store, _checked(name))
        if isinstance(self._store, LocalStore) and self._store.prefix:
            path = Path(self._store.prefix, name)
            for left in path.parent.glob(f"{path.name}#*"):  # no document's name has a `#`
                left.unlink(missing_ok=True)

    def _stored_size(self, name: str) -> int:
        try:
            return obstore.head(self._store, name)["size"]
        except FileNotFoundError as error:
            raise DocumentMissing(name) from error

    def _encrypted(self, name: str, parts: Iterable[bytes]) -> Iterator[bytes]:
        if not self._keys:
            yield from parts
            return
        encryptor = Encryptor(self._keys[0], name)
        yield from filter(None, map(encryptor.update, parts))
        yield encryptor.finish()

    async def _encrypted_async(
        self, name: str, parts: AsyncIterable[bytes]
    ) -> AsyncIterator[bytes]:
        encryptor = Encryptor(self._keys[0], name) if self._keys else None
        async for part in parts:
            if content := encryptor.update(part) if encryptor else part:
                yield content
        if encryptor:
            yield encryptor.finish()


def documents() -> Documents:
    """The process's store, at `Settings.documents_url`."""
    own = settings()
    return _cached(own.documents_url, own.document_keys)


_cached = lru_cache(Documents)


def parts(file: BufferedReader) -> Iterator[bytes]:
    """The rest of an open document, `READ_AHEAD` bytes at a time; then it is closed.

    For StreamingResponse, which asks for each part on a thread.
    """
    with file:
        while part := file.read(READ_AHEAD):
            yield part


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
