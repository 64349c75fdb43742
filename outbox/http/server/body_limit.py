"""Refuses large request bodies before they have been read completely."""

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from outbox.http.problems.problem import Problem, answer
from outbox.http.requests.body_size import check_declared, limited


class BodyLimit:
    """Answers 413 to a body over `largest` bytes, by its declared length or while it streams.

    FastAPI's own limit does the same, but answers in plain text. Routes whose path is matched by
    one of `uploads`, patterns, stream the body elsewhere and limit it themselves.
    """

    def __init__(self, app: ASGIApp, largest: int, uploads: Iterable[str] = ()) -> None:
        self.app = app
        self.largest = largest
        self._uploads = [re.compile(each) for each in uploads]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_upload(scope["path"]):
            await self.app(scope, receive, send)
            return
        try:
            check_declared(scope, self.largest)
        except Problem as problem:
            await answer(problem)(scope, receive, send)
        else:
            await self.app(scope, limited(receive, self.largest), send)

    def _is_upload(self, path: str) -> bool:
        return any(each.fullmatch(path) for each in self._uploads)
