"""Deletes closed dead letters with their dead jobs, once their retention is over."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.maintenance.pruning.pruner import SETTINGS, WALK_INTERVAL_SECONDS, walk_keys
from outbox.maintenance.pruning.walks import skipping, walk
from outbox.postgres.refused_records import first_line
from outbox.postgres.session_settings import connect_async
from outbox.store import transitions

log = structlog.get_logger(__name__)

PRUNE_ONE = transitions.PRUNE_LETTERS.replace("LIMIT 1000", "LIMIT 1")
NEXT_LETTER = """
SELECT closed_at, id FROM duly.dead_letters
WHERE closed_at IS NOT NULL AND (closed_at, id) > (%(closed_at)s, %(id)s)
ORDER BY closed_at, id
LIMIT 1
"""
"""The letter that PRUNE_ONE looks at."""

Place = tuple[datetime, int]
START: Place = (datetime(1970, 1, 1, tzinfo=UTC), 0)


class LetterPruner:
    """Walks the letters that were closed before the retention, and deletes those it may.

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
                    log.info("closed dead letters deleted", count=pruned)
                await asyncio.sleep(WALK_INTERVAL_SECONDS)

    async def walk(self, database: AsyncConnection[Any]) -> int:
        """Walk from the letter that was closed first; returns how many letters it deleted."""
        await walk_keys(database)
        prune = partial(self._prune, database)
        letters = skipping(
            partial(prune, transitions.PRUNE_LETTERS),
            partial(prune, PRUNE_ONE),
            partial(_skip, database),
        )
        return await walk(letters, START)

    async def _prune(
        self, database: AsyncConnection[Any], statement: str, after: Place
    ) -> tuple[Place, int] | None:
        asked = _place(after) | {"retention": self._retention}
        row = await (await database.execute(statement, asked)).fetchone()
        return row and ((row[0], row[1]), row[2])


async def _skip(database: AsyncConnection[Any], after: Place, error: psycopg.Error) -> Place | None:
    row = await (await database.execute(NEXT_LETTER, _place(after))).fetchone()
    if row is None:
        return None
    log.warning("dead letter cannot be deleted", dead_letter=row[1], why=first_line(error))
    return row[0], row[1]


def _place(after: Place) -> dict[str, Any]:
    return {"closed_at": after[0], "id": after[1]}
