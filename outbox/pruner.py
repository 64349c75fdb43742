"""Deletes finished jobs that were kept for long enough."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from psycopg import AsyncConnection

from outbox import steps
from outbox.database import conninfo

log = structlog.get_logger(__name__)

BETWEEN_WALKS_SECONDS = 3600.0
REST = 19
"""How many times as long as a step took it rests afterwards: longer when Postgres is busy."""
NIL = UUID(int=0)


class Pruner:
    """Walks all jobs older than the retention, the oldest first, and deletes those that may go.

    What stayed may go an hour later, on the next walk. Any number of pruners may walk at once, each
    takes what no other has locked.
    """

    def __init__(self, database_url: str, retention: timedelta) -> None:
        self._database_url = database_url
        self._retention = retention

    async def run(self) -> None:
        """Prune for ever. Raises psycopg's errors; call it again then."""
        async with await AsyncConnection.connect(
            conninfo(self._database_url), autocommit=True
        ) as database:
            while True:
                if pruned := await self.walk(database):
                    log.info("finished jobs deleted", jobs=pruned, older_than=str(self._retention))
                await asyncio.sleep(BETWEEN_WALKS_SECONDS)

    async def walk(self, database: AsyncConnection[Any]) -> int:
        """From the oldest job to the youngest that may go; returns how many went."""
        total = 0
        walked_to = NIL
        while True:
            began = time.monotonic()
            asked = {"after": walked_to, "retention": self._retention}
            step = await (await database.execute(steps.PRUNE, asked)).fetchone()
            if step is None:
                return total
            walked_to, pruned = step
            total += pruned
            await asyncio.sleep(REST * (time.monotonic() - began))
