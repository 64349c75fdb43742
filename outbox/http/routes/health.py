"""Is the process alive, and can it work? Both may be asked without a key, and say little."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel

from outbox.http.openapi.response_docs import answered, documented
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.readiness import Report
from outbox.http.requests.strict_route import StrictRoute

router = APIRouter(
    tags=["Health"], route_class=StrictRoute, responses=documented(types.INVALID, types.INTERNAL)
)


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


@router.get("/healthz", summary="Is the process alive?", responses=answered(200, "Alive"))
async def is_alive() -> Alive:
    """Answers as long as the process does; asks no other server."""
    return Alive()


@router.get(
    "/readyz",
    summary="Can it work?",
    responses=answered(200, "Ready")
    | {
        503: {
            **answered(503, "NotReady", "Retry-After")[503],
            "model": Report,
            "description": "Postgres takes no writes, or the process stops",
        }
    },
)
async def is_ready(platform: OnPlatform, response: Response) -> Report:
    """Whether Postgres and RabbitMQ can be used, and how far the outbox lags behind.

    Requests need a Postgres that takes writes, and nothing else. While just the broker is away they
    succeed and their jobs wait: that is `degraded` and no 503, which would take the API out of its
    load balancer for nothing. A process that was told to stop is `stopping`, and answers 503 for
    the seconds that it has left.
    """
    report = await platform.readiness.report()
    if platform.stopping.has_begun:
        report = report.model_copy(update={"status": "stopping"})
    if report.status in ("not ready", "stopping"):
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return report
