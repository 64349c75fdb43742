"""Adds up how members of batches ended, settles batches, and submits their callbacks."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import dict_row
from uuid_utils.compat import uuid7

from outbox.events import BatchSettled, Cancelled, emit
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.postgres.session_settings import connect_async
from outbox.store import transitions

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
INTERVAL_SECONDS = 0.02
"""The least interval between two folds: what ends within it is folded together."""
NIL = UUID(int=0)

Cursor = AsyncCursor[dict[str, Any]]


class BatchFolder:
    """Folds the changes of all batches. Any number of folders may work at once.

    Each skips the batches that another has locked. A fold is one transaction, which inserts the
    callbacks of the batches that it settles: if the process dies, all of it happened or nothing.
    """

    def __init__(self, database_url: str, on_callbacks: Callable[[], None]) -> None:
        self._database_url = database_url
        self._on_callbacks = on_callbacks
        self._is_wanted = asyncio.Event()
        self._reported: set[UUID] = set()

    def wake_up(self) -> None:
        """Fold soon: members have ended."""
        self._is_wanted.set()

    async def run(self) -> None:
        """Fold for ever. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url) as database:
            while True:
                self._is_wanted.clear()
                await self.fold_all(database)
                await self._cancel(database)
                await asyncio.sleep(INTERVAL_SECONDS)
                await self._wait()

    async def fold_all(self, database: AsyncConnection[Any]) -> None:
        """Fold the changes of each batch that has some, in the order of their ids."""
        after = NIL
        while ids := await self._changed(database, after):
            await self._fold(database, ids)
            after = ids[-1]

    async def _changed(self, database: AsyncConnection[Any], after: UUID) -> list[UUID]:
        found = await database.execute(transitions.CHANGED_BATCHES, {"after": after})
        return [id_ for (id_,) in await found.fetchall()]

    async def _fold(self, database: AsyncConnection[Any], ids: Sequence[UUID]) -> None:
        """Fold these batches, each by itself if the tables refuse one of them."""
        try:
            folded = await fold(database, ids)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            if len(ids) == 1:
                return self._report_once(ids[0], error)
            for id_ in ids:
                await self._fold(database, [id_])
            return None
        for row in folded:
            _tell(row)
        if any(row["callbacks"] for row in folded):
            self._on_callbacks()
        return None

    async def _cancel(self, database: AsyncConnection[Any]) -> None:
        """Cancel what has not ended of cancelled batches; repeat it while there is any."""
        rows = await (await database.execute(transitions.CANCEL_MEMBERS)).fetchall()
        for job_id, kind, state in rows:
            if state == "cancelled":
                emit(Cancelled(job_id=job_id, kind=kind))
        if rows:
            self.wake_up()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(POLL_SECONDS):
                await self._is_wanted.wait()
        except TimeoutError:
            return

    def _report_once(self, batch: UUID, error: psycopg.Error) -> None:
        if batch not in self._reported:
            self._reported.add(batch)
            log.error("batch cannot be counted", batch=str(batch), why=first_line(error))


async def fold(database: AsyncConnection[Any], ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Fold those of these batches that nobody else has locked; returns what FOLD does."""
    async with database.transaction(), database.cursor(row_factory=dict_row) as cursor:
        locked = await _lock(cursor, ids)
        return await _count(cursor, locked) if locked else []


async def _lock(cursor: Cursor, ids: Sequence[UUID]) -> list[UUID]:
    await cursor.execute(transitions.LOCK_BATCHES, {"ids": list(ids)})
    return [row["id"] for row in await cursor.fetchall()]


async def _count(cursor: Cursor, locked: Sequence[UUID]) -> list[dict[str, Any]]:
    await cursor.execute(transitions.FOLD, fold_parameters(locked))
    return await cursor.fetchall()


def fold_parameters(locked: Sequence[UUID]) -> dict[str, list[UUID]]:
    """The parameters of FOLD for the batches that are locked."""
    return {"ids": list(locked), "job_ids": [uuid7() for _ in range(3 * len(locked))]}


def _tell(row: dict[str, Any]) -> None:
    if row["settles"]:
        counts = {name: row[name] for name in ("succeeded", "dead", "cancelled")}
        emit(BatchSettled(batch_id=row["id"], generation=row["generation"], **counts))
