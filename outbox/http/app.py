"""A FastAPI that stands in the open: bounded, logged, documented, and every error a problem."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI

from outbox.http.openapi.documentation import DocumentedApi
from outbox.http.problems.handlers import handle_problems
from outbox.http.server.body_limit import BodyLimit
from outbox.http.server.head import HeadAsGet
from outbox.http.server.request_log import RequestLog
from outbox.http.server.stopping import Stopping, StopRequests


def create_app(
    *routers: APIRouter,
    lifespan: Any,
    largest_body: int,
    title: str = "Duly",
    answers: Mapping[str, Any] | None = None,
) -> FastAPI:
    """The application with these routers. `answers` are examples of its own routes' answers.

    It starts without any server; what needs one answers 503 until it is there.
    """
    app = DocumentedApi(
        answers=answers, title=title, version="1", lifespan=lifespan, redirect_slashes=False
    )
    for router in routers:
        app.include_router(router)
    handle_problems(app)
    app.add_middleware(HeadAsGet)
    app.add_middleware(BodyLimit, largest=largest_body)
    app.state.stopping = Stopping()
    app.add_middleware(StopRequests, stopping=app.state.stopping)
    app.add_middleware(RequestLog)  # added last, so outermost: it logs what BodyLimit refuses
    return app
