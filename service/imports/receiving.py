"""Receives the bytes of an upload: each few megabytes are stored and committed while more come.

Whatever breaks off (the client, this process, the store), what was committed stays, and the client
goes on from there. No transaction is open while the client is waited for.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi.concurrency import run_in_threadpool
from obstore.exceptions import BaseError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from outbox.http.auth.scopes import authenticate, current_caller, require_scope
from outbox.http.problems import types
from outbox.http.problems.handlers import with_problem_answers
from outbox.http.problems.problem import Problem
from outbox.http.requests.transaction import TransactionalRoute
from outbox.operations.api_keys import Scope
from service.files.keeping import WHILE_USED, keep, reserve
from service.files.upload import not_stored, short_transaction
from service.imports import states
from service.imports.models import Import, ImportPart
from service.own_settings import own_settings

PART = 4 * 1024 * 1024
"""Bytes that are stored at a time, and that a client may have to send again."""
IDLE_SECONDS = 60
BYTES = re.compile("[0-9]{1,15}")
MEDIA_TYPE = "application/octet-stream"


class ReceivingRoute(TransactionalRoute):
    """Stores the body of a PUT or PATCH as parts of the import; then the handler runs as usual.

    A PATCH goes on where its `Upload-Offset` says, and a PUT begins anew. All of the file may have
    `Settings.largest_import` bytes. The path has to be among the `UPLOADS` of its module.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The transactional handler, after the body."""
        handle = super().get_route_handler()
        if not (self.methods or set()) & {"PUT", "PATCH"}:
            return handle

        async def after_body(request: Request) -> Response:
            await authenticate(request)
            require_scope(await current_caller(request), Scope.SUBMIT)
            if import_id := _id(request):
                request.state.begun = await _receive(request, import_id)
            return await handle(_without_body(request))

        return with_problem_answers(after_body)


@dataclass(slots=True)
class _Upload:
    """Where an upload stands while its body comes."""

    request: Request
    import_id: UUID
    at: int
    begun: int
    largest: int

    def check(self, more: int) -> None:
        """Raise `Problem` 413 if so many more bytes are too many."""
        if self.at + more > self.largest:
            raise too_large(self.largest)

    async def store(self, content: bytes) -> None:
        """Store the next part. If the process dies here, the client sends it again."""
        self.check(len(content))
        async with short_transaction(self.request) as tx:
            name = (await tx.run_sync(lambda session: reserve(session, by=self._user))).name
        await _put(self.request, name, content)
        async with short_transaction(self.request) as tx:
            if not await tx.run_sync(self._add, name, len(content)):
                raise conflict(self.at)
        self.at += len(content)

    @property
    def _user(self) -> str:
        return f"import:{self.import_id}"

    def _add(self, session: Any, name: str, size: int) -> bool:
        part = ImportPart(import_id=self.import_id, begin=self.at, size=size, name=name)
        if not states.add_part(session, part, self.begun):
            return False
        keep(
            session,
            name,
            size=size,
            media_type=MEDIA_TYPE,
            expires_in=WHILE_USED,
            used_by=self._user,
        )
        return True


def too_large(largest: int) -> Problem:
    """The file is over its announced size, or over the limit of all."""
    return Problem(types.TOO_LARGE, f"the file may have up to {largest} bytes")


def conflict(at: int) -> Problem:
    """The upload has ended, or another request has continued it."""
    detail = f"the upload does not go on at {at}: ask for its Upload-Offset"
    return Problem(types.CONFLICT, detail)


async def _receive(request: Request, import_id: UUID) -> int:
    """Store the body. Returns how often the upload had begun anew by then."""
    upload = await _open(request, import_id)
    upload.check(int(request.headers.get("content-length", 0)))
    broken: Problem | None = None
    part = bytearray()
    async for content in _body(request):
        if isinstance(content, Problem):
            broken = content
            break
        part += content
        upload.check(len(part))
        if len(part) >= PART:
            await upload.store(bytes(part))
            part.clear()
    if part:
        await upload.store(bytes(part))
    if broken:
        raise broken
    return upload.begun


async def _open(request: Request, import_id: UUID) -> _Upload:
    """Find out where the upload stands. Raises `Problem` if it cannot go on like that."""
    is_new = request.method == "PUT"
    at = 0 if is_new else _number(request, "upload-offset")
    size = _number(request, "content-length" if is_new else "upload-length")
    if at is None:
        raise Problem(types.BAD_REQUEST, "a PATCH needs an Upload-Offset")
    largest = own_settings(request).largest_import
    if (size or 0) > largest:
        raise too_large(largest)
    async with short_transaction(request) as tx:
        found = await tx.get(Import, import_id)
        if found is None:
            raise Problem(types.NOT_FOUND, f"there is no import {import_id}")
        begin = states.begin_upload if is_new else states.continue_upload
        if not await tx.run_sync(begin, import_id, at, size):
            raise conflict(at)
        await tx.flush()
        await tx.refresh(found)
        return _Upload(request, import_id, at, found.begun, found.size or largest)


async def _body(request: Request) -> AsyncIterator[bytes | Problem]:
    """What comes; last the problem if it ends early, so that what came before is kept."""
    more = True
    while more:
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                message = await request.receive()
        except TimeoutError:
            yield Problem(types.TOO_SLOW, f"nothing came for {IDLE_SECONDS} s")
            return
        except Problem as problem:  # this process stops
            yield problem
            return
        if message["type"] == "http.disconnect":
            yield Problem(types.BAD_REQUEST, "the body ended early")
            return
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _put(request: Request, name: str, content: bytes) -> None:
    try:
        await run_in_threadpool(request.app.state.documents.put, name, content)
    except (OSError, BaseError) as error:
        raise not_stored() from error


def _id(request: Request) -> UUID | None:
    """The import's id; None if it is none, which the handler's own check will tell."""
    try:
        return UUID(request.path_params["import_id"])
    except ValueError:
        return None


def _number(request: Request, header: str) -> int | None:
    """The number of bytes in a header, or None without it. Raises `Problem` for anything else."""
    given = request.headers.get(header)
    if given is None:
        return None
    if not BYTES.fullmatch(given):
        raise Problem(types.BAD_REQUEST, f"{header} has to be a number of bytes")
    return int(given)


def _without_body(request: Request) -> Request:
    """The request for the handler: its body has been stored."""
    dropped = (b"content-length", b"transfer-encoding", b"content-type")
    headers = [each for each in request.scope["headers"] if each[0] not in dropped]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    return Request({**request.scope, "headers": headers}, receive)
