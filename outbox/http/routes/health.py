"""Answers whether the process is alive and can work. Needs no API key, and says little."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.readiness import Report
from outbox.http.requests.strict_route import StrictRoute

router = APIRouter(
    tags=["Health"], route_class=StrictRoute, responses=problem_docs(types.INVALID, types.INTERNAL)
)


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


@router.get("/healthz", summary="Is the process alive?", responses=success_doc(200, "Alive"))
async def is_alive() -> Alive:
    """Answers as long as the process runs. Contacts no other server."""
    return Alive()


@router.get(
    "/readyz",
    summary="Is the process ready?",
    responses=success_doc(200, "Ready")
    | {
        503: {
            **success_doc(503, "NotReady", "Retry-After")[503],
            "model": Report,
            "description": "Postgres accepts no writes, or the process is shutting down",
        }
    },
)
async def is_ready(platform: OnPlatform, response: Response) -> Report:
    """Whether Postgres and RabbitMQ are usable, and how far the outbox lags behind.

    Requests need only a Postgres that accepts writes. If just the broker is unreachable, they
    succeed and their jobs wait. That is `degraded`, with a 200: a 503 would needlessly make load
    balancers drop the API. A process that is shutting down is `stopping`, and answers 503 for its
    last seconds.
    """
    report = await platform.readiness.report()
    if platform.shutdown.has_begun:
        report = report.model_copy(update={"status": "stopping"})
    if report.status in ("not ready", "stopping"):
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return report
