"""The document store: finished files by name, in a local folder or an S3 bucket."""

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
"""Parts joined by slashes; none is empty or starts with a dot, so none leads out of the store."""
LONGEST_NAME = 500


class DocumentMissing(Exception):
    """The store has no document of this name."""


class BadDocumentName(ValueError):
    """The name is not one that the store takes."""


class Documents:
    """A store at `file:///folder` or `s3://bucket/prefix`.

    A folder that is missing is made, and then nobody but its owner may look into it.

    S3's credentials, region and endpoint come from the usual AWS_… environment variables. Errors
    of the store itself (OSError, obstore.exceptions.BaseError) pass through; they are worth a
    retry. All calls block.
    """

    def __init__(self, url: str) -> None:
        """Raises ValueError where the URL is of neither form."""
        self._store = _open(url)

    def put(self, name: str, content: bytes) -> None:
        """Store a document, in place of one that has the name already.

        A reader sees the whole old content or the whole new one, also if the process dies here.
        A local folder keeps it as safely as its file system keeps a renamed file.
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
    """See that the document store can be used. Raises ValueError."""
    try:
        documents()
    except (OSError, BaseError) as error:
        raise ValueError(f"setting DULY_DOCUMENTS_URL: {error}") from None


def _open(url: str) -> ObjectStore:
    if url.startswith("file:///"):
        _make_private(Path(unquote(urlsplit(url).path)))
        return LocalStore.from_url(url)
    if url.startswith("s3://"):
        return _open_s3(url)
    raise ValueError("a document store is at file:///folder or s3://bucket/prefix")


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionError(f"{folder} is not ours to write to")


def _open_s3(url: str) -> S3Store:
    return S3Store.from_url(
        url,
        client_options={
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=15),
            "allow_http": True,  # only an AWS_ENDPOINT_URL that says http:// makes use of it
        },
        # Few: a caller that fails has retries of its own.
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=15)},
    )


def _checked(name: str) -> str:
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise BadDocumentName(f"not a document's name: {name[:80]!r}")
    return name
