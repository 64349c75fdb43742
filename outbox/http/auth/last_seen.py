"""Writes down when an API key was last used, after the answer, and best effort."""

import asyncio
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from outbox.operations import api_keys

LONGEST_SECONDS = 2
"""How long one write may take, and keep a connection from requests."""

log = structlog.get_logger(__name__)


class LastSeen:
    """Writes the last use of the keys that this process sees, each at most once a minute."""

    def __init__(self, engine: AsyncEngine) -> None:
        # Without a transaction a write is one round trip, and then the connection is free again.
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._noted: dict[str, float] = {}

    def is_due(self, prefix: str) -> bool:
        """Whether this process has not noted the key for a minute."""
        noted = self._noted.get(prefix)
        return noted is None or time.monotonic() - noted >= api_keys.SEEN_EVERY.total_seconds()

    async def note(self, prefix: str) -> None:
        """Write that the key was used now, unless another task has just done so.

        Raises nothing: what goes wrong is logged, and the next attempt is a minute later. If the
        process dies before or during this, this use is not recorded.
        """
        if not self.is_due(prefix):
            return
        self._noted[prefix] = time.monotonic()
        try:
            async with asyncio.timeout(LONGEST_SECONDS), AsyncSession(self._engine) as session:
                await session.run_sync(api_keys.note_use, prefix)
        except (SQLAlchemyError, TimeoutError) as error:
            log.warning("the use of an API key was not noted", error=type(error).__name__)
