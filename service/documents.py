"""The document store: files by name, in a local folder or an S3 bucket."""

import os
import re
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from service.settings import settings

NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*")
"""Parts joined by slashes. None is empty or starts with a dot, so no name leaves the store."""
LONGEST_NAME = 500


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
