"""Answers with the bytes of a document, or with a range of them."""

import re
from collections.abc import Iterator
from io import BufferedReader

from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from outbox.http.problems import types
from outbox.http.problems.problem import Problem
from service.documents.store import READ_AHEAD, DocumentMissing, Documents

RANGE = re.compile(
    r"bytes=(?:(?P<first>[0-9]{1,18})-(?P<last>[0-9]{1,18})?|-(?P<tail>[0-9]{1,18}))"
)
SAFE = {
    "Accept-Ranges": "bytes",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cache-Control": "private",
}
"""A document is what some client sent: no browser may take it for a page of this service."""


async def send(
    request: Request, name: str, media_type: str, *, file_name: str, tag: str | None = None
) -> Response:
    """The document, as a download of this file name, without ever having much of it in memory.

    A Range of one piece is answered with 206, others with the whole. `tag` makes the ETag. Raises
    `Problem`: 404 if the store has no such document, 416 for a range that is not in it.
    """
    store: Documents = request.app.state.documents
    try:
        file = await run_in_threadpool(store.open, name)
    except DocumentMissing:
        raise Problem(types.NOT_FOUND, "the document store has lost the document") from None
    size = file.seek(0, 2)
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"', **SAFE}
    if tag:
        headers["ETag"] = f'"{tag}"'
    wanted = _range(request, size, headers.get("ETag"))
    piece = wanted or range(size)
    if wanted:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    headers["Content-Length"] = str(len(piece))
    status = 206 if wanted else 200
    return StreamingResponse(_read(file, piece), status, headers, media_type)


def _read(file: BufferedReader, piece: range) -> Iterator[bytes]:
    """The bytes of the range, read in threads by Starlette when the client takes them."""
    with file:
        file.seek(piece.start)
        left = len(piece)
        while left and (content := file.read(min(left, READ_AHEAD))):
            left -= len(content)
            yield content


def _range(request: Request, size: int, tag: str | None) -> range | None:
    """The bytes that are asked for, or None for all of them."""
    asked = RANGE.fullmatch(request.headers.get("range", ""))
    if not asked or request.headers.get("if-range", tag) != tag:
        return None
    if asked["tail"]:
        found = range(max(size - int(asked["tail"]), 0), size)
    else:
        first, last = int(asked["first"]), int(asked["last"] or size)
        if last < first and asked["last"]:
            return None  # no range at all, so the header does not count (RFC 9110, 14.1.1)
        found = range(first, min(last + 1, size))
    if not found:
        where = {"Content-Range": f"bytes */{size}"}
        raise Problem(types.RANGE, f"the document has {size} bytes", headers=where)
    return found
