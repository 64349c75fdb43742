"""Logs one line for each request, and gives the request an id that all its lines have."""

import time
from uuid import uuid4

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.stdlib.get_logger(__name__)


class RequestLog:
    """Logs method, route, status and duration; never addresses, headers or bodies.

    The request's id is in `request.state.request_id`, in the X-Request-Id of the answer, and in
    every line logged for the request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        # Each request has its own task, so nothing needs to be unbound afterwards.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        status, started = 500, time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                _log(scope, status, started)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:  # an outer layer answers 500 and logs the traceback
            _log(scope, status, started)
            raise


def _log(scope: Scope, status: int, started: float) -> None:
    route = getattr(scope.get("route"), "path", None)
    duration_ms = round((time.perf_counter() - started) * 1000, 1)
    log.info("request", method=scope["method"], route=route, status=status, duration_ms=duration_ms)
