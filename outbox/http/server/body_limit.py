"""Refuses large request bodies before they have been read completely."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from outbox.http.problems import types
from outbox.http.problems.problem import Problem, answer


class BodyLimit:
    """Answers 413 to a body over `largest` bytes, by its declared length or while it streams.

    FastAPI's own limit does the same, but answers in plain text.
    """

    def __init__(self, app: ASGIApp, largest: int) -> None:
        self.app = app
        self.largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif int(Headers(scope=scope).get("content-length", 0)) > self.largest:
            await answer(self._problem())(scope, receive, send)
        else:
            await self.app(scope, self._counted(receive), send)

    def _counted(self, receive: Receive) -> Receive:
        size = 0

        async def receive_within_limit() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self.largest:
                raise self._problem()
            return message

        return receive_within_limit

    def _problem(self) -> Problem:
        return Problem(types.TOO_LARGE, f"a body may have up to {self.largest} bytes")
