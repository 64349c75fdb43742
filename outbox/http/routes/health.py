"""Answers whether the process is alive and can work. Needs no API key, and says little."""

from typing import Annotated, Literal

from fastapi import APIRouter, BackgroundTasks, Query, Request, Response
from pydantic import BaseModel

from outbox.doctor import Finding, Level
from outbox.http.auth.scopes import require_operator
from outbox.http.openapi.response_docs import problem_docs, success_doc
from outbox.http.platform import OnPlatform, Platform
from outbox.http.problems import types
from outbox.http.readiness import Report
from outbox.http.requests.strict_route import StrictRoute

router = APIRouter(
    tags=["Health"], route_class=StrictRoute, responses=problem_docs(types.INVALID, types.INTERNAL)
)


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


Full = Annotated[
    Literal["", "true"] | None,
    Query(description="Check the whole set-up: `/readyz?full`. Needs the scope `operate`."),
]


class FullReport(Report):
    """The same, with what each check of the set-up has found. docs/doctor.md has all checks."""

    findings: list[Finding]


@router.get("/healthz", summary="Is the process alive?", responses=success_doc(200, "Alive"))
async def is_alive() -> Alive:
    """Answers as long as the process runs. Contacts no other server."""
    return Alive()


@router.get(
    "/readyz",
    summary="Is the process ready?",
    responses=success_doc(200, "Ready")
    | problem_docs(types.INVALID, types.UNAUTHENTICATED, types.FORBIDDEN)
    | {
        503: {
            **success_doc(503, "NotReady", "Retry-After")[503],
            "model": FullReport | Report,
            "description": "Postgres accepts no writes, the process is shutting down, or with "
            "`full` a check has found an error",
        }
    },
)
async def is_ready(
    platform: OnPlatform,
    request: Request,
    response: Response,
    background: BackgroundTasks,
    full: Full = None,
) -> FullReport | Report:
    """Whether Postgres and RabbitMQ are usable, and how far the outbox lags behind.

    Requests need only a Postgres that accepts writes. If just the broker is unreachable, they
    succeed and their jobs wait. That is `degraded`, with a 200: a 503 would needlessly make load
    balancers drop the API. A process that is shutting down is `stopping`, and answers 503 for its
    last seconds.

    With `full`, which needs an API key with the scope `operate`, the whole set-up is checked too.
    That takes longer, and is for people and alerts: any error makes it a 503.
    """
    report = await platform.readiness.report()
    if full is not None:
        await require_operator(request, background)
        report = await _full(platform, report)
    if platform.shutdown.has_begun:
        report = report.model_copy(update={"status": "stopping"})
    if report.status in ("not ready", "stopping"):
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return report


async def _full(platform: Platform, report: Report) -> FullReport:
    findings = await platform.doctor.findings()
    is_bad = any(each.level is Level.ERROR for each in findings)
    status = "not ready" if is_bad else report.status
    return FullReport(**report.model_dump() | {"status": status}, findings=findings)
