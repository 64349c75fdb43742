"""Logs one line for each request."""

import time

import structlog
from asgi_correlation_id import correlation_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.stdlib.get_logger(__name__)


class RequestLog:
    """Logs method, route, status and duration; never addresses, headers or bodies.

    Every line logged for the request has its `request_id`. `CorrelationIdMiddleware` has to be
    outside of this: it sets the id, and adds it to the answer as X-Request-Id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # Each request has its own task, so nothing needs to be unbound afterwards.
        structlog.contextvars.bind_contextvars(request_id=correlation_id.get())
        status, started = 500, time.perf_counter()

        async def send_and_log(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body"):
                _log(scope, status, started)

        try:
            await self.app(scope, receive, send_and_log)
        except Exception:  # an outer layer answers 500 and logs the traceback
            _log(scope, status, started)
            raise


def _log(scope: Scope, status: int, started: float) -> None:
    route = getattr(scope.get("route"), "path", None)
    seconds = round(time.perf_counter() - started, 4)
    log.info("request", method=scope["method"], route=route, status=status, seconds=seconds)
