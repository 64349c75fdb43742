"""Has a running app measured."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fastapi import FastAPI
from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

from outbox.http.metrics.loop_lag import LoopLag
from outbox.http.metrics.request_meter import RequestMeter
from outbox.http.requests.database import CONNECTIONS
from outbox.kinds import Kind

if TYPE_CHECKING:
    from outbox.metrics.processes import ApiMetrics


@contextmanager
def measured(
    app: FastAPI, engine: AsyncEngine, kinds: Iterable[Kind[..., Any]]
) -> Iterator["ApiMetrics | None"]:
    """Measure the app meanwhile: its requests, its pool and its event loop.

    Gives None, and measures nothing, without the package prometheus-client.
    """
    metrics = _new_metrics()
    if metrics is None:
        yield None
        return
    metrics.begin_at_zero(kinds)
    lag = LoopLag()
    metrics.state.watch(_Api(engine, lag))
    # The app has begun, and takes no further middleware. This needs none to be inside or outside.
    inner = app.middleware_stack or app.build_middleware_stack()
    app.middleware_stack = RequestMeter(inner, metrics.requests)
    try:
        yield metrics
    finally:
        app.middleware_stack = inner
        lag.close()
        metrics.close()


@dataclass(frozen=True, slots=True)
class _Api:
    engine: AsyncEngine
    lag: LoopLag

    @property
    def connections(self) -> int:
        return CONNECTIONS

    @property
    def busy_connections(self) -> int:
        return cast("QueuePool", self.engine.pool).checkedout()

    @property
    def loop_lag(self) -> float:
        return self.lag.seconds


def _new_metrics() -> "ApiMetrics | None":
    try:
        from outbox.metrics.processes import ApiMetrics
    except ModuleNotFoundError as error:
        if error.name != "prometheus_client":
            raise
        return None
    return ApiMetrics()
