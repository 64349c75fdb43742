"""What requests are told when their process is about to end."""

import asyncio
from typing import Any, cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outbox.http.problems import types
from outbox.http.problems.problem import Problem


class Stopping:
    """How far the end of the process has come. To be used in its event loop only."""

    def __init__(self) -> None:
        self.has_begun = False
        """Whether it is to end: it is not ready any more, and keeps no connection alive."""
        self._refuses_uploads = False
        self._uploads: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """From now on each answer is the last one of its connection."""
        self.has_begun = True

    def break_off_uploads(self) -> None:
        """Answer 503 to each request whose body is not here yet; none has written anything."""
        self._refuses_uploads = True
        for upload in self._uploads:
            upload.cancel()

    async def receive(self, receive: Receive) -> Message:
        """What `receive` returns. Raises Problem where uploads are broken off."""
        request = cast("asyncio.Task[Any]", asyncio.current_task())
        self._uploads.add(request)
        try:
            return await receive()
        except asyncio.CancelledError:
            if not self._refuses_uploads:
                raise
            request.uncancel()
            detail = "the service is stopping"
            raise Problem(types.UNAVAILABLE, detail, headers={"Retry-After": "2"}) from None
        finally:
            self._uploads.discard(request)


class StopRequests:
    """Lets requests end as `Stopping` says."""

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self.app = app
        self.stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_unless_stopped() -> Message:
            return await self.stopping.receive(receive)

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self.stopping.has_begun:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if scope["type"] == "http":
            await self.app(scope, receive_unless_stopped, send_and_close)
        else:
            await self.app(scope, receive, send)
