"""Tells requests that wait for jobs when these have ended."""

import asyncio
from contextvars import Context
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from outbox.http.requests.database import CONNECTIONS
from outbox.http.server.shutdown import Shutdown
from outbox.operations.endings import ended

POLL_SECONDS = 0.2
AT_ONCE = CONNECTIONS // 2
"""How many of those who have waited read their jobs at a time."""


class EndedJobs:
    """Looks every POLL_SECONDS for all jobs that somebody waits for, in one statement.

    Who waits holds no connection, and while nobody waits nothing is looked for. While Postgres does
    not answer, they wait on. Use it in the process's event loop only.

    When many jobs end at once, who has waited takes `turns` to look at them: all together would
    want more connections than there are, and most would be refused.
    """

    def __init__(self, engine: AsyncEngine, shutdown: Shutdown) -> None:
        # Without a transaction a look is one round trip, and then the connection is free again.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._shutdown = shutdown
        self._awaited: dict[asyncio.Future[None], UUID] = {}
        self._polling: asyncio.Task[None] | None = None
        self.turns = asyncio.Semaphore(AT_ONCE)

    async def wait(self, job_id: UUID) -> None:
        """Return once the job has ended or is not there, or as soon as the process is to stop.

        Cancel it to wait no longer.
        """
        over = asyncio.get_running_loop().create_future()
        self._awaited[over] = job_id
        if self._polling is None or self._polling.done():
            # In a context of its own, so that it logs nothing as of the first request.
            self._polling = asyncio.create_task(self._poll(), context=Context())
        try:
            await over
        finally:
            del self._awaited[over]

    async def _poll(self) -> None:
        while self._awaited:
            over = await self._over()
            for future, job_id in self._awaited.items():
                if job_id in over and not future.done():
                    future.set_result(None)
            await asyncio.sleep(POLL_SECONDS)

    async def _over(self) -> set[UUID]:
        """The jobs that nobody has to wait for any longer."""
        awaited = set(self._awaited.values())
        if self._shutdown.has_begun:
            return awaited
        try:
            async with AsyncSession(self._engine) as session:
                return set(await session.run_sync(ended, awaited))
        except (SQLAlchemyError, TimeoutError):
            return set()  # who waits finds out at its own first statement
