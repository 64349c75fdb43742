"""What the routers share while the app runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI
from starlette.requests import Request

from outbox.doctor import Setup
from outbox.http.auth.last_seen import LastSeen
from outbox.http.auth.scraper_keys import ScraperKeys
from outbox.http.auth.verified_keys import VerifiedKeys
from outbox.http.base_path import find_prefix
from outbox.http.doctor import Doctor
from outbox.http.ended_jobs import EndedJobs
from outbox.http.metrics.measured import measured
from outbox.http.openapi.documentation import complete_openapi
from outbox.http.readiness import Readiness
from outbox.http.requests.database import Sessions, create_engine, create_sessions
from outbox.http.requests.late_writes import LateWrites
from outbox.http.server.shutdown import Shutdown
from outbox.kinds import Kinds
from outbox.settings import Settings
from outbox.tracing import start as tracing

if TYPE_CHECKING:
    from outbox.metrics.processes import ApiMetrics


@dataclass(slots=True)
class Platform:
    """The connections and settings of a running app, at `app.state.duly`."""

    kinds: Kinds
    settings: Settings
    sessions: Sessions
    keys: VerifiedKeys
    late_writes: LateWrites
    last_seen: LastSeen
    readiness: Readiness
    doctor: Doctor
    shutdown: Shutdown
    ended_jobs: EndedJobs
    scraper_keys: ScraperKeys
    metrics: "ApiMetrics | None"
    """None without the package prometheus-client."""


@asynccontextmanager
async def running(app: FastAPI, setup: Setup) -> AsyncIterator[None]:
    """Set `app.state.duly` inside the block.

    Needs no other server: requests get 503 until it is reachable. Uses the `Shutdown` at
    `app.state.shutdown` if there is one.
    """
    kinds, settings = setup.kinds, setup.settings
    complete_openapi(app)
    app.state.duly_prefix = find_prefix(app)
    engine = create_engine(settings.database_url)
    late_writes = LateWrites(engine)
    shutdown = getattr(app.state, "shutdown", None) or Shutdown()
    keys = VerifiedKeys(engine)
    end_traces = tracing.start("duly-api") if settings.traces else None
    with measured(app, engine, kinds.values()) as metrics:
        app.state.duly = Platform(
            kinds=kinds,
            settings=settings,
            sessions=create_sessions(engine),
            keys=keys,
            late_writes=late_writes,
            last_seen=LastSeen(late_writes),
            readiness=Readiness(engine, settings.amqp_url, kinds.queues),
            doctor=Doctor(setup),
            shutdown=shutdown,
            ended_jobs=EndedJobs(engine, shutdown),
            scraper_keys=ScraperKeys(keys),
            metrics=metrics,
        )
        yield
    await engine.dispose()
    if end_traces is not None:
        await asyncio.to_thread(end_traces)


def _platform(request: Request) -> Platform:
    found = getattr(request.app.state, "duly", None)
    if not isinstance(found, Platform):
        raise TypeError("Duly's routers need FastAPI(lifespan=duly.lifespan)")
    return found


OnPlatform = Annotated[Platform, Depends(_platform)]
"""The platform, as a parameter of handlers."""
