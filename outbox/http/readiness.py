"""Checks whether Postgres and the broker are usable, and caches the answer briefly."""

import asyncio
import time
from collections.abc import Sequence
from contextvars import Context
from typing import Literal

from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from outbox.amqp.connection import BrokerGone, look

CACHE_SECONDS = 2
"""How long a report is reused, so that frequent checks do not burden the servers."""
TIMEOUT_SECONDS = 3

# The oldest due event is the first of its queue and priority: no backlog is scanned for it. Of a
# paused queue none has to be published, and none that waits for a key.
OLDEST_DUE = text("""
SELECT extract(epoch FROM now() - min(oldest.available_at))::float8 AS lag,
       current_setting('transaction_read_only') = 'on' AS is_read_only
FROM unnest(CAST(:queues AS text[])) AS queue
CROSS JOIN unnest('{0,1,2,3,4,5}'::smallint[]) AS level
CROSS JOIN LATERAL (
    SELECT available_at FROM duly.outbox_events
    WHERE keys IS NULL AND queue = queue.queue AND priority = level AND available_at <= now()
    ORDER BY available_at LIMIT 1
) AS oldest
WHERE queue NOT IN (SELECT queue FROM duly.paused_queues)
""")

BrokerState = Literal["ok", "unreachable", "unchecked"]
"""Unchecked: the process does not know where it is."""
PostgresState = Literal["ok", "unreachable", "read-only", "busy"]
"""Busy: all connections of this process to Postgres are in use, which says nothing of Postgres."""


class Report(BaseModel):
    """Whether requests can be served.

    `outbox_lag_seconds` is the age of the oldest due event that waits for no key.
    """

    status: Literal["ready", "degraded", "not ready", "stopping"]
    postgres: PostgresState
    broker: BrokerState
    outbox_lag_seconds: float | None


class Readiness:
    """Checks Postgres and the broker, one check at a time, and caches the report."""

    def __init__(self, engine: AsyncEngine, amqp_url: str | None, queues: Sequence[str]) -> None:
        self._engine = engine
        self._amqp_url = amqp_url
        self._queues = list(queues)
        self._lock = asyncio.Lock()
        self._look: asyncio.Task[tuple[PostgresState, float | None]] | None = None
        self._report: Report | None = None
        self._checked_at = 0.0

    async def postgres(self) -> PostgresState:
        """How Postgres is now. Takes TIMEOUT_SECONDS if it does not answer."""
        state, _ = await self._check_postgres()
        return state

    async def report(self) -> Report:
        """A report that is at most CACHE_SECONDS old."""
        async with self._lock:
            if self._report is None or time.monotonic() - self._checked_at > CACHE_SECONDS:
                self._report = await self._check()
                self._checked_at = time.monotonic()
            return self._report

    async def _check(self) -> Report:
        (postgres, lag), broker = await asyncio.gather(
            self._check_postgres(), asyncio.to_thread(self._check_broker)
        )
        return Report(
            status="not ready"
            if postgres != "ok"
            else "degraded"
            if broker == "unreachable"
            else "ready",
            postgres=postgres,
            broker=broker,
            outbox_lag_seconds=lag,
        )

    async def _check_postgres(self) -> tuple[PostgresState, float | None]:
        """Wait for a look at Postgres, for TIMEOUT_SECONDS at most.

        To give up a statement that a silent Postgres has begun takes some 10 s more. Nobody waits
        for that, and nobody begins another look meanwhile.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._look_at_postgres(), context=Context())
        done, _ = await asyncio.wait({self._look}, timeout=TIMEOUT_SECONDS)
        return self._look.result() if done else ("unreachable", None)

    async def _look_at_postgres(self) -> tuple[PostgresState, float | None]:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS), self._engine.connect() as connection:
                found = (await connection.execute(OLDEST_DUE, {"queues": self._queues})).one()
        except PoolTimeout:
            return "busy", None
        except (SQLAlchemyError, TimeoutError):
            return "unreachable", None
        if found.is_read_only:
            await self._engine.dispose()  # a new connection may lead to the primary
        return "read-only" if found.is_read_only else "ok", found.lag or 0.0

    def _check_broker(self) -> BrokerState:
        if self._amqp_url is None:
            return "unchecked"
        try:
            with look(self._amqp_url, TIMEOUT_SECONDS):
                return "ok"
        except BrokerGone:
            return "unreachable"
