"""Measures each request of an app, its own routes included."""

import time
from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:
    from outbox.metrics.api.requests import Requests


class RequestMeter:
    """Tells `requests` of each request of the app inside it, once that has ended.

    It is outside of everything else, so that a request counts with the answer that its client got.
    """

    def __init__(self, app: ASGIApp, requests: "Requests") -> None:
        self.app = app
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method, measured = scope["method"], _Measured(send)  # inside, a HEAD may become a GET
        try:
            await self.app(scope, receive, measured)
        finally:
            route = getattr(scope.get("route"), "path", None)
            self._requests.ended(method, route, measured.status, measured.seconds)


class _Measured:
    """Sends an answer, and keeps its status, and how long it took."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._began = time.perf_counter()
        self._ended = 0.0
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._ended = time.perf_counter()  # what a BackgroundTask does then is no part of it

    @property
    def seconds(self) -> float:
        return (self._ended or time.perf_counter()) - self._began
