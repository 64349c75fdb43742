"""Deletes finished jobs, their batches, and ticks of schedules, once their retention is over."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.postgres.refused_records import first_line, is_about_one
from outbox.postgres.session_settings import READ_COMMITTED, connect_async
from outbox.store import transitions

log = structlog.get_logger(__name__)

WALK_INTERVAL_SECONDS = 3600.0
PAUSE_FACTOR = 19
"""The pause in durations of the last batch (a duty cycle of 5 %): longer when Postgres is busy."""
ONE_BY_ONE = 100
"""How many jobs it handles one by one before it tries a whole batch again."""
SETTINGS = READ_COMMITTED | {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""Makes Postgres read the jobs along the index.

Without statistics it takes them for few: for each batch it would read and sort all that are left.
"""
PRUNE_ONE = transitions.PRUNE.replace("LIMIT 1000", "LIMIT 1")
NEXT_JOB = "SELECT id FROM duly.jobs WHERE id > %(after)s ORDER BY id LIMIT 1"
"""The job that PRUNE_ONE looks at."""
NIL = UUID(int=0)


class Pruner:
    """Walks all jobs older than the retention, oldest first, and deletes those it may.

    The next walk, an hour later, looks again at those that stayed. Any number of pruners may walk
    at once: each skips what another has locked.
    """

    def __init__(self, database_url: str, retention: timedelta) -> None:
        self._database_url = database_url
        self._retention = retention

    async def run(self) -> None:
        """Prune for ever. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url, SETTINGS) as database:
            while True:
                if pruned := await self.walk(database):
                    log.info("finished jobs deleted", jobs=pruned, older_than=str(self._retention))
                await database.execute(transitions.PRUNE_TICKS, {"retention": self._retention})
                await asyncio.sleep(WALK_INTERVAL_SECONDS)

    async def walk(self, database: AsyncConnection[Any]) -> int:
        """Walk from the oldest job to the youngest it may delete; returns how many it deleted.

        Before, it does the same with keys of unique kinds, and then with batches, which it does not
        count.
        """
        await _walk(lambda after: self._prune(database, transitions.PRUNE_UNIQUE_KEYS, after))
        pruned = await _walk(lambda after: self._prune_some(database, after))
        await _walk(lambda after: self._prune(database, transitions.PRUNE_BATCHES, after))
        return pruned

    async def _prune_some(self, database: AsyncConnection[Any], after: UUID) -> Any:
        """Returns the last id it looked at and how many jobs it deleted, or None at the end."""
        try:
            return await self._prune(database, transitions.PRUNE, after)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            return await self._prune_one_by_one(database, after)

    async def _prune_one_by_one(self, database: AsyncConnection[Any], after: UUID) -> Any:
        """Skip what cannot be deleted, as when another table refers to it."""
        pruned = 0
        for _ in range(ONE_BY_ONE):
            try:
                walked = await self._prune(database, PRUNE_ONE, after)
            except psycopg.Error as error:
                if not is_about_one(error):
                    raise
                walked = await self._skip(database, after, error)
            if walked is None:
                break
            after = walked[0]
            pruned += walked[1]
        return after, pruned

    async def _skip(self, database: AsyncConnection[Any], after: UUID, error: psycopg.Error) -> Any:
        row = await (await database.execute(NEXT_JOB, {"after": after})).fetchone()
        if row is None:
            return None
        log.warning("job cannot be deleted", job=str(row[0]), why=first_line(error))
        return row[0], 0

    async def _prune(self, database: AsyncConnection[Any], statement: str, after: UUID) -> Any:
        asked = {"after": after, "retention": self._retention}
        return await (await database.execute(statement, asked)).fetchone()


async def _walk(prune: Callable[[UUID], Awaitable[Any]]) -> int:
    """Prune from the oldest on, with pauses; returns how many were deleted."""
    total = 0
    walked_to = NIL
    while True:
        began = time.monotonic()
        walked = await prune(walked_to)
        if walked is None:
            return total
        walked_to, pruned = walked
        total += pruned
        await asyncio.sleep(PAUSE_FACTOR * (time.monotonic() - began))
