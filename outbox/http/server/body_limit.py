"""Refuses large request bodies before they have been read completely."""

from starlette.types import ASGIApp, Receive, Scope, Send

from outbox.http.problems.problem import Problem, answer
from outbox.http.requests.body_size import check_declared, limited


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
            return
        try:
            check_declared(scope, self.largest)
        except Problem as problem:
            await answer(problem)(scope, receive, send)
        else:
            await self.app(scope, limited(receive, self.largest), send)
