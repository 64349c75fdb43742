"""Deletes finished jobs, their batches, and ticks of schedules, once their retention is over."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.maintenance.pruning.walks import skipping, walk
from outbox.postgres.refused_records import first_line
from outbox.postgres.session_settings import READ_COMMITTED, connect_async
from outbox.store import transitions

log = structlog.get_logger(__name__)

WALK_INTERVAL_SECONDS = 3600.0
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
                    log.info("finished jobs deleted", count=pruned)
                await database.execute(transitions.PRUNE_TICKS, {"retention": self._retention})
                await asyncio.sleep(WALK_INTERVAL_SECONDS)

    async def walk(self, database: AsyncConnection[Any]) -> int:
        """Walk from the oldest job to the youngest it may delete; returns how many it deleted.

        Before, it does the same with keys of unique kinds, and then with batches, which it does not
        count.
        """
        await walk_keys(database)
        prune = partial(self._prune, database)
        jobs = skipping(
            partial(prune, transitions.PRUNE), partial(prune, PRUNE_ONE), partial(_skip, database)
        )
        pruned = await walk(jobs, NIL)
        await walk(partial(prune, transitions.PRUNE_BATCHES), NIL)
        return pruned

    async def _prune(
        self, database: AsyncConnection[Any], statement: str, after: UUID
    ) -> tuple[UUID, int] | None:
        asked = {"after": after, "retention": self._retention}
        return await (await database.execute(statement, asked)).fetchone()


async def walk_keys(database: AsyncConnection[Any]) -> None:
    """Delete the keys of unique kinds that nobody holds, which otherwise keep their jobs."""

    async def prune(after: UUID) -> tuple[UUID, int] | None:
        found = await database.execute(transitions.PRUNE_UNIQUE_KEYS, {"after": after})
        return await found.fetchone()

    await walk(prune, NIL)


async def _skip(database: AsyncConnection[Any], after: UUID, error: psycopg.Error) -> UUID | None:
    row = await (await database.execute(NEXT_JOB, {"after": after})).fetchone()
    if row is None:
        return None
    log.warning("job cannot be deleted", job=str(row[0]), why=first_line(error))
    id_: UUID = row[0]
    return id_
