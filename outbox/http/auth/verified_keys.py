"""Looks API keys up in Postgres on a separate connection, and caches valid ones briefly."""

import asyncio
import hashlib
import time
from contextvars import Context

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from outbox.operations import api_keys
from outbox.operations.api_keys import Caller

REMEMBERED_SECONDS = 1.0
"""How long a revoked or expired key may still be accepted."""
LONGEST_SECONDS = 10


class VerifiedKeys:
    """Finds callers by their keys. Caches only valid keys, by their hash."""

    def __init__(self, engine: AsyncEngine) -> None:
        # Without a transaction a lookup is one round trip, and then the connection is free again.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._cache: dict[bytes, tuple[Caller, float]] = {}
        self._looking: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Who holds the key, or None if it is not valid.

        Raises DBAPIError, TimeoutError or SQLAlchemy's TimeoutError if Postgres is unreachable
        or has no connection to spare.
        """
        digest = hashlib.sha256(key.encode()).digest()
        now = time.monotonic()
        cached = self._cache.get(digest)
        if cached is not None and now < cached[1]:
            return cached[0]
        # What another request has begun to look up is waited for, so that however many come at once
        # take one connection. If that finds none, the key may have been made since.
        if (begun := self._looking.get(digest)) and (found := await asyncio.shield(begun)):
            return found
        return await asyncio.shield(self._begin(digest, key, now))

    def _begin(self, digest: bytes, key: str, now: float) -> asyncio.Task[Caller | None]:
        """Look the key up in a task, which goes on if the request that asked for it is gone."""
        looking = asyncio.create_task(self._remember(digest, key, now), context=Context())
        looking.add_done_callback(lambda task: task.cancelled() or task.exception())
        self._looking[digest] = looking
        return looking

    async def _remember(self, digest: bytes, key: str, now: float) -> Caller | None:
        try:
            caller = await self._look_up(key)
        finally:
            if self._looking.get(digest) is asyncio.current_task():
                del self._looking[digest]
        if caller is not None:
            self._cache = {each: kept for each, kept in self._cache.items() if now < kept[1]}
            self._cache[digest] = (caller, now + REMEMBERED_SECONDS)
        return caller

    async def _look_up(self, key: str) -> Caller | None:
        async with asyncio.timeout(LONGEST_SECONDS), AsyncSession(self._engine) as session:
            return await session.run_sync(api_keys.identify, key)
