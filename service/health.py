"""Is the process alive, and can it work? Both may be asked without a key, and say little."""

import asyncio
import time
from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from outbox.link import BrokerGone, look
from service import problem_types as types
from service.kinds import KINDS
from service.response_docs import answered, documented
from service.strict_route import StrictRoute

router = APIRouter(
    tags=["Health"], route_class=StrictRoute, responses=documented(types.INVALID, types.INTERNAL)
)

FRESH_SECONDS = 2
"""A report is given again for so long, so that asking often costs the servers nothing."""
PATIENCE_SECONDS = 3

# The oldest due event is the first of some queue's level: no backlog is walked to find it.
OLDEST_DUE = text("""
SELECT extract(epoch FROM now() - min(oldest.available_at))::float8 AS lag,
       current_setting('transaction_read_only') = 'on' AS is_read_only
FROM unnest(CAST(:queues AS text[])) AS queue
CROSS JOIN unnest('{0,1,2,3,4,5}'::smallint[]) AS level
CROSS JOIN LATERAL (
    SELECT available_at FROM duly.outbox_events
    WHERE queue = queue.queue AND priority = level AND available_at <= now()
    ORDER BY available_at LIMIT 1
) AS oldest
""")

State = Literal["ok", "unreachable", "read-only"]


class Alive(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Report(BaseModel):
    """What a request would find; `outbox_lag_seconds` is the age of the oldest due event."""

    status: Literal["ready", "degraded", "not ready", "stopping"]
    postgres: State
    broker: State
    outbox_lag_seconds: float | None


class Readiness:
    """Asks Postgres and the broker, and remembers for a moment what they said."""

    def __init__(self, engine: AsyncEngine, amqp_url: str) -> None:
        self._engine = engine
        self._amqp_url = amqp_url
        self._one_at_a_time = asyncio.Lock()
        self._report: Report | None = None
        self._asked_at = 0.0

    async def report(self) -> Report:
        """The newest report, at most some seconds old."""
        async with self._one_at_a_time:
            if self._report is None or time.monotonic() - self._asked_at > FRESH_SECONDS:
                self._report = await self._ask()
                self._asked_at = time.monotonic()
            return self._report

    async def _ask(self) -> Report:
        (postgres, lag), broker = await asyncio.gather(
            self._ask_postgres(), asyncio.to_thread(self._ask_broker)
        )
        return Report(
            status="not ready" if postgres != "ok" else "ready" if broker == "ok" else "degraded",
            postgres=postgres,
            broker=broker,
            outbox_lag_seconds=lag,
        )

    async def _ask_postgres(self) -> tuple[State, float | None]:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._engine.connect() as connection:
                found = (await connection.execute(OLDEST_DUE, {"queues": KINDS.queues})).one()
        except (SQLAlchemyError, TimeoutError):
            return "unreachable", None
        if found.is_read_only:
            await self._engine.dispose()  # a new connection may lead to the primary
        return "read-only" if found.is_read_only else "ok", found.lag or 0.0

    def _ask_broker(self) -> State:
        try:
            with look(self._amqp_url, PATIENCE_SECONDS):
                return "ok"
        except BrokerGone:
            return "unreachable"


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
async def is_ready(request: Request, response: Response) -> Report:
    """Whether Postgres and RabbitMQ can be used, and how far the outbox lags behind.

    Requests need a Postgres that takes writes, and nothing else. While just the broker is away they
    succeed and their jobs wait: that is `degraded` and no 503, which would take the API out of its
    load balancer for nothing. A process that was told to stop is `stopping`, and answers 503 for
    the seconds that it has left.
    """
    report: Report = await request.app.state.readiness.report()
    if request.app.state.stopping.has_begun:
        report = report.model_copy(update={"status": "stopping"})
    if report.status in ("not ready", "stopping"):
        response.status_code = 503
        response.headers["Retry-After"] = "2"
    return report
