"""Who holds an API key: asked of Postgres on a connection of its own, and remembered briefly."""

import asyncio
import hashlib
import time

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from outbox.operations import api_keys
from outbox.operations.api_keys import Caller

REMEMBERED_SECONDS = 1.0
"""A key that was revoked, or has expired, may be taken for so much longer."""
LONGEST_SECONDS = 10


class VerifiedKeys:
    """Finds callers by their keys. Only valid keys are remembered, by a hash."""

    def __init__(self, engine: AsyncEngine) -> None:
        # Outside of a transaction: one round trip, after which the connection is free again.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._known: dict[bytes, tuple[Caller, float]] = {}

    async def caller(self, key: str) -> Caller | None:
        """Who holds the key; None where it is not valid.

        Raises DBAPIError or TimeoutError where Postgres is away, or has no connection to spare.
        """
        name = hashlib.sha256(key.encode()).digest()
        now = time.monotonic()
        known = self._known.get(name)
        if known is not None and now < known[1]:
            return known[0]
        caller = await self._ask(key)
        if caller is not None:
            self._known = {each: kept for each, kept in self._known.items() if now < kept[1]}
            self._known[name] = (caller, now + REMEMBERED_SECONDS)
        return caller

    async def _ask(self, key: str) -> Caller | None:
        async with asyncio.timeout(LONGEST_SECONDS), AsyncSession(self._engine) as session:
            return await session.run_sync(api_keys.identify, key)
