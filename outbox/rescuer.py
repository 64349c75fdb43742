"""Gives the jobs of workers that died back to the queue."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import structlog
from psycopg import AsyncConnection

from outbox import sequences, steps
from outbox.postgres import connect_async
from outbox.refused import first_line, is_about_one
from outbox.vigil import Vigil

log = structlog.get_logger(__name__)

LOOK_SECONDS = 1.0
ORPHANS = """
SELECT job.id
FROM duly.jobs AS job
LEFT JOIN duly.workers AS worker
       ON worker.name = job.worker AND worker.name <> ALL (%(silent)s::text[])
WHERE job.state = 'running' AND worker.name IS NULL
LIMIT 1000
"""
"""The jobs that RESCUE would take."""


class Rescuer:
    """Looks for running jobs whose worker has sent no heartbeat for `silence`.

    A live worker's long job is never taken: only silence counts, not a job's age, and only silence
    that this rescuer has witnessed. Any number of rescuers may look at once, each takes what no
    other has locked.
    """

    def __init__(
        self, database_url: str, silence: timedelta, on_rescue: Callable[[], None]
    ) -> None:
        self._database_url = database_url
        self._silence = silence
        self._on_rescue = on_rescue
        self._untaken: set[UUID] = set()

    async def run(self) -> None:
        """Rescue for ever, after a first silence. Raises psycopg's errors; call it again then."""
        async with await connect_async(self._database_url) as database:
            # A new one each time: perhaps Postgres was away, and all were silent for want of it.
            await sequences.move_on(database)
            vigil = Vigil(self._silence, LOOK_SECONDS)
            while True:
                heartbeats = await database.execute(steps.HEARTBEATS, binary=True)
                vigil.look({name: beat async for name, beat in heartbeats})
                if vigil.is_informed:
                    await self._rescue(database, vigil.silent)
                    await database.execute(steps.FORGET_WORKERS, {"silent": vigil.silent})
                await asyncio.sleep(LOOK_SECONDS)

    async def _rescue(self, database: AsyncConnection[Any], silent: list[str]) -> None:
        try:
            rescued = await self._take(database, silent)
        except psycopg.Error as error:
            if not is_about_one(error):
                raise
            rescued = await self._take_one_by_one(database, silent)
        for job_id, kind, worker, state in rescued:
            log.warning("job rescued", job=str(job_id), kind=kind, worker=worker, state=state)
        if rescued:
            self._on_rescue()

    async def _take(
        self, database: AsyncConnection[Any], silent: list[str], only: list[UUID] | None = None
    ) -> list[Any]:
        asked = {"silent": silent, "only": only}
        return await (await database.execute(steps.RESCUE, asked)).fetchall()

    async def _take_one_by_one(
        self, database: AsyncConnection[Any], silent: list[str]
    ) -> list[Any]:
        """One that the tables do not take keeps no other waiting; it is tried again."""
        await sequences.move_on(database)
        orphans = await (await database.execute(ORPHANS, {"silent": silent})).fetchall()
        rescued: list[Any] = []
        for (job,) in orphans:
            try:
                rescued += await self._take(database, silent, [job])
            except psycopg.Error as error:
                if not is_about_one(error):
                    raise
                self._tell_once(job, error)
        return rescued

    def _tell_once(self, job: UUID, error: psycopg.Error) -> None:
        if job not in self._untaken:
            self._untaken.add(job)
            log.error("job cannot be rescued", job=str(job), why=first_line(error))
