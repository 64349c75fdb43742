"""Receives a file of any size: its bytes go to the document store while they arrive."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from fastapi import Depends
from obstore.exceptions import BaseError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive

from outbox.http.auth.scopes import authenticate, current_caller, require_scope
from outbox.http.problems import types
from outbox.http.problems.handlers import with_problem_answers
from outbox.http.problems.problem import Problem, field_error, invalid
from outbox.http.requests.body_size import check_declared, limited
from outbox.http.requests.request_transaction import RequestTransaction
from outbox.http.requests.transaction import LONGEST_SECONDS, TransactionalRoute
from outbox.operations.api_keys import Scope
from service.documents.store import PART
from service.files import keeping
from service.files.models import File
from service.own_settings import own_settings
from service.settings import Settings

PART_SECONDS = 300
"""How long a part of `PART` bytes may take to arrive: less than 18 KB a second is too slow."""
MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that a client has sent. All of it is stored, and only a reservation says so."""

    name: str
    size: int
    media_type: str
    sha256: str

    def keep(
        self, session: Session, expires_in: timedelta | None, used_by: str | None = None
    ) -> File:
        """Make it a file, with the session's transaction: see service/files/keeping.py."""
        return keeping.keep(
            session,
            self.name,
            size=self.size,
            media_type=self.media_type,
            sha256=self.sha256,
            expires_in=expires_in,
            used_by=used_by,
        )


class UploadRoute(TransactionalRoute):
    """Stores the body, of whatever media type, then runs the handler in a transaction.

    The handler finds an `Uploaded`, and keeps it. A body over `Settings.largest_file` is a 413, by
    its declared length before any of it is read. Only what the store has room for is read; no
    connection to Postgres and no thread is held meanwhile. The path has to be among the `UPLOADS`
    of its module.

    An Idempotency-Key stands for method, path and the bytes. A repetition is read to its end, and
    its bytes are dropped. If the client or the process goes away before the handler's commit, there
    is no file, and the sweep deletes a day later what was stored.
    """

    @staticmethod
    def largest(settings: Settings) -> int:
        """The largest body in bytes."""
        return settings.largest_file

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The transactional handler, after the upload."""
        handle = super().get_route_handler()

        async def after_upload(request: Request) -> Response:
            await authenticate(request)
            require_scope(await current_caller(request), Scope.SUBMIT)
            request.state.upload = upload = await _receive(request, self.largest)
            return await handle(_keyed_by(request, upload))

        return with_problem_answers(after_upload)


async def _uploaded(request: Request) -> Upload:
    upload = getattr(request.state, "upload", None)
    if not isinstance(upload, Upload):
        raise TypeError("Uploaded needs a router with route_class=UploadRoute")
    return upload


Uploaded = Annotated[Upload, Depends(_uploaded)]
"""What the client has sent."""

BINARY: dict[str, Any] = {
    "requestBody": {
        "required": False,  # a file may be empty
        "content": {UNKNOWN: {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""For FastAPI's `openapi_extra`: the body is bytes of any media type."""


@asynccontextmanager
async def short_transaction(request: Request) -> AsyncIterator[AsyncSession]:
    """A transaction before that of the handler. It commits at the end of the block."""
    async with (
        asyncio.timeout(LONGEST_SECONDS),
        RequestTransaction(request.app.state.duly.sessions()) as tx,
    ):
        yield tx.session
        await tx.commit()


def not_stored() -> Problem:
    """The answer while the document store cannot be used."""
    detail = "the document store cannot be reached, or did not take the bytes"
    return Problem(types.UNAVAILABLE, detail, headers={"Retry-After": "5"})


async def _receive(request: Request, limit: Callable[[Settings], int]) -> Upload:
    media_type = _media_type(request)
    largest = limit(own_settings(request))
    check_declared(request.scope, largest, hint="")
    name = await _reserve(request)
    body = _Body(limited(request.receive, largest, hint=""))
    try:
        await request.app.state.documents.write_async(name, body.parts())
    except (OSError, BaseError) as error:
        raise not_stored() from error
    return Upload(name, body.size, media_type, body.sha256.hexdigest())


def _media_type(request: Request) -> str:
    given = request.headers.get("content-type") or UNKNOWN
    media_type = given.partition(";")[0].strip().lower()
    if not MEDIA_TYPE.fullmatch(media_type):
        raise invalid([field_error(["Content-Type"], "must be a media type such as text/csv")])
    return media_type


async def _reserve(request: Request) -> str:
    by = str(await current_caller(request))
    async with short_transaction(request) as tx:
        return (await tx.run_sync(lambda session: keeping.reserve(session, by=by))).name


class _Body:
    """The body of a request, in parts; `size` and `sha256` are of what was received."""

    def __init__(self, receive: Receive) -> None:
        self.size = 0
        self.sha256 = hashlib.sha256()
        self._receive = receive
        self._is_complete = False

    async def parts(self) -> AsyncIterator[bytes]:
        while not self._is_complete:
            if part := await self._part_in_time():
                yield part

    async def _part_in_time(self) -> bytes:
        try:
            async with asyncio.timeout(PART_SECONDS):
                return await self._part()
        except TimeoutError:
            detail = f"{PART} bytes took more than {PART_SECONDS} s"
            raise Problem(types.TOO_SLOW, detail) from None
        except ClientDisconnect:
            raise Problem(types.BAD_REQUEST, "the body ended early") from None  # the client is gone

    async def _part(self) -> bytes:
        part = bytearray()
        while len(part) < PART and not self._is_complete:
            part += self._content(await self._receive())
        self.size += len(part)
        self.sha256.update(part)
        return bytes(part)

    def _content(self, message: Message) -> bytes:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        self._is_complete = not message.get("more_body", False)
        content: bytes = message.get("body", b"")
        return content


def _keyed_by(request: Request, upload: Upload) -> Request:
    """The request with a body that stands for the bytes: what its Idempotency-Key was used for."""
    body = f"{upload.sha256} {upload.size} {upload.media_type}".encode()
    kept = [
        (name, value)
        for name, value in request.scope["headers"]
        if name not in (b"content-length", b"transfer-encoding")
    ]
    headers = [*kept, (b"content-length", str(len(body)).encode())]

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({**request.scope, "headers": headers}, receive)
