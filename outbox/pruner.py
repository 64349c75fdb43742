"""Deletes finished jobs that were kept for long enough."""

import asyncio
import time
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox import steps
from outbox.postgres import connect_async
from outbox.refused import first_line, is_about_one

log = structlog.get_logger(__name__)

BETWEEN_WALKS_SECONDS = 3600.0
REST = 19
"""How many times as long as a step took it rests afterwards: longer when Postgres is busy."""
ONE_BY_ONE = 100
"""How many jobs are walked one by one before it tries again to walk many at once."""
PRUNE_ONE = steps.PRUNE.replace("LIMIT 1000", "LIMIT 1")
NEXT_JOB = "SELECT id FROM duly.jobs WHERE id > %(after)s ORDER BY id LIMIT 1"
"""The job that PRUNE_ONE walks."""
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
        async with await connect_async(self._database_url) as database:
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
            step = await self._step(database, walked_to)
            if step is None:
                return total
            walked_to, pruned = step
            total += pruned
            await asyncio.sleep(REST * (time.monotonic() - began))

    async def _step(self, database: AsyncConnection[Any], after: UUID) -> Any:
        try:
            return await self._take(database, steps.PRUNE, after)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            return await self._step_one_by_one(database, after)

    async def _step_one_by_one(self, database: AsyncConnection[Any], after: UUID) -> Any:
        """Past what cannot be deleted, as another table refers to it, say."""
        pruned = 0
        for _ in range(ONE_BY_ONE):
            try:
                step = await self._take(database, PRUNE_ONE, after)
            except psycopg.Error as error:
                if not is_about_one(error):
                    raise
                step = await self._skip(database, after, error)
            if step is None:
                break
            after = step[0]
            pruned += step[1]
        return after, pruned

    async def _skip(self, database: AsyncConnection[Any], after: UUID, error: psycopg.Error) -> Any:
        row = await (await database.execute(NEXT_JOB, {"after": after})).fetchone()
        if row is None:
            return None
        log.warning("job cannot be deleted", job=str(row[0]), why=first_line(error))
        return row[0], 0

    async def _take(self, database: AsyncConnection[Any], step: str, after: UUID) -> Any:
        asked = {"after": after, "retention": self._retention}
        return await (await database.execute(step, asked)).fetchone()
