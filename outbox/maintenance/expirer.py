"""Cancels jobs that have not begun by their `expires_at`."""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox.events import Cancelled, emit
from outbox.postgres.refused_records import first_line, is_about_one
from outbox.postgres.session_settings import connect_async
from outbox.store import transitions

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
EXPIRED = """
SELECT id FROM duly.jobs WHERE state = 'queued' AND started_at IS NULL AND expires_at <= now()
LIMIT 1000
"""
"""The jobs that EXPIRE would take."""


class Expirer:
    """Looks once a second. Any number may look at once: each skips what another has locked.

    A worker starts no expired job either, so none runs late while no relay does.
    """

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._reported: set[UUID] = set()

    async def run(self) -> None:
        """Cancel for ever. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url) as database:
            while True:
                for job_id, kind, why in await self._expire(database):
                    emit(Cancelled(job_id=job_id, kind=kind, why=why))
                await asyncio.sleep(POLL_SECONDS)

    async def _expire(self, database: AsyncConnection[Any]) -> list[Any]:
        try:
            return await _take(database)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            return await self._expire_one_by_one(database)

    async def _expire_one_by_one(self, database: AsyncConnection[Any]) -> list[Any]:
        """Skip a job that the tables refuse; the next poll tries it again."""
        cancelled: list[Any] = []
        for (job,) in await (await database.execute(EXPIRED)).fetchall():
            try:
                cancelled += await _take(database, [job])
            except psycopg.Error as error:
                if not is_about_one(error):
                    raise
                self._report_once(job, error)
        return cancelled

    def _report_once(self, job: UUID, error: psycopg.Error) -> None:
        if job not in self._reported:
            self._reported.add(job)
            log.error("job cannot be cancelled", job=str(job), why=first_line(error))


async def _take(database: AsyncConnection[Any], only: list[UUID] | None = None) -> list[Any]:
    return await (await database.execute(transitions.EXPIRE, {"only": only})).fetchall()
