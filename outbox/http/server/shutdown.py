"""What happens to requests while their process shuts down."""

import asyncio
from typing import Any, cast

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outbox.http.problems import types
from outbox.http.problems.problem import Problem


class Shutdown:
    """How far the shutdown of the process has got. Use it in its event loop only."""

    def __init__(self) -> None:
        self.has_begun = False
        """Whether the process is no longer ready, and closes connections after each answer."""
        self._refuses_uploads = False
        self._uploads: set[asyncio.Task[Any]] = set()

    def begin(self) -> None:
        """From now on, close each connection after its next answer."""
        self.has_begun = True

    def cancel_uploads(self) -> None:
        """Answer 503 to each request whose body is incomplete; none has written anything."""
        self._refuses_uploads = True
        for upload in self._uploads:
            upload.cancel()

    async def receive(self, receive: Receive) -> Message:
        """Return what `receive` returns. Raises `Problem` 503 if uploads are cancelled."""
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


class ShutdownMiddleware:
    """Applies the state of the shutdown to each request and its answer."""

    def __init__(self, app: ASGIApp, shutdown: Shutdown) -> None:
        self.app = app
        self.shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def receive_unless_stopped() -> Message:
            return await self.shutdown.receive(receive)

        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self.shutdown.has_begun:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if scope["type"] == "http":
            await self.app(scope, receive_unless_stopped, send_and_close)
        else:
            await self.app(scope, receive, send)
