"""Answers with the metrics of this process."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from outbox.http.auth.scopes import Scraper, authenticate
from outbox.http.openapi.response_docs import problem_docs
from outbox.http.platform import OnPlatform
from outbox.http.problems import types
from outbox.http.problems.handlers import with_problem_answers
from outbox.http.problems.problem import Problem
from outbox.http.requests.strict_route import StrictRoute

if TYPE_CHECKING:
    from outbox.metrics.registry import Metrics

EXAMPLE = """\
# HELP duly_requests_total Requests that have ended.
# TYPE duly_requests_total counter
duly_requests_total{method="POST",route="/v1/jobs",status="202"} 1027.0
"""
TEXT: dict[str, Any] = {"schema": {"type": "string"}, "example": EXAMPLE}


class ScraperRoute(StrictRoute):
    """Runs the handler for a caller whose key is valid, or was when Postgres last answered."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, once it is known who calls."""
        handle = super().get_route_handler()

        async def for_scraper(request: Request) -> Response:
            await authenticate(request, request.app.state.duly.scraper_keys)
            return await handle(request)

        return with_problem_answers(for_scraper)


router = APIRouter(
    tags=["Health"],
    route_class=ScraperRoute,
    responses=problem_docs(
        types.UNAUTHENTICATED,
        types.FORBIDDEN,
        types.NOT_FOUND,
        types.INVALID,
        types.INTERNAL,
        types.UNAVAILABLE,
    ),
)


@router.get(
    "/metrics",
    summary="The metrics of this process",
    response_class=Response,
    responses={200: {"content": {"text/plain": TEXT, "application/openmetrics-text": TEXT}}},
)
async def get_metrics(platform: OnPlatform, _: Scraper, request: Request) -> Response:
    """What this process has counted and measured since it started, for Prometheus.

    As text, or as OpenMetrics to who accepts that. Needs an API key with the scope `metrics`. A
    key with which metrics were read in the last 15 minutes is good while Postgres does not answer.
    404 where Duly was installed without its extra `metrics`.
    """
    if platform.metrics is None:
        detail = "metrics need the package prometheus-client: pip install 'duly[metrics]'"
        raise Problem(types.NOT_FOUND, detail)
    state = await platform.readiness.postgres()
    if state != "busy":  # which says nothing of Postgres
        platform.metrics.state.reaches_postgres(is_up=state == "ok")
    accepts = request.headers.get("accept", "")
    return await run_in_threadpool(_shown, platform.metrics, accepts)


def _shown(metrics: "Metrics", accepts: str) -> Response:
    """Takes milliseconds with many series, so it is not for the event loop."""
    from outbox.metrics.api.shown import shown

    content, media_type = shown(metrics, accepts)
    return Response(content, headers={"Content-Type": media_type})
