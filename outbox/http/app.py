"""Makes a FastAPI app with limits, a log, documentation, and a problem for every error."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from asgi_correlation_id import CorrelationIdMiddleware
from fastapi import APIRouter, FastAPI

from outbox.http.openapi.documentation import DocumentedApi
from outbox.http.problems.handlers import handle_problems
from outbox.http.server.body_limit import BodyLimit
from outbox.http.server.head import HeadAsGet
from outbox.http.server.request_log import RequestLog
from outbox.http.server.shutdown import Shutdown, ShutdownMiddleware

REQUEST_ID = re.compile(r"[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}").fullmatch
"""Matches the ids that clients and proxies may give their requests: UUIDs, with hyphens or not."""


PROBES = ("/healthz", "/readyz", "/metrics")
"""Paths that are asked every few seconds: FastAPI makes no spans of such requests."""


def create_app(
    *routers: APIRouter,
    lifespan: Any,
    largest_body: int,
    title: str = "Duly",
    answers: Mapping[str, Any] | None = None,
    uploads: Iterable[str] = (),
) -> FastAPI:
    """The app with these routers. `answers` are example answers of its own routes.

    `uploads` are patterns for the paths of routes that limit the size of their bodies themselves.
    It starts without any other server. Requests that need one get 503 until it is reachable.
    """
    app = DocumentedApi(
        answers=answers,
        title=title,
        version="1",
        lifespan=lifespan,
        redirect_slashes=False,
        # Its logs would quote what clients sent; its spans of single functions would cost more than
        # all that Duly makes.
        telemetry={"exclude": _is_probe, "logs": False, "operation_spans": False},
    )
    for router in routers:
        app.include_router(router)
    handle_problems(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, largest=largest_body, uploads=tuple(uploads))
    app.state.shutdown = Shutdown()
    app.add_middleware(ShutdownMiddleware, shutdown=app.state.shutdown)
    app.add_middleware(RequestLog)  # outside of BodyLimit: it also logs what that refuses
    app.add_middleware(CorrelationIdMiddleware, validator=lambda sent: bool(REQUEST_ID(sent)))
    return app


def _is_probe(scope: MutableMapping[str, Any]) -> bool:
    return str(scope.get("path", "")).endswith(PROBES)
